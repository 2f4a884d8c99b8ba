"""Read what the demo prints."""

import re
import shlex
from datetime import datetime
from urllib.parse import parse_qs, urlsplit


class Output:
    """The text that a run printed, and its parts."""

    def __init__(self, text: str) -> None:
        self.text = text

    def table(self, title: str) -> list[list[str]]:
        """The cells of a table's body, row by row."""
        _, _, after = self.text.partition(title)
        drawn = re.search(r"┡.*?\n(.*?)└", after, re.DOTALL)
        assert drawn, title
        return [
            [cell.strip() for cell in line.strip("│\n").split("│")]
            for line in drawn[1].splitlines()
        ]

    def column(self, title: str, place: int) -> list[str]:
        """One column."""
        return [row[place] for row in self.table(title)]

    def count(self, name: str) -> int:
        """How many predictions or truths were stored now."""
        said = re.search(rf"Stored now:.*{name} ([\d,]+)", self.text)
        assert said
        return int(said[1].replace(",", ""))

    @property
    def urls(self) -> list[str]:
        """The URLs of the links, and of the curl command at the end."""
        lines = re.findall(r"^  (http.*|curl .*)$", self.text, re.MULTILINE)
        return [shlex.split(line)[-1] for line in lines]

    def window(self, place: int) -> tuple[datetime, datetime]:
        """The window that a URL shows."""
        query = parse_qs(urlsplit(self.urls[place]).query)
        start, end = (datetime.fromisoformat(query[name][0]) for name in ("startTime", "endTime"))
        return start, end

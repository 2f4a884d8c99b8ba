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

    def column(self, title: str, place: int) -> list[float]:
        """The numbers of one column."""
        return [float(row[place].replace(",", "")) for row in self.table(title)]

    @property
    def tables(self) -> str:
        """All of the tables."""
        return self.text[self.text.index("Digits:") : self.text.index("To serve this")]

    @property
    def url(self) -> str:
        """The URL of the curl command."""
        (line,) = re.findall(r"^  (curl .*)$", self.text, re.MULTILINE)
        program, url = shlex.split(line)
        assert program == "curl"
        return url

    @property
    def start(self) -> datetime:
        """Where the six hours begin."""
        return datetime.fromisoformat(parse_qs(urlsplit(self.url).query)["startTime"][0])

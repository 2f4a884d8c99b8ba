"""Words that the pages and the terminal share."""

from datetime import timedelta


def faults_in_words(open_faults: int, healed_faults: int) -> str:
    """How many spans an audit found wrong, as a cell of a table; empty where none."""
    words = [
        f"{number:,} {state}"
        for number, state in ((open_faults, "open"), (healed_faults, "repaired"))
        if number
    ]
    return ", ".join(words)


def duration(lag: timedelta) -> str:
    """Days, hours and minutes, the largest two."""
    minutes = int(lag.total_seconds()) // 60
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"

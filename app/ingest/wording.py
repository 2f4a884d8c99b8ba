"""What is wrong with a piece of JSON, in words for whoever sent it."""

import re
from typing import NamedTuple

import msgspec

from app.ingest.fields import LEAST_FRACTION, MOST_FRACTION

# What msgspec raises: also for text that isn't UTF-8, and for a million brackets.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_AT_PATH = re.compile(
    r"^(?P<reason>.*?)(?: - at (?P<key>`key` in )?`\$\.?(?P<path>[^`]*)`)?$", re.DOTALL
)
_TYPES = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "null": "null",
    "array": "a list",
    "object": "an object",
    "datetime": "a time",
}
_TIME = "must be RFC 3339 with an offset, like 2026-03-01T10:00:00Z"
# 1e5 and 1.0 are floats to msgspec; "a whole number, not a number" would puzzle who sent them.
_WHOLE = "must be a whole number, written without a point or exponent"
# msgspec's sentences, and ours; the first that matches counts.
_SENTENCES = [
    (r"Object missing required field `(?P<field>.*)`", "is required"),
    (r"Object contains unknown field `(?P<field>.*)`", "is not a known field"),
    (r"Object has member `(?P<field>.*)` twice", "is given twice"),
    (r"Expected `str` of length >= 1", "must not be empty"),
    (r"Expected `str` of length <= (?P<limit>\d+)", "must have at most {limit} characters"),
    # whoever sends 1.5 wants to know the bound, not what is forgiven
    (rf"Expected `float` >= {re.escape(repr(LEAST_FRACTION))}", "must be at least 0.0"),
    (rf"Expected `float` <= {re.escape(repr(MOST_FRACTION))}", "must be at most 1.0"),
    (r"Expected `\w+` >= (?P<limit>\S+)", "must be at least {limit}"),
    (r"Expected `\w+` <= (?P<limit>\S+)", "must be at most {limit}"),
    (r"Expected `int(?: \| null)?`, got `float`", _WHOLE),
    (r"Expected `(?P<wanted>[^`]*)`, got `(?P<given>[^`]*)`", "must be {wanted}, not {given}"),
    (r"(Invalid RFC3339 encoded datetime|Expected `datetime` with a timezone component)", _TIME),
    (r"Number out of range", "is out of range"),
    (r"(Input data was truncated)", "is not complete JSON, or has half a surrogate pair"),
    (r"JSON is malformed: (?P<what>.*)", "is not JSON: {what}"),
]


class Complaint(NamedTuple):
    """`field` is the path of a member, empty for the whole."""

    field: str
    reason: str


def in_words(error: Exception) -> Complaint:
    """What one of UNREADABLE says: which member, and what it must be.

    msgspec says "Expected `int`, got `str` - at `$.batchIndex`"; where none of our sentences
    fits, its own is passed on.
    """
    if isinstance(error, UnicodeDecodeError):
        return Complaint("", "is not UTF-8")
    if isinstance(error, RecursionError):
        return Complaint("", "is nested too deeply")
    said = _AT_PATH.match(str(error))
    assert said is not None, "the pattern matches any text"  # noqa: S101 - for the type checker
    reason, field = _rephrase(said["reason"])
    path = ".".join(part for part in (said["path"], field) if part)
    return Complaint(path, f"a key {reason}" if said["key"] else reason)


def _rephrase(sentence: str) -> tuple[str, str]:
    """Our sentence for msgspec's, and the member that it names, if any."""
    for pattern, ours in _SENTENCES:
        if match := re.fullmatch(pattern, sentence, re.DOTALL):
            words = {name: _types(text) for name, text in match.groupdict().items()}
            return ours.format(**words), match.groupdict().get("field", "")
    return sentence[:1].lower() + sentence[1:], ""


def _types(text: str) -> str:
    """Names of types as people say them; null is not what anybody is asked for."""
    names = [name for name in text.split(" | ") if name != "null"] or ["null"]
    return " or ".join(_TYPES.get(name, name) for name in names)

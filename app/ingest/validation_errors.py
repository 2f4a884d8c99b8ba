"""Describes what is wrong with a piece of JSON, for the person who sent it."""

import re
from typing import NamedTuple

import msgspec

from app.ingest.fields import LEAST_FRACTION, MOST_FRACTION

# What msgspec raises, also for text that isn't UTF-8 and for a million brackets.
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
# For msgspec, 1e5 and 1.0 are floats; "a whole number, not a number" would be puzzling.
_WHOLE = "must be a whole number, written without a point or exponent"
# msgspec's sentences, and ours; the first match counts.
_SENTENCES = [
    (r"Object missing required field `(?P<field>.*)`", "is required"),
    (r"Object contains unknown field `(?P<field>.*)`", "is not a known field"),
    (r"Object has member `(?P<field>.*)` twice", "is given twice"),
    (r"Expected `str` of length >= 1", "must not be empty"),
    (r"Expected `str` of length <= (?P<limit>\d+)", "must have at most {limit} characters"),
    # the nominal limit, without the tolerance
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


class Rejection(NamedTuple):
    """Why a member is rejected; `field` is its path, empty for the whole."""

    field: str
    reason: str


def rejection_of(error: Exception) -> Rejection:
    """Translate an error of UNREADABLE: which member it is about, and what that must be.

    msgspec reports "Expected `int`, got `str` - at `$.batchIndex`"; its own sentence is passed on
    if none of ours matches.
    """
    if isinstance(error, UnicodeDecodeError):
        return Rejection("", "is not UTF-8")
    if isinstance(error, RecursionError):
        return Rejection("", "is nested too deeply")
    match = _AT_PATH.match(str(error))
    assert match is not None, "the pattern matches any text"  # noqa: S101 - for the type checker
    reason, field = _rephrase(match["reason"])
    path = ".".join(part for part in (match["path"], field) if part)
    return Rejection(path, f"a key {reason}" if match["key"] else reason)


def _rephrase(sentence: str) -> tuple[str, str]:
    """Our sentence for msgspec's, and the member that it names, if any."""
    for pattern, ours in _SENTENCES:
        if match := re.fullmatch(pattern, sentence, re.DOTALL):
            words = {name: _types(text) for name, text in match.groupdict().items()}
            return ours.format(**words), match.groupdict().get("field", "")
    return sentence[:1].lower() + sentence[1:], ""


def _types(text: str) -> str:
    """Types under their common names; null is omitted, since nobody is asked for it."""
    names = [name for name in text.split(" | ") if name != "null"] or ["null"]
    return " or ".join(_TYPES.get(name, name) for name in names)

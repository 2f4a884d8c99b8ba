"""What an answer rests on, as every dialect says it: exact or not, what was moved, as of when.

Native answers have members for it. A vendor's form has some of them, at least where the answer is
not exact, and headers always: `Truthline-Exact` and `Truthline-As-Of`.
"""

from typing import Any

from flask import Response, after_this_request
from marshmallow import Schema, fields

from app.api.http.numbers import UtcTime, utc_time
from app.phrases import first_few
from app.query.question import Basis

EXACT, AS_OF = "Truthline-Exact", "Truthline-As-Of"


class SnappedSchema(Schema):
    """An edge that was moved, for the rows that could tell its sides apart are gone."""

    asked = UtcTime()
    answered = UtcTime()
    subject = fields.String(
        metadata={
            "description": "Of which numbers: outcome (those with truths), prediction (counts and"
            " means), score and latency (quantiles)"
        }
    )


class ExactSchema(Schema):
    """Whether an answer is that to the question as it was asked, and which edges were moved."""

    exact = fields.Boolean(
        metadata={"description": "Whether this is the answer to the question as it was asked"}
    )
    snapped = fields.List(fields.Nested(SnappedSchema))


class FreshnessSchema(Schema):
    """Of what age the answer is."""

    as_of = UtcTime(
        data_key="asOf", metadata={"description": "All that was stored by then is counted"}
    )
    clean_until = UtcTime(
        data_key="cleanUntil",
        allow_none=True,
        metadata={"description": "What was received since was counted from its rows"},
    )


class RestsOnSchema(ExactSchema):
    """And of what age it is."""

    freshness = fields.Nested(FreshnessSchema)


def basis_members(basis: Basis) -> dict[str, Any]:
    """Members of an answer, as `RestsOnSchema` writes them."""
    return exact_members(basis) | {
        "freshness": {"as_of": basis.moment.known_at, "clean_until": basis.clean_until}
    }


def exact_members(basis: Basis) -> dict[str, Any]:
    """The same as `ExactSchema` writes them, for a form whose headers say the age."""
    return {"exact": basis.exact, "snapped": basis.snapped}


def vendor_members(basis: Basis) -> dict[str, Any]:
    """Those of a form that is the vendor's to the letter where the answer is exact."""
    say_basis(basis)
    return {} if basis.exact else exact_members(basis)


def say_basis(basis: Basis) -> None:
    """Say it in headers of this request's answer."""

    @after_this_request
    def say(response: Response) -> Response:
        response.headers.update(basis_headers(basis))
        return response


def basis_headers(basis: Basis) -> dict[str, str]:
    """What an answer rests on, for a form that has no member for it."""
    return {EXACT: str(basis.exact).lower(), AS_OF: utc_time(basis.moment.known_at)}


def in_words(basis: Basis) -> str:
    """What is not as it was asked for, for whoever reads it; empty where all is."""
    if basis.exact:
        return ""
    moved = [
        f"{utc_time(one.asked)} to {utc_time(one.answered)} ({one.subject})"
        for one in basis.snapped
    ]
    return f"Not exact, older rows are dropped; moved: {first_few(moved)}"

"""The basis of an answer in every dialect: is it exact, which edges were moved, and as of when.

Native responses have members for it. A vendor's form has some of them, at least if the answer is
not exact, and always headers: `Truthline-Exact` and `Truthline-As-Of`.
"""

from typing import Any

from flask import Response, after_this_request
from marshmallow import Schema, fields

from app.api.http.numbers import UtcTime, utc_time
from app.phrases import first_few
from app.query.question import Basis

EXACT, AS_OF = "Truthline-Exact", "Truthline-As-Of"


class SnappedSchema(Schema):
    """An edge that was moved, because the rows on both sides of it were dropped."""

    asked = UtcTime()
    answered = UtcTime()
    subject = fields.String(
        metadata={
            "description": "The affected numbers: outcome (those with truths), prediction (counts"
            " and means), score and latency (quantiles)"
        }
    )


class ExactSchema(Schema):
    """Whether an answer is exact for the requested window, and which edges were moved."""

    exact = fields.Boolean(metadata={"description": "Whether this is exactly what was requested"})
    snapped = fields.List(fields.Nested(SnappedSchema))


class FreshnessSchema(Schema):
    """The age of an answer."""

    as_of = UtcTime(
        data_key="asOf", metadata={"description": "Everything stored until then is counted"}
    )
    clean_until = UtcTime(
        data_key="cleanUntil",
        allow_none=True,
        metadata={"description": "Rows received since then were counted one by one"},
    )


class BasisSchema(ExactSchema):
    """And of what age it is."""

    freshness = fields.Nested(FreshnessSchema)


def basis_members(basis: Basis) -> dict[str, Any]:
    """Members of an answer, as `RestsOnSchema` writes them."""
    return exact_members(basis) | {
        "freshness": {"as_of": basis.moment.effective_as_of, "clean_until": basis.clean_until}
    }


def exact_members(basis: Basis) -> dict[str, Any]:
    """The same as `ExactSchema` writes them, for a form whose headers say the age."""
    return {"exact": basis.exact, "snapped": basis.snapped}


def vendor_members(basis: Basis) -> dict[str, Any]:
    """Those of a form that is the vendor's to the letter where the answer is exact."""
    set_basis_headers(basis)
    return {} if basis.exact else exact_members(basis)


def set_basis_headers(basis: Basis) -> None:
    """Say it in headers of this request's answer."""

    @after_this_request
    def set_headers(response: Response) -> Response:
        response.headers.update(basis_headers(basis))
        return response


def basis_headers(basis: Basis) -> dict[str, str]:
    """What an answer rests on, for a form that has no member for it."""
    return {EXACT: str(basis.exact).lower(), AS_OF: utc_time(basis.moment.effective_as_of)}


def basis_text(basis: Basis) -> str:
    """What is not as it was asked for, for whoever reads it; empty where all is."""
    if basis.exact:
        return ""
    moved = [
        f"{utc_time(edge.asked)} to {utc_time(edge.answered)} ({edge.subject})"
        for edge in basis.snapped
    ]
    return f"Not exact, older rows are dropped; moved: {first_few(moved)}"

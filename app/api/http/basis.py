"""The basis of an answer in every dialect: is it exact, which edges were moved, and as of when.

Native responses have members for it. A vendor's form has some of them, at least if the answer is
not exact, and always headers: `Truthline-Exact` and `Truthline-As-Of`.
"""

from typing import Any

from flask import Response, after_this_request
from marshmallow import Schema, fields

from app.api.http.numbers import UtcTime, utc_time
from app.query.basis import Reach

# Moved edges that a text names; members have all of them.
FEW = 3
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


class RestsOnSchema(ExactSchema):
    """And of what age it is."""

    freshness = fields.Nested(FreshnessSchema)


def basis_members(reach: Reach) -> dict[str, Any]:
    """Members of an answer, as `RestsOnSchema` writes them."""
    return exact_members(reach) | {
        "freshness": {"as_of": reach.moment.known_at, "clean_until": reach.clean_until}
    }


def exact_members(reach: Reach) -> dict[str, Any]:
    """The same as `ExactSchema` writes them, for a form whose headers say the age."""
    return {"exact": reach.exact, "snapped": reach.snapped}


def vendor_members(reach: Reach) -> dict[str, Any]:
    """Those of a form that is the vendor's to the letter where the answer is exact."""
    say_basis(reach)
    return {} if reach.exact else exact_members(reach)


def say_basis(reach: Reach) -> None:
    """Say it in headers of this request's answer."""

    @after_this_request
    def say(response: Response) -> Response:
        response.headers.update(basis_headers(reach))
        return response


def basis_headers(reach: Reach) -> dict[str, str]:
    """What an answer rests on, for a form that has no member for it."""
    return {EXACT: str(reach.exact).lower(), AS_OF: utc_time(reach.moment.known_at)}


def in_words(reach: Reach) -> str:
    """What is not as it was asked for, for whoever reads it; empty where all is."""
    if reach.exact:
        return ""
    moved = [
        f"{utc_time(one.asked)} to {utc_time(one.answered)} ({one.subject})"
        for one in reach.snapped[:FEW]
    ]
    more = [f"and {len(reach.snapped) - FEW} more"] if len(reach.snapped) > FEW else []
    return f"Not exact, older rows are dropped; moved: {', '.join([*moved, *more])}"

"""The basis of an answer in every dialect: is it exact, which edges were moved, and as of when.

Native responses have members for it. A vendor's form has some of them, at least if the answer is
not exact, and always headers: `Truthline-Exact` and `Truthline-As-Of`, and `Truthline-Replica-Lag`
from a read replica.
"""

from typing import Any

from flask import Response, after_this_request
from marshmallow import Schema, fields

from app.api.http.numbers import UtcTime, utc_time
from app.phrases import first_few
from app.query.question import Basis

EXACT, AS_OF = "Truthline-Exact", "Truthline-As-Of"
REPLICA_LAG = "Truthline-Replica-Lag"  # in seconds


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
    replica_lag = fields.Float(
        data_key="replicaLagSeconds",
        metadata={"description": "How far the read replica was behind, if it has answered"},
    )


class BasisSchema(ExactSchema):
    """Whether an answer is exact, and its age."""

    freshness = fields.Nested(FreshnessSchema)


def basis_members(basis: Basis) -> dict[str, Any]:
    """Members of `BasisSchema`."""
    lag = basis.moment.lag
    freshness: dict[str, Any] = {
        "as_of": basis.moment.effective_as_of,
        "clean_until": basis.clean_until,
    }
    if lag is not None:
        freshness["replica_lag"] = lag.total_seconds()
    return exact_members(basis) | {"freshness": freshness}


def exact_members(basis: Basis) -> dict[str, Any]:
    """Members of `ExactSchema`, for responses whose headers contain the age."""
    return {"exact": basis.exact, "snapped": basis.snapped}


def vendor_members(basis: Basis) -> dict[str, Any]:
    """Members of `ExactSchema` if the answer is not exact; an exact one is as the vendor's."""
    set_basis_headers(basis)
    return {} if basis.exact else exact_members(basis)


def set_basis_headers(basis: Basis) -> None:
    """Set the basis headers of this request's response."""

    @after_this_request
    def set_headers(response: Response) -> Response:
        response.headers.update(basis_headers(basis))
        return response


def basis_headers(basis: Basis) -> dict[str, str]:
    """Headers with the basis of an answer, for formats without a member for it."""
    headers = {EXACT: str(basis.exact).lower(), AS_OF: utc_time(basis.moment.effective_as_of)}
    lag = basis.moment.lag
    return headers if lag is None else headers | {REPLICA_LAG: f"{lag.total_seconds():.3f}"}


def basis_text(basis: Basis) -> str:
    """A sentence about the edges that were moved; empty if the answer is exact."""
    if basis.exact:
        return ""
    moved = [
        f"{utc_time(edge.asked)} to {utc_time(edge.answered)} ({edge.subject})"
        for edge in basis.snapped
    ]
    return f"Not exact, older rows are dropped; moved: {first_few(moved)}"

"""What a model answered, per class, and how fast: of a scope, and as of a moment.

`sql/views/80_inference_stats.sql` and `75_quantiles.sql` define the numbers; this module queries
and names them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from app.query.question import Question, parameters
from app.query.subjects import HasSeries
from app.query.window import WHOLE


@dataclass(frozen=True, slots=True)
class ClassOutputs:
    """One class in a window.

    `inferences` counts inferences with the class among their outputs, `outputs` those outputs,
    `model_inferences` the inferences of the scope. `confidence` (a fraction of 1) and `latency`
    (seconds) are means per output. Deployment types and server versions are separated by commas.
    """

    label: str
    inferences: int
    outputs: int
    model_inferences: int
    confidence: float | None
    latency: float | None
    quantiles: Sequence[float] | None
    deployment_types: str
    server_versions: str


def class_outputs(
    conn: Connection, question: Question[HasSeries], fractions: Sequence[float]
) -> list[ClassOutputs]:
    """The classes with an output in the window, the busiest first.

    Quantiles of confidence at `fractions`; None if none was reported.

    Cost: one statement over the cells of the window, and the rows of one bin per quantile.
    """
    asked = parameters(question) | {"fractions": list(fractions)}
    return [ClassOutputs(*row) for row in conn.execute(_CLASSES, asked)]


def latency_quantiles(
    conn: Connection, question: Question[HasSeries], fractions: Sequence[float]
) -> Sequence[float] | None:
    """Quantiles of the latencies of requests in the window, in seconds; None without any.

    Cost: one statement over the cells of the window, and the rows of one bin per quantile.
    """
    asked = parameters(question) | {"fractions": list(fractions)}
    quantiles: Sequence[float] | None = conn.execute(_LATENCIES, asked).scalar_one_or_none()
    return quantiles


_CLASSES = text(f"""
    SELECT label, n_inferences, n_outputs, n_model_inferences, confidence, latency, quantiles,
           deployment_types, server_versions
    FROM truthline_internal.class_stats(
        CAST(:series AS integer[]), {WHOLE}, CAST(:fractions AS float8[]))
    ORDER BY n_inferences DESC, label COLLATE "C"
""")
_LATENCIES = text(f"""
    SELECT quantiles
    FROM truthline_internal.quantiles(
        'latency', CAST(:series AS integer[]), {WHOLE}, CAST(:fractions AS float8[]))
""")

"""What receivers are sent about a verdict."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from app.monitors.due import Due
from app.monitors.outcome import Finding

VERDICT, ENDED, TEST = "monitor.verdict", "monitor.ended", "monitor.test"


def message_of(due: Due, finding: Finding, as_of: datetime, public_url: str) -> dict[str, Any]:
    """The body of a message, which says all that a receiver needs to keep the state of a window.

    `isLatest` is false for a revision of an earlier window than the last one.
    """
    verdict, reading = finding.judged.verdict, finding.judged.verdict.reading
    definition, end = due.definition, finding.judged.end
    data: dict[str, Any] = {
        "monitor": due.name,
        "revision": due.revision,
        "namespace": definition.namespace,
        "pipeline": definition.pipeline,
        "model": definition.model,
        "metric": definition.metric,
        "part": finding.judged.part,
        "startTime": utc(end - definition.length),
        "endTime": utc(end),
        "asOf": utc(as_of),
        "state": verdict.state,
        "severity": definition.severity,
        "reason": verdict.reason,
        "value": reading.value,
        "low": reading.low,
        "high": reading.high,
        "n": reading.n,
        "baseline": verdict.baseline,
        "isLatest": finding.is_latest,
        "revises": _revises(finding),
    }
    if public_url:
        data["url"] = page_of(due, finding, as_of, public_url)
    return {"type": VERDICT, "timestamp": utc(as_of), "data": data}


def _revises(finding: Finding) -> dict[str, Any] | None:
    known = finding.revises
    if known is None:
        return None
    return {
        "state": known.state,
        "value": known.value,
        "asOf": utc(known.as_of),
        "learned": known.learned,
    }


def page_of(due: Due, finding: Finding, as_of: datetime, public_url: str) -> str:
    """The page of the model, in that window and as of that moment."""
    definition, end = due.definition, finding.judged.end
    part = [finding.judged.part] if finding.judged.part else []
    names = {
        "namespace": definition.namespace,
        "pipeline": definition.pipeline,
        "model": definition.model,
        "version": definition.version,
        "deployment": definition.deployment,
        "tag": [*definition.tags, *part],
        "startTime": utc(end - definition.length),
        "endTime": utc(end),
        "asOf": utc(as_of),
    }
    query = urlencode({name: text for name, text in names.items() if text}, doseq=True)
    return f"{public_url.rstrip('/')}/model?{query}"


def utc(moment: datetime) -> str:
    """An instant as the API writes it."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")

"""Which series monitors are about: looked up for all of them in one statement."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from sqlalchemy import Connection, text

from app.monitors.definition import MonitorDefinition
from app.monitors.readings import Selection

WHOLE = ""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a monitor is about: a selection per part, also of the version that it is compared with.

    `kind` is None if the model is unknown. Without groups there is one part, `WHOLE`.
    """

    kind: str | None = None
    label_id: int | None = None
    own: Mapping[str, Selection] = field(default_factory=dict)
    other: Mapping[str, Selection] = field(default_factory=dict)


def parts_of_all(
    conn: Connection, monitors: Sequence[tuple[int, MonitorDefinition]]
) -> list[Parts]:
    """What monitors are about, in their order; each is given with its workspace."""
    asked = [
        row
        for nth, (workspace_id, definition) in enumerate(monitors)
        for row in _asked(nth, workspace_id, definition)
    ]
    kinds: dict[int, tuple[str | None, int | None]] = {}
    found: dict[tuple[int, bool], dict[str, Selection]] = defaultdict(dict)
    for row in conn.execute(_PARTS, {"asked": msgspec.json.encode(asked).decode()}):
        kinds[row.nth] = (row.kind, row.label_id)
        if row.series is not None or row.part == WHOLE:
            selection = Selection(row.model_id, tuple(row.series or ()))
            found[row.nth, row.is_other][row.part] = selection
    return [
        Parts(kind, label_id, found[nth, False], found[nth, True])
        for nth in range(len(monitors))
        for kind, label_id in [kinds.get(nth, (None, None))]
    ]


def _asked(nth: int, workspace_id: int, definition: MonitorDefinition) -> list[dict[str, object]]:
    own = {
        "nth": nth,
        "is_other": False,
        "workspace_id": workspace_id,
        "namespace": definition.namespace,
        "pipeline": definition.pipeline,
        "model": definition.model,
        "deployment": definition.deployment,
        "version": definition.version,
        "tags": definition.tag_filter.in_sql,
        "group_by": definition.group_by,
        "label": definition.label,
    }
    if definition.compare.with_ != "version":
        return [own]
    return [own, own | {"is_other": True, "version": definition.compare.version}]


_PARTS = text("""
    SELECT asked.nth, asked.is_other, model.id AS model_id, model.kind, label.id AS label_id,
           CASE WHEN asked.group_by IS NULL THEN ''
                ELSE concat(asked.group_by, ':', series.tags ->> asked.group_by) END AS part,
           array_agg(series.id ORDER BY series.id) FILTER (WHERE series.id IS NOT NULL) AS series
    FROM jsonb_to_recordset(CAST(:asked AS jsonb)) AS asked (
        nth integer, is_other boolean, workspace_id integer, namespace text, pipeline text,
        model text, deployment text, version text, tags text, group_by text, label text)
    JOIN model ON model.workspace_id = asked.workspace_id AND model.namespace = asked.namespace
        AND model.pipeline = asked.pipeline AND model.name = asked.model
    LEFT JOIN label ON label.workspace_id = asked.workspace_id AND label.name = asked.label
    LEFT JOIN series ON series.model_id = model.id
        AND series.deployment = coalesce(asked.deployment, series.deployment)
        AND series.version = coalesce(asked.version, series.version)
        AND truthline_internal.has_tags(series.tags, CAST(asked.tags AS jsonb))
    GROUP BY 1, 2, 3, 4, 5, 6
    ORDER BY 1, 2, 6
""")

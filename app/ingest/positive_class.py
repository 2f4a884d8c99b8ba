"""Which class of a classifier its scores are about."""

import msgspec
from sqlalchemy import text

from app.errors import InvalidInput, WrongKind
from app.ingest.fields import Label, text_problem
from app.store.database import Database
from app.store.registry import Kind, ModelName


class PositiveClass(msgspec.Struct, forbid_unknown_fields=True, rename="camel", frozen=True):
    """The class to declare; null takes a declaration back."""

    positive_class: Label | None


def declare_positive_class(
    database: Database, workspace_id: int, name: ModelName, label: str | None
) -> None:
    """Declare the positive class of a classifier, which is registered if it is unknown.

    Raises:
        InvalidInput: the label is empty or can't be stored.
        WrongKind: the model is a regressor.
    """
    if label == "":
        raise InvalidInput("positiveClass must not be empty")
    if problem := text_problem(label):
        raise InvalidInput(f"positiveClass {problem}")
    registry = database.registry
    model = registry.register_models(workspace_id, {name: Kind.CLASSIFICATION})[name]
    if model.kind is not Kind.CLASSIFICATION:
        raise WrongKind(f"model {name} does {model.kind}, not {Kind.CLASSIFICATION}")
    label_id = None if label is None else registry.register_labels(workspace_id, [label])[label]
    with database.writing() as conn:
        conn.execute(_DECLARE, {"model_id": model.id, "label_id": label_id})


_DECLARE = text("""
    WITH remembered AS (
        INSERT INTO declared_class (model_id, label_id)
        SELECT :model_id, label_id FROM (SELECT CAST(:label_id AS integer)) AS declared (label_id)
        WHERE label_id IS NOT NULL
        ON CONFLICT DO NOTHING
    )
    UPDATE model SET positive_label = :label_id WHERE id = :model_id
""")

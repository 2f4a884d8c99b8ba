"""A panel as CSV: the same question and the same numbers, with all digits."""

from datetime import UTC, datetime

from app.csvtext import to_csv
from app.errors import InvalidInput
from app.store.database import Database
from app.web.basis import marked, panel_context
from app.web.pages import PANELS
from app.web.question import Question


def as_csv(database: Database, name: str, search: str, workspace_id: int) -> str:
    """A panel's rows, the header first; unknown values are empty. Each row contains its basis.

    Raises:
        InvalidInput: no panel of that name has rows, or the query is invalid.
        UnknownModel: the workspace has no such model.
    """
    panel = PANELS.get(name)
    if panel is None or panel.rows is None:
        raise InvalidInput("there is no such table")
    question = Question.read(search, datetime.now(UTC))
    with database.asking(question.as_of) as conn:
        context = panel_context(conn, database.registry, workspace_id, question)
        result = panel.find(context)
        basis = panel.basis(context) if panel.basis else None
    rows = panel.rows(question, result)
    return to_csv(marked(rows, basis) if basis else rows)

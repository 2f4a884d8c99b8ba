"""The metrics that the demo shows, as tables."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from rich.table import Table
from sqlalchemy import Connection

from app.demo.lesson import DIGITS, Trained
from app.demo.tables import Judged, accuracy_table, comparison_table, confusion_table
from app.query.classification import classification_buckets
from app.query.inferences import preceding
from app.query.question import Question
from app.query.regression import regression_buckets
from app.query.settle import settle
from app.query.subjects import Scope, Subject
from app.query.versions import versions
from app.query.window import Grid, Window
from app.store.registry import Kind, Registry

WIDTH = timedelta(hours=4)


@dataclass(frozen=True, slots=True)
class Reporter:
    """Asks for metrics in one transaction."""

    conn: Connection
    registry: Registry
    workspace_id: int

    def tables(self, models: Sequence[Trained], since: Window) -> Iterator[Table]:
        """What became of every model `since` a release, and of the digits in detail."""
        before = preceding(since)
        judged = [
            self._judged(model, before, since)
            for model in models
            if model.kind is not Kind.DETECTION
        ]
        yield comparison_table(judged, since)
        around = Window(before.start, since.end)
        digits = self._settled(Scope(DIGITS), around, Grid(WIDTH))
        buckets = classification_buckets(self.conn, self.registry, digits)
        yield accuracy_table(buckets, versions(self.conn, digits))
        (whole,) = classification_buckets(self.conn, self.registry, digits.over(since))
        yield confusion_table(whole.matrix)

    def _judged(self, model: Trained, before: Window, since: Window) -> Judged:
        settled = self._settled(Scope(model.name), since)
        (_, old), (n, new) = (self._headline(settled.over(window)) for window in (before, since))
        return Judged(model.name, model.kind, n, old, new)

    def _settled(self, scope: Scope, window: Window, grid: Grid = Grid()) -> Question[Subject]:  # noqa: B008 - frozen
        return settle(self.conn, Question(self.workspace_id, scope, window, grid))

    def _headline(self, question: Question[Subject]) -> tuple[int, float | None]:
        """The number of truths, and accuracy or mean absolute error."""
        if question.subject.kind is Kind.REGRESSION:
            (errors,) = regression_buckets(self.conn, question)
            return errors.n, errors.mean_absolute_error
        (classes,) = classification_buckets(self.conn, self.registry, question)
        return classes.n, classes.accuracy

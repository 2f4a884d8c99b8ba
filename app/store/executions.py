"""The registries of training: executions, and names of their metrics."""

from sqlalchemy import Engine, text

from app.store.cache import Cache
from app.store.outages import translating_outages


class StepRegistry:
    """Ids of executions and of names of step metrics, for one database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._executions: Cache[tuple[int, str], int] = Cache()
        self._names: Cache[tuple[int, str], int] = Cache()

    def register_execution(self, workspace_id: int, name: str) -> int:
        """The id of an execution, which is created on first use."""
        return self._register(self._executions, "execution", workspace_id, name)

    def register_name(self, workspace_id: int, name: str) -> int:
        """The id of a metric's name, which is created on first use."""
        return self._register(self._names, "step_name", workspace_id, name)

    def _register(
        self, memory: Cache[tuple[int, str], int], table: str, workspace_id: int, name: str
    ) -> int:
        key = (workspace_id, name)
        return memory.resolve([key], lambda _: {key: self._get_or_create(table, *key)})[key]

    def _get_or_create(self, table: str, workspace_id: int, name: str) -> int:
        """Select first: a conflicting insert would use up a number of the sequence each time."""
        row = {"workspace_id": workspace_id, "name": name}
        select = text(f"SELECT id FROM {table} WHERE workspace_id = :workspace_id AND name = :name")
        insert = text(
            f"INSERT INTO {table} (workspace_id, name) VALUES (:workspace_id, :name)"
            " ON CONFLICT DO NOTHING"
        )
        with translating_outages(), self._engine.begin() as conn:
            id_ = conn.execute(select, row).scalar()
            if id_ is None:
                conn.execute(insert, row)
                id_ = conn.execute(select, row).scalar_one()
        return int(id_)

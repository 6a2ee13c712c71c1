"""The XComs of one task instance, for the task itself and for its trigger."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_revor.hooks.threads import in_thread

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


@dataclass(frozen=True, slots=True)
class TaskXComs:
    """
    The XComs of one task instance. Reading and writing them blocks.

    :param dag_id: The Dag.
    :param run_id: Its run.
    :param task_id: The task.
    :param map_index: Its place in a mapped task; -1 for one that is not mapped.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1

    @classmethod
    def of(cls, context: Context) -> TaskXComs:
        """
        Return those of the task that runs.

        :param context: The task's context.
        """
        return cls.of_instance(context["ti"])

    @classmethod
    def of_instance(cls, ti: Any) -> TaskXComs:
        """
        Return those of a task instance.

        :param ti: The task instance.
        """
        return cls(ti.dag_id, ti.run_id, ti.task_id, -1 if getattr(ti, "map_index", None) is None else ti.map_index)

    def as_dict(self) -> dict[str, Any]:
        """Return the names of the task instance as plain JSON."""
        return asdict(self)

    def get(self, key: str) -> Any:
        """
        Return an XCom; None if there is none.

        :param key: Its key.
        """
        from airflow.providers.common.compat.sdk import XCom

        try:
            return XCom.get_one(key=key, **self.as_dict())
        except ImportError:
            # `dag.test()` of Airflow 3.0 runs a trigger without a supervisor, beside the database.
            return self._get_from_database(key)

    def _get_from_database(self, key: str) -> Any:
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session

        ids = {"dag_ids": self.dag_id, "task_ids": self.task_id, "map_indexes": self.map_index}
        with create_session() as session:
            row = XComModel.get_many(key=key, run_id=self.run_id, session=session, **ids).first()  # type: ignore[call-arg, arg-type, attr-defined]
            return row and XComModel.deserialize_value(row)

    def set(self, key: str, value: Any) -> None:
        """
        Write an XCom.

        :param key: Its key.
        :param value: Plain JSON.
        """
        from airflow.providers.common.compat.sdk import XCom

        XCom.set(key, value, **self.as_dict())

    async def aget(self, key: str) -> Any:
        """
        Return an XCom, awaited; None if there is none.

        :param key: Its key.
        """
        return await in_thread(self.get, key)

    async def aset(self, key: str, value: Any) -> None:
        """
        Write an XCom, awaited.

        :param key: Its key.
        :param value: Plain JSON.
        """
        await in_thread(self.set, key, value)

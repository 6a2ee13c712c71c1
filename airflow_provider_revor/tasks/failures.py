"""Why a task fails, in plain lines: Airflow's UI shows of an exception one line, cut off, above its frames."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from airflow_provider_revor.exceptions import RevorError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

# How Airflow begins a task, and how it resumes one after a trigger.
_ENTRANCES = ("execute", "resume_execution")


def _explained(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def entrance(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except RevorError as e:
            # A subclass that calls `super().execute()` has two entrances.
            if not e.is_logged:
                e.is_logged = True
                for line in filter(None, (e.reason, e.advice)):
                    self.log.error("%s", line)
            raise

    return entrance


class ExplainsFailures:
    """
    Have a task that a :class:`.RevorError` fails log the reason and the remedy, each on a line of its own.

    These are the last lines before the traceback. For operators and sensors: a base before Airflow's own.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in _ENTRANCES:
            if method := vars(cls).get(name):
                setattr(cls, name, _explained(method))

    @_explained
    def execute(self, context: Context) -> Any:
        """
        Run the task as Airflow's class does.

        :param context: The task's context.
        """
        return super().execute(context)  # type: ignore[misc]

    @_explained
    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """
        Resume the task after a trigger as Airflow's class does.

        :param next_method: The method to resume with.
        :param next_kwargs: Its arguments.
        :param context: The task's context.
        """
        return super().resume_execution(next_method, next_kwargs, context)  # type: ignore[misc]

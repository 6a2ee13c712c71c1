"""
Whether a deferred task that succeeds ends in the triggerer or on a worker, which some features of Airflow need.

The list follows Airflow 3.3's task runner: what it does around ``execute_complete``, and on success. A task that fails,
is skipped or times out always resumes on a worker.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_revor.links import has_other_links
from airflow_provider_revor.version_compat import START_FROM_TRIGGER

# Methods that a Dag author may override, and BaseOperator's arguments for the same purpose.
_METHODS = ("pre_execute", "execute_complete", "resume_execution", "post_execute")
_HOOKS = ("_pre_execute_hook", "_post_execute_hook", "overwrite_rtif_after_execution", "returns_dag_result")

# Attributes of a task that need a worker; a serialized Dag has them under the same names.
_DECLARED = (
    "has_on_execute_callback",
    "has_on_success_callback",
    "inlets",
    "outlets",
    "multiple_outputs",
    "map_index_template",
)


def ends_in_triggerer(task: Any, base: type) -> bool:
    """
    Return whether a task may end in the triggerer; asked on the worker that defers it.

    :param task: The task.
    :param base: The class of ours whose methods are known to do nothing else.
    """
    return START_FROM_TRIGGER and not is_customised(task, base) and not declares_work(task) and not settings_add_work()


def is_customised(task: Any, base: type) -> bool:
    """
    Return whether the Dag author's own code runs at the end of a task. Only with the Dag file loaded is it known.

    :param task: The task.
    :param base: The class of ours that the task is compared with.
    """
    if any(getattr(task, name, None) for name in _HOOKS):
        return True
    return any(getattr(getattr(task, name), "__func__", None) is not getattr(base, name) for name in _METHODS)


def declares_work(task: Any) -> bool:
    """
    Return whether a task has attributes that need a worker at its end.

    :param task: The task, as the Dag's file makes it or as the triggerer gets it.
    """
    return any(getattr(task, name) for name in _DECLARED) or has_other_links(task) or _is_mapped_over(task)


def settings_add_work() -> bool:
    """Return whether this Airflow's plugins or settings need a worker at the end of each task."""
    from airflow.providers.common.compat.sdk import conf
    from airflow.sdk.bases.xcom import BaseXCom
    from airflow.sdk.execution_time.xcom import XCom
    from airflow.sdk.listener import get_listener_manager

    hooks = get_listener_manager().hook
    return (
        # A custom backend may block, which would stop the triggerer.
        XCom is not BaseXCom
        or conf.getboolean("state_store", "clear_on_success", fallback=False)
        or any(getattr(hooks, f"on_task_instance_{when}").get_hookimpls() for when in ("running", "success"))
    )


def _is_mapped_over(task: Any) -> bool:
    # When a worker pushes a return value that tasks map over, Airflow stores its length. For a mapped task, Airflow
    # counts the task instances instead.
    dag = task.get_dag()
    if dag is None or dag.get_task(task.task_id).is_mapped:
        return False
    return next(task.iter_mapped_dependants(), None) is not None

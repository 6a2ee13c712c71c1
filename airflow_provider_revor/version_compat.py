"""Everything that depends on the version of Airflow, and nothing else."""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from airflow import __version__ as _version

if TYPE_CHECKING:
    from airflow.triggers.base import BaseEventTrigger as EventTrigger
    from airflow.triggers.base import BaseEventTrigger as SharedPollTrigger

try:
    from airflow.sdk.exceptions import AirflowRescheduleException
except ImportError:  # Airflow 2, and 3 before these moved
    from airflow.exceptions import AirflowRescheduleException  # type: ignore[no-redef, attr-defined, unused-ignore]

__all__ = [
    "ASSET_STATE_STORE",
    "ASSET_WATCHERS",
    "CLI_COMMANDS",
    "COUNTS_CLEARS",
    "FORM_FROM_PROVIDER_INFO",
    "KILLS_TRIGGERS",
    "LINKS_ARE_XCOMS",
    "RETRIES_RESCHEDULE",
    "RETRY_POLICIES",
    "SHARED_POLLS",
    "START_FROM_TRIGGER",
    "TRIGGERS_LOG_TO_SUPERVISOR",
    "UI_PLUGINS",
    "AirflowRescheduleException",
    "EventTrigger",
    "Log",
    "SharedPollTrigger",
    "is_trigger_timeout",
    "mask_secret",
    "store_dag",
    "task_state",
    "worker_kill_grace",
]

_numbers = re.findall(r"\d+", _version)
_AIRFLOW = (int(_numbers[0]), int(_numbers[1]))

# Whether an asset can be watched by a trigger.
ASSET_WATCHERS = _AIRFLOW >= (3, 0)

# Whether a task's links are XComs; older ones make a link when someone looks at the task.
LINKS_ARE_XCOMS = _AIRFLOW >= (3, 0)
# Whether tasks can keep values with an asset, for other tasks, runs and Dags.
ASSET_STATE_STORE = _AIRFLOW >= (3, 3)

# Whether triggers can share a stream of polls.
SHARED_POLLS = _AIRFLOW >= (3, 3)

# Whether a task can begin and end in the triggerer. Older ones do not render the templates of such a task (2.11), or
# ignore that it asks for it (3.0 to 3.2).
START_FROM_TRIGGER = _AIRFLOW >= (3, 3)

# Whether a trigger is told that a person has ended its task; older ones only cancel it, as when they shut down.
KILLS_TRIGGERS = _AIRFLOW >= (3, 3)

# Whether triggers log into a socket, which another process of the triggerer reads.
TRIGGERS_LOG_TO_SUPERVISOR = _AIRFLOW >= (3, 0)

# Whether a Dag run counts each clear of its tasks; older ones count those of a run that has ended.
COUNTS_CLEARS = _AIRFLOW >= (3, 3)

# Whether a task can have a policy that decides on its retries.
RETRY_POLICIES = _AIRFLOW >= (3, 3)

# Whether such a policy can have a task run again later without using a retry.
RETRIES_RESCHEDULE = _AIRFLOW >= (3, 4)

# Whether a connection's form is drawn from the provider info, without importing the hook.
FORM_FROM_PROVIDER_INFO = _AIRFLOW >= (3, 2)


# Whether the command line takes commands of providers.
CLI_COMMANDS = _AIRFLOW >= (3, 2)

# Whether plugins can add pages to Airflow's UI.
UI_PLUGINS = _AIRFLOW >= (3, 1)


class Log(Protocol):
    """What ``self.log`` is: the standard library's logger on Airflow 2, structlog's on Airflow 3."""

    def info(self, msg: Any, /, *args: Any) -> Any:
        """Tell what happens."""

    def warning(self, msg: Any, /, *args: Any) -> Any:
        """Tell what should not happen."""

    def exception(self, msg: Any, /, *args: Any) -> Any:
        """Tell what failed, with the traceback of what is being handled."""


def __getattr__(name: str) -> Any:
    # Imported late, so that code without triggers does not pay for them.
    if name in ("EventTrigger", "SharedPollTrigger"):
        from airflow.triggers import base

        has_it = ASSET_WATCHERS if name == "EventTrigger" else SHARED_POLLS
        return base.BaseEventTrigger if has_it else base.BaseTrigger
    raise AttributeError(name)


def is_trigger_timeout(next_method: str, next_kwargs: dict[str, Any] | None) -> bool:
    """
    Return whether Airflow resumes a task because its trigger has not fired in time.

    Airflow 2 raises the same error for it as for a trigger that failed.

    :param next_method: What Airflow resumes the task with.
    :param next_kwargs: The arguments of that method.
    """
    # The second is Airflow 2's, and may come from before an upgrade.
    reasons = ("Trigger timeout", "Trigger/execution timeout")
    return next_method == "__fail__" and (next_kwargs or {}).get("error") in reasons


def mask_secret(secret: str) -> None:
    """
    Have Airflow mask a secret in all logs from now on.

    :param secret: What must not be seen.
    """
    home = "airflow.sdk.log" if _AIRFLOW >= (3, 0) else "airflow.utils.log.secrets_masker"
    import_module(home).mask_secret(secret)


def task_state(dag_id: str, run_id: str, task_id: str, map_index: int) -> str | None:
    """
    Ask Airflow for the state of a task instance; None for one that was cleared. It blocks.

    :param dag_id: The Dag.
    :param run_id: Its run.
    :param task_id: The task.
    :param map_index: Its place in a mapped task; -1 for one that is not mapped.
    :raises LookupError: if there is no such task instance.
    """
    if _AIRFLOW >= (3, 0):
        runner = import_module("airflow.sdk.execution_time.task_runner").RuntimeTaskInstance
        states = runner.get_task_states(dag_id=dag_id, run_ids=[run_id], task_ids=[task_id], map_index=map_index)
        state = states[run_id][task_id if map_index < 0 else f"{task_id}_{map_index}"]
    else:
        model = import_module("airflow.models.taskinstance").TaskInstance
        with import_module("airflow.utils.session").create_session() as session:
            ids = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": map_index}
            found = session.query(model.state).filter_by(**ids).first()
        if found is None:
            raise LookupError(f"There is no task instance {dag_id}.{task_id} in the run {run_id}.")
        (state,) = found
    return None if state is None else str(getattr(state, "value", state))


def worker_kill_grace() -> float:
    """Return for how many seconds a task's process may go on after a person has ended the task."""
    if _AIRFLOW >= (3, 0):
        return 5.0
    conf = import_module("airflow.configuration").conf
    return float(conf.getfloat("core", "killed_task_cleanup_time", fallback=60.0))


def load_stats() -> Any:
    """Return Airflow's ``Stats``, ready to send."""
    from airflow.providers.common.compat.sdk import Stats

    if Stats.__module__.startswith("airflow.sdk"):
        # A triggerer of Airflow 3.2+ prepares another one than that of the Task SDK, which this import prepares.
        import_module("airflow.sdk.serde")
    return Stats


def store_dag(dag: Any) -> None:
    """
    Store a Dag in the metadata database, where ``dag.test()`` of Airflow 3.1+ looks for it.

    :param dag: The Dag.
    """
    if _AIRFLOW < (3, 1):
        return
    dagbag = import_module("airflow.dag_processing.dagbag" if _AIRFLOW >= (3, 2) else "airflow.models.dagbag")
    manager = import_module("airflow.dag_processing.bundles.manager").DagBundlesManager()
    manager.sync_bundles_to_db()
    bundle = next(iter(manager.get_all_dag_bundles()))
    bag = dagbag.DagBag(dag_folder=bundle.path, collect_dags=False)
    bag.bag_dag(dag)
    dagbag.sync_bag_to_db(bag, bundle.name, bundle.version)

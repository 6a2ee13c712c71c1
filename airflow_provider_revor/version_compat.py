"""Everything that depends on the version of Airflow, and nothing else."""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from airflow import __version__ as _version

if TYPE_CHECKING:
    from airflow.triggers.base import BaseEventTrigger as EventTrigger
    from airflow.triggers.base import BaseEventTrigger as SharedPollTrigger

__all__ = [
    "ASSET_WATCHERS",
    "CLI_COMMANDS",
    "COUNTS_CLEARS",
    "FORM_FROM_PROVIDER_INFO",
    "RETRIES_RESCHEDULE",
    "RETRY_POLICIES",
    "SHARED_POLLS",
    "START_FROM_TRIGGER",
    "EventTrigger",
    "Log",
    "SharedPollTrigger",
    "is_trigger_timeout",
    "mask_secret",
]

_numbers = re.findall(r"\d+", _version)
_AIRFLOW = (int(_numbers[0]), int(_numbers[1]))

# Whether an asset can be watched by a trigger.
ASSET_WATCHERS = _AIRFLOW >= (3, 0)

# Whether triggers can share a stream of polls.
SHARED_POLLS = _AIRFLOW >= (3, 3)

# Whether a task can begin and end in the triggerer. Older ones do not render the templates of such a task (2.11), or
# ignore that it asks for it (3.0 to 3.2).
START_FROM_TRIGGER = _AIRFLOW >= (3, 3)

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


class Log(Protocol):
    """What ``self.log`` is: the standard library's logger on Airflow 2, structlog's on Airflow 3."""

    def info(self, msg: Any, /, *args: Any) -> Any:
        """Tell what happens."""

    def warning(self, msg: Any, /, *args: Any) -> Any:
        """Tell what should not happen."""


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

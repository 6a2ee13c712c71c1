"""When a task that waits was ended by a person, so that its jobs are cancelled."""

from __future__ import annotations

from enum import Enum


class Place(Enum):
    """Where a task waits when it is told to end, and in which states it then is if a person has ended it."""

    #: A worker is told to end when its machine shuts down, too: the task is still ``running`` then.
    WORKER = frozenset({"failed", "restarting"})
    #: Airflow 3.3 tells a trigger that was handed over, too: its task is still ``deferred`` then. A task that was
    #: cleared has no state, or soon that of its next try, which once it runs decides by itself about the jobs.
    TRIGGERER = frozenset({"failed", None, "scheduled", "queued"})

    def ended_by_a_person(self, state: str | None) -> bool:
        """
        Return whether a person has marked the task as failed, or cleared it.

        :param state: Its state in Airflow's database; None for none.
        """
        return state in self.value

"""Polling in the triggerer: again and again, and once for all that wait for accounts of a connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_revor.rules.pauses import first_pause
from airflow_provider_revor.triggers.looks import Looks, Poll
from airflow_provider_revor.triggers.part import TriggerPart

if TYPE_CHECKING:
    from airflow.triggers.base import TriggerEvent

T = TypeVar("T")


async def polls(
    look: Callable[[], Awaitable[T]], pause: Callable[[T | Exception], float], first: float
) -> AsyncIterator[T | Exception]:
    """
    Look again and again, for ever.

    :param look: Takes one look.
    :param pause: Returns the seconds until the next look, by what the last one showed.
    :param first: Seconds until the first look.
    :return: What each look showed; what fails is yielded, never raised.
    """
    wait = first
    while True:
        await asyncio.sleep(wait)
        poll: T | Exception
        try:
            poll = await look()
        except Exception as e:
            poll = e
        yield poll
        wait = pause(poll)


class AccountPolls(TriggerPart):
    """
    The part of a trigger that polls.

    All triggers of a connection and an interval share one look per interval in each triggerer, whatever each of them
    waits for: on Airflow 3.3+ by one stream, on older ones because each, before it looks, takes a newer look of
    another one. The connection is read again at each look, so that a new key is used and a deleted connection noticed.
    """

    revor_conn_id: str
    poke_interval: float

    def shared_stream_key(self) -> Hashable:
        """Return what polls have in common: the connection and the interval."""
        return ("airflow_provider_revor.connect_accounts", self.revor_conn_id, self.poke_interval)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[Poll]:
        """
        Poll for the list of accounts for ever.

        What fails is yielded as a value: an exception raised here would fail every trigger of the stream.

        :param kwargs: The arguments of one of the triggers that share the stream.
        """
        looks = Looks.of(kwargs["revor_conn_id"], kwargs["poke_interval"])
        first = first_pause(kwargs.get("first_poll_at"), kwargs["poke_interval"], time.time())
        async for poll in looks.follow(first):
            yield poll

    def filter_shared_stream(self, shared_stream: AsyncIterator[Poll]) -> AsyncIterator[TriggerEvent]:
        """Fire for the polls that matter to this trigger."""
        raise NotImplementedError

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll alone: below Airflow 3.3, and under ``airflow dags test``."""
        async for event in self.filter_shared_stream(self.open_shared_stream(self.serialize()[1])):
            yield event

    @property
    def looks(self) -> Looks:
        """The looks that this trigger shares with others."""
        return Looks.of(self.revor_conn_id, self.poke_interval)

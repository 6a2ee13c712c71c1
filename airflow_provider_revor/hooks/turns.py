"""How many awaited requests of a connection are under way at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

# Requests at a time, and so connections, as long as each takes less than these seconds: one that takes longer lets the
# next one begin, so that a server that hangs does not hold up all that wait. And the most at a time, whatever happens.
_AT_ONCE, _LONG, _MOST = 5, 1.0, 100


class Turns:
    """Lets requests begin in the order of their arrival. Belongs to the event loop that it is first used in."""

    def __init__(self) -> None:
        self._all = asyncio.Semaphore(_MOST)
        self._short = asyncio.Semaphore(_AT_ONCE)

    @asynccontextmanager
    async def next(self) -> AsyncIterator[Turn]:
        """Wait for a turn, and have it for the time of the ``async with``; longer if :meth:`Turn.covers` says so."""
        await self._all.acquire()
        try:
            await self._short.acquire()
        except BaseException:
            self._all.release()
            raise
        turn = Turn(self._all, self._short)
        try:
            yield turn
        finally:
            turn.leave()


class Turn:
    """
    One request's turn.

    :param all_: Lets the most requests be under way.
    :param short: Lets as many begin as take little time.
    """

    def __init__(self, all_: asyncio.Semaphore, short: asyncio.Semaphore) -> None:
        self._all = all_
        self._short = short
        self._holders = 1
        self._is_long = False
        self._timer = asyncio.get_running_loop().call_later(_LONG, self._let_the_next_begin)

    def covers(self, exchange: asyncio.Task[Any]) -> None:
        """
        Keep the turn until an exchange has ended, too: it goes on when its caller is cancelled.

        :param exchange: What sends the request and receives the response.
        """
        self._holders += 1
        exchange.add_done_callback(self.leave)

    def leave(self, _: object = None) -> None:
        """End the turn, if nobody else holds it."""
        self._holders -= 1
        if not self._holders:
            self._timer.cancel()
            self._let_the_next_begin()
            self._all.release()

    def _let_the_next_begin(self) -> None:
        if not self._is_long:
            self._is_long = True
            self._short.release()

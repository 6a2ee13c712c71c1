"""How many awaited requests of a connection are under way at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

# Requests at a time, and so connections, as long as each takes less than these seconds: one that takes longer lets the
# next one begin, so that a server that hangs does not hold up all that wait. And the most at a time, whatever happens.
_AT_ONCE, _LONG, _MOST = 5, 1.0, 100


class Turns:
    """Lets requests begin in the order of their arrival. Belongs to the event loop that it is first used in."""

    def __init__(self) -> None:
        self._all = asyncio.Semaphore(_MOST)
        self._short = asyncio.Semaphore(_AT_ONCE)

    @asynccontextmanager
    async def next(self) -> AsyncIterator[None]:
        """Wait for a turn, and have it for the time of the ``async with``."""
        async with self._all:
            await self._short.acquire()
            held = True

            def give_back() -> None:
                nonlocal held
                if held:
                    held = False
                    self._short.release()

            timer = asyncio.get_running_loop().call_later(_LONG, give_back)
            try:
                yield
            finally:
                timer.cancel()
                give_back()

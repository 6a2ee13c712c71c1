"""
What the hooks of an event loop share: one awaited transport for each Airflow connection.

A triggerer runs all its triggers in one event loop. Each look of a trigger has a hook of its own, which reads the
Airflow connection again, so that a changed key or host takes effect at the next look. A thousand looks at the same time
read it once or twice, and send over a few network connections that stay open.
"""

from __future__ import annotations

import asyncio
import copy
import threading
from collections.abc import AsyncIterator, Callable, Hashable
from typing import TYPE_CHECKING
from weakref import WeakSet

from airflow_provider_revor.exceptions import RevorError
from airflow_provider_revor.hooks.threads import in_thread
from airflow_provider_revor.hooks.transport import AsyncTransport

if TYPE_CHECKING:
    from airflow_provider_revor.hooks.settings import Settings


class Transports:
    """The transports of one event loop. Each is closed when it is not used for a while, and all when the loop ends."""

    def __init__(self) -> None:
        self._shared: dict[Hashable, _Shared] = {}
        self._all: WeakSet[AsyncTransport] = WeakSet()
        self._end = _close_at_the_end(self._all)

    @classmethod
    async def here(cls) -> Transports:
        """Return those of the running event loop."""
        loop = asyncio.get_running_loop()
        by_loop = _thread.by_loop
        if loop not in by_loop:
            for ended in [other for other in by_loop if other.is_closed()]:
                del by_loop[ended]
            by_loop[loop] = cls()
            # From its first step on, the loop closes an asynchronous generator when it ends.
            await anext(by_loop[loop]._end)
        return by_loop[loop]

    async def read(self, connection: Hashable, read_settings: Callable[[], Settings]) -> AsyncTransport:
        """
        Read an Airflow connection, and return the shared transport for it, a new one if the connection has changed.

        Those who ask while it is being read wait for the next reading, and share that one: each gets the connection as
        it is after they asked.

        :param connection: The connection.
        :param read_settings: Reads the connection; it may block.
        :raises RevorError: if the connection cannot be read or used.
        """
        shared = self._shared.setdefault(connection, _Shared())
        asked = shared.begun
        async with shared.lock:
            if shared.latest > asked and shared.error:
                raise copy.copy(shared.error)
            if shared.latest > asked and shared.transport:
                return shared.transport
            shared.begun += 1
            try:
                made = await _make(read_settings)
            except RevorError as e:
                # Without its traceback.
                shared.latest, shared.error = shared.begun, copy.copy(e)
                raise
            former = shared.transport
            shared.latest, shared.error, shared.transport = shared.begun, None, await self._known(made, former)
            if former and former is not shared.transport:
                former.retire()
            return shared.transport

    async def join(self, connection: Hashable, settings: Settings) -> AsyncTransport:
        """
        Return the transport for an Airflow connection as it was read some time ago: the shared one if that is the same.

        :param connection: The connection.
        :param settings: What the connection said.
        :raises RevorConfigurationError: if the CA bundle or the proxy cannot be used.
        """
        shared = self._shared.get(connection)
        return await self._known(await _make(lambda: settings), shared.transport if shared else None)

    async def _known(self, made: AsyncTransport, former: AsyncTransport | None) -> AsyncTransport:
        if former and former.serves(made):
            await made.close()
            return former
        self._all.add(made)
        return made


class _Shared:
    """The transport for one connection, and how its readings went."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        # How many readings have begun, and the number of the latest one that has ended.
        self.begun = self.latest = 0
        self.transport: AsyncTransport | None = None
        self.error: RevorError | None = None


async def _make(read_settings: Callable[[], Settings]) -> AsyncTransport:
    def make() -> AsyncTransport:
        import tenacity  # noqa: F401  # Its import, too, would hold up every other trigger.

        return AsyncTransport(read_settings())

    # Looking up a connection, and reading a CA bundle, would hold up every other trigger.
    return await in_thread(make)


async def _close_at_the_end(transports: WeakSet[AsyncTransport]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        for transport in list(transports):
            await transport.close()


class _ByThread(threading.local):
    def __init__(self) -> None:
        self.by_loop: dict[asyncio.AbstractEventLoop, Transports] = {}


# An event loop runs in one thread.
_thread = _ByThread()

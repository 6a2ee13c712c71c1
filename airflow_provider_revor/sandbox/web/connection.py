"""A client's connection, which faults may close."""

from __future__ import annotations

import asyncio


class Connection:
    """A connection; the server puts it into the scope's state."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.lost = asyncio.Event()

    async def drop(self) -> None:
        """Hang up at once, without sending what is still to be sent."""
        self._transport.abort()
        await self.lost.wait()

    async def close(self) -> None:
        """Hang up after what was written so far."""
        self._transport.close()
        await self.lost.wait()

    async def lasts(self, seconds: float) -> bool:
        """Wait; return False if the client or the server hung up before."""
        try:
            await asyncio.wait_for(self.lost.wait(), seconds)
        except TimeoutError:
            return True
        return False

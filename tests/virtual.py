"""An event loop whose time passes only while everything waits: hours take milliseconds, in the right order."""

from __future__ import annotations

import asyncio
import time

EPOCH = 1_700_000_000.0


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self):
        super().__init__()
        self.now = 0.0
        select = self._selector.select

        def skip(timeout):
            self.now += timeout or 0
            return select(0 if timeout is not None else None)

        self._selector.select = skip

    def time(self):
        return self.now


def run(monkeypatch, main):
    """Run a coroutine function in virtual time; ``time.time()`` begins at ``EPOCH``."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        monkeypatch.setattr(time, "time", lambda: EPOCH + loop.now)
        return runner.run(main())

"""Keeping the API key out of error reports that print local variables."""

from __future__ import annotations

import traceback
from types import TracebackType


class ClearedFrames:
    """
    Clear the local variables of the calls within a ``with`` that an error ends; the traceback itself stays.

    The libraries that send a request have the API key in theirs.
    """

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        traceback.clear_frames(trace)

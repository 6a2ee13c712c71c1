"""Keeping the API key, and the frames of the libraries that retry, out of error reports."""

from __future__ import annotations

import traceback
from types import TracebackType

# They say nothing about the error, and Airflow's UI shows every frame.
_LIBRARIES = ("tenacity", "concurrent.futures", "asgiref")


class ClearedFrames:
    """
    Clear the local variables of the calls within a ``with`` that an error ends, and leave out the frames of libraries.

    The libraries that send a request have the API key in theirs.
    """

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        traceback.clear_frames(trace)
        while trace:
            while trace.tb_next and _is_library(trace.tb_next):
                trace.tb_next = trace.tb_next.tb_next
            trace = trace.tb_next


def _is_library(trace: TracebackType) -> bool:
    module = trace.tb_frame.f_globals.get("__name__", "")
    return any(module == name or module.startswith(f"{name}.") for name in _LIBRARIES)

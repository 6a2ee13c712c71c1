"""Calling from an event loop what blocks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_thread(call: Callable[..., T], *args: object) -> T:
    """
    Return what a call returns, from a thread of asgiref's.

    In a thread of our own, the triggerers of Airflow 3.0 and 3.1 cannot reach their supervisor. The call goes on if the
    one who waits is cancelled.

    :param call: What blocks.
    :param args: Its arguments.
    """
    from asgiref.sync import sync_to_async

    # Shielded, because asgiref drops the message of a cancellation, by which Airflow 3.3 tells a person's act from a
    # shutdown of the triggerer.
    return await asyncio.shield(asyncio.ensure_future(sync_to_async(call)(*args)))

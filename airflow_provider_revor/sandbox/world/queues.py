"""Queues of what is to happen: faults to requests, scripts to jobs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, Protocol, Self, TypeVar

from airflow_provider_revor.sandbox.contract.errors import RefusedError


class _Repeated(Protocol):
    @property
    def times(self) -> int | None: ...

    def model_copy(self, *, update: dict[str, int]) -> Self: ...


T = TypeVar("T", bound=_Repeated)


class Queue(Generic[T]):
    """
    What is to happen, in order: each as often as its ``times`` says.

    What happens from now on (``times`` is None) comes last, the newest first. Every method is safe in any thread.

    :param name: the plural of what it has.
    :param most: how many it takes.
    """

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._lock = threading.Lock()
        self._items: list[T] = []

    def add(self, item: T) -> None:
        """Queue it; RefusedError if there are too many."""
        with self._lock:
            if len(self._items) >= self._most:
                raise RefusedError(f"the sandbox keeps {self._most} {self._name} at most")
            self._items.insert(sum(other.times is not None for other in self._items), item)

    def take(self, fits: Callable[[T], bool]) -> T | None:
        """Return the first one that fits, and use it up by one time; None if there is none."""
        with self._lock:
            for number, item in enumerate(self._items):
                if fits(item):
                    if item.times == 1:
                        del self._items[number]
                    elif item.times:
                        self._items[number] = item.model_copy(update={"times": item.times - 1})
                    return item
            return None

    def read(self) -> list[T]:
        """List what has not happened yet, the next one first."""
        with self._lock:
            return list(self._items)

    def clear(self) -> None:
        """Forget what has not happened yet."""
        with self._lock:
            self._items.clear()

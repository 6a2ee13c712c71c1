"""What a row of the fault table is made of; the rows themselves are in rows.py and bodies.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from faults.peer import Answer, http, send

from airflow_provider_revor import exceptions as e


class Asks(NamedTuple):
    """How many requests there are, and how many seconds from the first to the last, give or take one."""

    requests: int
    span: float


# The hook, and with it the list operator and a dispatch. With three retries, each back-off as long as it may be.
ONCE, AGAIN = Asks(1, 0), Asks(4, 1 + 2 + 4)
# A gate and a job sensor that look every 60 s: one look that goes well, two that meet the fault if they go on, and
# one more when all is well again.
ENDS, WAITS = Asks(2, 60), Asks(4, 3 * 60)


@dataclass(frozen=True)
class Row:
    """
    A fault, and its cells.

    :param name: What happens, as the documentation says it.
    :param answer: What the server does, by what it is asked for: ``accounts`` or ``job``.
    :param error: What the hook raises, and a wait tells of; None if all is well.
    :param says: What its message holds, a regular expression.
    :param hook: What the hook asks, sync and async, and the list operator.
    :param wait: What a gate asks, and a job sensor, in each mode; and a dispatch that waits for its job.
    :param do: What a user does about it.
    :param place: Where the connection leads: ``plain``, ``tls``, ``trusted`` (TLS, with ``verify`` set to the CA),
        ``http`` (TLS is asked of plain HTTP), ``closed`` (a port where nobody listens) or ``nowhere`` (no such name).
    :param kinds: What it can happen to.
    :param extra: The connection's extra.
    :param dispatch: What a dispatch asks, if that differs from the hook.
    :param found: How many accounts the hook finds.
    """

    name: str
    answer: Callable[[str], Answer]
    error: type[e.RevorError] | None
    says: str
    hook: Asks = AGAIN
    wait: Asks = WAITS
    do: str = ""
    place: str = "plain"
    kinds: tuple[str, ...] = ("accounts", "job")
    extra: Mapping[str, Any] = field(default_factory=dict)
    dispatch: Asks | None = None
    found: int = 1

    @property
    def slug(self) -> str:
        """Its name, as pytest shows it."""
        return self.name.replace("`", "").replace(" ", "-")


def whatever(answer: Answer) -> Callable[[str], Answer]:
    """Do the same, whatever is asked for."""
    return lambda kind: answer


def answers(*args: Any, **kwargs: Any) -> Callable[[str], Answer]:
    """Answer this over HTTP, whatever is asked for."""
    return whatever(send(http(*args, **kwargs)))


def each(accounts: Any, job: Any = None) -> Callable[[str], Answer]:
    """Answer 200 with one of these bodies, by what is asked for."""
    return lambda kind: send(http(200, {"accounts": accounts, "job": job}[kind]))

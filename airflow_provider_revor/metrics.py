"""
Metrics through Airflow's own ``Stats``: to StatsD, DogStatsD or OpenTelemetry, as ``[metrics]`` says.

Nothing is counted while metrics are off. No tag holds an account's id, a recipient or anything of a message.
"""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections import Counter
from collections.abc import Collection, Iterable
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from airflow_provider_revor.exceptions import (
    RevorConnectionError,
    RevorError,
    RevorRateLimitError,
    RevorResponseError,
    RevorServerError,
)
from airflow_provider_revor.version_compat import load_stats

if TYPE_CHECKING:
    from types import TracebackType

    from airflow_provider_revor.api.accounts import ConnectAccount
    from airflow_provider_revor.api.jobs import OutreachJob
    from airflow_provider_revor.api.limits import RateLimit

# Names of all lengths and scripts make names of metrics, which StatsD takes in ASCII and Airflow up to 250 characters.
_ILLEGAL = re.compile(r"[^A-Za-z0-9_.-]")
# A dot ends a part of a name.
_ILLEGAL_IN_A_PART = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST = 80

log = logging.getLogger(__name__)


class Metric(NamedTuple):
    """
    A metric.

    :param kind: How it is counted.
    :param tags: What it is counted by.
    :param meaning: What it counts.
    """

    kind: Literal["counter", "gauge", "timer"]
    tags: tuple[str, ...]
    meaning: str


#: Every metric by its name. docs/guides/operating.md has the same table.
METRICS = {
    "revor.requests": Metric(
        "counter",
        ("conn_id", "outcome"),
        "requests that were sent, each attempt; `outcome` is `success`, `rate_limit`, `server_error`, `no_response`, "
        "`not_revor` or `rejected`",
    ),
    "revor.request_duration": Metric(
        "timer", ("conn_id",), "from a request to the last byte of its response: a poll's"
    ),
    "revor.retries": Metric("counter", ("conn_id",), "requests that were sent again by the hook"),
    "revor.rate_limit.hits": Metric("counter", ("conn_id",), "responses that were a rate limit"),
    "revor.rate_limit.remaining": Metric("gauge", ("conn_id",), "requests that are left, as the latest response says"),
    "revor.accounts.sendable": Metric("gauge", ("conn_id", "channel"), "accounts that can send, at the latest look"),
    "revor.accounts.blocked": Metric("gauge", ("conn_id", "channel"), "accounts that cannot send, at the latest look"),
    "revor.messages": Metric(
        "counter",
        ("conn_id", "channel", "outcome"),
        "messages by what became of them: `sent`, `skipped`, `failed`, or `accepted` where the task did not wait; "
        "counted by the task that learns it, at its end",
    ),
}

_OUTCOMES: dict[type[BaseException], str] = {
    RevorRateLimitError: "rate_limit",
    RevorServerError: "server_error",
    RevorConnectionError: "no_response",
    RevorResponseError: "not_revor",
}


class CountedRequest:
    """
    Count one attempt at a request: what a ``with`` does.

    :param conn_id: The Airflow connection; None for the one whose form is open, which is not counted.
    """

    def __init__(self, conn_id: str | None) -> None:
        self._conn_id = conn_id
        #: What the response said about the rate limit; None if it said nothing.
        self.limit: RateLimit | None = None

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A request that Airflow cancelled has no outcome.
        if self._conn_id is None or not _is_on() or not isinstance(error, RevorError | None):
            return
        outcome = "success" if error is None else _OUTCOMES.get(type(error), "rejected")
        _emit("revor.requests", 1, conn_id=self._conn_id, outcome=outcome)
        _emit("revor.request_duration", timedelta(seconds=time.monotonic() - self._began), conn_id=self._conn_id)
        if outcome == "rate_limit":
            _emit("revor.rate_limit.hits", 1, conn_id=self._conn_id)
        if self.limit:
            _emit("revor.rate_limit.remaining", self.limit.remaining, conn_id=self._conn_id)


def count_retry(conn_id: str | None) -> None:
    """
    Count that a request is sent again.

    :param conn_id: The Airflow connection; None for the one whose form is open.
    """
    if conn_id is not None and _is_on():
        _emit("revor.retries", 1, conn_id=conn_id)


def count_accounts(conn_id: str | None, accounts: Iterable[ConnectAccount], channels: Collection[str]) -> None:
    """
    Gauge the accounts of a complete list.

    :param conn_id: The Airflow connection; None for the one whose form is open.
    :param accounts: The accounts.
    :param channels: The channels that were asked for: their gauges fall to 0 where there are no accounts.
    """
    if conn_id is None or not _is_on():
        return
    found = Counter(
        (account.channel if account.channel in channels else "other", account.sendable) for account in accounts
    )
    for channel in [*channels, *({"other"} & {channel for channel, _ in found})]:
        for name, sendable in (("sendable", True), ("blocked", False)):
            _emit(f"revor.accounts.{name}", found[channel, sendable], conn_id=conn_id, channel=channel)


def count_job(conn_id: str, job: OutreachJob) -> None:
    """
    Count the message of a job.

    :param conn_id: The Airflow connection.
    :param job: The job, as the task leaves it.
    """
    outcome = "skipped" if job.skipped else "failed" if job.failed else "sent" if job.ended else "accepted"
    count_messages(conn_id, [(job.channel, outcome)])


def count_messages(conn_id: str, messages: Iterable[tuple[str | None, str]]) -> None:
    """
    Count messages.

    :param conn_id: The Airflow connection.
    :param messages: The channel and the outcome of each.
    """
    if not _is_on():
        return
    for (channel, outcome), number in Counter(messages).items():
        _emit("revor.messages", number, conn_id=conn_id, channel=channel or "unknown", outcome=outcome)


@lru_cache(maxsize=1)
def _is_on() -> bool:
    return any(_says(option) for option in ("statsd_on", "statsd_datadog_enabled", "otel_on"))


@lru_cache(maxsize=1)
def _has_tags() -> bool:
    return any(_says(option) for option in ("statsd_influxdb_enabled", "statsd_datadog_enabled", "otel_on"))


def _says(option: str) -> bool:
    from airflow.providers.common.compat.sdk import conf

    return bool(conf.getboolean("metrics", option, fallback=False))


def _emit(name: str, value: Any, **tags: str) -> None:
    kind, expected, _ = METRICS[name]
    legal = {tag: _legal(tags[tag]) for tag in expected}
    if not _has_tags():
        # Plain StatsD drops tags: gauges of several connections would overwrite each other.
        name = ".".join([name, *(_legal(tags[tag], _ILLEGAL_IN_A_PART) for tag in expected)])
    try:
        stats = load_stats()
        send = {"counter": stats.incr, "gauge": stats.gauge, "timer": stats.timing}[kind]
        send(name, value, tags=legal)
    except Exception:
        # No metric is worth a task.
        log.debug("Could not send the metric %s.", name, exc_info=True)


def _legal(text: str, illegal: re.Pattern[str] = _ILLEGAL) -> str:
    legal = illegal.sub("_", text)[:_LONGEST]
    # What became equal by this stays apart.
    return legal if legal == text else f"{legal}_{hashlib.sha256(text.encode(errors='replace')).hexdigest()[:6]}"

"""What coverage guides to every corner: the decoder, the headers, and the connection's host and extra."""

from __future__ import annotations

import sys
from contextlib import suppress
from types import SimpleNamespace

import atheris

with atheris.instrument_imports(include=["airflow_provider_revor"]):
    from airflow_provider_revor.api.accounts import read_accounts
    from airflow_provider_revor.api.answers import decode, retry_after
    from airflow_provider_revor.api.jobs import read_job
    from airflow_provider_revor.api.wire import Request, Response
    from airflow_provider_revor.exceptions import RevorConfigurationError, RevorError
    from airflow_provider_revor.hooks.settings import read_settings

HEADERS = ("retry-after", "x-ratelimit-window-ms", "date", "location", "content-type")


def once(data: bytes) -> None:
    given = atheris.FuzzedDataProvider(data)
    host, extra, password = (given.ConsumeUnicode(given.ConsumeIntInRange(0, 60)) for _ in range(3))
    with suppress(RevorConfigurationError):
        read_settings(
            SimpleNamespace(conn_id="c", host=host, port=None, schema=None, password=password, extra=extra or None)
        )
    headers = {name: given.ConsumeUnicode(given.ConsumeIntInRange(0, 40)) for name in HEADERS}
    status = given.ConsumeIntInRange(100, 599)
    response = Response(status, headers, given.ConsumeBytes(given.remaining_bytes()), 1e9)
    retry_after(response)
    for read in (read_job, read_accounts):
        with suppress(RevorError):
            read(decode(Request("GET", "x"), response, "c"))


atheris.Setup(sys.argv, once)
atheris.Fuzz()

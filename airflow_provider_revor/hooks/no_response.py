"""Why no response came, in words that say what to check."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, cast

from airflow_provider_revor.api.errors import technical
from airflow_provider_revor.api.naming import Names
from airflow_provider_revor.api.text import plain_text
from airflow_provider_revor.exceptions import RevorConnectionError

if TYPE_CHECKING:
    from airflow_provider_revor.api.wire import Request
    from airflow_provider_revor.hooks.settings import Settings

_CHECK = "Check {host}, and the network and proxies from this machine."


def no_response(request: Request, settings: Settings, error: Exception) -> RevorConnectionError:
    """
    Return the error for a request that got no whole response.

    :param request: The request.
    :param settings: The connection's.
    :param error: What requests or httpx raised.
    """
    # What the operating system said, not what the libraries made of it, nor what they met besides.
    link = cause = cast("BaseException", error)
    while following := link.__cause__ or link.__context__:
        link = following
        cause = link if isinstance(link, OSError) else cause
    # Libraries quote the status line or the header that they could not read.
    said = plain_text(str(getattr(cause, "strerror", None) or cause)) or type(cause).__name__
    advice = _CHECK
    if isinstance(cause, TimeoutError) or "Timeout" in type(error).__name__:
        why = f"timed out after {settings.timeout:g} s"
    elif isinstance(cause, socket.gaierror):
        why = f"the host was not found ({said})"
    elif isinstance(cause, ConnectionRefusedError):
        why = f"nothing listens there (Errno {cause.errno}: connection refused)"
    elif isinstance(cause, ssl.SSLCertVerificationError):
        why = f"its certificate is not trusted (certificate verify failed: {cause.verify_message.rstrip('.')})"
        advice = "Check {host}; for a company's own CA, give the path of its bundle in the extra `verify`."
    elif isinstance(cause, ssl.SSLError):
        why = f"no TLS connection ({(cause.reason or said).lower().replace('_', ' ')})"
        advice = "Check {host}: whether it begins with https:// or http://, and its port."
    else:
        why = said.rstrip(".")
    names = Names.of(settings.conn_id)
    return RevorConnectionError.of(
        f"No response from {settings.base_url} on {names.connection}: {why}.",
        names.fill(advice),
        technical(f"{request.method} {request.path}"),
    )

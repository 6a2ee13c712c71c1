"""Which CA bundle counts, read once, and again when it was replaced."""

from __future__ import annotations

import os
from collections.abc import Hashable
from functools import lru_cache
from typing import TYPE_CHECKING

from airflow_provider_revor.api.naming import Names
from airflow_provider_revor.exceptions import RevorConfigurationError

if TYPE_CHECKING:
    import ssl

    from airflow_provider_revor.hooks.settings import Settings


def speaks_tls(settings: Settings, proxy: str | None) -> bool:
    """
    Return whether a certificate is to be checked on the way to the connection's host.

    :param settings: The connection's.
    :param proxy: The proxy's URL; None if there is none.
    """
    return settings.base_url.startswith("https") or (proxy or "").startswith("https")


def ca_bundle(settings: Settings) -> bool | str:
    """
    Return the path of the CA bundle that counts; True for the default one, False if nothing is checked.

    :param settings: The connection's.
    """
    # requests reads these variables and httpx does not; a company's CA must count for both.
    if settings.verify is True:
        return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
    return settings.verify


def ssl_context(settings: Settings) -> ssl.SSLContext:
    """
    Return what checks certificates as the connection says.

    :param settings: The connection's.
    :raises RevorConfigurationError: if the CA bundle cannot be read.
    """
    ca = ca_bundle(settings)
    try:
        path = _bundle(ca)
        return _context(path, _stamp(path))
    except (OSError, ValueError) as e:
        names = Names.of(settings.conn_id)
        raise RevorConfigurationError.of(
            names.fill(f"{{connection}} checks certificates against {ca!r}, which cannot be read as a CA bundle: {e}."),
            "See its extra `verify`, and the variables REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE.",
        ) from e


def _bundle(ca: bool | str) -> str | None:
    from requests.utils import DEFAULT_CA_BUNDLE_PATH

    if ca is False:
        return None
    return DEFAULT_CA_BUNDLE_PATH if ca is True else str(ca)


def _stamp(path: str | None) -> tuple[tuple[str, int, int, int], ...]:
    """Return what changes when a CA bundle, or a file of a directory of CAs, is replaced."""
    if path is None:
        return ()
    files = [path, *sorted(entry.path for entry in os.scandir(path))] if os.path.isdir(path) else [path]
    stats = [(file, os.stat(file)) for file in files if file == path or os.path.exists(file)]
    return tuple((file, stat.st_mtime_ns, stat.st_ino, stat.st_size) for file, stat in stats)


@lru_cache(maxsize=8)
def _context(path: str | None, stamp: Hashable) -> ssl.SSLContext:
    # Reading a CA bundle takes longer than a request, and a trigger makes a client for every poll. The stamp is a part
    # of the cache's key, so that a rotated bundle is read again.
    import ssl

    if path is None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    return ssl.create_default_context(capath=path) if os.path.isdir(path) else ssl.create_default_context(cafile=path)

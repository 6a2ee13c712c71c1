"""
Hosts, ports and proxies as people write them; what passes here, requests and httpx both accept.

No message quotes a proxy: the part that is wrong may be its password.
"""

from __future__ import annotations

import ipaddress
import json
import re
from typing import Any
from urllib.parse import unquote

PROXY_FORM = "like http://proxy:3128 or http://user:password@proxy:3128"

_LABEL = r"[A-Za-z0-9_-]{1,63}"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?|\[[0-9A-Fa-f:.]+\]")
_IPV4 = re.compile(r"\d+\.\d+\.\d+\.\d+")
# The last @ ends the login: a password may hold others, which are refused further on.
_PROXY = re.compile(r"(https?)://(?:(.*)@)?(\[[^]]*\]|[^@:/\[\]]*)(?::([^@:/]*))?/?", re.IGNORECASE | re.DOTALL)
_LOGIN = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*")


def is_host(name: str) -> bool:
    """
    Return whether this is a host's name or address; an IPv6 address is in brackets.

    :param name: The host alone.
    """
    if not _HOST.fullmatch(name):
        return False
    try:
        if name.startswith("["):
            ipaddress.IPv6Address(name[1:-1])
        elif _IPV4.fullmatch(name):
            ipaddress.IPv4Address(name)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """
    Return whether a host is this machine.

    :param host: The host alone; an IPv6 address is not in brackets.
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_port(written: str | int) -> int | None:
    """
    Return a port; None for 0, which Airflow's form sends where the field is left empty.

    :param written: The port as it was written.
    :raises ValueError: if it is none.
    """
    if not re.fullmatch(r"[0-9]{1,9}", str(written)) or int(written) > 65_535:
        raise ValueError("use 1–65535")
    return int(written) or None


def read_proxy(written: object) -> str:
    """
    Return a proxy's URL, its login complete.

    :param written: The URL as it was written.
    :raises ValueError: if it cannot be used; the reason, which does not quote it.
    """
    match = _PROXY.fullmatch(written.strip()) if isinstance(written, str) else None
    if match is None:
        raise ValueError("it is not the URL of an HTTP proxy")
    scheme, login, host, port = match.groups()
    if login is not None:
        user, _, password = login.partition(":")
        # requests and httpx encode what is not ASCII differently.
        if not user or not _LOGIN.fullmatch(login) or not re.fullmatch(r"[ -~]*", unquote(login)):
            raise ValueError(
                "its login must be an ASCII user name and password, with special characters percent-encoded"
            )
        login = f"{user}:{password}@"
    if not is_host(host):
        raise ValueError("its host is invalid")
    if port is not None:
        try:
            port = f":{read_port(port)}" if read_port(port) else ""
        except ValueError:
            raise ValueError("its port is invalid: use 1–65535") from None
    return f"{scheme.lower()}://{login or ''}{host}{port or ''}"


def read_proxies(written: Any) -> dict[str, str]:
    """
    Return the proxy of each scheme.

    :param written: One proxy's URL for both schemes, or a mapping of scheme to URL, or that as JSON; empty for none.
    :raises ValueError: if it cannot be used; the reason, which does not quote it.
    """
    if isinstance(written, str) and written.strip().startswith("{"):
        try:
            written = json.loads(written)
        except (ValueError, RecursionError):
            raise ValueError("it is not JSON") from None
    if not written:
        return {}
    if isinstance(written, str):
        written = dict.fromkeys(("http", "https"), written)
    if not isinstance(written, dict):
        raise ValueError("it is neither a proxy's URL nor a mapping of scheme to URL")
    if set(written) - {"http", "https"}:
        raise ValueError("it may be only for the schemes http and https")
    return {scheme: read_proxy(proxy) for scheme, proxy in written.items()}

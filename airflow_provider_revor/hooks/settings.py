"""The Airflow connection, read into what a transport needs. Pure: no connection is looked up here."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NoReturn, Protocol
from urllib.parse import urlsplit

from airflow_provider_revor.api.console import API_KEYS_URL
from airflow_provider_revor.api.naming import Names
from airflow_provider_revor.api.versions import DEFAULT_VERSION, ApiVersion, parse_version
from airflow_provider_revor.exceptions import RevorConfigurationError, RevorValueError
from airflow_provider_revor.hooks.addresses import PROXY_FORM, is_host, is_loopback, read_port, read_proxies

DEFAULT_HOST = "https://revor.ai"
_REVORS_HOST = urlsplit(DEFAULT_HOST).hostname
DEFAULT_TIMEOUT = 30.0
DEFAULT_MAX_RETRIES = 3
DEFAULT_MAX_RESPONSE_MB = 32.0

# Seconds or megabytes; sockets take no number of any size.
_BEYOND_REASON = 1_000_000

_KEY = re.compile(r"[!#-&(-~]+")
_SHORTEST_KEY = 8
_NO_URL = ("{connection} has a host that is no URL", "Write it like https://revor.ai.")
_API_PATH = re.compile(r"/api/v[12](/.*)?$")
# What a key or a URL was copied with: the name of its variable, or of its header.
_KEYS_NAME = re.compile(
    r"(export\s+)?REVOR_API_KEY\s*=\s*|(authorization\s*:\s*)?bearer\s+|x-api-key\s*:\s*", re.IGNORECASE
)
_URLS_NAME = re.compile(r"(export\s+)?REVOR_BASE_URL\s*=\s*", re.IGNORECASE)
# How a key begins, wherever it stands in a text.
_KEYS_BEGINNING = re.compile(r"(?<![a-z0-9])sk-revor-", re.IGNORECASE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")


class AirflowConnection(Protocol):
    """What is read of an Airflow connection."""

    conn_id: str
    host: str | None
    port: int | None
    schema: str | None
    password: str | None
    extra: str | None


@dataclass(frozen=True, slots=True)
class Settings:
    """
    What a transport needs to know.

    :param conn_id: The Airflow connection it came from, for messages; None for the one whose form is open.
    :param base_url: Scheme, host, port and base path, without a trailing slash.
    :param api_key: The API key; not in the repr.
    :param timeout: Seconds that a request may take, until the last byte of its response.
    :param max_response_mb: Megabytes that an answer, decompressed, may have.
    :param max_retries: How often a request is sent again at the most.
    :param verify: Whether, or against which CA bundle, the server's certificate is checked.
    :param proxies: Scheme to proxy URL; empty for what the environment says. Not in the repr: a proxy's URL
        may hold a password.
    :param loopback: Whether the host is this machine, for which no proxy of the environment is asked.
    :param api_version: The version of the Revor API.
    """

    conn_id: str | None
    base_url: str
    api_key: str = field(repr=False)
    timeout: float = DEFAULT_TIMEOUT
    max_response_mb: float = DEFAULT_MAX_RESPONSE_MB
    max_retries: int = DEFAULT_MAX_RETRIES
    verify: bool | str = True
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    loopback: bool = False
    api_version: ApiVersion = DEFAULT_VERSION


def read_settings(connection: AirflowConnection, *, in_form: bool = False) -> Settings:
    """
    Return the settings that a connection means.

    :param connection: The Airflow connection.
    :param in_form: Whether messages are for the person who has the connection's form open. Default: False.
    :raises RevorConfigurationError: if a field is missing or cannot be used; it says which, and what to write.
    """
    reader = _Reader(connection, in_form)
    base_url, loopback = reader.base_url(connection.host, connection.port, connection.schema)
    return Settings(
        conn_id=reader.conn_id,
        base_url=base_url,
        api_key=reader.api_key(connection),
        timeout=reader.positive("timeout", DEFAULT_TIMEOUT, "a number of seconds above 0, such as 30"),
        max_response_mb=reader.positive(
            "max_response_mb", DEFAULT_MAX_RESPONSE_MB, "a number of megabytes above 0, such as 32"
        ),
        max_retries=reader.max_retries(),
        verify=reader.verify(),
        proxies=reader.proxies,
        loopback=loopback,
        api_version=reader.api_version(),
    )


class _Reader:
    def __init__(self, connection: AirflowConnection, in_form: bool) -> None:
        self.conn_id = None if in_form else connection.conn_id
        try:
            extra = json.loads(connection.extra or "{}")
        except (ValueError, RecursionError):
            extra = None
        if not isinstance(extra, dict):
            self.refuse("{connection} has an extra that is no JSON object", 'Write it like {"timeout": 30}.')
        # A form leaves empty text where nothing was written.
        self.extra = {name: value for name, value in extra.items() if value is not None and str(value).strip()}

    def refuse(self, what: str, advice: str) -> NoReturn:
        names = Names.of(self.conn_id)
        raise RevorConfigurationError.of(names.fill(f"{what}."), names.fill(advice))

    def api_key(self, connection: AirflowConnection) -> str:
        key = _unwrapped(connection.password or "", _KEYS_NAME)
        if not key:
            # Whoever has logged in with a name and a password elsewhere takes the key for a name. It is not quoted.
            login = getattr(connection, "login", None)
            self.refuse(
                "{connection} has no API key" + (", but something in the field of the login" if login else ""),
                f"{'Move the key' if login else 'Put one'} into {{key}}. Keys are made at {API_KEYS_URL}.",
            )
        if not _KEY.fullmatch(key):
            self.refuse(
                "{key} holds no API key: it has spaces, quotes or other characters that a key never has",
                f"Copy the key alone into {{key}}, as it stands at {API_KEYS_URL}.",
            )
        if "://" in key:
            self.refuse("{key} holds a URL", f"Write the API key there. Keys are made at {API_KEYS_URL}.")
        # In texts that go to logs, the key is replaced; a short one would be a part of other words.
        if len(key) < _SHORTEST_KEY:
            self.refuse(
                f"{{key}} holds no API key: it has fewer than {_SHORTEST_KEY} characters",
                f"Copy the whole key into {{key}}, as it stands at {API_KEYS_URL}.",
            )
        return key

    def base_url(self, host: str | None, port: int | None, schema: str | None) -> tuple[str, bool]:
        written = _unwrapped(host or "", _URLS_NAME) or DEFAULT_HOST
        schema = (schema or "").strip().lower().removesuffix("://")
        # It would be looked up as a host's name, and quoted in messages.
        if _KEYS_NAME.match(written) or any(map(_KEYS_BEGINNING.search, (written, schema))):
            self.refuse("{connection} has an API key in its host", "Move it into {key}.")
        if "://" not in written:
            if schema and not _SCHEME.fullmatch(schema):
                self.refuse("{connection} has a scheme that is none", "Use https, or leave it out.")
            # HttpHook's habit is to put the scheme into the field `schema`.
            written = f"{schema}://{written}" if schema else f"//{written}"
        # Python leaves these out of a URL: the key would go to another host than the one that is written.
        if re.search(r"[\t\r\n]", written):
            self.refuse(*_NO_URL)
        try:
            url = urlsplit(written)
        except ValueError:
            self.refuse(*_NO_URL)
        if url.username is not None or url.password is not None:
            self.refuse("{connection} has a login in its host", "Write the host alone; the API key goes into {key}.")
        if url.query or url.fragment or "?" in written or "#" in written:
            self.refuse("{connection} has a query or a fragment in its host", "Write it like https://revor.ai.")
        name = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname or ""
        # In https:/revor.ai, the host is "https".
        if (
            name.rstrip(".") in ("http", "https")
            or not is_host(name)
            or re.search(r"[\s\\\x00-\x1f\x7f\ud800-\udfff]", url.path)
        ):
            self.refuse(*_NO_URL)
        after_name = url.netloc[len(name) :].removeprefix(":")
        # Text in a port's place may be a password: it is not quoted.
        if not re.fullmatch(r"[0-9]{0,9}", after_name):
            self.refuse(*_NO_URL)
        written_port, port = self.port(after_name), self.port(port)
        if port and written_port and port != written_port:
            self.refuse(
                f"{{connection}} has two ports: {written_port} in its host and {port} in the field of its own",
                "Leave one of them out.",
            )
        loopback = is_loopback(url.hostname or "")
        # A server on this machine, such as the sandbox, speaks plain HTTP unless told otherwise.
        scheme = url.scheme.lower() or ("http" if loopback else "https")
        if scheme not in ("http", "https"):
            self.refuse(f"{{connection}} has the scheme {scheme!r}", "Use https.")
        # On this machine nobody listens in, unless a proxy is asked to carry it.
        if scheme == "http" and (self.proxies or not loopback) and not self.flag("allow_http", False):
            self.refuse(
                "{connection} has a http:// host: the API key would be sent in the clear",
                'Use https://, or say {"allow_http": true} in the extra if you mean it.',
            )
        port = written_port or port
        # A gateway may have Revor below a path; on Revor's own host it is the address of a page.
        path = "" if name == _REVORS_HOST else _API_PATH.sub("", url.path.rstrip("/"))
        return f"{scheme}://{name}{f':{port}' if port else ''}{path}", loopback

    def port(self, written: str | int | None) -> int | None:
        try:
            return read_port(written or 0)
        except ValueError as e:
            self.refuse(
                f"{{connection}} cannot be used: port {written} is invalid: {e}",
                "Write the port that Revor listens at, or none.",
            )

    def positive(self, name: str, default: float, wanted: str) -> float:
        value = self.number(name, default, wanted)
        if not 0 < value <= _BEYOND_REASON:
            self._refuse_extra(name, f"not {wanted}")
        return value

    def api_version(self) -> ApiVersion:
        try:
            return parse_version(self.extra.get("api_version"))
        except RevorValueError:
            self._refuse_extra("api_version", "neither v1 nor v2")

    def max_retries(self) -> int:
        wanted = "a whole number from 0 on, such as 3"
        value = self.number("max_retries", DEFAULT_MAX_RETRIES, wanted)
        if not 0 <= value < math.inf or value != int(value):
            self._refuse_extra("max_retries", f"not {wanted}")
        return int(value)

    def verify(self) -> bool | str:
        value = self.extra.get("verify")
        if isinstance(value, str) and _flag(value) is None:
            path = value.strip()
            if not os.path.exists(path):
                self.refuse(
                    "{connection} has an extra `verify` that is neither true nor false nor the path of a CA bundle: "
                    f"there is no {path!r} on this machine",
                    "Write true, or the path of a CA bundle that is on every worker and triggerer.",
                )
            return path
        return self.flag("verify", True)

    @cached_property
    def proxies(self) -> dict[str, str]:
        try:
            proxies, why = read_proxies(self.extra.get("proxies")), ""
        except ValueError as e:
            proxies, why = {}, str(e)
        # Outside of the `except` block, so that no context of the error leads to a proxy's password.
        if why:
            self.refuse(
                f"{{connection}} has an extra `proxies` that cannot be used: {why}", f"Write a proxy {PROXY_FORM}."
            )
        return proxies

    def flag(self, name: str, default: bool) -> bool:
        value = self.extra.get(name)
        if value is None:
            return default
        flag = _flag(value)
        if flag is None:
            self._refuse_extra(name, "neither true nor false")
        return flag

    def number(self, name: str, default: float, wanted: str) -> float:
        value = self.extra.get(name)
        if value is None:
            return default
        try:
            return math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            self._refuse_extra(name, f"not {wanted}")

    def _refuse_extra(self, name: str, what: str) -> NoReturn:
        self.refuse(f"{{connection}} has an extra `{name}` that is {what}", "Fix it, or leave it out for its default.")


def _flag(value: Any) -> bool | None:
    return {"true": True, "1": True, "false": False, "0": False}.get(str(value).strip().lower())


def _unwrapped(written: str, name: re.Pattern[str]) -> str:
    """Return a key or a URL alone, as in ``export REVOR_API_KEY="…"`` and ``Authorization: Bearer …``."""
    value, before = written.strip(), None
    while value != before:
        before = value
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1].strip()
        value = value[match.end() :] if (match := name.match(value)) else value
    return value

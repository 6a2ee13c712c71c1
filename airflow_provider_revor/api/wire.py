"""
What goes over the wire, as values.

Source: "Basics" of the Revor API reference: paths, queries, bodies and idempotency.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote

from airflow_provider_revor.api.versions import ApiVersion, translate
from airflow_provider_revor.exceptions import RevorValueError

API_ROOT = ApiVersion.V1.root

_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
# Plain strings: a Dag's parse does not pay for compiling what only a request needs.
_HEADER_SAFE = r"[\x21-\x7e]+"
_SURROGATES = r"[\ud800-\udfff]"
_PATH_SAFE = r"/[^\s\\?#\x00-\x1f\x7f\ud800-\udfff]*"


@dataclass(frozen=True, slots=True)
class Request:
    """
    One request to the Revor API.

    :param method: The HTTP method.
    :param path: The path from the host on, such as ``/api/v1/connect/accounts``; a path that does not begin
        with ``/api/`` is taken from ``/api/v1`` on.
    :param params: The query; None values are left out, booleans become ``true`` and ``false``, a list or tuple
        repeats its parameter.
    :param body: The JSON body; None for none.
    :param idempotency_key: Sent as ``Idempotency-Key``: the same key and body never act twice.
    :raises RevorValueError: if the method, the path, the query or the key cannot be sent as it is; the body, once it is
        sent.
    """

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    idempotency_key: str | None = None

    def __post_init__(self) -> None:
        for name, kind in (("method", str), ("path", str), ("params", Mapping), ("idempotency_key", str | None)):
            if not isinstance(getattr(self, name), kind):
                raise RevorValueError(f"`{name}` of a request cannot be of type {type(getattr(self, name)).__name__}.")
        method = self.method.upper()
        if method not in _METHODS:
            raise RevorValueError(f"{self.method!r} is no HTTP method of the Revor API: {sorted(_METHODS)}.")
        path = "/" + self.path.lstrip("/")
        if not path.startswith("/api/"):
            path = API_ROOT + path
        if "://" in self.path or self.path.startswith("//") or not re.fullmatch(_PATH_SAFE, path):
            raise RevorValueError(
                f"{self.path!r} is no path of the Revor API: give it as in {API_ROOT}/connect/accounts, "
                "without host, query or fragment; the query goes into `params`."
            )
        if _has_dot_segments(path):
            raise RevorValueError(
                f"{self.path!r} is no path of the Revor API: it holds `.` or `..`, plain or encoded, which could lead "
                "out of the API's base path."
            )
        if self.idempotency_key is not None and not re.fullmatch(_HEADER_SAFE, self.idempotency_key):
            raise RevorValueError("An idempotency key is one or more printable ASCII characters without spaces.")
        object.__setattr__(self, "method", method)
        object.__setattr__(self, "path", path)
        object.__setattr__(self, "params", {k: _query(k, v) for k, v in self.params.items() if v is not None})

    def in_version(self, version: ApiVersion) -> Request:
        """
        Return the same request to another version of the API.

        :param version: The version.
        """
        path = translate(self.path, version)
        return self if path == self.path else replace(self, path=path)

    @property
    def repeatable(self) -> bool:
        """Whether sending it again cannot act twice."""
        return self.method == "GET" or self.idempotency_key is not None

    @property
    def headers(self) -> dict[str, str]:
        """The headers that this request brings along."""
        headers = {"Accept": "application/json"}
        if self.body is not None:
            headers["Content-Type"] = "application/json; charset=utf-8"
        if self.idempotency_key is not None:
            headers["Idempotency-Key"] = self.idempotency_key
        return headers

    @property
    def content(self) -> bytes | None:
        """
        The body as UTF-8 JSON.

        :raises RevorValueError: if the body is not plain JSON.
        """
        if self.body is None:
            return None
        try:
            return json.dumps(self.body, ensure_ascii=False, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as e:
            raise RevorValueError(f"The body of {self.method} {self.path} is not plain JSON: {e}") from e


def _has_dot_segments(path: str) -> bool:
    # A proxy or a server may decode more than once, take a backslash for a slash, or drop what follows a semicolon.
    while (decoded := unquote(path)) != path:
        path = decoded
    # So may it cut a segment at a character that is no part of names, or strip blanks.
    segments = re.split(r"[/\\]", path)
    return any(re.split(r"[;?#\x00-\x1f\x7f]", segment.strip())[0].strip() in (".", "..") for segment in segments)


def _query(name: str, value: Any) -> str | list[str]:
    if not isinstance(name, str) or re.search(_SURROGATES, name):
        raise RevorValueError(f"The query parameter {name!r} must be named by valid text.")
    if isinstance(value, (list, tuple)):
        return [_query_text(name, one) for one in value]
    return _query_text(name, value)


def _query_text(name: str, value: Any) -> str:
    if value is None or (isinstance(value, Iterable) and not isinstance(value, str)):
        raise RevorValueError(
            f"The query parameter {name!r} cannot hold a value of type {type(value).__name__}: give text, a number, a "
            "boolean, or a list of these."
        )
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if re.search(_SURROGATES, text):
        raise RevorValueError(f"The query parameter {name!r} holds text that is not valid Unicode.")
    return text


@dataclass(frozen=True, slots=True)
class Response:
    """
    One response of the Revor API; its repr does not quote the peer.

    :param status: The HTTP status.
    :param headers: The headers, their names in lower case.
    :param content: The body.
    :param received_at: When it came, in seconds since the epoch: what a date in it is compared with.
    :param unread: What the body is, where it was not read, as in "a body larger than 32 MB".
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    received_at: float
    unread: str = ""

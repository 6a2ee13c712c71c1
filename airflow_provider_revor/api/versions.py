"""
The versions of the Revor API, and how their paths differ.

Requests are written for v1, and translated when they are sent. Source: the calls that Revor's own clients make.
"""

from __future__ import annotations

from enum import StrEnum

from airflow_provider_revor.exceptions import RevorValueError


class ApiVersion(StrEnum):
    """A version of the Revor API."""

    V1 = "v1"
    V2 = "v2"

    @property
    def root(self) -> str:
        """The beginning of this version's paths."""
        return f"/api/{self.value}"


DEFAULT_VERSION = ApiVersion.V1

# Paths after the root that v2 has changed.
_MOVED_IN_V2 = {"/outreach/jobs/": "/jobs/"}


def parse_version(value: object) -> ApiVersion:
    """
    Return the version that a connection names.

    :param value: ``v1`` or ``v2``, in any case, or the number alone; None or blank for the default.
    :raises RevorValueError: (a ValueError) for anything else.
    """
    text = "" if value is None else str(value).strip().lower()
    if not text:
        return DEFAULT_VERSION
    try:
        return ApiVersion(text if text.startswith("v") else f"v{text}")
    except ValueError:
        raise RevorValueError("The API version must be v1 or v2.") from None


def translate(path: str, version: ApiVersion) -> str:
    """
    Return the path of another version for a path of v1.

    :param path: A path of v1, from the host on.
    :param version: The version.
    """
    rest = path.removeprefix(ApiVersion.V1.root)
    if version is ApiVersion.V1 or rest == path:
        return path
    for old, new in _MOVED_IN_V2.items():
        if rest.startswith(old):
            rest = new + rest.removeprefix(old)
    return version.root + rest


def version_of(path: str) -> ApiVersion:
    """
    Return the version that a path belongs to.

    :param path: A path, from the host on.
    """
    return ApiVersion.V2 if path.startswith(f"{ApiVersion.V2.root}/") else ApiVersion.V1

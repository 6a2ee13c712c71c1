"""API keys, their permissions and their owners."""

from __future__ import annotations

import threading
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from airflow_provider_revor.sandbox.contract.errors import ApiError, RefusedError

ApiKey = Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,256}$", description="A key, as a header takes it.")]

#: The owner of the first key.
FIRST_OWNER = "first"

#: The sandbox takes no more keys than these.
MAX_KEYS = 100


class KeyState(BaseModel):
    """The state of the first owner's API key, or a key that replaces it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    valid: bool = Field(default=True, description="`false`: requests with the key get 401 `api_key_invalid`.")
    permitted: bool = Field(default=True, description="`false`: requests with the key get 403 `permission_denied`.")
    api_key: ApiKey | None = Field(default=None, description="Rotates the key: the one before is no longer valid.")


class Keys:
    """
    The API keys. Every method is safe in any thread.

    :param first: the first owner's key.
    """

    def __init__(self, first: str) -> None:
        self.first = first
        self._lock = threading.Lock()
        self._state = KeyState()
        self._owners: dict[str, str | None] = {first: FIRST_OWNER}

    def set(self, state: KeyState) -> None:
        """Set the state of the first owner's key, or replace it."""
        with self._lock:
            if state.api_key and state.api_key != self.first:
                self._owners |= {self.first: None}
                self._add(state.api_key, FIRST_OWNER)
                self.first = state.api_key
            self._state = state

    def add(self, key: str, owner: str) -> None:
        """Add a key of an owner."""
        with self._lock:
            self._add(key, owner)

    def _add(self, key: str, owner: str) -> None:
        if self._owners.get(key):
            raise RefusedError("this API key is in use")
        if key not in self._owners and len(self._owners) >= MAX_KEYS:
            raise RefusedError(f"the sandbox takes {MAX_KEYS} API keys at most")
        self._owners[key] = owner

    def owner(self, key: str | None) -> str:
        """Return whose key it is; ApiError if there is none, or it is not valid."""
        with self._lock:
            if not key:
                raise ApiError("api_key_missing")
            owner = self._owners.get(key)
            if owner is None or (key == self.first and not self._state.valid):
                raise ApiError("api_key_invalid")
            return owner

    def check_permission(self, key: str) -> None:
        """Let a request with this key pass; ApiError if the key lacks the permission."""
        with self._lock:
            if key == self.first and not self._state.permitted:
                raise ApiError("permission_denied")

    def hide(self, text: str) -> str:
        """Replace every key in a text, the rotated ones too."""
        with self._lock:
            for key in sorted(self._owners, key=len, reverse=True):
                text = text.replace(key, "***")
        return text

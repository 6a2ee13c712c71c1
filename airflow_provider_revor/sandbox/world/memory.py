"""What Revor remembers of requests that write: by API key, path and idempotency key."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_revor.sandbox.contract.errors import ApiError
from airflow_provider_revor.sandbox.contract.outreach import JobReceipt


@dataclass(frozen=True)
class Write:
    """A request that writes, without its body."""

    owner: str
    api_key: str
    path: str
    idempotency_key: str | None


class Memory:
    """The idempotency keys, and what was created under them. Not safe in threads: :class:`World` has the lock."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str], tuple[bytes, JobReceipt]] = {}

    def keep(self, request: Write, digest: bytes, receipt: JobReceipt) -> None:
        """Remember what a request created, and its body's digest, if it has an idempotency key."""
        if request.idempotency_key:
            self._known[request.api_key, request.path, request.idempotency_key] = digest, receipt

    def recall(self, request: Write, digest: bytes) -> JobReceipt | None:
        """Return what was created under the request's key, if anything; ApiError if that had another body."""
        known = self._known.get((request.api_key, request.path, request.idempotency_key or ""))
        if known is None:
            return None
        known_digest, receipt = known
        if digest != known_digest:
            raise ApiError("idempotency_conflict")
        return receipt

    def clear(self) -> None:
        """Forget them all."""
        self._known.clear()

"""The sandbox's own clock, which can be moved forward, and set wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

_TEN_YEARS = 10 * 365 * 86_400.0

Offset = Annotated[float, Field(ge=-_TEN_YEARS, le=_TEN_YEARS)]


class ClockChange(BaseModel):
    """How to change the clock; what is left out stays."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    advance: float = Field(default=0.0, ge=0, le=_TEN_YEARS, description="Seconds that pass at once.")
    offset: Offset | None = Field(default=None, description="Seconds that the clock is ahead, or if negative, behind.")


class ClockState(BaseModel):
    """The clock as it is."""

    now: datetime
    offset: float = Field(description="Seconds that it is ahead of the clock that would be right.")


class Clock:
    """The time as Revor has it. Not safe in threads: :class:`World` has the lock."""

    def __init__(self) -> None:
        self._passed = timedelta()
        self.offset = timedelta()

    def now(self) -> datetime:
        """Return the time, in UTC."""
        return datetime.now(UTC) + self._passed + self.offset

    def advance(self, by: timedelta) -> None:
        """Let time pass, ten years at most in all."""
        self._passed = min(self._passed + by, timedelta(seconds=_TEN_YEARS))

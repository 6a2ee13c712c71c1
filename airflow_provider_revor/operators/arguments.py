"""The arguments that the outreach operators have in common, for type checkers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow_provider_revor.typing import BaseOperatorArgs

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Asset, XComArg

    from airflow_provider_revor.typing import OrXCom

Interval: TypeAlias = "OrXCom[int | str | Sequence[int | str | XComArg] | None]"
CampaignArg: TypeAlias = "OrXCom[str | Asset | None]"
Exclude: TypeAlias = "OrXCom[Iterable[str | int | Mapping[str, Any] | None] | None]"


class OutreachArgs(BaseOperatorArgs, total=False):
    """The arguments that the outreach operators have in common."""

    revor_conn_id: OrXCom[str]
    min_channel_task_interval_seconds: Interval
    idempotency_key: OrXCom[str | None]
    campaign: CampaignArg
    exclude: Exclude
    wait_for_completion: bool
    deferrable: bool
    end_on_worker: bool
    poke_interval: timedelta | float
    timeout: timedelta | float | None
    cancel_on_kill: bool

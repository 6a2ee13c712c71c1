"""The arguments that the outreach operators have in common, for type checkers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow_provider_revor.typing import BaseOperatorArgs

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Asset, XComArg

    from airflow_provider_revor.typing import Callbacks, OrXCom

Interval: TypeAlias = "OrXCom[int | str | Sequence[int | str | XComArg] | None]"
CampaignArg: TypeAlias = "OrXCom[str | int | Asset | None]"
Exclude: TypeAlias = "OrXCom[Collection[str | int | Mapping[str, Any] | None] | None]"


class OutreachArgs(BaseOperatorArgs, total=False):
    """The arguments that all outreach operators have in common, but for those that have a default of their own."""

    revor_conn_id: OrXCom[str]
    campaign: CampaignArg
    exclude: Exclude
    wait_for_completion: bool
    poke_interval: timedelta | float
    timeout: timedelta | float | None
    notify_after: timedelta | float | None
    on_waiting_callback: Callbacks | None
    cancel_on_kill: bool


class OutreachJobArgs(OutreachArgs, total=False):
    """The arguments that the operators for one job have in common."""

    min_channel_task_interval_seconds: Interval
    idempotency_key: OrXCom[str | None]
    deferrable: bool
    end_on_worker: bool

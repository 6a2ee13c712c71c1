"""Base class of the outreach operators: the arguments that those for one person and those for many have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from airflow.providers.common.compat.sdk import AirflowTaskTimeout, BaseOperator, conf

from airflow_provider_revor.api.checks import interval_bounds
from airflow_provider_revor.exceptions import RevorJobTimeoutError, error_from_dict
from airflow_provider_revor.links import LinksToAccounts
from airflow_provider_revor.operators.arguments import CampaignArg, Exclude, Interval
from airflow_provider_revor.operators.campaign import Campaign
from airflow_provider_revor.operators.ledger import MapsWithLedger, check_campaign, with_ledger_inlet
from airflow_provider_revor.rules.campaign import MESSAGES
from airflow_provider_revor.rules.exclusion import Exclusion, check_list
from airflow_provider_revor.rules.pauses import seconds
from airflow_provider_revor.tasks.alerts import NotifiesPeople
from airflow_provider_revor.tasks.failures import ExplainsFailures
from airflow_provider_revor.tasks.templates import check_switch, is_known
from airflow_provider_revor.typing import BaseOperatorArgs

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk.definitions.xcom_arg import PlainXComArg

    from airflow_provider_revor.typing import Callbacks, OrXCom


class OutreachOperator(NotifiesPeople, ExplainsFailures, LinksToAccounts, MapsWithLedger, BaseOperator):
    """Base class of the outreach operators; see the subclasses for arguments."""

    template_fields: Sequence[str] = (
        "revor_conn_id",
        "min_channel_task_interval_seconds",
        "campaign",
        "exclude",
    )
    ui_color = "#e6ddf7"

    # Templated: another task's output until it is rendered.
    revor_conn_id: Any
    campaign: Any
    exclude: Any

    _kind: ClassVar[str] = MESSAGES
    #: What becomes of the jobs after a wait that was too long.
    _go_on: ClassVar[str]

    if TYPE_CHECKING:

        @property
        def output(self) -> PlainXComArg:
            """Airflow declares an ``XComArg``, for which type checkers reject ``output["job_id"]``."""

    def __init__(
        self,
        *,
        revor_conn_id: OrXCom[str] = "revor_default",
        min_channel_task_interval_seconds: Interval,
        campaign: CampaignArg = None,
        exclude: Exclude = None,
        wait_for_completion: bool = True,
        poke_interval: timedelta | float = 60.0,
        timeout: timedelta | float | None = None,
        notify_after: timedelta | float | None = None,
        on_waiting_callback: Callbacks | None = None,
        cancel_on_kill: bool = False,
        **kwargs: Unpack[BaseOperatorArgs],
    ) -> None:
        check_campaign(campaign)
        super().__init__(**kwargs)
        self.inlets = with_ledger_inlet(campaign, self.inlets)
        interval = min_channel_task_interval_seconds
        if is_known(interval) and (not isinstance(interval, (list, tuple)) or all(map(is_known, interval))):
            interval_bounds(interval)
        if is_known(exclude):
            check_list(exclude)
        self.revor_conn_id = revor_conn_id
        self.min_channel_task_interval_seconds = min_channel_task_interval_seconds
        self.campaign = campaign
        self.exclude = exclude
        self._in_campaign = campaign is not None
        self._excludes = exclude is not None
        self.wait_for_completion = check_switch("wait_for_completion", wait_for_completion)
        self.poke_interval = seconds(poke_interval, "poke_interval")
        if timeout is None:
            timeout = conf.getfloat("sensors", "default_timeout", fallback=604_800.0)
        self.timeout = seconds(timeout, "timeout")
        self._notify_after(notify_after, on_waiting_callback, kwargs.get("default_args"))
        self.cancel_on_kill = check_switch("cancel_on_kill", cancel_on_kill)

    def _campaign(self, context: Context) -> Campaign | None:
        """Return the campaign that this try takes part in; None for none."""
        return Campaign(self.campaign, self._kind, context, self.log) if self._in_campaign else None

    def _campaign_to_note(self, context: Context) -> Campaign | None:
        """Return the campaign in whose ledger it is entered how jobs ended; None without a ledger."""
        return self._campaign(context) if context.get("asset_state_store") is not None else None

    def _exclusion(self) -> Exclusion:
        return Exclusion(self.exclude, expected=self._excludes)

    def _why_not_ended(self, event: Mapping[str, Any], not_ended: Callable[[str], str]) -> BaseException:
        """
        Return what to raise for a trigger's event other than a success.

        :param event: The event's payload.
        :param not_ended: Returns what has not ended within a limit, in a sentence.
        """
        if event["status"] == "error":
            return error_from_dict(event["error"])
        if event["status"] == "execution_timeout":
            return AirflowTaskTimeout(not_ended(str(self.execution_timeout)))
        return self._too_late(not_ended)

    def _too_late(self, not_ended: Callable[[str], str]) -> RevorJobTimeoutError:
        return RevorJobTimeoutError.of(not_ended(f"{self.timeout:g} s"), self._go_on)

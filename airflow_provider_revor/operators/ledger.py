"""The asset whose state store holds a campaign's ledger: a task reaches it if it is among its inlets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_revor.campaign import CAMPAIGNS
from airflow_provider_revor.exceptions import RevorValueError
from airflow_provider_revor.rules.campaign import campaign_name
from airflow_provider_revor.tasks.templates import is_literal
from airflow_provider_revor.version_compat import ASSET_STATE_STORE

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk.definitions.mappedoperator import OperatorPartial


def check_campaign(campaign: Any) -> None:
    """
    Check a task's campaign when its Dag is parsed.

    :param campaign: The campaign; None for none.
    :raises RevorValueError: (a ValueError) if it cannot be used.
    """
    if campaign is None or _is_known_late(campaign):
        return
    if not is_literal(campaign) and not _is_asset(campaign):
        # Which asset an alias or a reference leads to, and so which ledger, is known to Airflow alone.
        raise RevorValueError(
            f"campaign is of the type {type(campaign).__name__}: use a name, or the Asset itself and no alias or "
            'reference, as in Asset("spring").'
        )
    campaign_name(campaign)


def with_ledger_inlet(campaign: Any, inlets: Any) -> list[Any]:
    """
    Return a task's inlets with the asset whose state store holds the ledger. None is needed below Airflow 3.3.

    :param campaign: The campaign; None for none.
    :param inlets: The inlets that the author gave.
    """
    # As Airflow's BaseOperator takes them.
    listed = list(inlets) if isinstance(inlets, list | tuple) else [inlets] if inlets else []
    if campaign is None or not ASSET_STATE_STORE:
        return listed
    asset = ledger_asset(campaign)
    return listed if any(getattr(inlet, "name", None) == asset.name for inlet in listed) else [*listed, asset]


def ledger_asset(campaign: Any) -> Any:
    """
    Return the asset whose state store holds a campaign's ledger.

    :param campaign: The campaign: its own asset, if it is one; all those given by name have one in common, because a
        template's name is not known when the Dag is parsed.
    """
    if _is_asset(campaign):
        return campaign
    from airflow.providers.common.compat.sdk import Asset

    return Asset(CAMPAIGNS)


def _is_known_late(campaign: Any) -> bool:
    """Return whether it is another task's output, a template or a callable: known only when the task runs."""
    is_template = isinstance(campaign, str) and not is_literal(campaign)
    return is_template or hasattr(campaign, "resolve") or callable(campaign)


def _is_asset(campaign: Any) -> bool:
    from airflow.providers.common.compat.sdk import Asset

    return isinstance(campaign, Asset)


class MapsWithLedger:
    """Give a mapped task of a campaign the asset with the ledger among its inlets."""

    @classmethod
    def partial(cls, **kwargs: Any) -> OperatorPartial:
        """
        Begin a mapped task; Airflow then expands it.

        :param kwargs: The arguments that all of its instances have in common.
        """
        check_campaign(kwargs.get("campaign"))
        begun: OperatorPartial = super().partial(**kwargs)  # type: ignore[misc]
        # Airflow takes default arguments for the operator's own parameters only when it makes the instances.
        given: dict[str, Any] = {}
        for owner in (begun.kwargs.get("dag"), begun.kwargs.get("task_group")):
            given |= getattr(owner, "default_args", None) or {}
        given |= (kwargs.get("default_args") or {}) | kwargs
        begun.kwargs["inlets"] = with_ledger_inlet(given.get("campaign"), begun.kwargs.get("inlets"))
        return begun


def ledger_store(campaign: Any, context: Context) -> Any:
    """
    Return the state store that holds a campaign's ledger; None if the task has none.

    :param campaign: The campaign.
    :param context: The task's context.
    """
    stores = context.get("asset_state_store")
    if stores is None:
        return None
    try:
        return stores[ledger_asset(campaign)]
    except KeyError:
        return None

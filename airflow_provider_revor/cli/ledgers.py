"""The ledger of a campaign, read from Airflow's metadata database and written there."""

from __future__ import annotations

import json
from argparse import Namespace
from typing import Any

from airflow_provider_revor.api.answers import plain_text
from airflow_provider_revor.campaign import CAMPAIGNS, LIKES, MESSAGES, CampaignLedger, Entry
from airflow_provider_revor.exceptions import RevorError, RevorValueError
from airflow_provider_revor.rules.campaign import campaign_name
from airflow_provider_revor.version_compat import ASSET_STATE_STORE


class DatabaseStore:
    """
    An asset's state store, outside of tasks.

    :param asset: The asset's name.
    :raises RevorValueError: (a ValueError) if there is none, or this Airflow has no state stores.
    :raises RevorError: if the database cannot be read.
    """

    def __init__(self, asset: str) -> None:
        if not ASSET_STATE_STORE:
            raise RevorValueError("Campaigns have a ledger on Airflow 3.3+.")
        from airflow.models.asset import AssetModel
        from airflow.state import AssetScope, get_state_backend
        from airflow.utils.session import create_session
        from sqlalchemy import select
        from sqlalchemy.exc import SQLAlchemyError

        try:
            with create_session() as session:
                asset_id = session.scalar(select(AssetModel.id).where(AssetModel.name == asset))
        except SQLAlchemyError as e:
            reason = f"Airflow's metadata database cannot be read ({type(e).__name__})."
            raise RevorError.of(reason, "Ask `airflow db check` why, or create it with `airflow db migrate`.") from e
        if asset_id is None:
            raise RevorValueError(f"Airflow has no asset {asset!r}: no Dag that it has parsed has this campaign.")
        self._scope = AssetScope(asset_id=asset_id)
        self._backend = get_state_backend()

    def get(self, key: str) -> Any:
        """
        Return a value; None if there is none.

        :param key: Its key.
        """
        return json.loads(self._backend.get(self._scope, key) or "null")

    def set(self, key: str, value: Any) -> None:
        """
        Write a value.

        :param key: Its key.
        :param value: Plain JSON.
        """
        self._backend.set(self._scope, key, json.dumps(value))


def read_or_strike(args: Namespace) -> list[dict[str, Any]]:
    """
    Return the rows of a ledger; with ``--strike``, strike one person first.

    :param args: The arguments of the command.
    :raises RevorValueError: (a ValueError) if there is no such ledger, or nobody such in it.
    """
    name = campaign_name(args.campaign)
    store = DatabaseStore(args.campaign.strip() if args.asset else CAMPAIGNS)
    given = [value for value in (args.address, args.profile_url, args.phone, args.digest) if value is not None]
    if len(given) > 1 or (args.strike and not given):
        raise RevorValueError("Give one of --address, --profile-url, --phone and --digest.")
    person = (
        given[0] if args.digest else {"address": args.address, "profile_url": args.profile_url, "phone": args.phone}
    )
    try:
        ledger = CampaignLedger(store, name, kind=LIKES if args.likes else MESSAGES)
        if args.strike and not ledger.strike(person):
            raise RevorValueError(f"Nobody such is in the ledger of campaign {name!r}.")
        found = ledger.entries_of(person) if given else ledger.entries()
        return [_row(who, entry) for who, entry in found]
    except RevorValueError:
        raise
    except ValueError as e:
        raise RevorValueError(f"The ledger of campaign {name!r} cannot be read: {e}") from None


def _row(who: str, entry: Entry) -> dict[str, Any]:
    end = entry.end
    return {
        "person": who,
        "status": "struck" if entry.struck else plain_text(end.status) if end else "accepted",
        "at": entry.on,
        "job_id": plain_text(entry.job_id),
        "attempt": entry.attempt,
        "code": plain_text(end.code) if end else None,
    }

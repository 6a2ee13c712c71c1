"""The links of a task in Airflow's UI."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperatorLink

from airflow_provider_revor.api.console import CONNECT_ACCOUNTS_URL
from airflow_provider_revor.version_compat import LINKS_ARE_XCOMS

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

# Where Airflow 3 looks for the link: it makes this name of the class's.
XCOM_KEY = "_link_RevorAccountsLink"


class RevorAccountsLink(BaseOperatorLink):
    """A link to the page where a person reconnects accounts. Revor documents no page of a job."""

    name = "Revor: accounts"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """
        Return the address of the page.

        :param operator: The task.
        :param ti_key: The task instance.
        """
        return CONNECT_ACCOUNTS_URL


class LinksToAccounts:
    """
    Give a task the link, from its first moment on.

    Airflow 3 keeps links as XComs, and stores them when a worker is done with the task, be it that the task deferred. A
    task that waits on the worker needs its link before that.
    """

    operator_extra_links: Collection[BaseOperatorLink] = (RevorAccountsLink(),)

    def pre_execute(self, context: Context) -> None:
        """
        Store the link.

        :param context: The task's context.
        """
        super().pre_execute(context)  # type: ignore[misc]
        if LINKS_ARE_XCOMS and _stored_by_airflow():
            context["ti"].xcom_push(key=XCOM_KEY, value=CONNECT_ACCOUNTS_URL)


def _stored_by_airflow() -> bool:
    # A custom backend may store something else than the address; Airflow stores a link past it, at the task's end.
    from airflow.sdk.bases.xcom import BaseXCom
    from airflow.sdk.execution_time.xcom import XCom

    return XCom is BaseXCom


def has_accounts_link(task: Any) -> bool:
    """
    Return whether a task has our link.

    :param task: The task, as the Dag's file makes it or as the triggerer gets it.
    """
    return any(link.xcom_key == XCOM_KEY for link in task.operator_extra_links)


def has_other_links(task: Any) -> bool:
    """
    Return whether a task has links that a worker makes at its end. Ours is known before.

    :param task: The task, as the Dag's file makes it or as the triggerer gets it.
    """
    return any(link.xcom_key != XCOM_KEY for link in task.operator_extra_links)

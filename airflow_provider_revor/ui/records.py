"""What Airflow's own database knows: the connections, the gates that wait, and the outreach of the last days."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.models.connection import Connection
from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.models.taskinstance import TaskInstance
from airflow.models.taskreschedule import TaskReschedule
from airflow.models.trigger import Trigger
from airflow.models.xcom import XComModel
from sqlalchemy import func, select

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

DAYS = 7
#: No more gates and no more tasks with outreach are shown.
MOST_SHOWN = 200

_GATES = ("SendableAccountSensor",)
_OUTREACH = ("OutreachBatchOperator", "OutreachSummaryOperator")
_WAITING = ("deferred", "running", "up_for_reschedule")
_COUNTS = ("sent", "accepted", "failed", "skipped")


def connection_ids(session: Session) -> list[str]:
    """
    Return the ids of the connections of the type ``revor``.

    :param session: Airflow's database session.
    """
    return list(
        session.scalars(select(Connection.conn_id).where(Connection.conn_type == "revor").order_by(Connection.conn_id))
    )


def dags_with_records(session: Session) -> set[str]:
    """
    Return the ids of the Dags that :func:`waiting_gates` and :func:`outreach` may tell of.

    :param session: Airflow's database session.
    """
    waiting = select(TaskInstance.dag_id).where(TaskInstance.state.in_(_WAITING), TaskInstance.operator.in_(_GATES))
    reached = select(TaskInstance.dag_id).where(TaskInstance.operator.in_(_OUTREACH), TaskInstance.end_date >= _since())
    return {*session.scalars(waiting.distinct()), *session.scalars(reached.distinct())}


def waiting_gates(session: Session, dag_ids: Collection[str], conn_ids: Collection[str]) -> list[dict[str, Any]]:
    """
    Return the gates that wait, the longest wait first.

    :param session: Airflow's database session.
    :param dag_ids: The Dags whose task instances the person may see.
    :param conn_ids: The connections that the person may see: of a gate of another one, only the channel is told.
    """
    rescheduled = (
        select(TaskReschedule.ti_id, func.min(TaskReschedule.start_date).label("since"))
        .group_by(TaskReschedule.ti_id)
        .subquery()
    )
    query = (
        select(TaskInstance, Trigger, func.coalesce(rescheduled.c.since, TaskInstance.start_date).label("since"))
        .outerjoin(Trigger, TaskInstance.trigger_id == Trigger.id)
        .outerjoin(rescheduled, TaskInstance.id == rescheduled.c.ti_id)
        .where(
            TaskInstance.state.in_(_WAITING),
            TaskInstance.operator.in_(_GATES),
            TaskInstance.dag_id.in_(dag_ids),
        )
        .order_by("since")
        .limit(MOST_SHOWN)
    )
    gates = []
    for ti, trigger, since in session.execute(query):
        wanted = _wanted(_arguments(ti, trigger, session), conn_ids)
        gates.append({**_place(ti), **wanted, "state": str(ti.state), "since": since and since.isoformat()})
    return gates


def _arguments(ti: TaskInstance, trigger: Trigger | None, session: Session) -> Mapping[str, Any]:
    if trigger is None:
        return RenderedTaskInstanceFields.get_templated_fields(ti, session=session) or {}
    try:
        return trigger.kwargs
    except Exception:
        # Encrypted with a key that Airflow no longer has: the other gates are shown all the same.
        return {}


def _wanted(arguments: Mapping[str, Any], conn_ids: Collection[str]) -> dict[str, str | None]:
    conn_id, channel, account_id = (
        value if isinstance(value := arguments.get(name), str) and value not in ("", "None") else None
        for name in ("revor_conn_id", "channel", "account_id")
    )
    if conn_id not in conn_ids:
        return {"conn_id": None, "channel": channel, "account_id": None}
    return {"conn_id": conn_id, "channel": channel, "account_id": account_id}


def outreach(session: Session, dag_ids: Collection[str]) -> list[dict[str, Any]]:
    """
    Return what batches and summaries of the last days counted, by account, the latest first.

    Each task's counts stand for themselves: a summary may count the messages of a batch again, so nothing is added up.

    :param session: Airflow's database session.
    :param dag_ids: The Dags whose XComs the person may see.
    """
    query = (
        select(TaskInstance, XComModel.value)
        .join(
            XComModel,
            (XComModel.dag_id == TaskInstance.dag_id)
            & (XComModel.run_id == TaskInstance.run_id)
            & (XComModel.task_id == TaskInstance.task_id)
            & (XComModel.map_index == TaskInstance.map_index),
        )
        .where(
            XComModel.key == "return_value",
            TaskInstance.operator.in_(_OUTREACH),
            TaskInstance.end_date >= _since(),
            TaskInstance.dag_id.in_(dag_ids),
        )
        .order_by(TaskInstance.end_date.desc())
        .limit(MOST_SHOWN)
    )
    return [
        {**_place(ti), "ended_at": ti.end_date.isoformat(), "account_id": account_id, **counts}
        for ti, value in session.execute(query)
        for account_id, counts in counts_by_account(value)
    ]


def counts_by_account(value: Any) -> list[tuple[str, dict[str, int]]]:
    """
    Return the numbers of a batch's or a summary's XCom, and nothing else of it.

    :param value: The XCom as it is stored. A batch's preview, which sent nothing, has none.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return []
    by_account = value.get("by_account") if isinstance(value, dict) else None
    if not isinstance(by_account, dict):
        return []
    return [
        (str(account_id), {name: counts[name] for name in _COUNTS})
        for account_id, counts in by_account.items()
        if isinstance(counts, dict) and all(isinstance(counts.get(name), int) for name in _COUNTS)
    ]


def _place(ti: TaskInstance) -> dict[str, Any]:
    run = f"dags/{quote(ti.dag_id, safe='')}/runs/{quote(ti.run_id, safe='')}"
    mapped = f"/mapped/{ti.map_index}" if ti.map_index >= 0 else ""
    return {
        "dag_id": ti.dag_id,
        "run_id": ti.run_id,
        "task_id": ti.task_id,
        "map_index": ti.map_index,
        "run_url": run,
        "task_url": f"{run}/tasks/{quote(ti.task_id, safe='')}{mapped}",
    }


def _since() -> datetime:
    return datetime.now(UTC) - timedelta(days=DAYS)

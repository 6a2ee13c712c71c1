"""What Airflow's own database knows: the connections, the gates that wait, and the outreach of the last days."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.models.connection import Connection
from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.models.taskinstance import TaskInstance
from airflow.models.taskreschedule import TaskReschedule
from airflow.models.trigger import Trigger
from airflow.models.xcom import XComModel
from sqlalchemy import Text, and_, cast, func, not_, or_, select

from airflow_provider_revor.rules.outcomes import Row, summarize

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

DAYS = 7
#: No more gates and no more tasks with outreach are shown.
MOST_SHOWN = 200

#: No more tasks that sent one message each are counted: the latest ones.
MOST_COUNTED = 1000

_GATE = "SendableAccountSensor"
_GATE_TRIGGER = "airflow_provider_revor.triggers.connect.SendableAccountTrigger"
# A templated field that no other task of ours has, as it is stored.
_GATE_FIELD = '%"sticky_key"%'
_COUNTING = ("OutreachBatchOperator", "OutreachSummaryOperator")
_SINGLE = ("OutreachDispatchOperator", "LinkedInPostLikeOperator")
_ENDED = ("success", "failed", "skipped")
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
    waiting = _of_gates(select(TaskInstance.dag_id))
    operators = _COUNTING + _SINGLE
    reached = select(TaskInstance.dag_id).where(TaskInstance.operator.in_(operators), TaskInstance.end_date >= _since())
    return {*session.scalars(waiting.distinct()), *session.scalars(reached.distinct())}


def waiting_gates(session: Session, dag_ids: Collection[str], conn_ids: Collection[str]) -> list[dict[str, Any]]:
    """
    Return the gates that wait, the longest wait first.

    :param session: Airflow's database session.
    :param dag_ids: The Dags whose task instances the person may see.
    :param conn_ids: The connections that the person may see: of a gate of another one, only the channel is told.
    """
    # Of these gates alone: Airflow keeps the reschedules of all sensors for as long as their runs.
    rescheduled = select(func.min(TaskReschedule.start_date)).where(TaskReschedule.ti_id == TaskInstance.id)
    since = func.coalesce(rescheduled.scalar_subquery(), TaskInstance.start_date).label("since")
    query = (
        _of_gates(select(TaskInstance, Trigger, since))
        .where(TaskInstance.dag_id.in_(dag_ids))
        .order_by("since")
        .limit(MOST_SHOWN)
    )
    gates = []
    for ti, trigger, since in session.execute(query):
        wanted = _wanted(_arguments(ti, trigger, session), conn_ids)
        gates.append({**_place(ti), **wanted, "state": str(ti.state), "since": since and since.isoformat()})
    return gates


def _of_gates(tasks: Any) -> Any:
    """
    Keep only the gates that wait, and join their triggers.

    Airflow stores the name of a task's class, and not what that is derived from. A subclass is known by its trigger, or
    by the names of its templated fields.
    """
    return (
        tasks.outerjoin(Trigger, TaskInstance.trigger_id == Trigger.id)
        .outerjoin(RenderedTaskInstanceFields, _same_task(RenderedTaskInstanceFields))
        .where(
            TaskInstance.state.in_(_WAITING),
            or_(
                TaskInstance.operator == _GATE,
                Trigger.classpath == _GATE_TRIGGER,
                cast(RenderedTaskInstanceFields.rendered_fields, Text).like(_GATE_FIELD),
            ),
        )
    )


def _same_task(model: Any) -> ColumnElement[bool]:
    # Airflow 3.4 stores rendered fields by the id of the task instance.
    if hasattr(model, "task_instance_id"):
        return and_(model.task_instance_id == TaskInstance.id)
    names = ("dag_id", "run_id", "task_id", "map_index")
    return and_(*(getattr(model, name) == getattr(TaskInstance, name) for name in names))


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
    Return what the outreach of the last days came to, by task and account, the latest first.

    Each task's counts stand for themselves: a summary counts the messages of other tasks again, so nothing is added up.

    :param session: Airflow's database session.
    :param dag_ids: The Dags whose XComs the person may see.
    """
    found = _counted(session, dag_ids) + _single(session, dag_ids)
    return sorted(found, key=lambda each: each["ended_at"], reverse=True)[:MOST_SHOWN]


def _counted(session: Session, dag_ids: Collection[str]) -> list[dict[str, Any]]:
    """Return what batches and summaries have counted."""
    query = (
        select(TaskInstance, XComModel.value)
        .join(XComModel, _same_task(XComModel))
        .where(XComModel.key == "return_value", *_ended_of(_COUNTING, dag_ids))
        .order_by(TaskInstance.end_date.desc())
        .limit(MOST_SHOWN)
    )
    return [
        {**_place(ti), "ended_at": ti.end_date.isoformat(), "account_id": account_id, **counts}
        for ti, value in session.execute(query)
        for account_id, counts in counts_by_account(value)
    ]


def _single(session: Session, dag_ids: Collection[str]) -> list[dict[str, Any]]:
    """Count the tasks that sent one message each; those of a mapped task together."""
    # Only where the XCom does not name the account: the fields hold the message, too.
    says_account = and_(XComModel.key.is_not(None), cast(XComModel.value, Text).like("%account_id%"))
    query = (
        select(TaskInstance, XComModel.value, RenderedTaskInstanceFields.rendered_fields)
        .outerjoin(XComModel, and_(_same_task(XComModel), XComModel.key == "return_value"))
        .outerjoin(RenderedTaskInstanceFields, and_(_same_task(RenderedTaskInstanceFields), not_(says_account)))
        .where(TaskInstance.state.in_(_ENDED), *_ended_of(_SINGLE, dag_ids))
        .order_by(TaskInstance.end_date.desc())
        .limit(MOST_COUNTED)
    )
    tasks: dict[tuple[str, ...], tuple[dict[str, Any], list[Row]]] = {}
    for ti, value, rendered in session.execute(query):
        if (row := single_row(value, ti.state, rendered)) is not None:
            # The first one of a mapped task is the one that ended last.
            shown = {**_place(ti, whole=True), "ended_at": ti.end_date.isoformat()}
            tasks.setdefault((ti.dag_id, ti.run_id, ti.task_id), (shown, []))[1].append(row)
    return [
        {**shown, "account_id": name or None, **counts}
        for shown, rows in tasks.values()
        for name, counts in counts_by_account(summarize(rows))
    ]


def _ended_of(operators: Collection[str], dag_ids: Collection[str]) -> list[ColumnElement[bool]]:
    return [
        TaskInstance.operator.in_(operators),
        TaskInstance.end_date >= _since(),
        TaskInstance.dag_id.in_(dag_ids),
    ]


def single_row(value: Any, state: str | None, rendered: Any) -> Row | None:
    """
    Return what became of the message of a task that sends one; None if it had none to send.

    :param value: The task's XCom as it is stored: a job, or why the person was skipped.
    :param state: The task's state.
    :param rendered: The task's rendered fields, which know the account where the XCom does not.
    """
    pushed = _parsed(value)
    if isinstance(pushed, dict) and isinstance(pushed.get("status"), str):
        row = Row.of_task(pushed)
    elif state == "failed":
        row = Row()
    else:
        return None
    account_id = row.account_id or (rendered.get("account_id") if isinstance(rendered, dict) else None)
    return replace(row, account_id=str(account_id) if account_id else "")


def counts_by_account(value: Any) -> list[tuple[str, dict[str, int]]]:
    """
    Return the numbers of a batch's or a summary's XCom, and nothing else of it.

    :param value: The XCom as it is stored. A batch's preview, which sent nothing, has none.
    """
    value = _parsed(value)
    by_account = value.get("by_account") if isinstance(value, dict) else None
    if not isinstance(by_account, dict):
        return []
    return [
        (str(account_id), {name: counts[name] for name in _COUNTS})
        for account_id, counts in by_account.items()
        if isinstance(counts, dict) and all(isinstance(counts.get(name), int) for name in _COUNTS)
    ]


def _parsed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return None


def _place(ti: TaskInstance, *, whole: bool = False) -> dict[str, Any]:
    """
    Return where a task instance is.

    :param ti: The task instance.
    :param whole: Whether the whole mapped task is meant.
    """
    run = f"dags/{quote(ti.dag_id, safe='')}/runs/{quote(ti.run_id, safe='')}"
    mapped = "" if ti.map_index < 0 else "/mapped" if whole else f"/mapped/{ti.map_index}"
    return {
        "dag_id": ti.dag_id,
        "run_id": ti.run_id,
        "task_id": ti.task_id,
        "map_index": -1 if whole else ti.map_index,
        "run_url": run,
        "task_url": f"{run}/tasks/{quote(ti.task_id, safe='')}{mapped}",
    }


def _since() -> datetime:
    return datetime.now(UTC) - timedelta(days=DAYS)

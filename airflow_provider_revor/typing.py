"""
What type checkers need to know about the arguments of our operators and sensors.

Airflow's base classes take ``**kwargs: Any``, which would hide a misspelt argument of ours from mypy. With
``**kwargs: Unpack[BaseOperatorArgs]`` mypy knows every argument there is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, MutableMapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, Required, TypeAlias, TypedDict, TypeVar

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import DAG, TaskGroup, XComArg

T = TypeVar("T")

#: A value, or the output of another task: what a templated argument takes.
OrXCom: TypeAlias = "T | XComArg"

#: One callback, or several; a notifier is a callback, too.
Callbacks: TypeAlias = "Callable[..., Any] | Collection[Callable[..., Any]]"


class BaseOperatorArgs(TypedDict, total=False):
    """The arguments of Airflow's ``BaseOperator``; Airflow rejects one that it is too old for."""

    task_id: Required[str]
    owner: str
    email: str | Sequence[str] | None
    email_on_retry: bool
    email_on_failure: bool
    retries: int | None
    retry_delay: timedelta | float
    retry_exponential_backoff: float
    max_retry_delay: timedelta | float | None
    start_date: datetime | None
    end_date: datetime | None
    depends_on_past: bool
    ignore_first_depends_on_past: bool
    wait_for_past_depends_before_skipping: bool
    wait_for_downstream: bool
    dag: DAG | None
    params: MutableMapping[str, Any] | None
    default_args: dict[str, Any] | None
    priority_weight: int
    weight_rule: Any
    queue: str
    pool: str | None
    pool_slots: int
    sla: timedelta | None
    execution_timeout: timedelta | None
    on_execute_callback: Callbacks | None
    on_failure_callback: Callbacks | None
    on_success_callback: Callbacks | None
    on_retry_callback: Callbacks | None
    on_skipped_callback: Callbacks | None
    pre_execute: Callable[[Any], None] | None
    post_execute: Callable[[Any, Any], None] | None
    trigger_rule: str
    resources: dict[str, Any] | None
    run_as_user: str | None
    map_index_template: str | None
    max_active_tis_per_dag: int | None
    max_active_tis_per_dagrun: int | None
    executor: str | None
    executor_config: dict[str, Any] | None
    do_xcom_push: bool
    multiple_outputs: bool
    inlets: Any
    outlets: Any
    task_group: TaskGroup | None
    doc: str | None
    doc_md: str | None
    doc_json: str | None
    doc_yaml: str | None
    doc_rst: str | None
    task_display_name: str | None
    logger_name: str | None
    allow_nested_operators: bool
    # Airflow 3.3+.
    retry_policy: Any
    render_template_as_native_obj: bool | None


class BaseSensorArgs(BaseOperatorArgs, total=False):
    """The arguments of Airflow's ``BaseSensorOperator``."""

    poke_interval: timedelta | float
    timeout: timedelta | float
    soft_fail: bool
    mode: Literal["poke", "reschedule"]
    exponential_backoff: bool
    max_wait: timedelta | float | None
    silent_fail: bool
    never_fail: bool

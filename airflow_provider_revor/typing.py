"""
Types for type checkers: what people are written to with, and the arguments of our operators and sensors.

Airflow's base classes take ``**kwargs: Any``, which would hide a misspelt argument of ours from mypy. With
``**kwargs: Unpack[BaseOperatorArgs]`` mypy knows every argument there is.

At run time, a :class:`Recipient`, :class:`Content` or :class:`OutreachMessage` is a plain dict. For mypy, a variable
that holds one needs the annotation: ``content: Content = {"subject": "Hello", "text": "…"}``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, MutableMapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, NotRequired, Required, TypeAlias, TypedDict, TypeVar

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import DAG, TaskGroup, XComArg

T = TypeVar("T")

#: A value, or the output of another task: what a templated argument takes.
OrXCom: TypeAlias = "T | XComArg"

#: A callback; a notifier is one, too.
Callback: TypeAlias = "Callable[..., Any]"
#: One callback, or several.
Callbacks: TypeAlias = "Callback | Collection[Callback]"
#: The same where Airflow's hints allow only a list.
CallbackList: TypeAlias = "Callback | list[Callback]"


class Recipient(TypedDict, total=False):
    """
    A person. The field of the message's channel is required; those of other channels are not sent.

    :param address: The email address.
    :param profile_url: The personal LinkedIn profile.
    :param phone: The WhatsApp phone number, or a contact identifier.
    :param name: The person's name.
    """

    address: OrXCom[str]
    profile_url: OrXCom[str]
    phone: OrXCom[str]
    name: OrXCom[str]


class Attachment(TypedDict):
    """
    A file.

    :param filename: Its name.
    :param contentBase64: Its content, in Base64.
    """

    filename: OrXCom[str]
    contentBase64: OrXCom[str]


class Content(TypedDict, total=False):
    """
    What is written: ``subject`` with ``text`` and/or ``html`` (email), or ``text`` and/or ``attachments`` (the others).

    :param subject: The email's subject.
    :param text: The text.
    :param html: The email as HTML.
    :param attachments: Files.
    """

    subject: OrXCom[str]
    text: OrXCom[str]
    html: OrXCom[str]
    attachments: OrXCom[Sequence[Attachment]]


class OutreachMessage(TypedDict):
    """
    One message of a batch.

    :param account_id: The Connect account to send from.
    :param channel: The account's channel: ``email``, ``linkedin`` or ``whatsapp``.
    :param recipient: Who is written to.
    :param content: What is written.
    :param metadata: A free object of the caller's.
    :param reference: The caller's name for the person in results and logs, such as a CRM id.
    """

    account_id: OrXCom[str]
    channel: OrXCom[str]
    recipient: OrXCom[Recipient]
    content: OrXCom[Content]
    metadata: NotRequired[OrXCom[Mapping[str, Any] | None]]
    reference: NotRequired[OrXCom[str | int | None]]


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
    on_failure_callback: CallbackList | None
    on_success_callback: Callbacks | None
    on_retry_callback: CallbackList | None
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


class WaitingSensorArgs(BaseSensorArgs, total=False):
    """The arguments that our sensors have besides."""

    notify_after: timedelta | float | None
    on_waiting_callback: Callbacks | None
    log_every: timedelta | float

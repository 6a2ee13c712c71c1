"""Outreach: send a message, or like a post, once and only once, and know how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from airflow_provider_revor.api.accounts import Channel, is_nothing
from airflow_provider_revor.api.checks import DISPATCH_FIELDS, check_dispatch, check_post_like, recipient_of
from airflow_provider_revor.exceptions import RevorValueError
from airflow_provider_revor.operators.arguments import OutreachJobArgs
from airflow_provider_revor.operators.job import OutreachJobOperator
from airflow_provider_revor.rules.campaign import LIKES
from airflow_provider_revor.tasks.templates import is_known

if TYPE_CHECKING:
    from airflow.sdk.definitions.mappedoperator import OperatorPartial

    from airflow_provider_revor.api.jobs import OutreachJob
    from airflow_provider_revor.hooks.revor import RevorHook
    from airflow_provider_revor.typing import Content, OrXCom, Recipient


class OutreachDispatchOperator(OutreachJobOperator):
    """
    Send a message to a person, once and only once, and wait until it has been sent.

    Revor makes a job of it. The idempotency key says who is written to, in which Dag run, by which task, so a retry, a
    crash, or a mapped list in another order finds the job that was made before. On Airflow 3.3+ the task also records
    its job in the task state store, and its next try asks for that job before it sends anything.

    A job that failed or was cancelled is sent again only in the first try after the task was cleared, or by a retry if
    Revor says that trying again may help. On Airflow 3.3+ the message may be corrected before the task is cleared; up
    to 3.2, another message under the same key is a conflict. Clearing a task that succeeded sends nothing.

    A failed job fails the task, without retries unless Revor says that trying again may help. Pushes the job's dict,
    which holds nothing of the message, and its id as the XCom ``job_id``. A job that failed is pushed, too.

    Source: ``POST /api/v1/outreach/dispatches`` — Create Outreach Dispatch, ``GET /api/v1/outreach/jobs/{id}`` — Check
    an Outreach Job.

    :param account_id: The Connect account to send from. (templated)
    :param channel: The account's channel: ``email``, ``linkedin`` or ``whatsapp``. (templated)
    :param recipient: A dict with the person's ``address`` (email), ``profile_url`` (LinkedIn: a personal profile) or
        ``phone`` (WhatsApp), and maybe a ``name``; whatever else is in it is not sent. (templated)
    :param content: A dict with ``subject`` and ``text`` and/or ``html`` (email), or ``text`` and/or ``attachments``
        (LinkedIn, WhatsApp). ``attachments`` is a list of dicts with ``filename`` and ``contentBase64``. (templated)
    :param metadata: A free dict of yours, which Revor keeps with the dispatch. Default: None. (templated)
    :param min_channel_task_interval_seconds: The least seconds between two tasks of one channel, 60 to 86400; or a pair
        such as ``(180, 360)``, as Revor advises for batches: a random whole number in it, the same in each try. None
        for Revor's default, 60. Default: None. (templated)
    :param idempotency_key: A key to use in place of the one described above: printable ASCII without spaces, at most
        one message each; a template that renders to nothing is an error. Default: None. (templated)
    :param campaign: A name, or an Airflow ``Asset``: no run, task or Dag of the campaign writes to anyone twice on one
        channel; the task is skipped, and its message says when the person was written to. On Airflow 3.3+ a ledger in
        the asset's state store keeps who was written to; up to 3.2, only Revor's memory of idempotency keys does. A
        message that failed is sent again in the first try after this task was cleared, or if Revor says that trying
        again may help; up to 3.2, only if it was not changed since. Not with ``idempotency_key``. Default: None.
        (templated)
    :param exclude: People who must not be written to: a list of addresses, profile URLs, phones, in any spelling, or
        of what :func:`~airflow_provider_revor.campaign.person_digest` returned. The task is skipped. Default: None.
        (templated)
    :param revor_conn_id: The Airflow connection, of the type ``revor``. Default: ``revor_default``. (templated)
    :param wait_for_completion: Whether to wait until the job has ended; else the task succeeds once Revor has accepted
        the dispatch. Default: True.
    :param deferrable: Whether to wait in the triggerer, without a worker. Default: Airflow's
        ``[operators] default_deferrable``.
    :param end_on_worker: As for :class:`.SendableAccountSensor`. Default: False.
    :param poke_interval: The least seconds between two looks at the job, or a timedelta. Before its time, a scheduled
        job is looked at once an hour at most. Default: 60.
    :param timeout: How many seconds a try waits for the job at the most, or a timedelta; None for Airflow's
        ``[sensors] default_timeout``. Default: None.
    :param notify_after: After how many seconds in a try to call ``on_waiting_callback``, once, or a timedelta; None for
        never. A deferred task resumes on a worker for it, and defers again. Default: None.
    :param on_waiting_callback: As for :class:`.SendableAccountSensor`: ``revor_wait`` in its context says how the job
        stands. Default: None.
    :param cancel_on_kill: Whether to cancel the job, if it has not begun, when a person marks the task as failed or
        clears it while it waits; a cleared task then sends again. It takes a connection whose ``api_version`` is
        ``v2``. A triggerer that stops or hands over, and a task that ends by itself, cancel nothing. Default: False.
    :raises RevorValueError: (a ValueError) when the Dag is parsed, if something that is literal is missing or mistyped;
        it names each such field.
    """

    template_fields: Sequence[str] = (
        *OutreachJobOperator.template_fields,
        "channel",
        "recipient",
        "content",
        "metadata",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"recipient": "json", "content": "json", "metadata": "json"}

    # Templated: another task's output until it is rendered.
    channel: Any
    recipient: Any
    content: Any
    metadata: Any

    def __init__(
        self,
        *,
        account_id: OrXCom[str],
        channel: OrXCom[str],
        recipient: OrXCom[Recipient],
        content: OrXCom[Content],
        metadata: OrXCom[Mapping[str, Any] | None] = None,
        **kwargs: Unpack[OutreachJobArgs],
    ) -> None:
        super().__init__(account_id=account_id, **kwargs)
        check_dispatch(account_id, channel, recipient, content, metadata, known=is_known)
        self.channel = channel
        self.recipient = recipient
        self.content = content
        self.metadata = metadata

    @classmethod
    def partial(cls, **kwargs: Any) -> OperatorPartial:
        """
        Begin a mapped task; Airflow then expands it.

        :param kwargs: The arguments that all of its instances have in common.
        :raises RevorValueError: (a ValueError) if one of them that is literal is missing or mistyped.
        """
        # Airflow makes the instances, and so checks the arguments, only when they run.
        late = object()
        fields = {name: kwargs.get(name, late) for name in DISPATCH_FIELDS}
        check_dispatch(**fields, known=lambda value: value is not late and is_known(value))
        return super().partial(**kwargs)

    @property
    def _channel(self) -> str:
        return str(self.channel).strip()

    def _recipient(self) -> dict[str, Any]:
        check_dispatch(self.account_id, self.channel, self.recipient, self.content, self.metadata)
        return recipient_of(Channel(self.channel.strip()), self.recipient)

    def _person(self) -> Mapping[str, Any]:
        return dict(self.recipient)

    def _message(self) -> dict[str, Any]:
        message = {name: getattr(self, name) for name in DISPATCH_FIELDS}
        # Not what else is in the recipient: that may change without another message.
        return {**message, "recipient": self._recipient()}

    def _send(self, hook: RevorHook, interval: int | None, idempotency_key: str) -> OutreachJob:
        return hook.create_outreach_dispatch(
            str(self.account_id),
            self.channel,
            self.recipient,
            self.content,
            metadata=self.metadata,
            min_channel_task_interval_seconds=interval,
            idempotency_key=idempotency_key,
        )


class LinkedInPostLikeOperator(OutreachJobOperator):
    """
    Like at most one relevant recent post of a LinkedIn profile, once and only once, and wait for the result.

    The same ground as :class:`OutreachDispatchOperator`: the idempotency key says whose post, in which Dag run, by
    which task. Where Revor finds no relevant post, the job's ``result.status`` is ``skipped``: the task succeeds, and
    says so. Pushes the job's dict, and its id as the XCom ``job_id``.

    Source: ``POST /api/v1/outreach/linkedin/post-likes``, ``GET /api/v1/outreach/jobs/{id}`` — Check an Outreach Job.

    :param profile_url: Whose posts. (templated)
    :param content: What a post that is worth a like is about. One of ``content``, ``topic`` and ``intent`` is needed.
        Default: None. (templated)
    :param topic: The same, as a topic. Default: None. (templated)
    :param intent: The same, as an intent. Default: None. (templated)
    :param account_id: The LinkedIn account that likes; None works only where exactly one is usable, and is not what a
        template may render to. Default: None. (templated)
    :param post_limit: How many recent posts are looked at, 1 to 50; None for Revor's default, 20. Default: None.
        (templated)
    :param locale: ``en`` or ``zh``; None for Revor's default. Default: None. (templated)
    :param min_channel_task_interval_seconds: As for :class:`OutreachDispatchOperator`. Default: None. (templated)
    :param idempotency_key: As for :class:`OutreachDispatchOperator`. Default: None. (templated)
    :param campaign: As for :class:`OutreachDispatchOperator`: one like for each profile, whichever account likes. Likes
        and messages do not count for each other. Default: None. (templated)
    :param exclude: As for :class:`OutreachDispatchOperator`. Default: None. (templated)
    :param revor_conn_id: The Airflow connection, of the type ``revor``. Default: ``revor_default``. (templated)
    :param wait_for_completion: Whether to wait until the job has ended. Default: True.
    :param deferrable: Whether to wait in the triggerer, without a worker. Default: Airflow's
        ``[operators] default_deferrable``.
    :param end_on_worker: As for :class:`.SendableAccountSensor`. Default: False.
    :param poke_interval: The least seconds between two looks at the job, or a timedelta. Default: 60.
    :param timeout: How many seconds a try waits for the job at the most, or a timedelta; None for Airflow's
        ``[sensors] default_timeout``. Default: None.
    :param notify_after: As for :class:`OutreachDispatchOperator`. Default: None.
    :param on_waiting_callback: As for :class:`OutreachDispatchOperator`. Default: None.
    :param cancel_on_kill: As for :class:`OutreachDispatchOperator`. Default: False.
    :raises RevorValueError: (a ValueError) when the Dag is parsed, if something that is literal is missing or mistyped;
        it names each such field.
    """

    _kind = LIKES
    _channel = Channel.LINKEDIN.value

    template_fields: Sequence[str] = (
        *OutreachJobOperator.template_fields,
        "profile_url",
        "content",
        "topic",
        "intent",
        "post_limit",
        "locale",
    )

    def __init__(
        self,
        *,
        profile_url: OrXCom[str],
        content: OrXCom[str | None] = None,
        topic: OrXCom[str | None] = None,
        intent: OrXCom[str | None] = None,
        account_id: OrXCom[str | None] = None,
        post_limit: OrXCom[int | str | None] = None,
        locale: OrXCom[str | None] = None,
        **kwargs: Unpack[OutreachJobArgs],
    ) -> None:
        super().__init__(account_id=account_id, **kwargs)
        self.profile_url = profile_url
        self.content = content
        self.topic = topic
        self.intent = intent
        self.post_limit = post_limit
        self.locale = locale
        self._any_account = self.account_id is None
        check_post_like(self._message(), known=is_known)

    def _message(self) -> dict[str, Any]:
        names = ("profile_url", "content", "topic", "intent", "account_id", "post_limit", "locale")
        return {name: getattr(self, name) for name in names}

    def _recipient(self) -> dict[str, Any]:
        check_post_like(self._message())
        if is_nothing(self.account_id) and not self._any_account:
            raise RevorValueError(
                f"account_id rendered to {self.account_id!r}: it must name an account. Leave it out for the only one "
                "that is usable."
            )
        return {"profile_url": self.profile_url}

    def _send(self, hook: RevorHook, interval: int | None, idempotency_key: str) -> OutreachJob:
        return hook.create_linkedin_post_like(
            **self._message(), min_channel_task_interval_seconds=interval, idempotency_key=idempotency_key
        )

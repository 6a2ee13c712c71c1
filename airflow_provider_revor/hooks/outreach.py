"""
The part of the hook that sends outreach and asks what became of it.

Its part of the contract is imported by what is called: a Dag file with a gate alone does not pay for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from airflow_provider_revor.api.accounts import is_nothing
from airflow_provider_revor.api.versions import ApiVersion
from airflow_provider_revor.exceptions import (
    RevorConfigurationError,
    RevorConflictError,
    RevorNotFoundError,
    RevorRequestError,
    RevorResponseError,
    RevorValueError,
)
from airflow_provider_revor.hooks.sending import SendingHook
from airflow_provider_revor.hooks.threads import in_thread

if TYPE_CHECKING:
    from airflow_provider_revor.api.answers import Envelope
    from airflow_provider_revor.api.jobs import OutreachJob
    from airflow_provider_revor.api.wire import Request
    from airflow_provider_revor.typing import Content, Recipient

#: How Revor may reject a cancel. What it says of a job that runs or has ended is not documented.
CANCEL_REJECTED = (RevorConflictError, RevorNotFoundError, RevorRequestError)
# After these the job is asked for all the same: the response to a cancel is not documented, either.
_ASKED_ALL_THE_SAME = (*CANCEL_REJECTED, RevorResponseError)


class OutreachMethods(SendingHook):
    """What :class:`.RevorHook` does for outreach."""

    def create_outreach_dispatch(
        self,
        account_id: str,
        channel: str,
        recipient: Recipient,
        content: Content,
        *,
        idempotency_key: str,
        metadata: Mapping[str, Any] | None = None,
        min_channel_task_interval_seconds: int | None = None,
    ) -> OutreachJob:
        """
        Send a message: ``POST /api/v1/outreach/dispatches``.

        :param account_id: The Connect account to send from.
        :param channel: The account's channel: ``email``, ``linkedin`` or ``whatsapp``.
        :param recipient: ``address`` (email), ``profile_url`` (LinkedIn) or ``phone`` (WhatsApp), and maybe ``name``;
            what else it holds is not sent.
        :param content: ``subject`` and ``text`` and/or ``html`` (email); ``text`` and/or ``attachments`` (the others).
        :param idempotency_key: The same key and content are one message, however often they are sent.
        :param metadata: A free object of the caller's; None for none.
        :param min_channel_task_interval_seconds: The least seconds between two tasks of the channel, 60 to 86400; None
            for Revor's default.
        :return: The job that Revor made of it; or had made of it under this key, as it was then.
        :raises ValueError: if something is missing or mistyped; before any request.
        :raises RevorIdempotencyConflictError: if something else was sent under this key before.
        :raises RevorError: if Revor cannot be asked or refuses; see :mod:`airflow_provider_revor.exceptions`.
        """
        from airflow_provider_revor.api.jobs import read_job
        from airflow_provider_revor.api.outreach import dispatch_request

        request = dispatch_request(
            account_id,
            channel,
            recipient,
            content,
            metadata=metadata,
            min_channel_task_interval_seconds=min_channel_task_interval_seconds,
            idempotency_key=_known_key(idempotency_key),
        )
        return self._send(request, read_job)

    def create_linkedin_post_like(
        self,
        profile_url: str,
        *,
        idempotency_key: str,
        content: str | None = None,
        topic: str | None = None,
        intent: str | None = None,
        account_id: str | None = None,
        post_limit: int | None = None,
        locale: str | None = None,
        min_channel_task_interval_seconds: int | None = None,
    ) -> OutreachJob:
        """
        Like at most one relevant recent post of a profile: ``POST /api/v1/outreach/linkedin/post-likes``.

        :param profile_url: Whose posts.
        :param idempotency_key: The same key and content are one like, however often they are sent.
        :param content: What a post worth a like is about. One of ``content``, ``topic`` and ``intent`` is needed.
        :param topic: The same, as a topic.
        :param intent: The same, as an intent.
        :param account_id: The LinkedIn account that likes; None for the only usable one.
        :param post_limit: How many recent posts are looked at, 1 to 50; None for Revor's default, 20.
        :param locale: ``en`` or ``zh``; None for Revor's default.
        :param min_channel_task_interval_seconds: The least seconds between two tasks of the channel, 60 to 86400; None
            for Revor's default.
        :return: The job that Revor made of it; or had made of it under this key, as it was then.
        :raises ValueError: if something is missing or mistyped; before any request.
        :raises RevorIdempotencyConflictError: if something else was asked for under this key before.
        :raises RevorError: if Revor cannot be asked or refuses; see :mod:`airflow_provider_revor.exceptions`.
        """
        from airflow_provider_revor.api.jobs import read_job
        from airflow_provider_revor.api.outreach import post_like_request

        request = post_like_request(
            profile_url,
            content=content,
            topic=topic,
            intent=intent,
            account_id=account_id,
            post_limit=post_limit,
            locale=locale,
            min_channel_task_interval_seconds=min_channel_task_interval_seconds,
            idempotency_key=_known_key(idempotency_key),
        )
        return self._send(request, read_job)

    def get_outreach_job(self, job_id: str) -> OutreachJob:
        """
        Ask how an outreach job stands: ``GET /api/v1/outreach/jobs/{id}``.

        :param job_id: Its id.
        :return: The job.
        :raises ValueError: if that names no job; before any request.
        :raises RevorNotFoundError: if there is no such job.
        :raises RevorError: if Revor cannot be asked or refuses; see :mod:`airflow_provider_revor.exceptions`.
        """
        return self._send(*_job(job_id))

    async def aget_outreach_job(self, job_id: str) -> OutreachJob:
        """
        Ask how an outreach job stands, awaited: the same as :meth:`get_outreach_job`, for the triggerer.

        :param job_id: Its id.
        :return: The job.
        :raises ValueError: if that names no job; before any request.
        :raises RevorNotFoundError: if there is no such job.
        :raises RevorError: if Revor cannot be asked or refuses; see :mod:`airflow_provider_revor.exceptions`.
        """
        return await self._asend(*_job(job_id))

    def cancel_outreach_job(self, job_id: str) -> OutreachJob:
        """
        Cancel an outreach job, if it has not begun: ``POST /api/v2/jobs/{id}/cancel``.

        Revor guarantees it only while the job is ``queued`` or ``scheduled``. A job that runs or has ended is no error:
        the job that is returned says how it stands.

        :param job_id: Its id.
        :return: The job, as it stands after the cancel.
        :raises ValueError: if that names no job; before any request.
        :raises RevorConfigurationError: if the connection says API v1, which cannot cancel; before any request.
        :raises RevorNotFoundError: if there is no such job.
        :raises RevorError: if Revor cannot be asked, or rejects the cancel of a job that has not begun; see
            :mod:`airflow_provider_revor.exceptions`.
        """
        request = _cancel(job_id)
        self.check_can_cancel()
        try:
            self._send(request, lambda envelope: None)
        except _ASKED_ALL_THE_SAME:
            job = self.get_outreach_job(job_id)
            if job.can_be_cancelled:
                raise
            return job
        return self.get_outreach_job(job_id)

    async def acancel_outreach_job(self, job_id: str) -> OutreachJob:
        """
        Cancel an outreach job, awaited: the same as :meth:`cancel_outreach_job`, for the triggerer.

        :param job_id: Its id.
        :return: The job, as it stands after the cancel.
        :raises ValueError: if that names no job; before any request.
        :raises RevorConfigurationError: if the connection says API v1, which cannot cancel; before any request.
        :raises RevorNotFoundError: if there is no such job.
        :raises RevorError: if Revor cannot be asked, or rejects the cancel of a job that has not begun; see
            :mod:`airflow_provider_revor.exceptions`.
        """
        request = _cancel(job_id)
        # It may look up the connection, which would hold up every other trigger.
        await in_thread(self.check_can_cancel)
        try:
            await self._asend(request, lambda envelope: None)
        except _ASKED_ALL_THE_SAME:
            job = await self.aget_outreach_job(job_id)
            if job.can_be_cancelled:
                raise
            return job
        return await self.aget_outreach_job(job_id)

    def check_can_cancel(self) -> None:
        """
        Check that the connection's API version can cancel jobs; without a request.

        :raises RevorConfigurationError: if it cannot.
        """
        if ApiVersion.V2 not in (self._version, self.settings.api_version):
            raise RevorConfigurationError.of(
                f"Connection {self.settings.conn_id!r} uses version v1 of the Revor API, which cannot cancel.",
                'Set its extra `api_version` to "v2".',
            )


def _known_key(idempotency_key: str) -> str:
    # Without a key each retry of a task would send again, and "None", a template's nothing, would be everybody's.
    if is_nothing(idempotency_key):
        raise RevorValueError(
            f"idempotency_key is {idempotency_key!r}: it must say who gets what, as in 'spring-crm-17', so that a "
            "retry sends nothing twice."
        )
    return idempotency_key


def _cancel(job_id: str) -> Request:
    from airflow_provider_revor.api.jobs import cancel_request

    # A key of its own each time, because Revor may repeat the response to an earlier cancel of the job. To cancel twice
    # does no harm.
    return cancel_request(job_id, f"airflow-cancel-{uuid4().hex}")


def _job(job_id: str) -> tuple[Request, Callable[[Envelope], OutreachJob]]:
    from airflow_provider_revor.api.jobs import job_request, read_job

    return job_request(job_id), partial(read_job, job_id=str(job_id).strip())

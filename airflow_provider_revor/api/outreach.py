"""
Outreach: the requests that create dispatches and post-likes.

Source: ``POST /api/v1/outreach/dispatches`` — Create Outreach Dispatch, ``POST /api/v1/outreach/linkedin/post-likes``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_revor.api.accounts import Channel, is_nothing
from airflow_provider_revor.api.checks import (
    as_text,
    check_dispatch,
    check_post_like,
    content_of,
    parse_id,
    parse_interval,
    recipient_of,
)
from airflow_provider_revor.api.wire import API_ROOT, Request

DISPATCHES_PATH = f"{API_ROOT}/outreach/dispatches"
POST_LIKES_PATH = f"{API_ROOT}/outreach/linkedin/post-likes"


def dispatch_request(
    account_id: str,
    channel: str,
    recipient: Mapping[str, Any],
    content: Mapping[str, Any],
    *,
    metadata: Mapping[str, Any] | None = None,
    min_channel_task_interval_seconds: int | None = None,
    idempotency_key: str | None = None,
) -> Request:
    """
    Return the request for a dispatch.

    :param account_id: The Connect account to send from.
    :param channel: The account's channel.
    :param recipient: To whom.
    :param content: What.
    :param metadata: Anything of the caller's.
    :param min_channel_task_interval_seconds: The least seconds between two tasks of a channel; None for Revor's own.
    :param idempotency_key: The same key and body are one message, however often they are sent.
    :raises RevorValueError: (a ValueError) if something is missing or mistyped.
    """
    check_dispatch(account_id, channel, recipient, content, metadata)
    sends_on = Channel(channel.strip())
    body = {
        "account_id": str(account_id).strip(),
        "channel": sends_on.value,
        "action": "outreach",
        "recipient": recipient_of(sends_on, recipient),
        "content": content_of(content),
        "metadata": None if is_nothing(metadata) else dict(metadata or {}),
        "min_channel_task_interval_seconds": parse_interval(min_channel_task_interval_seconds),
    }
    return Request("POST", DISPATCHES_PATH, body=_given(body), idempotency_key=idempotency_key)


def post_like_request(
    profile_url: str,
    *,
    content: str | None = None,
    topic: str | None = None,
    intent: str | None = None,
    account_id: str | None = None,
    post_limit: int | None = None,
    locale: str | None = None,
    min_channel_task_interval_seconds: int | None = None,
    idempotency_key: str | None = None,
) -> Request:
    """
    Return the request for a post-like.

    :param profile_url: Whose posts.
    :param content: What a post worth a like is about.
    :param topic: The same, as a topic.
    :param intent: The same, as an intent.
    :param account_id: The LinkedIn account that likes; None for the only usable one.
    :param post_limit: How many recent posts are looked at.
    :param locale: ``en`` or ``zh``.
    :param min_channel_task_interval_seconds: The least seconds between two tasks of a channel; None for Revor's own.
    :param idempotency_key: The same key and body are one like, however often they are sent.
    :raises RevorValueError: (a ValueError) if something is missing or mistyped.
    """
    body: dict[str, Any] = {
        "profile_url": profile_url,
        "content": as_text(content),
        "topic": as_text(topic),
        "intent": as_text(intent),
        "account_id": account_id,
        "post_limit": post_limit,
        "locale": locale,
    }
    check_post_like(body)
    for name in ("profile_url", "account_id"):
        body[name] = None if is_nothing(body[name]) else parse_id(name, body[name])
    body["post_limit"] = None if is_nothing(post_limit) else int(str(post_limit))
    body["min_channel_task_interval_seconds"] = parse_interval(min_channel_task_interval_seconds)
    return Request("POST", POST_LIKES_PATH, body=_given(body), idempotency_key=idempotency_key)


def _given(body: Mapping[str, Any]) -> dict[str, Any]:
    # A template that renders to nothing omits its field.
    return {name: value for name, value in body.items() if not is_nothing(value)}

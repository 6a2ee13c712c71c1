"""The accounts that a sandbox starts with."""

from __future__ import annotations

from typing import Any

# No account can send at first, so that a gate has something to wait for. Each channel has one that
# reconnecting makes sendable (status `credentials`), and one that is blocked for another reason.
DEFAULT_ACCOUNTS: tuple[dict[str, Any], ...] = (
    {
        "account_id": "acc_email_anna",
        "channel": "email",
        "name": "Anna Example",
        "account_identifier": "anna@example.com",
        "status": "credentials",
        "lifecycle_status": "reconnect_required",
        "can_send": False,
        "can_receive": False,
    },
    {
        "account_id": "acc_email_inbox",
        "channel": "email",
        "name": "Example Inbox",
        "account_identifier": "inbox@example.org",
        "status": "ok",
        "lifecycle_status": "active",
        "can_send": False,
        "can_receive": True,
    },
    {
        "account_id": "acc_linkedin_anna",
        "channel": "linkedin",
        "name": "Anna Example",
        "account_identifier": "https://linkedin.example.com/in/anna-example",
        "status": "credentials",
        "lifecycle_status": "reconnect_required",
        "can_send": False,
        "can_receive": False,
    },
    {
        "account_id": "acc_linkedin_ben",
        "channel": "linkedin",
        "name": "Ben Example",
        "account_identifier": "https://linkedin.example.com/in/ben-example",
        "status": "error",
        "lifecycle_status": "connected",
        "can_send": False,
        "can_receive": False,
    },
    {
        "account_id": "acc_whatsapp_anna",
        "channel": "whatsapp",
        "name": "Anna Example",
        "account_identifier": "+1 202 555 0100",
        "status": "credentials",
        "lifecycle_status": "reconnect_required",
        "can_send": False,
        "can_receive": False,
    },
    {
        "account_id": "acc_whatsapp_desk",
        "channel": "whatsapp",
        "name": "Example Desk (receives only)",
        "account_identifier": None,
        "status": "ok",
        "lifecycle_status": "connected",
        "can_send": False,
        "can_receive": True,
    },
)

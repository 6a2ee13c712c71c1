"""Connect accounts: their shape, and those that a sandbox starts with."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator, with_config
from pydantic.config import JsonDict
from typing_extensions import TypedDict

from airflow_provider_revor.sandbox.contract.outreach import Answer, Channel, Servable

Name = Annotated[str, Field(description="Display name.")]
Identifier = Annotated[str | None, Field(description="An address or a profile URL.")]
Status = Annotated[
    Literal["ok", "credentials", "error"],
    Field(description="`ok`: usable; `credentials`: must be reconnected; `error`: not available now."),
]
LifecycleStatus = Annotated[str, Field(description="Diagnostic only: `active`, `connected`, `reconnect_required`, …")]
CanSend = Annotated[bool, Field(description="May send messages or act.")]
CanReceive = Annotated[bool, Field(description="May receive or sync.")]

_EXAMPLE: JsonDict = {
    "account_id": "acc_email_new",
    "channel": "email",
    "name": "Dana Example",
    "account_identifier": "dana@example.com",
    "status": "ok",
    "lifecycle_status": "active",
    "can_send": True,
    "can_receive": True,
}


#: The sandbox keeps no more accounts than these.
MAX_ACCOUNTS = 10_000


class Account(Servable):
    """
    One Connect account.

    Only `account_id` and `channel` are required: the defaults make an account that can send. Unknown fields are
    served too, so that a response copied from Revor is served as it came.
    """

    model_config = ConfigDict(
        frozen=True, strict=True, extra="allow", hide_input_in_errors=True, json_schema_extra={"example": _EXAMPLE}
    )

    account_id: str = Field(min_length=1, description="What outreach endpoints take as `account_id`.")
    channel: Channel
    name: Name = "Sandbox account"
    account_identifier: Identifier = None
    status: Status = "ok"
    lifecycle_status: LifecycleStatus = "active"
    can_send: CanSend = True
    can_receive: CanReceive = True


class AccountSet(BaseModel):
    """All accounts of the sandbox; a plain list and a response copied from Revor are accepted, too."""

    model_config = ConfigDict(hide_input_in_errors=True)

    items: list[Account] = Field(max_length=MAX_ACCOUNTS)

    @model_validator(mode="before")
    @classmethod
    def _take_a_list(cls, value: Any) -> Any:
        if isinstance(value, list):
            return {"items": value}
        if not isinstance(value, dict) or not isinstance(value.get("items"), list):
            raise ValueError('a JSON list is expected, or an object with a list "items"')
        return value

    @model_validator(mode="after")
    def _ids_are_unique(self) -> AccountSet:
        if len(self.by_id) < len(self.items):
            raise ValueError("account_id must be unique")
        return self

    @property
    def by_id(self) -> dict[str, Account]:
        """The accounts by their ids."""
        return {account.account_id: account for account in self.items}


@with_config(ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True))
class AccountChanges(TypedDict, total=False):
    """The fields of an account to change; the others stay."""

    channel: Channel
    name: Name
    account_identifier: Identifier
    status: Status
    lifecycle_status: LifecycleStatus
    can_send: CanSend
    can_receive: CanReceive


#: What changes when a person reconnects an account, and when its credentials expire.
RECONNECTED: AccountChanges = {"status": "ok", "lifecycle_status": "active", "can_send": True, "can_receive": True}
BLOCKED: AccountChanges = {
    "status": "credentials",
    "lifecycle_status": "reconnect_required",
    "can_send": False,
    "can_receive": False,
}


def is_sendable(account: Account) -> bool:
    """Tell whether v1 lets the account send."""
    return account.can_send and account.status == "ok"


class AccountList(Answer):
    """The response with accounts."""

    items: list[Account]


def _blocked(account_id: str, name: str, identifier: str | None, status: str, lifecycle: str) -> dict[str, Any]:
    return {
        "account_id": account_id,
        "channel": account_id.split("_")[1],
        "name": name,
        "account_identifier": identifier,
        "status": status,
        "lifecycle_status": lifecycle,
        "can_send": False,
        "can_receive": status == "ok",
    }


# No account can send at first, so that a gate has something to wait for. Each channel has one that
# reconnecting makes sendable (status `credentials`), and one that is blocked for another reason.
_LINKEDIN = "https://linkedin.example.com/in"
DEFAULT_ACCOUNTS = (
    _blocked("acc_email_anna", "Anna Example", "anna@example.com", "credentials", "reconnect_required"),
    _blocked("acc_email_inbox", "Example Inbox", "inbox@example.org", "ok", "active"),
    _blocked("acc_linkedin_anna", "Anna Example", f"{_LINKEDIN}/anna-example", "credentials", "reconnect_required"),
    _blocked("acc_linkedin_ben", "Ben Example", f"{_LINKEDIN}/ben-example", "error", "connected"),
    _blocked("acc_whatsapp_anna", "Anna Example", "+1 202 555 0100", "credentials", "reconnect_required"),
    _blocked("acc_whatsapp_desk", "Example Desk (receives only)", None, "ok", "connected"),
)

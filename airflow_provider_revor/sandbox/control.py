"""The sandbox's own API: set up what Revor's API answers."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body

from airflow_provider_revor.sandbox.dependencies import State
from airflow_provider_revor.sandbox.models import (
    Account,
    AccountChanges,
    AccountSet,
    Fault,
    Health,
    KeyState,
    RequestLog,
)

router = APIRouter(prefix="/sandbox", tags=["Sandbox control"])

_NO_ACCOUNT: dict[int | str, dict[str, Any]] = {404: {"description": "There is no such account."}}

_FAULTS: dict[str, Any] = {
    "rate limit": {
        "value": {
            "kind": "error",
            "status": 429,
            "headers": {"Retry-After": "2", "X-RateLimit-Window-Ms": "60000"},
        }
    },
    "unavailable, 3 times": {"value": {"kind": "error", "status": 503, "times": 3}},
    "a gateway's page": {
        "value": {
            "kind": "answer",
            "status": 502,
            "headers": {"Content-Type": "text/html"},
            "body": "<html><body>Bad Gateway</body></html>",
        }
    },
    "dropped connection": {"value": {"kind": "drop"}},
    "truncated answer": {"value": {"kind": "truncate"}},
    "slow answer": {"value": {"kind": "slow", "seconds": 5}},
    "slow answer to what was done": {"value": {"kind": "slow", "seconds": 5, "after_acting": True, "method": "POST"}},
    "lost answer to what was done": {"value": {"kind": "lose_answer", "method": "POST"}},
}


@router.get("/health", summary="Is it up?")
async def health() -> Health:
    """Answer as soon as the sandbox can."""
    return Health()


@router.get("/accounts", summary="Read all accounts")
async def read_accounts(state: State) -> AccountSet:
    """List the accounts, without a key; the request is not counted and meets no fault."""
    return AccountSet(items=state.accounts())


@router.put("/accounts", summary="Replace all accounts")
async def set_accounts(accounts: AccountSet, state: State) -> AccountSet:
    """Take the accounts given, and only those. What an account leaves out makes it one that can send."""
    state.set_accounts(accounts.items)
    return accounts


@router.patch("/accounts/{account_id}", summary="Change an account", responses=_NO_ACCOUNT)
async def update_account(
    account_id: str,
    changes: Annotated[AccountChanges, Body(examples=[{"status": "error", "can_send": False, "can_receive": False}])],
    state: State,
) -> Account:
    """Change the fields given; the others stay."""
    return state.update_account(account_id, **changes)


@router.post("/accounts/{account_id}/reconnect", summary="Reconnect an account", responses=_NO_ACCOUNT)
async def reconnect(account_id: str, state: State) -> Account:
    """Do what a person does in Revor's console, after which the account can send and receive."""
    return state.reconnect(account_id)


@router.put("/key", summary="Revoke or restore the API key")
async def set_key(key: KeyState, state: State) -> KeyState:
    """Set what the key is good for; what is left out is true."""
    state.set_key(key)
    return key


@router.post("/faults", status_code=204, response_model=None, summary="Script a fault")
async def add_fault(fault: Annotated[Fault, Body(openapi_examples=_FAULTS)], state: State) -> None:
    """
    Queue a fault for the next API requests.

    Faults happen in the order in which they were queued, each to as many requests as its `times` says,
    whoever sends them and whatever their key; those of another than its `method`, if it has one, pass it by. With the
    queue empty, requests are answered as they should be.
    """
    state.add_fault(fault)


@router.delete("/faults", status_code=204, response_model=None, summary="Clear the faults")
async def clear_faults(state: State) -> None:
    """Forget the faults that have not happened yet."""
    state.clear_faults()


@router.get("/requests", summary="Count API requests")
async def read_requests(state: State) -> RequestLog:
    """Tell how many requests to `/api` there were, and what the latest were; `/sandbox` does not count."""
    return state.requests()


@router.delete("/requests", status_code=204, response_model=None, summary="Count from 0 again")
async def reset_requests(state: State) -> None:
    """Forget the requests so far."""
    state.reset_requests()

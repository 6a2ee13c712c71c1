"""The sandbox's own API: set up what Revor's API responds, and see what was sent."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from airflow_provider_revor.sandbox.contract.accounts import Account, AccountChanges, AccountSet
from airflow_provider_revor.sandbox.contract.outreach import Job
from airflow_provider_revor.sandbox.world.clock import ClockChange, ClockState
from airflow_provider_revor.sandbox.world.faults import Fault
from airflow_provider_revor.sandbox.world.jobs import JobFinish, JobScript, OutboxEntry
from airflow_provider_revor.sandbox.world.keys import ApiKey, KeyState
from airflow_provider_revor.sandbox.world.requests import RequestLog
from airflow_provider_revor.sandbox.world.world import World


class Health(BaseModel):
    """A sign of life."""

    status: Literal["ok"] = "ok"


class JobList(BaseModel):
    """All jobs of the sandbox."""

    items: list[Job] = Field(description="Oldest first.")


class Outbox(BaseModel):
    """All messages of the sandbox."""

    items: list[OutboxEntry] = Field(description="Oldest first.")


class NewKey(BaseModel):
    """One more API key."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    api_key: ApiKey
    accounts: AccountSet | None = Field(default=None, description="Those of another owner; left out: the same owner.")


class CreditsLeft(BaseModel):
    """What is left to spend."""

    model_config = ConfigDict(extra="forbid")

    available_credits: int = Field(ge=0, le=10**9)


async def _world(request: Request) -> Any:
    return request.app.state.world


TheWorld = Annotated[World, Depends(_world)]


def _examples(**values: dict[str, Any]) -> dict[str, Any]:
    # Not FastAPI's `openapi_examples`: it leaves nulls out.
    examples = {name.replace("_", " "): {"value": value} for name, value in values.items()}
    return {"requestBody": {"content": {"application/json": {"examples": examples}}}}


_HTML = {"headers": {"Content-Type": "text/html"}, "body": "<html><body>Bad Gateway</body></html>"}
_FAULTS = _examples(
    rate_limit={
        "kind": "error",
        "status": 429,
        "headers": {"Retry-After": "2", "X-RateLimit-Window-Ms": "60000"},
    },
    no_credits={"kind": "error", "code": "insufficient_credits"},
    unavailable_3_times={"kind": "error", "status": 503, "times": 3},
    page_of_a_gateway={"kind": "answer", "status": 502, **_HTML},
    dropped_connection={"kind": "drop"},
    truncated_response={"kind": "truncate"},
    slow_response={"kind": "slow", "seconds": 5},
    slow_response_after_acting={"kind": "slow", "seconds": 5, "after_acting": True, "method": "POST"},
    lost_response_after_acting={"kind": "lose_answer", "method": "POST"},
)
_FAILURE = {"code": "recipient_unreachable", "message": "No such mailbox.", "retryable": False}
_SCRIPTS = _examples(
    a_failure={"status": "failed", "error": _FAILURE},
    all_from_now_on_take_10_seconds={"after": 10, "times": None},
    running_until_it_is_finished={"after": None},
    scheduled_for_an_hour={"scheduled_in": 3600},
    no_relevant_post={"status": "skipped"},
    cancelled_for_one_recipient={"status": "cancelled", "recipient": "dana@example.com"},
)
_CHANGES = _examples(not_available={"status": "error", "can_send": False, "can_receive": False})
_ENDINGS = _examples(success={"status": "succeeded"}, a_failure={"status": "failed", "error": _FAILURE})
_NO_ACCOUNT: dict[int | str, dict[str, Any]] = {404: {"description": "There is no such account."}}
_FINISH_ERRORS: dict[int | str, dict[str, Any]] = {
    404: {"description": "There is no such job."},
    409: {"description": "The job has ended already, or is a dispatch, which can't be skipped."},
}

router = APIRouter(prefix="/sandbox", tags=["Sandbox control"])


@router.get("/health", summary="Is it up?")
async def health() -> Health:
    """Respond as soon as the sandbox can."""
    return Health()


@router.get("/accounts", summary="Read all accounts")
async def read_accounts(world: TheWorld) -> AccountSet:
    """List the accounts, without a key; the request is not counted and meets no fault."""
    return AccountSet(items=world.accounts())


@router.put("/accounts", summary="Replace all accounts")
async def set_accounts(accounts: AccountSet, world: TheWorld) -> AccountSet:
    """Take the accounts given, and only those. The defaults make an account that can send."""
    world.set_accounts(accounts.items)
    return accounts


@router.patch("/accounts/{account_id}", summary="Change an account", responses=_NO_ACCOUNT, openapi_extra=_CHANGES)
async def update_account(account_id: str, changes: Annotated[AccountChanges, Body()], world: TheWorld) -> Account:
    """Change the fields given; the others stay."""
    return world.update_account(account_id, **changes)


@router.post("/accounts/{account_id}/reconnect", summary="Reconnect an account", responses=_NO_ACCOUNT)
async def reconnect(account_id: str, world: TheWorld) -> Account:
    """Reconnect the account, as a person does in Revor's console; then it can send and receive."""
    return world.reconnect(account_id)


@router.post("/accounts/{account_id}/block", summary="Block an account", responses=_NO_ACCOUNT)
async def block(account_id: str, world: TheWorld) -> Account:
    """Let the account's credentials expire: it can't send until a person reconnects it."""
    return world.block(account_id)


@router.put("/key", summary="Revoke, restore or rotate the API key", response_model_exclude_none=True)
async def set_key(key: KeyState, world: TheWorld) -> KeyState:
    """Set what the key is good for; what is left out is true. Under another key, what was sent stays visible."""
    world.keys.set(key)
    return key


@router.post("/keys", status_code=204, response_model=None, summary="Add an API key")
async def add_key(key: NewKey, world: TheWorld) -> None:
    """Add a key of the same owner; or, if it comes with accounts, of another one, who sees nothing but their own."""
    world.add_key(key.api_key, key.accounts)


@router.delete("/idempotency-keys", status_code=204, response_model=None, summary="Forget the idempotency keys")
async def forget_keys(world: TheWorld) -> None:
    """Forget the idempotency keys, and keep the jobs: the same request again creates a second job."""
    world.forget_keys()


@router.get("/clock", summary="Read the clock")
async def read_clock(world: TheWorld) -> ClockState:
    """Return the sandbox's time, which dates responses and jobs."""
    return world.clock()


@router.put("/clock", summary="Move the clock")
async def set_clock(change: ClockChange, world: TheWorld) -> ClockState:
    """Let time pass, so that jobs become due; or set the clock wrong, which moves all times of jobs along."""
    return world.clock(change)


@router.put("/credits", summary="Set the credits")
async def set_credits(left: CreditsLeft, world: TheWorld) -> CreditsLeft:
    """Set what is left to spend. It is a number only: nothing is charged, and nothing is rejected for want of it."""
    world.credits = left.available_credits
    return left


@router.post("/faults", status_code=204, response_model=None, summary="Script a fault", openapi_extra=_FAULTS)
async def add_fault(fault: Annotated[Fault, Body()], world: TheWorld) -> None:
    """
    Queue a fault for the next API requests.

    Faults happen in the order in which they were queued, each to as many requests as its `times` says,
    whoever sends them and whatever their key; requests of another `method` than the fault's, if it has one, pass it
    by. With the queue empty, responses are normal.
    """
    world.faults.add(fault)


@router.delete("/faults", status_code=204, response_model=None, summary="Clear the faults")
async def clear_faults(world: TheWorld) -> None:
    """Forget the faults that have not happened yet."""
    world.faults.clear()


@router.get("/requests", summary="Count API requests")
async def read_requests(world: TheWorld) -> RequestLog:
    """Return how many requests to `/api` there were, and the latest; `/sandbox` does not count."""
    return world.requests.read()


@router.delete("/requests", status_code=204, response_model=None, summary="Count from 0 again")
async def reset_requests(world: TheWorld) -> None:
    """Forget the requests so far."""
    world.requests.reset()


@router.get("/jobs", summary="Read all outreach jobs")
async def read_jobs(world: TheWorld) -> JobList:
    """List the jobs as they are now, without a key; the request is not counted and meets no fault."""
    return JobList(items=world.jobs())


@router.delete("/jobs", status_code=204, response_model=None, summary="Forget all outreach jobs")
async def reset_jobs(world: TheWorld) -> None:
    """Forget the jobs and what they sent, the idempotency keys and the scripts."""
    world.reset_jobs()


@router.post(
    "/jobs/script", status_code=204, response_model=None, summary="Script outreach jobs", openapi_extra=_SCRIPTS
)
async def script_jobs(script: JobScript, world: TheWorld) -> None:
    """
    Set how the next jobs go.

    A job goes by the oldest script that fits it and is not used up; if there is none, by the newest for all
    from now on; and if there is none of those either, it succeeds at once.
    """
    world.scripts.add(script)


@router.post("/jobs/{job_id}/finish", summary="End an outreach job", responses=_FINISH_ERRORS, openapi_extra=_ENDINGS)
async def finish_job(job_id: str, ending: JobFinish, world: TheWorld) -> Job:
    """End a job now, however it was scripted."""
    return world.finish_job(job_id, ending)


@router.get("/outbox", summary="Read what was sent")
async def read_outbox(world: TheWorld) -> Outbox:
    """List what was sent, or still will be: nothing of jobs that failed, were cancelled or found no post."""
    return Outbox(items=world.outbox())

"""The sandbox's own API: tell how outreach jobs go, and see what was sent."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body

from airflow_provider_revor.sandbox.dependencies import State
from airflow_provider_revor.sandbox.outreach_models import Job, JobFinish, JobList, JobScript, Outbox

router = APIRouter(prefix="/sandbox", tags=["Sandbox control"])

_FINISH_ERRORS: dict[int | str, dict[str, Any]] = {
    404: {"description": "There is no such job."},
    409: {"description": "The job has ended already, or is a dispatch, which can't be skipped."},
}

_SCRIPTS: dict[str, Any] = {
    "a failure": {
        "value": {
            "status": "failed",
            "error": {"code": "recipient_unreachable", "message": "No such mailbox.", "retryable": False},
        }
    },
    "10 seconds, all from now on": {"value": {"after": 10, "times": None}},
    "running until it is finished": {"value": {"after": None}},
    "scheduled for an hour": {"value": {"scheduled_in": 3600}},
    "no relevant post": {"value": {"status": "skipped"}},
    "cancelled, for one recipient": {"value": {"status": "cancelled", "recipient": "dana@example.com"}},
}


@router.get("/jobs", summary="Read all outreach jobs")
async def read_jobs(state: State) -> JobList:
    """List the jobs as they are now, without a key; the request is not counted and meets no fault."""
    return JobList(items=state.outreach.jobs())


@router.delete("/jobs", status_code=204, response_model=None, summary="Forget all outreach jobs")
async def reset_jobs(state: State) -> None:
    """Forget the jobs and what they sent, the idempotency keys and what is scripted."""
    state.outreach.reset()


@router.post("/jobs/script", status_code=204, response_model=None, summary="Script outreach jobs")
async def script_jobs(script: Annotated[JobScript, Body(openapi_examples=_SCRIPTS)], state: State) -> None:
    """
    Tell how the next jobs go.

    A job goes by the oldest script that fits it and is not used up; if there is none, by the newest that holds for all
    from now on; and if there is none of those either, it succeeds at once.
    """
    state.outreach.script(script)


@router.post("/jobs/{job_id}/finish", summary="End an outreach job", responses=_FINISH_ERRORS)
async def finish_job(job_id: str, ending: JobFinish, state: State) -> Job:
    """End a job now, whatever it was told."""
    return state.outreach.finish(job_id, ending)


@router.get("/outbox", summary="Read what was sent")
async def read_outbox(state: State) -> Outbox:
    """List what was sent, or still will be: nothing of jobs that failed, were cancelled or found no post."""
    return Outbox(items=state.outreach.outbox())

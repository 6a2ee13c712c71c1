"""The triggers that a task waits for, and what their polls get."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from factories import account, job

from airflow_provider_revor.api.jobs import OutreachJob
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.triggers.connect import SendableAccountTrigger
from airflow_provider_revor.triggers.outreach import OutreachJobTrigger


@dataclass
class Kind:
    """
    :param goes_on: A poll after which the wait goes on.
    :param ends: A poll that ends it well.
    :param apart: How far the pauses of 40 seconds may differ, and how many of 50 differ at least.
    """

    trigger: type
    method: str
    goes_on: Any
    ends: Any
    apart: tuple[float, int]
    required: dict[str, Any] = field(default_factory=dict)

    def wait(self, **kwargs):
        return self.trigger(**{**self.required, "poke_interval": 40, **kwargs})


GATE = Kind(SendableAccountTrigger, "alist_connect_accounts", [account(can_send=False)], [account()], (4, 3))
JOB = Kind(
    OutreachJobTrigger,
    "aget_outreach_job",
    job(status="running", result=None),
    job(),
    (10, 26),
    {"job_id": "job_1"},
)


class Polls:
    """What the polls get, one after the other; the last one for ever. It counts them and the naps between."""

    def __init__(self, monkeypatch, kind: Kind) -> None:
        self.answers, self.count, self.naps = [kind.goes_on], 0, []
        sleep = asyncio.sleep

        async def poll(hook, *job_id):
            assert hook.max_retries == 0
            assert list(job_id) == list(kind.required.values())
            answer = self.answers[min(self.count, len(self.answers) - 1)]
            self.count += 1
            if isinstance(answer, Exception):
                raise answer
            return OutreachJob(**answer) if isinstance(answer, dict) else answer

        async def nap(seconds):
            self.naps.append(seconds)
            await sleep(0)

        monkeypatch.setattr(RevorHook, kind.method, poll)
        monkeypatch.setattr("airflow_provider_revor.triggers.polling.asyncio.sleep", nap)


def events(trigger):
    async def run():
        return [event async for event in trigger.run()]

    return asyncio.run(run())


def payload(trigger):
    """Return the payload of the only event, without the job's id."""
    (event,) = events(trigger)
    assert json.loads(json.dumps(event.payload)) == event.payload
    assert event.payload.pop("job_id", None) == getattr(trigger, "job_id", None)
    return event.payload

"""The three ways in which a sensor waits, played against a world that keeps the time (``now``)."""

from __future__ import annotations

import asyncio
import copy
import json

from airflow.providers.common.compat.sdk import TaskDeferred


def by_poking(sensor, context, world):
    if sensor.execution_timeout:
        world.killed_at = world.now + sensor.execution_timeout.total_seconds()
    return sensor.execute(context)


def by_rescheduling(sensor, context, world):
    sensor.mode = "reschedule"
    while True:
        try:
            # Each time in another process, which knows nothing of the ones before.
            return copy.deepcopy(sensor).execute(context)
        except Exception as rescheduled:
            if not hasattr(rescheduled, "reschedule_date"):
                raise
            world.now = max(world.now, rescheduled.reschedule_date.timestamp())


def by_deferring(sensor, context, world):
    sensor.deferrable = True
    try:
        return sensor.execute(context)
    except TaskDeferred as deferred:
        trigger, method = deferred.trigger, deferred.method_name
    _, kwargs = trigger.serialize()
    assert json.loads(json.dumps(kwargs)) == kwargs
    world.deadline = trigger.deadline

    async def first_event():
        return await anext(aiter(type(trigger)(**kwargs).run()))

    payload = asyncio.run(first_event()).payload
    assert json.loads(json.dumps(payload)) == payload
    return sensor.resume_execution(method, {"event": payload}, context)

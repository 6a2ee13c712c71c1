"""
Idempotency keys: who is written to, in which Dag run, by which task.

Neither the message nor the place in a mapped list is part of a key. So a retry, a list in another order, a lead that is
in it twice and a text that renders differently the next time all have the same key. Pure: the same in every process.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from airflow_provider_revor.rules.identity import person

__all__ = ["attempt_key", "digest", "fixed_choice", "person", "task_key"]


def task_key(dag_id: str, run_id: str, task_id: str, recipient: Mapping[str, Any]) -> str:
    """
    Return the idempotency key of a task's message to a person, apart from the attempt.

    :param dag_id: The Dag.
    :param run_id: Its run.
    :param task_id: The task; all of a mapped task are one.
    :param recipient: The person, in any spelling.
    """
    return f"airflow-{digest(dag_id, run_id, task_id, person(recipient))}"


def digest(*values: Any) -> str:
    """
    Return the SHA-256 of values, in hexadecimal.

    :param values: Plain JSON; the order of an object's members does not count.
    """
    try:
        text = json.dumps(values, sort_keys=True, default=str)
    except TypeError:
        # Names of several types have no order; in JSON, all are text.
        text = json.dumps(json.loads(json.dumps(values, default=str)), sort_keys=True)
    # JSON may hold half a surrogate pair, which it escapes.
    return hashlib.sha256(text.encode()).hexdigest()


def attempt_key(key: str, attempt: int) -> str:
    """
    Return the idempotency key of an attempt.

    :param key: What :func:`task_key` returned, or a key of the Dag author's.
    :param attempt: 1, and one more each time that the job of the attempt before has failed.
    """
    return key if attempt == 1 else f"{key}-attempt-{attempt}"


def fixed_choice(key: str, least: int, most: int) -> int:
    """
    Return a whole number that looks random and is always the same for a key.

    :param key: An idempotency key.
    :param least: The least that it may be.
    :param most: The most that it may be.
    """
    return least + int.from_bytes(hashlib.sha256(key.encode()).digest()) % (most - least + 1)

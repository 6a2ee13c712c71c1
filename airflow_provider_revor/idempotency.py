"""
Idempotency keys: who is written to, in which Dag run, by which task.

Not what is said, and not the place in a mapped list: so that a retry, a list in another order, a lead that is in it
twice, or a text that renders differently the next time never reach a person twice. Pure: the same in every process.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit


def person(recipient: Mapping[str, Any]) -> str:
    """
    Return one spelling for all spellings of a recipient.

    :param recipient: What names a person: an ``address``, a ``profile_url`` or a ``phone``; the first of them counts.
    """
    for field, normalize in (("address", _address), ("profile_url", _profile), ("phone", _phone)):
        if value := recipient.get(field):
            return f"{field}:{normalize(_fold(str(value)))}"
    raise ValueError("A recipient has an address, a profile_url or a phone.")


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
    # JSON may hold half a surrogate pair, which it escapes.
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()


def attempt_key(key: str, attempt: int) -> str:
    """
    Return the idempotency key of an attempt.

    :param key: What :func:`task_key` returned, or a key of the Dag author's.
    :param attempt: 1, and one more each time that the job of the attempt before has failed.
    """
    return key if attempt == 1 else f"{key}-attempt-{attempt}"


def fixed_choice(key: str, least: int, most: int) -> int:
    """
    Return a whole number that is as good as random, and always the same for a key.

    :param key: An idempotency key.
    :param least: The least that it may be.
    :param most: The most that it may be.
    """
    return least + int.from_bytes(hashlib.sha256(key.encode()).digest()) % (most - least + 1)


def _fold(text: str) -> str:
    # Once more: the small letters of a letter may be others again.
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).strip()


def _address(text: str) -> str:
    return text.removeprefix("mailto:").strip()


def _profile(text: str) -> str:
    try:
        url = urlsplit(text if re.match(r"\w+://", text) else f"https://{text.lstrip('/')}")
        host = url.hostname or ""
    except ValueError:
        return text
    # LinkedIn's hosts of countries, and of phones, show the same people.
    host = host.rstrip(".")
    if host.endswith(".linkedin.com"):
        host = "linkedin.com"
    steps = [step for step in _fold(unquote(url.path)).split("/") if step]
    # Around a profile's name is a language, or what tells where the link was found, as in /comm/in/….
    if "in" in steps[:2]:
        steps = steps[steps.index("in") :][:2]
    elif url.query:
        steps.append(f"?{url.query}")
    return "/".join([host.removeprefix("www."), *steps])


def _phone(text: str) -> str:
    # As in +49 (0) 30 …: the zero is for those who call from within.
    digits = "".join(c for c in re.sub(r"\(0\)", "", text) if c.isdecimal())
    return digits.removeprefix("00") or text

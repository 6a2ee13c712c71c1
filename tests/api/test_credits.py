from __future__ import annotations

import pytest
from factories import response

from airflow_provider_revor.api.answers import decode
from airflow_provider_revor.api.credits import credits_request, read_credits
from airflow_provider_revor.exceptions import RevorResponseError


def read(body):
    return read_credits(decode(credits_request(), response(200, body), "c"))


@pytest.mark.parametrize(
    ("body", "left"),
    [
        pytest.param({"ok": True, "available_credits": 41}, 41, id="top-level"),
        pytest.param({"item": {"available_credits": 41.5}}, 41.5, id="in-item"),
        pytest.param({"available_credits": None, "item": {"available_credits": 7}}, 7, id="null-and-in-item"),
        pytest.param({"available_credits": 0, "item": {"available_credits": 7}}, 0, id="none-left"),
        pytest.param({"available_credits": -5}, -5, id="overdrawn"),
        pytest.param({"available_credits": 10**18}, 1e18, id="many"),
    ],
)
def test_credits_are_read_wherever_they_are(body, left):
    assert read(body) == left


@pytest.mark.parametrize(
    "value", [None, True, "41", [41], {}, float("nan"), float("inf"), 10**400], ids=lambda value: repr(value)[:9]
)
@pytest.mark.parametrize("place", [lambda value: {"available_credits": value}, lambda value: {"item": value}])
def test_anything_else_is_not_as_documented(value, place):
    with pytest.raises(RevorResponseError, match="`available_credits` should be a finite number"):
        read(place(value))

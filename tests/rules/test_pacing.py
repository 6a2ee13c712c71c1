from __future__ import annotations

from collections import deque

import pytest

from airflow_provider_revor.api.limits import RateLimit
from airflow_provider_revor.rules.pacing import Pace

WINDOW, LIMIT = 60.0, 30


def fixed(sent, now):
    """Requests that count against a limit whose window starts over."""
    return sum(at // WINDOW == now // WINDOW for at in sent)


def sliding(sent, now):
    return sum(at > now - WINDOW for at in sent)


@pytest.mark.parametrize("used", [fixed, sliding])
@pytest.mark.parametrize("began", [0.0, 31.0, 59.9])
def test_paced_requests_never_meet_the_limit(used, began):
    pace, now, sent = Pace(), began, deque()
    for _ in range(500):
        assert used(sent, now) < LIMIT
        sent.append(now)
        now += pace.after_response(RateLimit(LIMIT - used(sent, now), WINDOW))
    assert now < began + 500 / LIMIT * WINDOW * 3, "more than a third of the limit is used"


def test_after_a_rejection_there_is_no_burst():
    pace = Pace()
    assert pace.after_response(None) == 0
    assert pace.after_rejection(30, None) == 30
    pauses = [pace.after_response(None) for _ in range(40)]
    assert pauses[0] > 0.5
    assert pauses == sorted(pauses, reverse=True)
    assert pauses[-1] == 0


def test_each_further_rejection_brakes_harder_up_to_a_minute():
    pace = Pace()
    assert [pace.after_rejection(None, None) for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_the_most_requests_a_minute_hold_whatever_revor_allows():
    assert Pace(30).after_response(RateLimit(10_000, 1)) == 2

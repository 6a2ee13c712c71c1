from __future__ import annotations

import pytest

from airflow_provider_revor.api.limits import RateLimit, read_rate_limit


@pytest.mark.parametrize(
    ("headers", "limit"),
    [
        pytest.param({}, None, id="none"),
        pytest.param({"x-ratelimit-remaining": "5", "x-ratelimit-window-ms": "60000"}, RateLimit(5, 60), id="key"),
        pytest.param({"x-ratelimit-remaining": "5"}, None, id="no-window"),
        pytest.param({"x-ratelimit-remaining": "-1", "x-ratelimit-window-ms": "60000"}, None, id="not-a-number"),
        pytest.param(
            {
                "x-ratelimit-remaining": "50",
                "x-ratelimit-window-ms": "60000",
                "x-user-ratelimit-remaining": "2",
                "x-user-ratelimit-window-ms": "60000",
            },
            RateLimit(2, 60),
            id="the-owner-s-is-tighter",
        ),
    ],
)
def test_the_tighter_limit_counts(headers, limit):
    assert read_rate_limit(headers) == limit


@pytest.mark.parametrize(
    ("limit", "pause"),
    [(RateLimit(60, 60), 1), (RateLimit(1, 60), 60), (RateLimit(0, 60), 60), (RateLimit(0, 10**9), 600)],
)
def test_what_is_left_is_used_evenly(limit, pause):
    assert limit.pause == pause

from __future__ import annotations

import json

import pytest

from airflow_provider_revor.rules.outcomes import Row, check_max_failed, describe, summarize, verdict


def rows(sent=0, failed=0, skipped=0, accepted=0):
    made = [Row(f"s{n}", "acc_1", "email", f"job_s{n}", "succeeded") for n in range(sent)]
    made += [Row(f"f{n}", "acc_2", "linkedin", f"job_f{n}", "failed", "busy") for n in range(failed)]
    made += [Row(f"k{n}", "acc_1", "email", None, "skipped", "duplicate_person") for n in range(skipped)]
    return made + [Row(f"a{n}", "acc_1", "email", f"job_a{n}", "queued") for n in range(accepted)]


def test_a_summary_counts_by_account_channel_and_code():
    summary = summarize([*rows(sent=2, failed=1, skipped=1), Row(None, status="failed", code="busy")])
    none = {"sent": 0, "accepted": 0, "skipped": 0, "failed": 0}
    assert summary == {
        "total": 5,
        **none,
        "sent": 2,
        "skipped": 1,
        "failed": 2,
        "by_account": {"acc_1": {**none, "sent": 2, "skipped": 1}, "acc_2": {**none, "failed": 1}},
        "by_channel": {"email": {**none, "sent": 2, "skipped": 1}, "linkedin": {**none, "failed": 1}},
        "by_code": {"busy": 2, "duplicate_person": 1},
        "references": {"busy": ["f0"], "duplicate_person": ["k0"]},
    }
    assert json.loads(json.dumps(summary)) == summary


def test_a_summary_in_words():
    assert describe(summarize(rows(sent=1000))) == "1,000 messages: 1,000 sent, 0 skipped, 0 failed."
    assert describe(summarize(rows(failed=7, skipped=1, accepted=2))) == (
        "10 messages: 0 sent, 2 accepted, 1 skipped, 7 failed. "
        "By code: 7 busy (f0, f1, f2, f3, f4 and 2 more); 1 duplicate_person (k0)."
    )


def test_a_summary_in_words_is_bounded():
    many = [Row("x" * 200, status="failed", code=f"code_{n % 50}") for n in range(10_000)]
    assert len(describe(summarize(many))) < 12_000
    assert "and 40 more codes" in describe(summarize(many))


@pytest.mark.parametrize(
    ("counts", "max_failed", "well"),
    [
        pytest.param({"sent": 3}, 0, True, id="all-sent"),
        pytest.param({"sent": 3, "failed": 1}, 0, False, id="one-failed"),
        pytest.param({"sent": 3, "failed": 1}, 1, True, id="one-may-fail"),
        pytest.param({"sent": 71, "failed": 29}, 0.29, True, id="a-share-is-exact"),
        pytest.param({"sent": 70, "failed": 30}, 0.29, False, id="above-the-share"),
        pytest.param({"sent": 9, "failed": 1, "skipped": 90}, 0.05, False, id="of-those-not-skipped"),
        pytest.param({"failed": 5}, 1.0, False, id="nothing-was-sent"),
        pytest.param({"skipped": 5}, 0, False, id="all-skipped"),
        pytest.param({}, 0, False, id="no-messages"),
        pytest.param({"accepted": 5}, 0, True, id="accepted"),
    ],
)
def test_the_verdict(counts, max_failed, well):
    assert (verdict(summarize(rows(**counts)), max_failed) is None) is well


@pytest.mark.parametrize("code", ["excluded", "already_failed", "already_written_to"])
def test_who_is_in_the_list_twice_does_not_fail_a_run_in_which_all_are_skipped(code):
    skipped = [Row("a", status="skipped", code=code), Row("b", status="skipped", code="duplicate_person")]
    assert verdict(summarize(skipped), 0) is None


@pytest.mark.parametrize("max_failed", [-1, -0.1, 1.5, True, "5", None, float("nan"), float("inf")])
def test_a_limit_that_cannot_be_one(max_failed):
    with pytest.raises(ValueError, match="max_failed"):
        check_max_failed(max_failed)


def test_a_row_survives_json_and_another_version():
    row = Row("r", "acc_1", "email", "job_1", "failed", "busy", 200, "2026-01-01T09:00:00Z", True)
    assert Row.from_dict({**json.loads(json.dumps(row.as_dict())), "new_field": 1}) == row

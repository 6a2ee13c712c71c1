"""A run in which messages failed, or none was sent, does not look like a success."""

from __future__ import annotations

import json

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException
from factories import job
from outreach_tasks import context

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.operators.summary import OutreachSummaryOperator
from airflow_provider_revor.rules.outcomes import Row

SENT = job()
BUSY = job(id="job_2", status="failed", result=None, error={"code": "busy", "message": "Dana is busy"})
NO_POST = job(id="job_3", action="outreach.linkedin.post_like", result={"status": "skipped", "account_id": "acc_1"})


def summarize(jobs, pushed=None, **kwargs):
    return OutreachSummaryOperator(task_id="verdict", jobs=jobs, **kwargs).execute(context(pushed=pushed))


def test_jobs_are_counted_and_the_reasons_told():
    sent = [job(id=f"sent_{number}") for number in range(9)]
    summary = summarize([*sent, BUSY, NO_POST], max_failed=0.1)
    assert (summary["total"], summary["sent"], summary["failed"], summary["skipped"]) == (11, 9, 1, 1)
    assert summary["references"] == {"busy": ["job_2"], "no_relevant_post": ["job_3"]}
    assert "Dana" not in json.dumps(summary)


@pytest.mark.parametrize(
    ("jobs", "arguments", "reason"),
    [
        pytest.param([SENT, BUSY], {}, "1 failed, and max_failed allows 0", id="above-the-limit"),
        pytest.param([NO_POST], {}, "Nothing was sent", id="nothing-sent"),
        pytest.param([], {}, "Nothing was sent", id="no-jobs"),
        pytest.param(None, {}, "Nothing was sent", id="no-xcom"),
        pytest.param([SENT], {"expected": 3}, "2 no_job", id="tasks-without-a-job"),
        pytest.param([SENT], {"expected": "3"}, "2 no_job", id="a-rendered-number"),
        pytest.param([SENT], {"expected": [{}, {}]}, "1 no_job", id="the-list-that-was-mapped-over"),
    ],
)
def test_what_turns_the_run_red(jobs, arguments, reason):
    pushed = {}
    with pytest.raises(e.RevorBatchFailedError, match=reason) as failed:
        summarize(jobs, pushed, **arguments)
    assert isinstance(failed.value, AirflowFailException)
    assert not pushed["return_value"]["sent"] or pushed["return_value"]["failed"]


@pytest.mark.parametrize("expected", [0, "0", []])
def test_an_empty_list_that_was_mapped_over_is_no_failure(expected):
    """As for a batch. Airflow skips the mapped task, so there are no jobs."""
    assert summarize(None, expected=expected)["total"] == 0


@pytest.mark.parametrize("jobs", [None, [], [None, None]])
@pytest.mark.parametrize("expected", [None, 2])
def test_where_no_task_has_left_a_job_the_advice_names_the_xcoms(jobs, expected):
    """As with ``do_xcom_push=False``, which looks like tasks that sent nothing."""
    with pytest.raises(e.RevorBatchFailedError, match="No task has left a job; with do_xcom_push=False, none can"):
        summarize(jobs, expected=expected)
    with pytest.raises(e.RevorBatchFailedError) as failed:
        summarize([BUSY], expected=expected)
    assert "do_xcom_push" not in str(failed.value)


def test_the_rows_of_a_batch_are_counted_with_their_references():
    rows = [Row("crm-1", "acc_1", "email", "job_1", "succeeded"), Row("crm-2", status="failed", code="busy")]
    summary = summarize([row.as_dict() for row in rows], max_failed=1)
    assert (summary["sent"], summary["references"]) == (1, {"busy": ["crm-2"]})


def test_a_lead_that_was_in_the_list_twice_was_sent_one_message():
    """Both tasks have the same job."""
    summary = summarize([SENT, SENT, BUSY, BUSY, SENT], expected=5, max_failed=1)
    assert (summary["total"], summary["sent"], summary["failed"], summary["skipped"]) == (5, 1, 1, 3)
    assert summary["by_code"] == {"duplicate_person": 3, "busy": 1}


def test_the_output_of_a_single_task_is_one_job():
    assert summarize(SENT)["sent"] == 1


@pytest.mark.parametrize("jobs", ["job_1", 5, [5], [{"id": "job_1"}]])
def test_what_is_no_job(jobs):
    with pytest.raises(ValueError, match="jobs"):
        summarize(jobs)


def test_the_return_value_of_a_batch_is_not_its_jobs():
    with pytest.raises(ValueError, match=r"summary of a batch: use its XCom `jobs`"):
        summarize(summarize([SENT]))


def test_the_text_of_a_template_is_told_as_such():
    with pytest.raises(ValueError, match="a template takes render_template_as_native_obj"):
        summarize(str([SENT]))


def test_no_xcom_if_none_is_wanted():
    pushed = {}
    assert summarize([SENT], pushed, do_xcom_push=False)["sent"] == 1
    assert pushed == {}


def test_a_list_of_outputs_is_all_their_jobs():
    """Of a mapped task, of one that is not, of one that has left no job, and of a batch."""
    rows = [Row("crm-1", status="succeeded", job_id="job_9").as_dict(), None]
    summary = summarize([[SENT, BUSY], job(id="job_3"), None, rows], max_failed=1)
    assert (summary["total"], summary["sent"], summary["by_code"]) == (4, 3, {"busy": 1})


def test_it_waits_for_all_unless_told_otherwise():
    assert OutreachSummaryOperator(task_id="a", jobs=[]).trigger_rule == "all_done"
    assert OutreachSummaryOperator(task_id="b", jobs=[], trigger_rule="all_success").trigger_rule == "all_success"


def test_a_mapped_one_waits_for_all_too():
    with DAG("d", schedule=None):
        mapped = OutreachSummaryOperator.partial(task_id="a").expand(jobs=[[], []])
        other = OutreachSummaryOperator.partial(task_id="b", trigger_rule="all_success").expand(jobs=[[], []])
    assert (mapped.trigger_rule, other.trigger_rule) == ("all_done", "all_success")


DAG_FILE = """
from airflow.providers.common.compat.sdk import DAG, task
from airflow_provider_revor.operators.outreach import OutreachDispatchOperator
from airflow_provider_revor.operators.summary import OutreachSummaryOperator

ACCOUNTS = ["acc_1", "acc_1", "acc_gone", "acc_1"]

with DAG("summed_up", schedule=None) as the_dag:
    send = OutreachDispatchOperator.partial(
        task_id="send", channel="email", content={"subject": "Hello", "text": "Hello"}, poke_interval=0.1
    ).expand_kwargs(
        [
            {"account_id": account, "recipient": {"address": f"lead{number}@example.com"}}
            for number, account in enumerate(ACCOUNTS)
        ]
    )
    verdict = OutreachSummaryOperator(task_id="verdict", jobs=send.output, expected=len(ACCOUNTS), max_failed=0.1)

    @task(trigger_rule="all_done")
    def look(summary):
        import json
        print("SUMMARY=" + json.dumps(summary))

    look(verdict.output)
"""


def test_mapped_dispatches_that_failed_are_counted(dag_file, revor_sandbox, capfd):
    revor_sandbox.set_accounts([{"account_id": "acc_1", "channel": "email"}])
    revor_sandbox.script_jobs("failed", recipient="lead1@example.com", error={"code": "no_mailbox", "retryable": False})
    dag_run = dag_file("summed_up", DAG_FILE).the_dag.test()
    (state,) = [str(ti.state) for ti in dag_run.get_task_instances() if ti.task_id == "verdict"]
    assert state == "failed"
    out = "".join(capfd.readouterr())
    summary, _ = json.JSONDecoder().raw_decode(out.partition("SUMMARY=")[2])
    assert (summary["total"], summary["sent"], summary["failed"]) == (4, 2, 2)
    assert summary["by_code"] == {"no_mailbox": 1, "no_job": 1}
    assert len(summary["references"]["no_mailbox"]) == 1

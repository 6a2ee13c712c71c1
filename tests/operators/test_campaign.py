"""A campaign writes to each person once, whatever run, task or Dag sends; and nobody writes to who is excluded."""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException
from outreach_tasks import EMAIL, LIKE, PROFILE, Assets, Store, both, context, dispatch, like

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.campaign import CAMPAIGNS, LIKES, CampaignLedger, Entry, person_digest
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.operators.batch import OutreachBatchOperator
from airflow_provider_revor.operators.job import OutreachJobOperator
from airflow_provider_revor.operators.outreach import LinkedInPostLikeOperator, OutreachDispatchOperator
from airflow_provider_revor.tasks.endings import ends_in_triggerer
from airflow_provider_revor.version_compat import ASSET_STATE_STORE

ADDRESS = EMAIL["recipient"]["address"]
needs_a_ledger = pytest.mark.skipif(not ASSET_STATE_STORE, reason="the asset state store is new in Airflow 3.3")


@contextmanager
def skips(text):
    with pytest.raises(AirflowSkipException, match=text) as raised:
        yield raised
    assert "dana" not in str(raised.value).lower()


@pytest.fixture
def assets():
    return Assets()


@pytest.fixture(autouse=True)
def _told(monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    for cls in (OutreachDispatchOperator, LinkedInPostLikeOperator, OutreachBatchOperator):
        monkeypatch.setattr(cls, "log", logging.getLogger("operator"))


def ledger(assets, campaign="spring", **kwargs):
    return CampaignLedger(assets.values and AnyAsset(assets), campaign, **kwargs)


class AnyAsset:
    """The state store of the asset that all campaigns given by name have in common."""

    def __init__(self, assets):
        self.assets = assets

    def get(self, key):
        return json.loads(self.assets.values.get((CAMPAIGNS, key), "null"))

    def set(self, key, value):
        self.assets.values[CAMPAIGNS, key] = json.dumps(value)


def batch(people, *, wait_for_completion=False, **kwargs):
    messages = [{**EMAIL, "reference": who, "recipient": {"address": f"{who}@example.com"}} for who in people]
    return OutreachBatchOperator(task_id="send", messages=messages, wait_for_completion=wait_for_completion, **kwargs)


# -- excluded --------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("entry", [" DANA@example.com", person_digest(EMAIL["recipient"])])
def test_who_is_excluded_is_skipped_before_anything_is_sent(ready, make, entry, caplog):
    pushed = {}
    with skips("in `exclude`"):
        make(exclude=["x@example.com", entry, "linkedin.com/in/Dana"]).execute(context(pushed=pushed))
    assert ready.request_count == 0
    assert "dana" not in caplog.text.lower()
    row = pushed["return_value"]
    assert (row["status"], row["code"], row["job_id"]) == ("skipped", "excluded", None)


def test_a_batch_skips_who_is_excluded(ready, caplog):
    pushed = {}
    summary = batch(["ada", "bob", "cyd"], exclude=["mailto:Bob@example.com"]).execute(context(pushed=pushed))
    assert (summary["sent"], summary["by_code"], summary["references"]) == (
        2,
        {"excluded": 1},
        {"excluded": ["bob"]},
    )
    assert {entry.recipient["address"] for entry in ready.outbox} == {"ada@example.com", "cyd@example.com"}
    assert "bob@" not in caplog.text.lower()


@pytest.mark.parametrize("make", [dispatch, None], ids=["dispatch", "batch"])
def test_a_lead_is_excluded_by_an_address_of_another_channel(ready, make):
    lead = {"address": "dana@example.com", "profile_url": PROFILE}
    message = {"account_id": "acc_linkedin", "channel": "linkedin", "recipient": lead, "content": {"text": "Hello"}}
    excluded = {"exclude": ["Dana@example.com"]}
    if make:
        with skips("in `exclude`"):
            make(**message, **excluded).execute(context())
    else:
        task = OutreachBatchOperator(task_id="send", messages=[message], **excluded)
        assert task.execute(context())["by_code"] == {"excluded": 1}
    assert ready.request_count == 0


@pytest.mark.parametrize("make", [dispatch, lambda **kwargs: batch(["ada"], **kwargs)], ids=["dispatch", "batch"])
def test_an_exclusion_that_cannot_be_read_sends_nothing(ready, make):
    with pytest.raises(e.RevorValueError, match=r"exclude\[0\]"):
        make(exclude=[1.5]).execute(context())
    assert ready.request_count == 0


@pytest.mark.parametrize("make", [dispatch, lambda **kwargs: batch(["ada"], **kwargs)], ids=["dispatch", "batch"])
@pytest.mark.parametrize("nothing", [None, "None", " none"])
def test_an_exclusion_that_renders_to_none_sends_nothing(ready, make, nothing):
    """As where the task that should return the list returned nothing."""
    task = make(exclude="{{ ti.xcom_pull('opted_out') }}")
    task.exclude = nothing
    with pytest.raises(e.RevorValueError, match="exclude has rendered to None"):
        task.execute(context())
    assert ready.request_count == 0
    for nobody in ([], "[]", ""):
        task.exclude = nobody
        task.execute(context())


# -- once per campaign -----------------------------------------------------------------------------------


@both
def test_another_run_or_dag_skips_who_was_written_to_and_says_when(ready, make, assets):
    first = make(campaign="spring").execute(context(assets=assets, store=Store()))
    sent = len(ready.requests)
    for other in ({"run_id": "r2"}, {"dag_id": "d2"}, {"task_id": "t2"}):
        pushed = {}
        with skips(rf"Already written to in campaign 'spring' on 20\d\d-\d\d-\d\d \d\d:\d\d UTC .*{first['id']}"):
            make(campaign="spring").execute(context(pushed=pushed, assets=assets, store=Store(), **other))
        row = pushed["return_value"]
        assert (row["status"], row["code"], row["job_id"]) == ("skipped", "already_written_to", first["id"])
        assert row["already_sent_at"]
    assert len(ready.jobs) == 1
    # The ledger says it all: Revor is not asked.
    assert len(ready.requests) == sent


@both
def test_a_changed_message_is_not_sent_to_who_was_written_to(ready, make):
    """Below Airflow 3.3, too."""
    make(campaign="spring").execute(context())
    change = {"topic": "another"} if make is like else {"content": {"subject": "Another", "text": "text"}}
    with skips("Already written to in campaign 'spring', with another message: .* ended is not known"):
        make(campaign="spring", **change).execute(context(run_id="r2"))
    assert len(ready.jobs) == 1


@pytest.mark.parametrize("make", [dispatch, lambda **kwargs: batch(["dana"], **kwargs)], ids=["dispatch", "batch"])
def test_below_the_ledger_a_cleared_task_with_a_corrected_text_is_skipped_and_told_why(ready, make, caplog):
    """Whether the first message failed is not known there, and another key might write to the person twice."""
    ready.script_jobs("failed", error={"code": "no_mailbox", "retryable": False})
    with pytest.raises((e.RevorJobFailedError, e.RevorBatchFailedError)):
        make(campaign="spring").execute(context())
    ready.advance(minutes=5)
    changed = make(campaign="spring")
    text = {"subject": "Hello", "text": "Corrected"}
    if hasattr(changed, "messages"):
        changed.messages = [{**one, "content": text} for one in changed.messages]
        assert changed.execute(context(2))["by_code"] == {"already_written_to": 1}
        assert "1 person: Already written to in campaign 'spring', with another message" in caplog.text
        assert "If it failed, clear this task with the message as it was" in caplog.text
    else:
        changed.content = text
        with skips("with another message: .* If it failed, clear this task with the message as it was"):
            changed.execute(context(2))
        with skips("with another message: .* ended is not known here.$"):
            changed.execute(context(3, automatic=True))
    assert len(ready.jobs) == 1
    again = make(campaign="spring")
    assert again.execute(context(4))
    assert len(ready.jobs) == 2


@both
def test_without_a_ledger_what_ended_before_is_skipped_and_what_goes_on_is_waited_for(ready, make, caplog):
    make(campaign="spring").execute(context())
    assert make(campaign="spring").execute(context(run_id="r2"))["id"] == ready.jobs[0]["id"]
    assert "has no ledger here" in caplog.text
    ready.advance(hours=1)
    with skips("Already written to in campaign 'spring' on 20"):
        make(campaign="spring").execute(context(run_id="r3"))
    assert len(ready.jobs) == 1


def test_one_name_in_two_forms_of_unicode_is_one_campaign(ready, assets):
    dispatch(campaign="Fr\u00fchling").execute(context(assets=assets))
    with skips("Already"):
        dispatch(campaign="Fru\u0308hling ").execute(context(run_id="r2", assets=assets))


def test_another_campaign_writes_again(ready, assets):
    for campaign in ("spring", "summer"):
        dispatch(campaign=campaign).execute(context(assets=assets))
    assert len(ready.jobs) == 2


def test_a_like_and_a_message_are_one_each(ready, assets):
    message = {"account_id": "acc_linkedin", "channel": "linkedin", "content": {"text": "Hello"}}
    for run in ("r1", "r2"):
        for make in (
            lambda: like(account_id="acc_linkedin", campaign="spring"),
            lambda: dispatch(**message, recipient={"profile_url": PROFILE}, campaign="spring"),
        ):
            try:
                make().execute(context(run_id=run, assets=assets))
            except AirflowSkipException:
                assert run == "r2"
    assert [one["action"] for one in ready.jobs] == ["outreach.linkedin.post_like", "outreach.dispatch"]


@both
def test_clearing_a_task_of_the_campaign_finds_its_own_job(ready, make, assets):
    """With its record or without it: the task succeeds as it did before."""
    store = Store()
    first = make(campaign="spring").execute(context(assets=assets, store=store))
    assert make(campaign="spring").execute(context(2, assets=assets, store=store))["id"] == first["id"]
    assert make(campaign="spring").execute(context(2, assets=assets, store=Store()))["id"] == first["id"]
    assert len(ready.jobs) == 1


@both
@pytest.mark.parametrize(
    ("retryable", "how", "sent"),
    [
        pytest.param(True, {"run_id": "r2"}, 2, id="another-run-if-trying-again-may-help"),
        pytest.param(False, {"run_id": "r2"}, 1, id="another-run-if-not"),
        pytest.param(False, {"run_id": "r2", "try_number": 2}, 2, id="another-run-whose-task-was-cleared"),
        pytest.param(False, {"run_id": "r2", "try_number": 2, "automatic": True}, 1, id="an-automatic-retry-there"),
        pytest.param(False, {"try_number": 2}, 2, id="the-same-task-after-a-clear"),
    ],
)
def test_what_failed_is_sent_again_where_a_person_or_revor_says_so(ready, make, assets, retryable, how, sent):
    ready.script_jobs("failed", error={"code": "no_mailbox", "retryable": retryable})
    store = Store()
    with pytest.raises(e.RevorJobError):
        make(campaign="spring").execute(context(assets=assets, store=store))
    again = context(assets=assets, store=Store() if "run_id" in how else store, **how)
    if sent == 1:
        with skips("An earlier message failed in campaign 'spring' on .* strike the person"):
            make(campaign="spring").execute(again)
    else:
        assert make(campaign="spring").execute(again)["status"] == "succeeded"
        with skips("Already written to"):
            make(campaign="spring").execute(context(run_id="r3", assets=assets, store=Store()))
    assert len(ready.jobs) == sent


@both
def test_who_is_struck_from_the_ledger_is_written_to_once_more(ready, make, assets):
    make(campaign="spring").execute(context(assets=assets))
    kind = LIKES if make is like else "messages"
    person = LIKE["profile_url"] if make is like else ADDRESS.upper()
    assert ledger(assets, kind=kind).strike(person)
    make(campaign="spring").execute(context(run_id="r2", assets=assets))
    with skips("Already"):
        make(campaign="spring").execute(context(run_id="r3", assets=assets))
    assert len(ready.jobs) == 2


@both
def test_a_crash_between_message_and_ledger_is_one_message(ready, make, assets, monkeypatch):
    def crash(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(CampaignLedger, "save", crash)
        with pytest.raises(KeyboardInterrupt):
            make(campaign="spring").execute(context(assets=assets, store=Store()))
    assert len(ready.jobs) == 1
    assert not assets.values
    ready.advance(minutes=1)
    with skips("Already written to in campaign 'spring' on 20"):
        make(campaign="spring").execute(context(run_id="r2", assets=assets, store=Store()))
    assert len(ready.jobs) == 1


@both
def test_of_two_tasks_at_once_one_is_told_that_the_other_sent(ready, make, assets, monkeypatch):
    """The second one looks into the ledger before the first one writes it, and so posts under the same key."""
    send = type(make())._send

    def after_the_other(operator, *args):
        if operator.task_id == "slow":
            return send(operator, *args)
        slow = make(campaign="spring")
        slow.task_id = "slow"
        slow.execute(context(task_id="slow", assets=assets, store=Store()))
        return send(operator, *args)

    monkeypatch.setattr(type(make()), "_send", after_the_other)
    with skips("Already written to"):
        make(campaign="spring").execute(context(assets=assets, store=Store()))
    assert len(ready.jobs) == 1


@both
def test_a_ledger_that_cannot_be_reached_is_a_warning_and_keys_decide(ready, make, assets, caplog):
    make(campaign="spring").execute(context(assets=assets))
    before = dict(assets.values)
    assets.away = True
    assert make(campaign="spring").execute(context(run_id="r2", assets=assets))["id"] == ready.jobs[0]["id"]
    assert caplog.text.count("cannot be read") == 1
    assert assets.values == before


def test_a_ledger_that_is_lost_while_it_is_written_is_still_known_as_it_was_read(assets):
    who, other = f"person-ab{0:030}", f"person-ab{1:030}"
    first = CampaignLedger(AnyAsset(assets), "spring")
    first.note(who, Entry(1, "job_1", 1))
    first.save()
    store = assets[SimpleNamespace(name=CAMPAIGNS)]
    lost = CampaignLedger(store, "spring", on_error=lambda what, error: None)
    assert lost.find(who)
    assets.away = True
    lost.note(other, Entry(1, "job_2", 1))
    lost.save()
    assert lost.find(who)
    assert lost.find(other)


def test_a_ledger_of_another_version_is_left_alone(ready, assets, caplog):
    dispatch(campaign="spring").execute(context(assets=assets))
    assets.values = dict.fromkeys(assets.values, json.dumps({"x": [1]}))
    before = dict(assets.values)
    dispatch(campaign="spring").execute(context(run_id="r2", assets=assets))
    assert (len(ready.jobs), assets.values) == (1, before)
    assert "does not write" in caplog.text


@pytest.mark.parametrize("nothing", ["", "  ", "None", "none"])
def test_a_campaign_that_renders_to_nothing_sends_nothing(ready, nothing):
    task = dispatch(campaign="{{ params.campaign }}")
    task.campaign = nothing
    with pytest.raises(e.RevorValueError, match="campaign is blank"):
        task.execute(context())
    assert ready.request_count == 0


@both
@pytest.mark.parametrize(
    ("kwargs", "why"),
    [
        pytest.param({"campaign": "spring", "idempotency_key": "mine"}, "either campaign or", id="with-a-key"),
        pytest.param({"campaign": " "}, "campaign is blank", id="blank"),
        pytest.param({"campaign": 1.5}, "of the type float", id="not-a-whole-number"),
        pytest.param({"campaign": True}, "of the type bool", id="a-boolean"),
        pytest.param({"campaign": ["spring"]}, "of the type list", id="a-list"),
        pytest.param({"campaign": "x" * 251}, "250", id="too-long"),
    ],
)
def test_a_campaign_that_cannot_be_is_refused_when_the_dag_is_parsed(make, kwargs, why):
    with pytest.raises(e.RevorValueError, match=why):
        make(**kwargs)


@needs_a_ledger
@both
@pytest.mark.parametrize(
    "kind", ["alias", "by_name", "by_uri", "several"], ids=["an-alias", "a-reference", "a-reference-by-uri", "several"]
)
def test_what_only_leads_to_an_asset_is_refused_when_the_dag_is_parsed(make, kind):
    """Such as ``Asset.ref``: it would take another ledger than the asset's."""
    from airflow.sdk import Asset, AssetAlias

    campaign = {
        "alias": AssetAlias("spring"),
        "by_name": Asset.ref(name="spring"),
        "by_uri": Asset.ref(uri="s3://spring"),
        "several": Asset("spring") | Asset("summer"),
    }[kind]
    advice = rf'of the type {type(campaign).__name__}: .* the Asset itself .*Asset\("spring"\)'
    with pytest.raises(e.RevorValueError, match=advice):
        make(campaign=campaign)
    with pytest.raises(e.RevorValueError, match=advice):
        type(make()).partial(task_id="mapped", campaign=campaign)


def test_a_whole_number_is_the_campaign_of_that_name(ready, assets):
    """As where the Dag renders to native objects."""
    dispatch(campaign=5).execute(context(assets=assets))
    native = dispatch(campaign="{{ params.wave }}")
    for run, rendered in (("r2", 5), ("r3", " 5 ")):
        native.campaign = rendered
        with skips("Already written to in campaign '5'"):
            native.execute(context(run_id=run, assets=assets))
    native.campaign = 1.5
    with pytest.raises(e.RevorValueError, match=r'of the type float: .*"wave-\{\{ params.wave \}\}"'):
        native.execute(context(run_id="r4", assets=assets))
    assert len(ready.jobs) == 1


# -- the batch -------------------------------------------------------------------------------------------


def test_a_second_batch_skips_who_was_written_to_and_is_no_failure(ready, assets, caplog):
    batch(["ada", "bob"], campaign="spring").execute(context(assets=assets, store=Store()))
    ready.advance(minutes=5)
    pushed = {}
    later = context(run_id="r2", assets=assets, store=Store(), pushed=pushed)
    summary = batch(["bob", "cyd", "ADA"], campaign="spring").execute(later)
    assert (summary["sent"], summary["skipped"], summary["by_code"]) == (1, 2, {"already_written_to": 2})
    assert summary["references"] == {"already_written_to": ["bob", "ADA"]}
    assert all(row["already_sent_at"] for row in pushed["jobs"] if row["status"] == "skipped")
    assert "2 people are skipped: messages to them were sent in this campaign before" in caplog.text
    again = batch(["ada", "bob", "cyd"], campaign="spring").execute(context(run_id="r3", assets=assets, store=Store()))
    assert (again["skipped"], again["failed"]) == (3, 0)
    assert len(ready.outbox) == len(ready.jobs) == 3


@pytest.mark.parametrize("with_ledger", [True, False])
def test_a_batch_and_a_dispatch_of_one_campaign_write_once(ready, with_ledger):
    assets = Assets() if with_ledger else None
    dispatch(campaign="spring").execute(context(assets=assets))
    ready.advance(minutes=5)
    summary = batch(["dana", "ada"], campaign="spring").execute(context(dag_id="d2", assets=assets))
    assert (summary["sent"], summary["by_code"]) == (1, {"already_written_to": 1})
    assert len(ready.jobs) == 2


@pytest.mark.parametrize("store", [None, {}], ids=["no-store", "a-store"])
def test_the_same_batch_skips_without_a_ledger(ready, store):
    """What this try records before it sends is no record of an earlier one."""
    batch(["ada", "bob"], campaign="spring").execute(context())
    ready.advance(minutes=5)
    store = None if store is None else Store()
    summary = batch(["ada", "bob"], campaign="spring").execute(context(run_id="r2", store=store))
    assert (summary["sent"], summary["by_code"]) == (0, {"already_written_to": 2})
    assert len(ready.jobs) == 2


def test_a_batch_with_another_text_skips_without_a_ledger(ready):
    batch(["ada"], campaign="spring").execute(context())
    changed = batch(["ada", "bob"], campaign="spring")
    changed.messages = [{**one, "content": {"subject": "Another", "text": "text"}} for one in changed.messages]
    summary = changed.execute(context(run_id="r2"))
    assert (summary["sent"], summary["failed"], summary["by_code"]) == (1, 0, {"already_written_to": 1})


def test_a_batch_that_is_cleared_finds_its_own_jobs(ready, assets):
    store = Store()
    for number in (1, 2, 5):
        summary = batch(["ada", "bob"], campaign="spring").execute(context(number, assets=assets, store=store))
        assert (summary["sent"], summary["skipped"]) == (2, 0)
    assert len(ready.jobs) == 2


def test_a_batch_tells_how_the_message_of_one_at_the_same_moment_ended(ready, assets, monkeypatch):
    """The response under the common key says "queued", as the job stood when the other batch created it."""
    ready.script_jobs("failed", error={"code": "no_mailbox", "retryable": False})
    create, pushed = RevorHook.create_outreach_dispatch, {}

    def after_the_other(hook, *args, **body):
        monkeypatch.setattr(RevorHook, "create_outreach_dispatch", create)
        with pytest.raises(e.RevorBatchFailedError):
            batch(["ada"], campaign="spring").execute(context(run_id="r2", assets=assets, store=Store()))
        return create(hook, *args, **body)

    monkeypatch.setattr(RevorHook, "create_outreach_dispatch", after_the_other)
    waits = batch(["ada"], campaign="spring", wait_for_completion=True)
    assert waits.execute(context(assets=assets, store=Store(), pushed=pushed))["by_code"] == {"already_failed": 1}
    assert len(ready.jobs) == 1


@pytest.mark.parametrize("asked", [True, False])
def test_a_preview_says_who_would_be_skipped(ready, assets, asked):
    """Also where nobody has asked yet how the earlier message ended."""
    dispatch(campaign="spring").execute(context(assets=assets))
    if not asked:
        for name, value in assets.values.items():
            assets.values[name] = json.dumps({who: entry[:4] for who, entry in json.loads(value).items()})
    seen = batch(["dana", "bob"], campaign="spring", preview=True).execute(context(run_id="r3", assets=assets))
    assert (seen["to_send"], seen["by_code"]) == (1, {"already_written_to": 1})


def test_ten_thousand_people_cost_few_calls(assets, monkeypatch):
    """Each is a request to Airflow's API server."""
    from airflow_provider_revor.api.jobs import OutreachJob
    from airflow_provider_revor.hooks.revor import RevorHook

    monkeypatch.setenv("AIRFLOW_CONN_REVOR_DEFAULT", json.dumps({"conn_type": "revor", "password": "sk-revor-x"}))
    posts = []

    def post(hook, *args, **body):
        posts.append(body)
        return OutreachJob(f"job_{len(posts):032}", "succeeded")

    monkeypatch.setattr(RevorHook, "create_outreach_dispatch", post)
    monkeypatch.setattr(RevorHook, "get_outreach_job", lambda hook, job_id: OutreachJob(job_id, "succeeded"))
    people = [f"lead{number}" for number in range(10_000)]
    batch(people, campaign="spring").execute(context(assets=assets, store=Store(), clears=0))
    # Each of the 256 values twice: read, read again before it is written, written, and read to see whether another task
    # has dropped that; with the jobs, then the ends.
    assert assets.calls <= 256 * 8
    assert max(map(len, assets.values.values())) < 65_536 / 4
    assets.calls = 0
    summary = batch(people, campaign="spring").execute(context(run_id="r2", assets=assets, store=Store(), clears=0))
    assert (summary["skipped"], len(posts)) == (10_000, 10_000)
    assert assets.calls == 256


# -- the asset -------------------------------------------------------------------------------------------


def makers():
    return {"dispatch": dispatch, "like": like, "batch": lambda **kwargs: batch(["ada"], **kwargs)}


@needs_a_ledger
@pytest.mark.parametrize("make", makers().values(), ids=makers())
def test_the_asset_with_the_ledger_is_among_the_inlets(make):
    from airflow.sdk import Asset

    spring, other = Asset("spring"), Asset("other")
    assert [one.name for one in make(campaign="spring").inlets] == [CAMPAIGNS]
    assert [one.name for one in make(campaign="{{ params.name }}", inlets=[other]).inlets] == ["other", CAMPAIGNS]
    assert [one.name for one in make(campaign=spring, inlets=spring).inlets] == ["spring"]
    assert make().inlets == []


@needs_a_ledger
@pytest.mark.parametrize("cls", [OutreachDispatchOperator, LinkedInPostLikeOperator, OutreachBatchOperator])
def test_a_mapped_task_has_it_among_its_inlets_too(cls):
    mapped = cls.partial(task_id="send", campaign="spring").expand(revor_conn_id=["a", "b"])
    assert [one.name for one in mapped.inlets] == [CAMPAIGNS]
    assert cls.partial(task_id="send").expand(revor_conn_id=["a", "b"]).inlets == []


@needs_a_ledger
@pytest.mark.parametrize(
    ("defaults", "names"),
    [
        pytest.param({"inlets": ["mine"]}, ["mine"], id="inlets"),
        pytest.param({"campaign": "spring"}, [CAMPAIGNS], id="campaign"),
        pytest.param({"campaign": "spring", "inlets": ["mine"]}, ["mine", CAMPAIGNS], id="both"),
    ],
)
def test_default_arguments_count_for_the_inlets(defaults, names):
    from airflow.sdk import DAG, Asset, TaskGroup

    defaults = {**defaults, **({"inlets": [Asset("mine")]} if "inlets" in defaults else {})}
    with DAG("of_the_dag", schedule=None, default_args=defaults):
        tasks = [dispatch(), OutreachDispatchOperator.partial(task_id="mapped").expand(account_id=["a"])]
    with DAG("of_a_group", schedule=None), TaskGroup("group", default_args=defaults):
        tasks += [dispatch(), OutreachDispatchOperator.partial(task_id="mapped").expand(account_id=["a"])]
    with DAG("of_the_task", schedule=None):
        mapped = OutreachDispatchOperator.partial(task_id="mapped", default_args=defaults).expand(account_id=["a"])
    for task in (*tasks, mapped):
        assert [one.name for one in task.inlets] == names


@needs_a_ledger
def test_an_asset_has_a_ledger_of_its_own(ready, assets):
    from airflow.sdk import Asset

    dispatch(campaign=Asset("spring")).execute(context(assets=assets))
    assert {name for name, _ in assets.values} == {"spring"}
    assert ADDRESS in CampaignLedger(assets[Asset("spring")], Asset("spring"))
    # By its name, it is the same campaign: the key says so, though the ledger is another.
    ready.advance(minutes=1)
    with skips("Already"):
        dispatch(campaign="spring").execute(context(run_id="r2", assets=assets))


@needs_a_ledger
def test_the_end_of_a_task_in_a_campaign_is_entered_by_a_worker(monkeypatch):
    """A trigger cannot reach the asset state store."""
    monkeypatch.setattr("airflow_provider_revor.tasks.endings.settings_add_work", lambda: False)
    from airflow.sdk import DAG

    with DAG("campaign_endings", schedule=None):
        plain = dispatch()
    with DAG("campaign_endings_2", schedule=None):
        campaign = dispatch(campaign="spring")
    assert ends_in_triggerer(plain, OutreachJobOperator)
    assert not ends_in_triggerer(campaign, OutreachJobOperator)


def job_event(status, job=None):
    return {"status": status, "job_id": "job_1", "job": {"id": "job_1", "status": job}}


@pytest.mark.parametrize("gone", ["recipient", "content", "campaign"])
def test_a_message_that_was_sent_is_no_failure_though_what_it_was_rendered_from_was_cleared_meanwhile(assets, gone):
    task = dispatch(campaign="spring", deferrable=True)
    setattr(task, gone, None)
    assert task.execute_complete(context(assets=assets), job_event("success", "succeeded"))["status"] == "succeeded"


def test_nor_does_that_hide_why_the_wait_has_ended():
    task = dispatch(cancel_on_kill=True, deferrable=True)
    task.recipient = None
    with pytest.raises(e.RevorJobTimeoutError, match="did not end within"):
        task.execute_complete(context(), job_event("timeout"))

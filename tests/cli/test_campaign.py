"""The ledger of a campaign on the command line."""

from __future__ import annotations

import json

import pytest

from airflow_provider_revor.__main__ import main
from airflow_provider_revor.campaign import CAMPAIGNS, LIKES, CampaignLedger, Entry, person_digest
from airflow_provider_revor.cli.ledgers import DatabaseStore
from airflow_provider_revor.rules.batch import End
from airflow_provider_revor.version_compat import ASSET_STATE_STORE

ADA, BOB = (person_digest({"address": f"{name}@example.com"}) for name in ("ada", "bob"))


def run(capsys, *argv):
    capsys.readouterr()
    try:
        code = main(["campaign", *argv])
    except SystemExit as end:
        code = end.code
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def rows(capsys, *argv):
    return json.loads(run(capsys, *argv, "-o", "json")[1])


@pytest.fixture
def ledger(airflow_db):
    if not ASSET_STATE_STORE:
        pytest.skip("the ledger takes Airflow 3.3+")
    from airflow.models.asset import AssetModel
    from airflow.utils.session import create_session

    for name in (CAMPAIGNS, "mine"):
        with create_session() as session:
            session.query(AssetModel).filter_by(name=name).delete()
            session.add(AssetModel(name=name, uri=name))
    ledger = CampaignLedger(DatabaseStore(CAMPAIGNS), "spring")
    ledger.note(ADA, Entry(1, "job_1", 1_700_000_000, "x", End("succeeded")))
    ledger.note(BOB, Entry(2, "job_2", 1_700_000_000, "x", End("failed", "no_mailbox", False)))
    ledger.save()
    return ledger


def test_it_shows_who_was_written_to(ledger, capsys):
    assert sorted(rows(capsys, "spring"), key=lambda row: row["job_id"]) == [
        {
            "person": ADA,
            "status": "succeeded",
            "at": "2023-11-14 22:13 UTC",
            "job_id": "job_1",
            "attempt": 1,
            "code": None,
        },
        {
            "person": BOB,
            "status": "failed",
            "at": "2023-11-14 22:13 UTC",
            "job_id": "job_2",
            "attempt": 2,
            "code": "no_mailbox",
        },
    ]
    assert "job_1" in run(capsys, "spring")[1]
    for nobody in (("summer",), ("spring", "--likes"), ("mine", "--asset"), ("spring", "--phone", "+12025550123")):
        assert rows(capsys, *nobody) == []
        assert "Nobody" in run(capsys, *nobody)[2]


def test_it_shows_one_person_in_any_spelling(ledger, capsys):
    assert [row["job_id"] for row in rows(capsys, "spring", "--address", "ADA@example.com")] == ["job_1"]
    assert [row["job_id"] for row in rows(capsys, "spring", "--digest", BOB)] == ["job_2"]


def test_somebody_is_struck(ledger, capsys):
    (row,) = rows(capsys, "spring", "--address", "Ada@example.com", "--strike")
    assert (row["person"], row["status"]) == (ADA, "struck")
    assert {row["person"]: row["status"] for row in rows(capsys, "spring")} == {ADA: "struck", BOB: "failed"}
    code, _, err = run(capsys, "spring", "--address", "ada@example.com", "--strike")
    assert (code, err) == (2, "Nobody such is in the ledger of campaign 'spring'.\n")


def test_likes_have_a_ledger_of_their_own(ledger, capsys):
    likes = CampaignLedger(DatabaseStore(CAMPAIGNS), "spring", kind=LIKES)
    likes.note(ADA, Entry(1, "job_9", 1_700_000_000, "x"))
    likes.save()
    assert [(row["job_id"], row["status"]) for row in rows(capsys, "spring", "--likes")] == [("job_9", "accepted")]


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        pytest.param(("spring", "--strike"), "Give one of", id="nobody-to-strike"),
        pytest.param(("spring", "--address", "a@x.com", "--digest", ADA), "Give one of", id="two-people"),
        pytest.param(("nowhere", "--asset"), "no asset 'nowhere'", id="no-such-asset"),
        pytest.param((" ",), "blank", id="blank"),
    ],
)
def test_what_cannot_be_shown(ledger, capsys, argv, why):
    code, _, err = run(capsys, *argv)
    assert code == 2
    assert why in err


@pytest.mark.skipif(ASSET_STATE_STORE, reason="of Airflow below 3.3")
def test_below_airflow_3_3_it_says_so(capsys):
    code, _, err = run(capsys, "spring")
    assert (code, "Airflow 3.3+" in err) == (2, True)


def test_a_database_that_cannot_be_read_is_an_error_without_a_traceback(capsys, monkeypatch):
    if not ASSET_STATE_STORE:
        pytest.skip("the ledger takes Airflow 3.3+")
    from sqlalchemy import exc, orm

    def fail(*_, **__):
        raise exc.OperationalError("SELECT asset.id", {}, OSError("no such table: asset"))

    monkeypatch.setattr(orm.Session, "scalar", fail)
    code, _, err = run(capsys, "spring")
    assert (code, err.count("\n"), "airflow db migrate" in err) == (2, 1, True)

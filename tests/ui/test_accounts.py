"""How often the page asks Revor, and what it tells of an account."""

from __future__ import annotations

import asyncio

import pytest

from airflow_provider_revor.api.accounts import ConnectAccount
from airflow_provider_revor.exceptions import RevorAuthenticationError, RevorRateLimitError
from airflow_provider_revor.ui import accounts
from airflow_provider_revor.ui.accounts import Accounts, view
from airflow_provider_revor.ui.masking import masked

ANNA = ConnectAccount(
    account_id="acc_1",
    channel="email",
    name="Anna",
    account_identifier="anna@example.com",
    status="credentials",
    lifecycle_status="reconnect_required",
    can_send=False,
    can_receive=False,
)


class Revor:
    """A Revor that counts, and responds as it is told."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.now = 0.0
        self.error: Exception | None = None
        self.accounts = Accounts(self.ask, lambda: self.now)

    async def ask(self, conn_id):
        self.asked.append(conn_id)
        await asyncio.sleep(0)
        if self.error:
            raise self.error
        return [ANNA]


def test_however_many_people_look_revor_is_asked_once_a_minute():
    revor = Revor()

    async def look(people):
        return await asyncio.gather(*(revor.accounts.read("a") for _ in range(people)))

    async def minutes():
        for revor.now in (0, 30, 59.9, 60, 119, 120):
            await look(50)

    asyncio.run(minutes())
    assert revor.asked == ["a"] * 3


def test_each_connection_is_asked_for_itself():
    revor = Revor()

    async def look():
        for conn_id in ("a", "b", "a", "b"):
            await revor.accounts.read(conn_id)

    asyncio.run(look())
    assert revor.asked == ["a", "b"]


@pytest.mark.parametrize(
    ("error", "pause", "told"),
    [
        pytest.param(RevorAuthenticationError("The key is not valid."), 60, "The key is not valid.", id="key"),
        pytest.param(RevorRateLimitError("Too many requests.", retry_after=300), 300, "Too many requests.", id="429"),
        pytest.param(RevorRateLimitError("Too many requests.", retry_after=2), 60, "Too many requests.", id="short"),
        # A mistake of a gateway's must not put the page to sleep for good.
        pytest.param(
            RevorRateLimitError("Too many requests.", retry_after=1e9), 86_400, "Too many requests.", id="mad"
        ),
        pytest.param(ValueError("sk-revor-canary"), 60, "Revor could not be asked (ValueError)", id="unforeseen"),
    ],
)
def test_what_fails_is_told_and_not_asked_again_before_its_time(error, pause, told):
    revor = Revor()
    revor.error = error

    async def look():
        answers = [await revor.accounts.read("a")]
        for revor.now in (pause - 0.1, pause):
            answers.append(await revor.accounts.read("a"))
        return answers

    answers = asyncio.run(look())
    assert revor.asked == ["a"] * 2
    assert all(answer.error.startswith(told) and answer.accounts == [] for answer in answers)
    assert "canary" not in str(answers)


def test_a_revor_that_hangs_is_given_up_and_holds_up_no_other(monkeypatch):
    monkeypatch.setattr(accounts, "TIMEOUT", 0.05)
    asked = []

    async def ask(conn_id):
        asked.append(conn_id)
        if conn_id == "hangs":
            await asyncio.Event().wait()
        return [ANNA]

    async def look():
        both = Accounts(ask)
        hangs = asyncio.create_task(both.read("hangs"))
        await asyncio.sleep(0)
        other = await both.read("other")
        assert not hangs.done()
        return other, await hangs, await both.read("hangs")

    other, first, again = asyncio.run(look())
    assert (len(other.accounts), other.error) == (1, None)
    assert first is again
    assert first.error.startswith("Revor did not respond within")
    assert asked == ["hangs", "other"]


def test_a_viewer_who_leaves_does_not_cost_the_others_their_answer():
    revor = Revor()

    async def look():
        leaves = asyncio.create_task(revor.accounts.read("a"))
        stays = asyncio.create_task(revor.accounts.read("a"))
        await asyncio.sleep(0)
        leaves.cancel()
        return await stays

    assert asyncio.run(look()).error is None


@pytest.mark.parametrize(
    ("identifier", "name", "shown"),
    [
        pytest.param("anna@example.com", "Anna", ("a•••", "Anna"), id="address"),
        pytest.param("anna@example.com", "anna@example.com", ("a•••", "a•••"), id="name-is-the-address"),
        pytest.param("anna-smith", "Anna-Smith", ("a•••", "A•••"), id="name-in-another-case"),
        pytest.param(
            "https://www.linkedin.com/in/a", "linkedin.com/in/a", ("h•••", "l•••"), id="profile-without-scheme"
        ),
        pytest.param("https://x.example.com/in/anna", "Anna", ("h•••", "Anna"), id="profile"),
        pytest.param(None, "+1 202 555 0100", (None, "+•••"), id="name-is-a-phone"),
        pytest.param(None, "https://x.example.com/in/anna", (None, "h•••"), id="name-is-a-profile"),
        pytest.param("anna", "anna (work)", ("a•••", "a•••"), id="name-has-the-identifier"),
        pytest.param("", "Desk 12", ("", "Desk 12"), id="nothing"),
    ],
)
def test_masking_hides_what_identifies_a_person(identifier, name, shown):
    account = masked({**view(ANNA), "account_identifier": identifier, "name": name})
    assert (account["account_identifier"], account["name"]) == shown
    assert account["account_id"] == "acc_1"


def test_a_blocked_account_says_why_and_where_to_fix_it():
    shown = view(ANNA)
    assert (shown["sendable"], shown["status"]) == (False, "credentials")
    assert shown["reason"].startswith("its credentials must be updated")
    assert shown["console_url"] == "https://revor.ai/console/connect"

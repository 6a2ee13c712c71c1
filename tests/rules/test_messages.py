from __future__ import annotations

import math
from datetime import date

import pytest
from outreach_tasks import EMAIL

from airflow_provider_revor.rules.keys import task_key
from airflow_provider_revor.rules.messages import read_messages

IDS = {"dag_id": "d", "run_id": "r", "task_id": "t"}


def message(name="dana", **changes):
    return {**EMAIL, "recipient": {"address": f"{name}@example.com"}, "reference": f"crm-{name}", **changes}


def test_keys_are_those_of_the_dispatch_operator():
    (one,) = read_messages([message()], **IDS).messages
    assert one.key == task_key("d", "r", "t", {"address": "dana@example.com"})


def test_who_is_in_the_list_twice_gets_one_message():
    batch = read_messages([message(), message("DANA", reference=7), message("eve")], **IDS)
    assert [one.position for one in batch.messages] == [0, 2]
    row = batch.skipped[1]
    assert (row.reference, row.status, row.code) == (7, "skipped", "duplicate_person")


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        pytest.param(message(recipient={}), "recipient.address is missing", id="no-address"),
        pytest.param(message(channel="fax"), "channel", id="unknown-channel"),
        pytest.param(message(acount_id="secret"), "Unknown fields: acount_id", id="misspelt"),
        pytest.param(message(reference={"a": "secret"}), "reference must be", id="bad-reference"),
        pytest.param(message(reference=7.0), "characters, not float", id="float"),
        pytest.param(message(content={"subject": "secret"}), "content.text and content.html are both", id="text"),
        pytest.param("secret", "It must be an object, not str", id="no-object"),
        pytest.param(message(recipient="secret"), "recipient must be an object", id="recipient"),
        pytest.param(message(metadata={"secret": date(2026, 1, 1)}), "date is not JSON serializable", id="date"),
        pytest.param(message(metadata={"secret": math.nan}), "is not plain JSON: Out of range float", id="nan"),
        pytest.param(message(metadata={("secret",): 1}), "is not plain JSON: keys must be str", id="tuple-as-name"),
    ],
)
def test_a_bad_message_is_named_by_position_and_reference_never_by_content(bad, reason):
    batch = read_messages([message("eve"), bad], **IDS)
    with pytest.raises(ValueError, match="1 of 2 messages cannot be sent") as refused:
        batch.refuse()
    told = str(refused.value)
    assert "messages[1]" in told
    assert reason in told
    assert isinstance(bad, str) or not isinstance(bad["reference"], str) or "(reference crm-dana)" in told
    assert "example.com" not in told
    assert "secret" not in told.lower()
    assert batch.skipped[1].code == "invalid_message"
    assert [one.position for one in batch.messages] == [0]


@pytest.mark.parametrize("cell", [None, math.nan, ""])
def test_an_empty_cell_is_no_reference(cell):
    (one,) = read_messages([message(reference=cell)], **IDS).messages
    assert one.row.reference is None


def test_many_bad_messages_are_one_bounded_line():
    batch = read_messages([message(recipient={})] * 1000, **IDS)
    told = batch.told_problems()
    assert told.count("messages[") == 20
    assert told.endswith("And 980 more.")
    assert "\n" not in told


@pytest.mark.parametrize("messages", [None, 5, "[]", b"", {"a": 1}])
def test_what_is_no_list(messages):
    with pytest.raises(ValueError, match="messages must be a list"):
        read_messages(messages, **IDS)


def test_a_template_that_renders_to_text_is_told_what_to_do():
    with pytest.raises(
        ValueError, match=r"not str\. Pass the output of the task .* render_template_as_native_obj=True"
    ):
        read_messages("[{'account_id': 'acc_1'}]", **IDS)


def test_too_long_a_list():
    with pytest.raises(ValueError, match="10,001 messages are too many"):
        read_messages([message()] * 10_001, **IDS)


def test_a_pair_draws_one_number_for_each_person():
    people = [message(f"p{n}") for n in range(20)]
    drawn = [one.row.interval for one in read_messages(people, **IDS, bounds=(180, 360)).messages]
    assert drawn == [one.row.interval for one in read_messages(people, **IDS, bounds=(180, 360)).messages]
    assert len(set(drawn)) > 5
    assert all(180 <= seconds <= 360 for seconds in drawn)


def test_what_else_a_lead_holds_makes_no_other_message():
    lead = {"address": "dana@example.com", "score": 7, "phone": "+1 202 555 0123"}
    listed = [message(), message(recipient=lead, metadata=None, reference=7), message(recipient={**lead, "name": "D."})]
    same, lean, named = (read_messages([one], **IDS).messages[0].sent for one in listed)
    assert read_messages([message(recipient={"address": "dana@example.com"})], **IDS).messages[0].sent == lean == same
    assert named != same

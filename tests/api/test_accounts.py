from __future__ import annotations

import json

import pytest
from factories import account, item, listing, response
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_revor.api.accounts import (
    Channel,
    ConnectAccount,
    filter_sendable,
    list_request,
    parse_channel,
    parse_flag,
    read_accounts,
)
from airflow_provider_revor.api.answers import Envelope, decode
from airflow_provider_revor.api.wire import Request
from airflow_provider_revor.exceptions import RevorResponseError, RevorValueError


def read(*items) -> list[ConnectAccount]:
    return read_accounts(Envelope(listing(*items), "GET /x"))


def test_an_account_is_read_and_written_field_by_field():
    (read_account,) = read(item())
    assert read_account == account()
    assert read_account.as_dict() == item()
    assert json.loads(json.dumps(read_account.as_dict())) == item()


def test_unknown_fields_are_ignored_and_unknown_values_survive():
    (odd,) = read(item(channel="telegram", status="paused", lifecycle_status="brand_new", added_later=[1]))
    assert (odd.channel, odd.status, odd.lifecycle_status) == ("telegram", "paused", "brand_new")
    assert "added_later" not in odd.as_dict()


def test_the_identifier_is_not_in_the_repr():
    assert "ada@example.com" not in repr(read(item())[0])
    assert "acc_1" in repr(read(item())[0])


def test_the_identifier_may_be_null_or_missing():
    without = item()
    del without["account_identifier"]
    assert [a.account_identifier for a in read(item(account_identifier=None), without)] == [None, None]


@pytest.mark.parametrize("name", sorted(set(item()) - {"account_identifier"}))
@pytest.mark.parametrize("value", [None, 5, 1.5, [], {}, "missing"])
def test_a_missing_or_mistyped_field_is_named_and_its_value_is_not_told(name, value):
    broken = item(**{name: value})
    if value == "missing":
        del broken[name]
    with pytest.raises(RevorResponseError, match=rf"items\[1\]\.{name}.*req_list") as caught:
        read(item(), broken)
    assert "ada@example.com" not in str(caught.value)


@pytest.mark.parametrize("value", ["true", 1, 0, "yes"])
def test_a_boolean_is_a_boolean(value):
    with pytest.raises(RevorResponseError, match="can_send"):
        read(item(can_send=value))


@pytest.mark.parametrize("items", [None, {}, "x", 5])
def test_items_must_be_a_list(items):
    with pytest.raises(RevorResponseError, match="`items` should be a list"):
        read_accounts(Envelope({"ok": True, "items": items}, "GET /x"))


@pytest.mark.parametrize("entry", [None, "x", [item()], 5])
def test_an_item_must_be_an_object(entry):
    with pytest.raises(RevorResponseError, match=r"items\[0\]"):
        read(entry)


@pytest.mark.parametrize(
    ("status", "can_send", "sendable"),
    [
        ("ok", True, True),
        ("ok", False, False),
        ("credentials", True, False),
        ("error", True, False),
        ("new", True, False),
    ],
)
def test_sendable_is_status_ok_and_can_send_whatever_the_lifecycle_says(status, can_send, sendable):
    for lifecycle in ("active", "reconnect_required", "whatever"):
        one = account(status=status, can_send=can_send, lifecycle_status=lifecycle)
        assert one.sendable is sendable
        assert (one.blocked_reason is None) is sendable


def test_what_a_blocked_account_needs_is_said_without_personal_data():
    reason = account(status="credentials", can_send=False).blocked_reason
    assert "reconnect it at https://revor.ai/console/connect" in reason
    assert "can_send is false" in account(can_send=False).blocked_reason
    assert "not available now" in account(status="error").blocked_reason
    assert "its status is paused" in account(status="paused").blocked_reason
    for status in ("credentials", "error", "ok", "paused"):
        assert "https://revor.ai/console/connect" in account(status=status, can_send=False).blocked_reason
    assert "ada@example.com" not in reason
    assert "Ada" not in reason


@pytest.mark.parametrize(
    ("value", "channel"),
    [
        ("email", Channel.EMAIL),
        (" email\n", Channel.EMAIL),
        (Channel.WHATSAPP, Channel.WHATSAPP),
        (None, None),
        ("", None),
        ("None", None),
    ],
)
def test_a_channel_is_parsed(value, channel):
    assert parse_channel(value) is channel


@pytest.mark.parametrize("value", ["sms", "Email", "e-mail", 5, ["email"], True])
def test_a_bad_channel_is_a_value_error_that_names_the_good_ones(value):
    with pytest.raises(ValueError, match="use one of email, linkedin, whatsapp"):
        parse_channel(value)


@pytest.mark.parametrize(
    ("value", "flag"),
    [
        (True, True), (False, False), ("true", True), ("True", True), ("1", True), ("false", False), ("False", False),
        ("0", False), (" true ", True), (1, True), (0, False), (None, None), ("", None), ("None", None),
    ],
)  # fmt: skip
def test_can_send_is_parsed_as_templates_render_it(value, flag):
    assert parse_flag("can_send", value) is flag


@pytest.mark.parametrize("value", ["yes", "on", 2, [], "nope"])
def test_a_bad_can_send_is_a_value_error(value):
    with pytest.raises(ValueError, match="neither true nor false"):
        parse_flag("can_send", value)


def test_the_request_carries_only_the_filters_that_were_given():
    assert list_request().params == {}
    assert list_request("email", False).params == {"channel": "email", "can_send": "false"}
    assert list_request(Channel.LINKEDIN, True).params == {"channel": "linkedin", "can_send": "true"}


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
nearly_items = st.lists(anything | st.fixed_dictionaries({k: anything | st.just(v) for k, v in item().items()}))


@given(anything | st.builds(lambda items: {"ok": True, "items": items}, nearly_items | anything))
def test_any_json_is_typed_values_or_a_response_error(body):
    content = json.dumps(body).encode()
    try:
        accounts = read_accounts(decode(Request("GET", "x"), response(200, content), "c"))
    except RevorResponseError:
        return
    for one in accounts:
        assert {type(getattr(one, name)) for name in ("can_send", "can_receive")} == {bool}
        assert {type(getattr(one, n)) for n in ("account_id", "channel", "name", "status", "lifecycle_status")} == {str}
        assert one.account_identifier is None or type(one.account_identifier) is str


@pytest.mark.parametrize("field", ["account_id", "status", "lifecycle_status", "channel", "name"])
def test_whatever_revor_calls_an_account_takes_one_short_line(field):
    odd = account(can_send=False, **{field: "x\nERROR forged \x1b[31m\u202e" + "y" * 400_000})
    for text in (odd.label, odd.blocked_reason):
        assert len(text) < 500
        assert text.isprintable()
    # The value itself stays as it is.
    assert odd.as_dict()[field] == getattr(odd, field)


@pytest.mark.parametrize(
    ("sendable", "ids"), [(None, [1, 2, 3]), (True, [1]), ("true", [1]), ("0", [2, 3]), ("none", [1, 2, 3])]
)
def test_the_filter_sendable_goes_by_the_rule(sendable, ids):
    found = [account(account_id=1), account(account_id=2, status="error"), account(account_id=3, can_send=False)]
    assert [one.account_id for one in filter_sendable(found, sendable)] == ids
    with pytest.raises(RevorValueError, match="sendable='perhaps'"):
        filter_sendable(found, "perhaps")

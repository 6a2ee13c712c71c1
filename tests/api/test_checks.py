from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_revor.api.accounts import Channel
from airflow_provider_revor.api.checks import (
    as_text,
    check_dispatch,
    check_post_like,
    content_of,
    interval_bounds,
    parse_id,
    parse_interval,
    recipient_of,
)
from airflow_provider_revor.api.outreach import dispatch_request
from airflow_provider_revor.exceptions import RevorValueError
from airflow_provider_revor.tasks.templates import is_known

GOOD = {
    "email": ({"address": "ada@example.com"}, {"subject": "Hello", "text": "Hello Ada"}),
    "linkedin": ({"profile_url": "https://www.linkedin.com/in/ada"}, {"text": "Hello Ada"}),
    "whatsapp": ({"phone": "+1 202 555 0123"}, {"attachments": [{"filename": "a", "contentBase64": "QQ=="}]}),
}
LIKE = {
    "profile_url": "https://www.linkedin.com/in/ada",
    "content": None,
    "topic": "hiking",
    "intent": None,
    "account_id": None,
    "post_limit": None,
    "locale": None,
}
# Airflow renders what it can resolve.
OUTPUT = SimpleNamespace(resolve=None)
NOTHING = [None, "", " \n", "None", " none "]


@pytest.mark.parametrize("channel", GOOD)
def test_a_good_dispatch_passes(channel):
    check_dispatch("acc_1", channel, *GOOD[channel], None)
    check_dispatch("acc_1", f" {channel}\n", *GOOD[channel], {"campaign": 7})


@pytest.mark.parametrize(
    "content",
    [
        {"subject": "Hello", "html": "<p>Hello"},
        {"subject": "Hello", "text": "", "html": "<p>Hello"},
        {"subject": "Hello", "text": "Hello", "html": "<p>Hello", "attachments": []},
    ],
)
def test_an_email_has_a_subject_and_a_text_or_html(content):
    check_dispatch("acc_1", "email", GOOD["email"][0], content, None)


TO = GOOD["linkedin"][0]
NO_EMAIL = "content.text and content.html are both missing: one of them is needed"
NO_CHAT = "content.text and content.attachments are both missing: one of them is needed"

# The channel, what is sent, and what is said to be wrong with it: all of it.
BAD = {
    "an email that is empty": (
        "email",
        {},
        {},
        f"recipient.address is missing; content.subject is missing; {NO_EMAIL}",
    ),
    "a direct message that is empty": ("linkedin", {}, {}, f"recipient.profile_url is missing; {NO_CHAT}"),
    "a chat that is empty": (
        "whatsapp",
        {},
        {"text": " ", "attachments": []},
        f"recipient.phone is missing; {NO_CHAT}",
    ),
    "another channel's recipient": ("whatsapp", TO, {"text": "x"}, "recipient.phone is missing"),
    "a chat in HTML": ("linkedin", TO, {"html": "<p>"}, NO_CHAT),
    "booleans": (
        "whatsapp",
        {"phone": True, "name": True},
        {"text": False},
        "recipient.phone must be text, not bool; recipient.name must be text, not bool; content.text must be text, not "
        "bool",
    ),
    "floats": (
        "whatsapp",
        {"phone": 12025550123.0},
        {"text": 1e99},
        "recipient.phone must be text, not float; content.text must be text, not float",
    ),
    "no objects": (
        "email",
        "ada@example.com",
        ["Hello"],
        "recipient must be an object such as {'address': …}; content must be an object such as {'text': …}",
    ),
    "attachments that are none": (
        "linkedin",
        TO,
        {"text": "x", "attachments": "a.txt"},
        "content.attachments must be a list",
    ),
    "an attachment that is none": (
        "linkedin",
        TO,
        {"attachments": ["a.txt", {"filename": "a"}]},
        "content.attachments[0] must be an object; content.attachments[1].contentBase64 is missing",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_each_field_that_is_missing_or_mistyped_is_named(what):
    channel, recipient, content, said = BAD[what]
    with pytest.raises(RevorValueError) as caught:
        check_dispatch("acc_1", channel, recipient, content, None)
    assert str(caught.value) == f"This dispatch on {channel} cannot be sent: {said}."


@pytest.mark.parametrize("nothing", NOTHING)
def test_a_template_that_rendered_to_nothing_is_missing(nothing):
    with pytest.raises(RevorValueError) as caught:
        check_dispatch(nothing, "email", {"address": nothing}, {"subject": nothing, "text": nothing}, nothing)
    for name in ("account_id", "recipient.address", "content.subject", "content.text"):
        assert name in str(caught.value)
    assert "metadata" not in str(caught.value)
    with pytest.raises(RevorValueError, match="channel is missing"):
        check_dispatch("acc_1", nothing, {}, {}, None)


@pytest.mark.parametrize("value", ["sms", "Email", 5])
def test_a_channel_that_is_none_names_the_good_ones(value):
    with pytest.raises(ValueError, match="use one of email, linkedin, whatsapp"):
        check_dispatch("acc_1", value, {}, {}, None)


@pytest.mark.parametrize("metadata", [["x"], "x", 5, True])
def test_metadata_is_an_object(metadata):
    with pytest.raises(RevorValueError, match="metadata must be an object"):
        check_dispatch("acc_1", "email", *GOOD["email"], metadata)


@pytest.mark.parametrize("text", ["{'address': 'ada@example.com'}", ' {"text": "x"}'])
def test_the_text_that_a_template_makes_of_an_object_is_told_as_such(text):
    said = "is the text of an object, which a template makes of it: pass the output of the task that returns it, or "
    with pytest.raises(RevorValueError) as caught:
        check_dispatch("acc_1", "email", text, text, text)
    assert str(caught.value).count(said) == 3
    assert text not in str(caught.value)


def test_no_value_is_told():
    with pytest.raises(RevorValueError) as caught:
        check_dispatch("", "email", {"phone": "+1 202 555 0123", "name": "Ada"}, {"text": ["a secret"]}, 5)
    for personal in ("202", "Ada", "secret"):
        assert personal not in str(caught.value)


def test_what_is_not_known_yet_is_taken_for_good():
    check_dispatch("{{ a }}", "{{ c }}", "{{ r }}", "{{ t }}", "{{ m }}", known=is_known)
    check_dispatch(OUTPUT, "email", {"address": "{{ a }}"}, {"subject": OUTPUT, "html": "{{ h }}"}, None, is_known)
    check_dispatch("acc_1", "linkedin", OUTPUT, {"attachments": "{{ files }}"}, None, known=is_known)
    check_dispatch("acc_1", "linkedin", OUTPUT, {"attachments": ["{{ f }}", OUTPUT]}, None, known=is_known)
    with pytest.raises(RevorValueError, match=r"account_id is missing; recipient.phone is missing"):
        check_dispatch("", "whatsapp", {"name": "{{ n }}"}, {"text": "{{ t }}"}, None, known=is_known)


def test_a_recipient_is_cut_to_what_the_channel_takes():
    lead = {
        "address": " ada@example.com ",
        "phone": "+1 202 555 0123",
        "profile_url": "https://www.linkedin.com/in/ada",
        "name": "Ada",
        "salary": 5,
    }
    assert recipient_of(Channel.EMAIL, lead) == {"address": "ada@example.com", "name": "Ada"}
    assert recipient_of(Channel.WHATSAPP, {**lead, "name": "None"}) == {"phone": "+1 202 555 0123"}


# -- native objects --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (4915112345678, "4915112345678"),
        (-7, "-7"),
        (4.5, "4.5"),
        *((value, value) for value in ("42", True, None, 1e99, 1e-9, float("inf"), float("nan"), ["x"])),
    ],
)
def test_a_number_is_the_text_that_it_was(value, text):
    assert as_text(value) is value if text is value else as_text(value) == text


def test_a_message_of_numbers_is_text():
    check_dispatch(7, "email", {"address": "a@b.c", "name": 8}, {"subject": 42, "text": 4.5}, None)
    check_dispatch(7, "whatsapp", {"phone": 4915112345678}, {"text": 42}, None)
    assert recipient_of(Channel.WHATSAPP, {"phone": 4915112345678, "name": 8}) == {
        "phone": "4915112345678",
        "name": "8",
    }
    content = {"subject": 42, "text": 4.5, "html": " ", "attachments": [{"filename": 1, "contentBase64": 2, "size": 3}]}
    assert content_of(content) == {
        "subject": "42",
        "text": "4.5",
        "attachments": [{"filename": "1", "contentBase64": "2", "size": 3}],
    }


def test_an_id_is_text():
    assert [parse_id("job_id", value) for value in (" job_1\n", 7)] == ["job_1", "7"]


@pytest.mark.parametrize("value", [None, " ", "None", True, 1.5, 1e99, ["x"]])
def test_what_is_no_id_is_named(value):
    with pytest.raises(RevorValueError, match="^job_id (is missing|must be text, not (bool|float|list))"):
        parse_id("job_id", value)


# -- post-likes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"topic": None, "intent": "congratulate"},
        {"content": "x", "post_limit": "50", "locale": "zh"},
        {"post_limit": 1, "account_id": "acc_1"},
        *({"content": nothing, "post_limit": nothing, "locale": nothing} for nothing in NOTHING),
    ],
)
def test_a_good_post_like_passes(changes):
    check_post_like({**LIKE, **changes})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"profile_url": "", "topic": "None"}, "profile_url is missing; one of content, topic and intent is missing"),
        ({"profile_url": True, "topic": ["x"]}, "profile_url must be text, not bool; topic must be text, not list"),
        ({"account_id": 1.5}, "account_id must be text, not float"),
        *(({"post_limit": n}, "post_limit must be a whole number from 1 to 50") for n in (0, 51, -1, 2.5, True, "x")),
        ({"locale": "de"}, "locale must be one of en, zh"),
    ],
)
def test_a_bad_post_like_is_named(changes, said):
    with pytest.raises(RevorValueError) as caught:
        check_post_like({**LIKE, **changes})
    assert str(caught.value) == f"This post-like cannot be asked for: {said}."


def test_a_post_like_that_is_not_known_yet_is_taken_for_good():
    check_post_like({**LIKE, "profile_url": "{{ p }}", "topic": OUTPUT, "post_limit": "{{ n }}"}, known=is_known)
    check_post_like({**LIKE, "topic": "{{ t }}", "locale": "{{ l }}"}, known=is_known)


# -- intervals -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "bounds"),
    [
        *((nothing, None) for nothing in NOTHING),
        (60, (60, 60)),
        ("240", (240, 240)),
        (86_400, (86_400, 86_400)),
        ((180, 360), (180, 360)),
        (["180", " 360 "], (180, 360)),
        ([200, 200], (200, 200)),
    ],
)
def test_an_interval_is_a_number_or_a_pair(value, bounds):
    assert interval_bounds(value) == bounds


@pytest.mark.parametrize(
    "value",
    [
        *(0, 59, 86_401, -60, 90.0, True, "often", "(180, 360)", "1" * 5000, b"60", {"least": 180}),
        *((), (180,), (360, 180), (59, 60), (60, 86_401), (60, 70, 80), (180, None), ("180", "x")),
    ],
)
def test_a_bad_interval_is_a_value_error_that_says_how(value):
    with pytest.raises(RevorValueError, match=r"from 60 to 86400, or a pair of them such as \(180, 360\)"):
        interval_bounds(value)


@given(st.integers(60, 86_400), st.integers(60, 86_400))
def test_the_smaller_bound_comes_first(one, other):
    least, most = sorted((one, other))
    assert interval_bounds((least, most)) == interval_bounds([str(least), most]) == (least, most)


def test_where_one_number_is_meant_a_pair_is_refused():
    assert [parse_interval(value) for value in (None, "", 90, "90", (90, 90))] == [None, None, 90, 90, 90]
    with pytest.raises(RevorValueError, match="not a pair"):
        parse_interval((180, 360))


@pytest.mark.parametrize("cell", ["nan", "NaN ", "<NA>", "null"])
@pytest.mark.parametrize(("channel", "field"), [("email", "address"), ("whatsapp", "phone")])
def test_an_empty_cell_of_a_table_is_nobody(channel, field, cell):
    with pytest.raises(RevorValueError, match=rf"recipient\.{field} is missing: .* stands for an empty cell"):
        check_dispatch("acc_1", channel, {field: cell}, {"subject": "s", "text": "t"}, None)


def test_an_empty_cell_among_texts_is_left_out():
    nan = float("nan")
    request = dispatch_request(
        "acc_1", "email", {"address": "a@b.co", "name": nan}, {"subject": "s", "text": nan, "html": "h"}, metadata=nan
    )
    assert request.body["recipient"] == {"address": "a@b.co"}
    assert request.body["content"] == {"subject": "s", "html": "h"}
    assert "metadata" not in request.body
    with pytest.raises(RevorValueError, match=r"recipient\.address is missing; content\.subject is missing"):
        check_dispatch("acc_1", "email", {"address": nan}, {"subject": nan, "text": "t"}, None)


def test_the_account_of_a_gate_is_no_id():
    with pytest.raises(RevorValueError, match=r"take its `account_id`, as gate\.output\['account_id'\] does"):
        check_dispatch({"account_id": "a"}, "email", {"address": "a@b.c"}, {"subject": "s", "text": "t"}, None)


@pytest.mark.parametrize(
    "address",
    [
        "Ada <ada@example.com>",
        "<ada@example.com>",
        "ada@example.com grace@example.com",
        "ada@example.com,grace@example.com",
        "ada@example.com;grace@example.com",
    ],
)
def test_an_address_comes_alone(address):
    with pytest.raises(RevorValueError, match=r"recipient\.address must be one address alone"):
        check_dispatch("acc_1", "email", {"address": address}, {"subject": "s", "text": "t"}, None)


@pytest.mark.parametrize(
    ("channel", "recipient", "problem"),
    [
        ("email", {"address": "n/a"}, "recipient.address must be an email address: it has no @"),
        ("email", {"address": 4915112345678}, "recipient.address must be an email address: it has no @"),
        ("linkedin", {"profile_url": "https://www.linkedin.com/company/revor/"}, "must be a person's profile"),
        ("linkedin", {"profile_url": "de.LinkedIn.com/school/tum"}, "must be a person's profile"),
    ],
)
def test_what_cannot_be_a_person_is_refused_before_anything_is_sent(channel, recipient, problem):
    with pytest.raises(RevorValueError, match=problem):
        check_dispatch("acc_1", channel, recipient, {"subject": "s", "text": "t"}, None)


@pytest.mark.parametrize("profile", ["https://linkedin.com/in/company", "ada", "https://example.com/company/ada"])
def test_other_profiles_are_revors_to_judge(profile):
    check_dispatch("acc_1", "linkedin", {"profile_url": profile}, {"text": "t"}, None)


def test_a_channel_that_is_none_of_revors_is_one_problem_among_others():
    with pytest.raises(RevorValueError, match=r"'sms' is no Revor channel.*; account_id is missing; recipient must be"):
        check_dispatch(None, "sms", "ada@example.com", {"text": "t"}, None)

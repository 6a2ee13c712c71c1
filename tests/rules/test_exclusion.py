"""Who is excluded: whoever an entry is a spelling of, and nobody else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_revor.rules.exclusion import Exclusion, person_digest
from airflow_provider_revor.rules.identity import person

ADA = {"address": "ada@example.com"}
DANA = {"profile_url": "https://www.linkedin.com/in/dana"}
EVE = {"phone": "+1 202 555 0123"}

addresses = st.emails()
slugs = st.from_regex(r"[a-z][a-z0-9-]{2,20}", fullmatch=True)
numbers = st.from_regex(r"[1-9][0-9]{7,13}", fullmatch=True)
recipients = st.one_of(
    addresses.map(lambda text: {"address": text}),
    slugs.map(lambda slug: {"profile_url": f"https://www.linkedin.com/in/{slug}"}),
    numbers.map(lambda digits: {"phone": f"+{digits}"}),
)


class DataFrame:
    """A table, as pandas has it: to iterate over it is to iterate over its columns."""

    ndim = 2

    def __iter__(self):
        return iter(["canary", "address"])


def text_of(recipient):
    return next(iter(recipient.values()))


@pytest.mark.parametrize(
    ("entry", "recipient"),
    [
        pytest.param("Ada@EXAMPLE.com ", ADA, id="another-case"),
        pytest.param("mailto:ada@example.com", ADA, id="mailto"),
        pytest.param("Lovelace, Ada <Ada@example.com>", ADA, id="with-a-name"),
        pytest.param("de.linkedin.com/in/Dana/?trk=x", DANA, id="another-host-of-linkedin"),
        pytest.param("001 (202) 555-0123", EVE, id="another-spelling-of-a-number"),
        pytest.param("https://wa.me/12025550123", EVE, id="a-whatsapp-link"),
        pytest.param(12025550123, EVE, id="a-number-that-a-native-template-made"),
        pytest.param({"address": "ADA@example.com", "name": "Ada"}, ADA, id="a-recipient"),
        pytest.param({"address": "x@example.com", "phone": "+12025550123"}, EVE, id="a-lead-with-several-addresses"),
        pytest.param(person_digest({"address": "ADA@example.com"}).upper(), ADA, id="a-digest"),
    ],
)
def test_a_person_is_excluded_in_any_spelling(entry, recipient):
    assert recipient in Exclusion([entry])
    assert all(other not in Exclusion([entry]) for other in (ADA, DANA, EVE) if other is not recipient)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(r'["https:\/\/www.linkedin.com\/in\/dana"]', id="escaped-slashes"),
        pytest.param('[null, {"profile_url": "https://www.linkedin.com/in/dana", "phone": null}]', id="null"),
    ],
)
def test_a_list_as_json_writes_it(text):
    assert DANA in Exclusion(text)


@given(recipients)
def test_a_text_a_recipient_and_a_digest_exclude_the_same_person(recipient):
    for entry in (recipient, text_of(recipient), person_digest(recipient)):
        assert recipient in Exclusion([entry])


@given(recipients, recipients)
def test_nobody_else_is_excluded(one, other):
    for entry in (one, text_of(one), person_digest(one)):
        assert (other in Exclusion([entry])) is (person(one) == person(other))


@given(st.lists(recipients, max_size=5))
def test_it_survives_being_rendered_to_text(people):
    texts = [text_of(one) for one in people]
    for rendered in (str(texts), json.dumps(texts), "\n".join(texts)):
        assert all(one in Exclusion(rendered) for one in people)


@pytest.mark.parametrize("nobody", [None, [], "", "None", [None, "", "  "], "[]"])
def test_nobody(nobody):
    assert ADA not in Exclusion(nobody)


@pytest.mark.parametrize(
    "entry",
    [
        "o'brien+x@example.com",
        "1+2@example.com",
        "mailto:ada@example.com?subject=Hello%20there",
        "https://www.linkedin.com/sales/lead/ACwAAABcDeF,NAME_SEARCH,x1y2",
        "https://www.linkedin.com/in/dana?trk=a,b",
        "+49 (0) 30 1234/567-8",
        "4915112345678@s.whatsapp.net",
        "a contact, of WhatsApp's",
        "a contact(work)",
        "contact(work)",
        "@contact",
        {"phone": "contact.work"},
    ],
)
def test_an_entry_alone_is_accepted(entry):
    assert Exclusion([entry])


def test_a_lead_is_excluded_by_any_of_its_addresses():
    assert {**ADA, **DANA} in Exclusion([DANA["profile_url"]])


@pytest.mark.parametrize(
    ("exclude", "why"),
    [
        pytest.param(["ok@example.com", 1.5], r"exclude\[1\] is of the type float", id="a-float"),
        pytest.param([True], r"exclude\[0\] is of the type bool", id="a-bool"),
        pytest.param([{"secret": "canary"}], r"exclude\[0\] has no address", id="a-dict-without-an-address"),
        pytest.param({"address": "canary@example.com"}, "must be a list, not dict", id="a-dict"),
        pytest.param(5, "must be a list, not int", id="a-number"),
        pytest.param(DataFrame(), "must be a list, not DataFrame", id="a-table"),
        pytest.param("['canary@example.com'", "begins like a list", id="half-a-list"),
        *(
            pytest.param(entry, r"exclude\[0\] is not one entry alone", id=name)
            for name, entry in {
                "addresses-with-commas": "canary@example.com, bob@example.com",
                "addresses-with-semicolons": "bob@example.com;canary@example.com",
                "addresses-with-blanks": ["bob@example.com canary@example.com"],
                "a-comma-behind": ["canary@example.com,"],
                "in-quotes": ['"canary@example.com"'],
                "in-a-dict": [{"address": "canary@example.com, bob@example.com"}],
                "links": "linkedin.com/in/canary, linkedin.com/in/bob",
                "numbers": "+1 202 555 0123, +1 202 555 0124",
                "numbers-with-blanks": "+12025550123 +12025550124",
                "xcoms-of-a-mapped-task": "LazySelectSequence([2 items])",
                "xcoms-not-counted": "LazyXComSequence(<unevaluated length>)",
                "keys-of-a-dict": "dict_keys(['canary'])",
                "an-object": "<generator object canary at 0x7f>",
            }.items()
        ),
        *(
            pytest.param([entry], r"exclude\[0\] is a domain, a file or half an address", id=name)
            for name, entry in {
                "a-domain": "canary.example.com",
                "a-domain-with-an-at": "@canary.com",
                "a-domain-in-a-dict": {"address": "*@canary.com"},
                "a-pattern": "%@canary.com",
                "half-an-address": "canary@",
                "a-file": "do_not_contact_canary.csv",
                "a-path": "s3://canary/do not contact.json",
            }.items()
        ),
    ],
)
def test_what_cannot_be_read_is_rejected_without_its_content(exclude, why):
    with pytest.raises(ValueError, match=why) as raised:
        Exclusion(exclude)
    assert "canary" not in str(raised.value)

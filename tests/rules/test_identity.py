"""Who is one person. The tables read as documentation: each spelling of a row is one person, each pair is two."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_revor.rules.identity import person

addresses = st.emails()
slugs = st.text("abcxyz0123456789-", min_size=1, max_size=12)
digits = st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True)
# Ids in which each sign counts: no spaces, nothing that Unicode composes, and not a number.
contacts = st.text("abcABC_:#-", min_size=1, max_size=8)
members = st.text("abcXYZ019_-", min_size=1, max_size=8)

SAME = {
    "an address": (
        {"address": "ada@example.com"},
        [
            {"address": "Ada@Example.COM"},
            {"address": " ada@example.com\n"},
            {"address": "mailto:ada@example.com"},
            {"address": "\uff41da@example.com"},
            {"address": "ada@example.com", "name": "Ada", "phone": "+1 202 555 0123"},
            {"address": "MAILTO:ada@example.com?subject=Hello"},
            {"address": "ada@example.com."},
            {"address": "a\u200bda@exam\u00adple.com"},
        ],
    ),
    "an address of a domain beyond ASCII": (
        {"address": "ada@bücher.example"},
        [
            {"address": "Ada@BÜCHER.example"},
            {"address": "ada@xn--bcher-kva.example"},
            {"address": "ada@XN--BCHER-KVA.EXAMPLE"},
            {"address": "ada@bu\u0308cher.example"},
            {"address": "ada@bücher。example"},
        ],
    ),
    "a profile": (
        {"profile_url": "https://www.linkedin.com/in/ada-l"},
        [
            {"profile_url": url}
            for url in (
                "http://linkedin.com/in/ada-l",
                "linkedin.com/in/ada-l",
                "//www.linkedin.com/in/ada-l/",
                "https://de.linkedin.com/in/Ada-L",
                "https://m.linkedin.com/in/ada-l/en",
                "https://www.linkedin.com:443/in/ada-l?utm_source=x#about",
                "www.linkedin.com/in/ada-l?from=https://example.com/x",
                "HTTPS://WWW.LINKEDIN.COM/in/ada%2Dl",
            )
        ],
    ),
    "a profile beyond ASCII": (
        {"profile_url": "https://www.linkedin.com/in/émilie"},
        [
            {"profile_url": "https://www.linkedin.com/in/%C3%A9milie"},
            {"profile_url": "https://www.linkedin.com/in/%C3%89milie"},
            {"profile_url": "https://www.linkedin.com/in/e%CC%81milie"},
            {"profile_url": "https://www.linkedin.com/in/E\u0301MILIE"},
        ],
    ),
    "a member id": (
        {"profile_url": "https://www.linkedin.com/in/ACoAAB1cD_e-F"},
        [
            {"profile_url": "linkedin.com/in/ACoAAB1cD_e-F/"},
            {"profile_url": "https://www.linkedin.com/sales/lead/ACoAAB1cD_e-F,NAME_SEARCH,aB3d"},
            {"profile_url": "https://www.linkedin.com/sales/people/ACoAAB1cD_e-F,OUT_OF_NETWORK,Zz9?_ntb=x"},
        ],
    ),
    "a lead of Sales Navigator": (
        {"profile_url": "https://www.linkedin.com/sales/lead/77abC,NAME_SEARCH,aB3d"},
        [{"profile_url": "https://www.linkedin.com/sales/people/77abC,OUT_OF_NETWORK,other"}],
    ),
    "a phone": (
        {"phone": "+49 30 1234567"},
        [
            {"phone": text}
            for text in (
                "+49301234567",
                "0049 30 1234567",
                "+49 (0)30 123-45.67",
                "tel:+49-30-1234567",
                "\u202a+49 30 1234567\u202c",
                "４９301234567",
                "٤٩٣٠١٢٣٤٥٦٧",
                "TEL:+49301234567;phone-context=x",
                "https://wa.me/49301234567?text=Hello",
                "wa.me/+49301234567",
                "https://api.whatsapp.com/send?phone=%2B49301234567&text=Hello",
                "whatsapp://send?phone=49301234567",
                "whatsapp:+49301234567",
                "49301234567@s.whatsapp.net",
                "49301234567:12@S.WhatsApp.net",
                "+49\u201130\u20111234567",
                "+4930\u200b1234567",
            )
        ],
    ),
}


@pytest.mark.parametrize("who", SAME)
def test_all_spellings_of_a_person_are_one_person(who):
    first, others = SAME[who]
    for other in others:
        assert person(other) == person(first), other


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"address": "ada@example.com"}, {"address": "ada@example.org"}),
        ({"address": "ada+x@example.com"}, {"address": "ada@example.com"}),
        ({"profile_url": "https://linkedin.com/in/ada"}, {"profile_url": "https://linkedin.com/in/ada-1"}),
        ({"profile_url": "https://linkedin.com/in/ada"}, {"profile_url": "https://example.com/in/ada"}),
        ({"profile_url": "linkedin.com/profile/view?id=1"}, {"profile_url": "linkedin.com/profile/view?id=2"}),
        ({"phone": "+49 30 1"}, {"phone": "+49 30 2"}),
        ({"phone": "ada"}, {"phone": "bob"}),
        ({"phone": "1"}, {"address": "1"}),
        ({"address": "strauß@example.com"}, {"address": "strauss@example.com"}),
        ({"address": "ada@faß.example"}, {"address": "ada@fass.example"}),
        ({"address": "a²@example.com"}, {"address": "a2@example.com"}),
        ({"address": "a.da@example.com"}, {"address": "ada@example.com"}),
        ({"profile_url": "linkedin.com/in/ACoAAB1cD_eF"}, {"profile_url": "linkedin.com/in/ACoAAb1cD_eF"}),
        ({"profile_url": "linkedin.com/sales/lead/aB,x,y"}, {"profile_url": "linkedin.com/sales/lead/ab,x,y"}),
        ({"profile_url": "linkedin.com/in/strauß"}, {"profile_url": "linkedin.com/in/strauss"}),
        ({"profile_url": "https://example.com/Ada"}, {"profile_url": "https://example.com/ada"}),
        ({"phone": "wa_contact_7"}, {"phone": "wa-contact-7"}),
        ({"phone": "wa_contact_7"}, {"phone": "abc7"}),
        ({"phone": "wa_contact_7"}, {"phone": "WA_contact_7"}),
        ({"phone": "7"}, {"phone": "007"}),
        ({"phone": "+49 30 123456"}, {"phone": "030 123456"}),
        ({"phone": "4915112345678@s.whatsapp.net"}, {"phone": "4915112345678@g.us"}),
    ],
)
def test_two_persons_are_two(one, other):
    assert person(one) != person(other)


@given(addresses, st.sampled_from([str.upper, str.title, str.lower]), st.sampled_from(["", " ", "\n"]))
def test_an_address_is_the_same_however_it_is_written(address, write, space):
    assert person({"address": f"{space}{write(address)}{space}"}) == person({"address": address})


@given(digits, st.lists(st.sampled_from(" -.()/"), max_size=20))
def test_a_phone_is_the_same_however_it_is_grouped(number, signs):
    grouped = "".join(f"{sign}{digit}" for digit, sign in zip(number, [*signs, *" " * 20], strict=False))
    assert person({"phone": f"+{grouped.replace('(0)', '0')}"}) == person({"phone": number})


@given(slugs, st.sampled_from(["", "www.", "de.", "m."]), st.sampled_from(["", "/", "/en", "?a=b", "#c", "/?a=://"]))
def test_a_profile_is_the_same_wherever_the_link_was_found(slug, host, tail):
    link = {"profile_url": f"{host}linkedin.com/in/{slug}{tail}"}
    assert person(link) == person({"profile_url": f"https://www.linkedin.com/in/{slug.upper()}"})


@given(contacts, contacts)
def test_two_contact_identifiers_are_two_people(one, other):
    assert (person({"phone": one}) == person({"phone": other})) is (one == other)


@given(members, members)
def test_two_member_ids_are_two_people(one, other):
    links = [{"profile_url": f"https://www.linkedin.com/in/ACoAA{name}"} for name in (one, other)]
    assert (person(links[0]) == person(links[1])) is (one == other)


@given(digits, digits)
def test_two_numbers_are_two_people(one, other):
    assert (person({"phone": f"+{one}"}) == person({"phone": other})) is (one == other)


@given(addresses, addresses)
def test_two_addresses_are_two_people(one, other):
    assert (person({"address": one}) == person({"address": other})) is (one.lower() == other.lower())


@given(st.text(min_size=1).filter(str.strip), st.sampled_from(["address", "profile_url", "phone"]))
def test_a_normalized_spelling_is_stable_under_spaces_and_signs_that_nobody_sees(text, field):
    assert person({field: f" \u200b{text}\ufeff\n"}) == person({field: text})


def test_nobody_is_no_person():
    for nobody in ({}, {"address": ""}, {"name": "Ada"}):
        with pytest.raises(ValueError, match="an address, a profile_url or a phone"):
            person(nobody)

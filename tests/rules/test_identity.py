"""Who is one person: two people never share a key, and spellings of one do."""

from __future__ import annotations

import json
import os
import string
import subprocess
import sys

import idna
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from airflow_provider_revor.rules.identity import person

# Each line is one person, in all spellings that name them.
SAME = {
    "address": [
        [
            "ada@example.com",
            "Ada@Example.COM",
            " ada@example.com\n",
            "mailto:ada@example.com",
            "MAILTO:Ada%40example.com?subject=Hello",
            "\uff41da@example.com",
            "ada\u200b@example.com\ufeff",
            "ada@example.com.",
            "a\u200bda@exam\u00adple.com",
        ],
        # The address of a domain beyond ASCII, and its punycode.
        ["ada@münchen.de", "ada@MÜNCHEN.de", "ada@mu\u0308nchen.de", "ada@xn--mnchen-3ya.de", "ada@XN--MNCHEN-3YA.DE"],
        ["ada@faß.de", "ada@xn--fa-hia.de"],
        ["ada@例え.jp", "ada@例え。jp", "ada@xn--r8jz45g.jp"],
        ["émilie@example.com", "ÉMILIE@example.com", "e\u0301milie@example.com"],
    ],
    "profile_url": [
        [
            "https://www.linkedin.com/in/ada-l",
            "http://linkedin.com/in/ada-l",
            "linkedin.com/in/ada-l",
            "//www.linkedin.com/in/ada-l/",
            "https://de.linkedin.com/in/Ada-L",
            "https://m.linkedin.com/in/ada-l/en",
            "https://www.linkedin.com/mwlite/in/ada-l",
            "https://www.linkedin.com/comm/in/ada-l?midToken=x",
            "https://www.linkedin.com:443/in/ada-l?utm_source=x#about",
            "https://www.linkedin.com/in/ada-l/overlay/contact-info/",
            "www.linkedin.com/in/ada-l?from=https://example.com/x",
            "HTTPS://WWW.LINKEDIN.COM/in/ada%2Dl",
            "https://www.linkedin.com/in/ada\u200b-l",
        ],
        [
            "https://www.linkedin.com/in/émilie",
            "https://www.linkedin.com/in/%C3%A9milie",
            "https://www.linkedin.com/in/%C3%89milie",
            "https://www.linkedin.com/in/e%CC%81milie",
            "https://www.linkedin.com/in/E\u0301MILIE",
        ],
        # Sales Navigator adds how the person was found, and a token.
        [
            "https://www.linkedin.com/sales/lead/ACwAABcD-e_F,NAME_SEARCH,a1B2",
            "https://www.linkedin.com/sales/lead/ACwAABcD-e_F,OUT_OF_NETWORK,zZ9?_ntb=x",
            "https://www.linkedin.com/sales/people/ACwAABcD-e_F",
            "https://www.linkedin.com/in/ACwAABcD-e_F/",
        ],
        [
            "https://www.linkedin.com/sales/lead/77abC,NAME_SEARCH,aB3d",
            "https://www.linkedin.com/sales/people/77abC,OUT_OF_NETWORK,other",
        ],
        ["https://www.linkedin.com/profile/view?id=7&trk=x", "linkedin.com/profile/view?trk=y&id=7"],
    ],
    "phone": [
        [
            "+49 30 1234567",
            "+49301234567",
            "49301234567",
            "0049 30 1234567",
            "+49 (0)30 123-45.67",
            "0049 (0) 30/1234567",
            "(+49) 30 1234567",
            "+49\u00a030\u20111234567",
            "+49\u00b730\u00b71234567",
            "+4930\u200b1234567",
            "\u202a+49 30 1234567\u202c",
            "４９301234567",
            "+٤٩ ٣٠ ١٢٣٤٥٦٧",
            "tel:+49-30-1234567",
            "TEL:+49301234567;phone-context=x",
            "sms:+49301234567?body=Hello",
            "whatsapp:+49301234567",
            "https://wa.me/49301234567",
            "wa.me/+49301234567?text=Hello%20Ada",
            "https://www.wa.me/49301234567",
            "whatsapp.com/send?phone=49301234567",
            "https://api.whatsapp.com/send?phone=49301234567&text=Hello",
            "https://api.whatsapp.com/send/?text=Hello&phone=%2B49301234567",
            "https://web.whatsapp.com/send?phone=+49301234567",
            "whatsapp://send?phone=49301234567",
            "49301234567@s.whatsapp.net",
            "49301234567:12@S.WhatsApp.net",
            "49301234567@c.us",
        ],
        ["wa_contact_7", " wa_contact_7\n", "wa_contact_7\u200b"],
    ],
}

# Any two of a line are two people, however alike they look.
DIFFERENT = {
    "address": [
        ["ada@example.com", "ada@example.org", "ada@mail.example.com"],
        # Some hosts take these for one mailbox, others do not.
        ["ada@example.com", "ada+x@example.com", "a.da@example.com"],
        ["strauß@example.com", "strauss@example.com"],
        ["ada@faß.de", "ada@fass.de"],
        ["ﬁona@example.com", "fiona@example.com"],
        ["x²@example.com", "x2@example.com"],
        # A joiner between letters of Persian is part of the domain's name.
        ["ada@نامه\u200cای.com", "ada@نامهای.com"],
    ],
    "profile_url": [
        ["https://linkedin.com/in/ada", "https://linkedin.com/in/ada-1", "https://example.com/in/ada"],
        ["https://linkedin.com@example.com/in/ada", "https://linkedin.com/in/ada", "https://notlinkedin.com/in/ada"],
        # LinkedIn's own ids are case-sensitive.
        ["https://linkedin.com/in/ACoAABcDeF", "https://linkedin.com/in/ACoAABCDEF", "https://linkedin.com/in/acoaabcdef"],
        ["urn:li:fsd_profile:ACoAABc", "urn:li:fsd_profile:ACoAABC", "ACoAABc", "ACoAABC"],
        ["https://linkedin.com/sales/lead/ACwAABc,X,1", "https://linkedin.com/sales/lead/ACwAABC,X,1"],
        ["https://linkedin.com/sales/lead/ada,X,1", "https://linkedin.com/in/ada", "https://linkedin.com/sales/lead/Ada,X,1"],
        ["https://linkedin.com/in/strauß", "https://linkedin.com/in/strauss"],
        ["https://linkedin.com/in/%FF", "https://linkedin.com/in/%FE"],
        ["linkedin.com/profile/view?id=1", "linkedin.com/profile/view?id=2"],
        ["linkedin.com/pub/in/1/2/3", "linkedin.com/pub/in/1/2/4"],
        ["https://example.com/Ada", "https://example.com/ada"],
        ["linkedin.com/in/?id=1", "linkedin.com/in/?id=2"],
    ],
    "phone": [
        ["+49 30 1234567", "+49 30 1234568", "+39 30 1234567"],
        # Without its country a number could be anyone's.
        ["+49 30 123456", "030 123456"],
        ["+49 151 12345678", "0151 12345678", "151 12345678"],
        # WhatsApp's contact identifiers are no numbers, whatever digits they hold.
        ["wa_contact_7", "wa-contact-7", "abc7", "7", "007", "WA_contact_7", "wa_contact_8"],
        ["ada", "bob"],
        ["120363041234567890@g.us", "120363041234567890", "120363041234567890@lid"],
        ["4915112345678@g.us", "4915112345678@lid", "4915112345678"],
        ["https://wa.me/message/ABC123", "https://wa.me/message/ABC124", "https://wa.me/qr/ABC123"],
        ["+49 30 1234567 ext. 1", "+49 30 1234567 ext. 2", "+49 30 1234567"],
        ["+49 30 1", "+49 30 2"],
        ["4.91511E+12", "4.91512E+12", "491511"],
    ],
}  # fmt: skip


def lines(table):
    return [
        pytest.param([{field: text} for text in texts], id=f"{field}-{ascii(texts[0]).strip(chr(39))}")
        for field, persons in table.items()
        for texts in persons
    ]


@pytest.mark.parametrize("spellings", lines(SAME))
def test_spellings_of_one_person_are_one(spellings):
    assert {ascii(one): person(one) for one in spellings} == {ascii(one): person(spellings[0]) for one in spellings}


@pytest.mark.parametrize("people", lines(DIFFERENT))
def test_two_people_are_two(people):
    assert len({person(one) for one in people}) == len(people)


def test_what_else_a_recipient_holds_does_not_count_and_a_number_is_its_text():
    full = {"address": "ada@example.com", "name": "Ada", "phone": "+1 202 555 0123"}
    assert person(full) == person({"address": "ada@example.com"})
    assert person({"phone": 4915112345678}) == person({"phone": "+4915112345678"})
    assert person({"phone": "1"}) != person({"address": "1"})


@pytest.mark.parametrize("nobody", [{}, {"address": ""}, {"name": "Ada"}])
def test_nobody_is_no_person(nobody):
    with pytest.raises(ValueError, match="an address, a profile_url or a phone"):
        person(nobody)


# -- spellings, made at random ---------------------------------------------------------------------------

addresses = st.emails()
slugs = st.text("abcxyz0123456789-", min_size=1, max_size=12)
member_ids = st.text(f"{string.ascii_letters}{string.digits}_-", min_size=1, max_size=34).map(
    lambda text: f"ACoAA{text}"
)
numbers = st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True)
contacts = st.text(f"{string.ascii_letters}{string.digits}_-.@", max_size=20).filter(
    lambda text: any(c.isalpha() for c in text)
)


@given(addresses, st.sampled_from([str.upper, str.title, str.lower]), st.sampled_from(["", " ", "\n", "\u200b"]))
def test_an_address_is_the_same_however_it_is_written(address, write, space):
    assert person({"address": f"{space}{write(address)}{space}"}) == person({"address": address})


@given(numbers, st.lists(st.sampled_from(" -.()/\u2011\u00a0"), max_size=20))
def test_a_phone_is_the_same_however_it_is_grouped(number, signs):
    grouped = "".join(f"{sign}{digit}" for digit, sign in zip(number, [*signs, *" " * 20], strict=False))
    assert person({"phone": f"+{grouped.replace('(0)', '0')}"}) == person({"phone": number})


@given(
    numbers,
    st.sampled_from(["wa.me/{}?text=7", "https://api.whatsapp.com/send?phone={}", "{}@s.whatsapp.net", "tel:+{}"]),
)
def test_a_phone_is_the_same_in_every_link(number, link):
    assert person({"phone": link.format(number)}) == person({"phone": f"+{number}"})


@given(slugs, st.sampled_from(["", "www.", "de.", "m."]), st.sampled_from(["", "/", "/en", "?a=b", "#c", "/?a=://"]))
def test_a_profile_is_the_same_wherever_the_link_was_found(slug, host, tail):
    link = {"profile_url": f"{host}linkedin.com/in/{slug}{tail}"}
    assert person(link) == person({"profile_url": f"https://www.linkedin.com/in/{slug.upper()}"})


@given(member_ids, st.text(string.ascii_letters, max_size=5))
def test_a_lead_is_the_same_with_any_token(name, token):
    lead = {"profile_url": f"https://www.linkedin.com/sales/lead/{name},NAME_SEARCH,{token}"}
    assert person(lead) == person({"profile_url": f"https://www.linkedin.com/in/{name}"})


@given(st.from_regex(r"[a-zäöüéø]{1,10}\.(de|com)", fullmatch=True))
def test_a_domain_is_the_same_in_punycode(domain):
    encoded = idna.encode(domain).decode()
    assert person({"address": f"ada@{domain.upper()}"}) == person({"address": f"ada@{encoded}"})


# -- two people, made at random --------------------------------------------------------------------------


@given(addresses, addresses)
def test_two_addresses_are_two_people(one, other):
    assume(one.lower() != other.lower())
    assert person({"address": one}) != person({"address": other})


@given(member_ids, member_ids)
def test_two_member_ids_are_two_people(one, other):
    assume(one != other)
    for url in ("https://www.linkedin.com/in/{}", "https://www.linkedin.com/sales/lead/{},NAME_SEARCH,x", "{}"):
        assert person({"profile_url": url.format(one)}) != person({"profile_url": url.format(other)})


@given(slugs | st.text("äßſéσς²", min_size=1, max_size=4), slugs | st.text("äßſéσς²", min_size=1, max_size=4))
def test_two_profile_names_are_two_people(one, other):
    assume(one != other)
    url = "https://www.linkedin.com/in/{}"
    assert person({"profile_url": url.format(one)}) != person({"profile_url": url.format(other)})


@given(contacts | numbers, contacts | numbers)
@example("wa_contact_7", "7")
def test_two_contact_identifiers_or_numbers_are_two_people(one, other):
    assume(one != other)
    assume(not any(text.endswith(("@c.us", "@s.whatsapp.net")) for text in (one, other)))
    assert person({"phone": one}) != person({"phone": other})


# -- any text --------------------------------------------------------------------------------------------


@given(st.text(min_size=1).filter(str.strip), st.sampled_from(["address", "profile_url", "phone"]))
def test_spaces_and_invisible_characters_around_any_text_do_not_count(text, field):
    assert person({field: f" \u200b{text}\ufeff\n"}) == person({field: text})


@pytest.mark.parametrize("field", ["address", "profile_url", "phone"])
@pytest.mark.parametrize(
    "text", ["(" * 400_000 + "x", "ü" * 400_000, "a@" + "ü." * 200_000, "1" * 400_000, "ACoAA" * 80_000 + "!"]
)
def test_a_hostile_text_is_read_in_one_pass(field, text):
    assert person({field: text}) != person({field: text + "1"})


def test_a_person_is_the_same_in_every_process():
    code = (
        "import json, sys; from airflow_provider_revor.rules.identity import person; "
        "print(json.dumps([person(one) for one in json.load(sys.stdin)]))"
    )

    people = [
        {field: text} for table in (SAME, DIFFERENT) for field, rows in table.items() for row in rows for text in row
    ]
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        run = subprocess.run(
            [sys.executable, "-c", code],
            input=json.dumps(people),
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(run.stdout) == [person(one) for one in people]


def test_a_zero_in_parentheses_is_left_out_after_the_country_alone():
    assert person({"phone": "+49 (0) 30 1234567"}) == person({"phone": "(0049)(0)301234567"})
    assert person({"phone": "12(0)34567"}) == person({"phone": "12034567"})
    assert person({"phone": "+49 30 (0) 1234567"}) != person({"phone": "+49 30 1234567"})

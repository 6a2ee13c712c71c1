"""Whatever a peer says, what is quoted of it is one bounded line without an API key."""

from __future__ import annotations

import html
import re
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_revor.api import answers, text
from airflow_provider_revor.api.text import clean_id, hide, plain_text

KEY = "sk-revor-a8F/+x&Kq9_Zt"


@pytest.fixture(autouse=True, scope="module")
def hidden():
    before = dict(text._keys)
    hide(KEY)
    yield
    text._keys.clear()
    text._keys.update(before)


def escaped(form: str) -> str:
    return "".join(form.format(code=ord(c)) for c in KEY)


SPELLINGS = {
    "as it is": KEY,
    "in upper case": KEY.upper(),
    "in lower case": KEY.lower(),
    "JSON, escaped": escaped("\\u{code:04x}"),
    "JSON, escaped twice": escaped("\\\\u{code:04X}"),
    "repr of bytes, escaped": escaped("\\x{code:02x}"),
    "slashes escaped": KEY.replace("/", "\\/"),
    "percent-encoded": quote(KEY, safe=""),
    "percent-encoded, each character": escaped("%{code:02X}"),
    "percent-encoded twice": quote(quote(KEY, safe=""), safe=""),
    "HTML": html.escape(KEY),
    "HTML, decimal": escaped("&#{code};"),
    "HTML, hexadecimal": escaped("&#x{code:x};"),
    "HTML, without semicolons": escaped("&#{code}"),
    "Python, escaped in full": escaped("\\U{code:08x}"),
    "JavaScript, in braces": escaped("\\u{{{code:x}}}"),
    "JavaScript's escape()": escaped("%u{code:04x}"),
    "mixed": KEY[:5] + "\\u0076" + "%6F" + KEY[7:],
    "split by line breaks": "\r\n".join(KEY),
    "split by tabs": KEY[:9] + "\t\t\t" + KEY[9:],
    "UTF-16 read as Latin-1": KEY.encode("utf-16-le").decode("latin-1"),
    "split by zero-width spaces": "\u200b".join(KEY),
    "split by variation selectors": "\ufe0f".join(KEY),
    "split by colour codes": KEY[:9] + "\x1b" + KEY[9:],
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("quoted", [plain_text, clean_id])
def test_a_key_is_hidden_however_it_is_spelled(quoted, spelling):
    assert quoted(f"before {spelling} after") == "before *** after"


@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
@pytest.mark.parametrize("before", ["", "Bearer ", "Authorization: Bearer ", "user:"])
@pytest.mark.parametrize("after", ["", "@revor.ai", "\n"])
def test_a_key_in_base64_is_hidden_wherever_it_stands_in_the_text(encode, before, after):
    encoded = encode(f"{before}{KEY}{after}".encode()).decode()
    said = plain_text(f"You sent {encoded}.")
    assert "***" in said
    # What is left tells nothing of it but its first or last bits.
    assert len(said.replace("***", "")) < len(f"You sent {encoded}.") - len(KEY)


def test_a_short_key_would_hide_ordinary_words():
    hide("test")
    assert plain_text("acc_test_1") == "acc_test_1"


def test_the_newest_keys_are_hidden_of_any_number():
    before = dict(text._keys)
    try:
        for n in range(500):
            hide(f"sk-revor-number-{n:03}-")
        assert len(text._keys) == 64
        assert plain_text("It was sk-revor-number-499-.") == "It was ***."
    finally:
        text._keys.clear()
        text._keys.update(before)


@pytest.mark.parametrize(
    ("value", "quoted"),
    [
        pytest.param(None, None, id="nothing"),
        pytest.param("", None, id="empty"),
        pytest.param(" \n\t", None, id="blank"),
        pytest.param(5, None, id="a number"),
        pytest.param(["x"], None, id="a list"),
        pytest.param(" two \r\n lines ", "two lines", id="lines"),
        pytest.param("\x1b[31mred\x1b[0m", "[31mred [0m", id="ANSI"),
        pytest.param("a\u202eb\u2066c", "a b c", id="bidi controls"),
        pytest.param("a\u2028b\x85c\x0bd", "a b c d", id="other line breaks"),
        pytest.param("a\ud800b", "a b", id="a lone surrogate"),
        pytest.param("Grüße, 你好 👋", "Grüße, 你好 👋", id="any script"),
        pytest.param("acc_" + "x" * 96, "acc_" + "x" * 96, id="the longest id"),
        pytest.param("acc_" + "x" * 97, "acc_" + "x" * 95 + "…", id="a longer id"),
    ],
)
def test_an_id_is_one_bounded_line(value, quoted):
    assert clean_id(value) == quoted


def test_texts_may_be_longer_than_ids():
    assert plain_text("x" * 500) == "x" * 500
    assert plain_text("x" * 501) == "x" * 499 + "…"
    assert answers.plain_text is plain_text


awkward = st.text(max_size=40) | st.sampled_from([*SPELLINGS.values(), KEY[:12], "\n", "\x1b[2J", "\\", "%", "&#", " "])


@given(st.lists(awkward, max_size=12).map("".join), st.sampled_from([0, 300, 480, 3_990, 5_000, 60_000]))
def test_any_text_is_one_bounded_line_without_the_key(said, padding):
    for quoted, longest in ((plain_text, 500), (clean_id, 100)):
        line = quoted("x " * (padding // 2) + said + "y" * padding)
        assert line is None or (line.isprintable() and line == line.strip() and len(line) <= longest)
        assert line is None or KEY.lower() not in line.lower().replace(" ", "")
        assert quoted(line) == line


@given(st.integers(400, 520) | st.integers(3_900, 4_700), st.sampled_from([" ", "x"]))
def test_no_cut_leaves_the_beginning_of_a_key(at, filler):
    line = plain_text("x" + filler * at + KEY + "y" * 10_000) or ""
    assert KEY[:4] not in line


@pytest.mark.parametrize("piece", [KEY[:-1], "s", "\\", "\\u00", "%25", "&#0", "s ", KEY + "\n"])
def test_a_hostile_text_of_any_length_is_cleaned_once_and_briefly(piece):
    assert len(plain_text(piece * (2_000_000 // len(piece)))) <= 500


@given(st.from_regex(r"[!#-&(-)+-~]{8,60}", fullmatch=True))
def test_any_key_is_hidden_in_any_spelling(key):
    before = dict(text._keys)
    text._keys.clear()
    hide(key)
    try:
        for said in (
            key,
            key.swapcase(),
            quote(key, safe=""),
            "".join(f"\\u{ord(c):04x}" for c in key),
            html.escape(key),
            "\n".join(key),
        ):
            # A key with a backslash or a percent sign may leave digits of an escape behind.
            assert plain_text(f"<{said}>") == "<***>" or (re.search(r"[%\\]", key) and key not in plain_text(said))
        assert "***" in plain_text(b64encode(f"Bearer {key}".encode()).decode())
    finally:
        text._keys.clear()
        text._keys.update(before)

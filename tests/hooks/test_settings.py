from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_revor.exceptions import RevorConfigurationError
from airflow_provider_revor.hooks.settings import read_settings


def read(extra=None, **fields):
    blank = {"conn_id": "c", "host": None, "port": None, "schema": None, "password": "sk-revor-x"}
    return read_settings(SimpleNamespace(**{**blank, "extra": extra and json.dumps(extra), **fields}))


@pytest.mark.parametrize("extra", ["[]", "7", '"text"', "null", "{", "nonsense", "[" * 100_000])
def test_an_extra_that_is_no_object_is_refused(extra):
    with pytest.raises(RevorConfigurationError, match="an extra that is no JSON object"):
        read_settings(
            SimpleNamespace(conn_id="c", host=None, port=None, schema=None, password="sk-revor-x", extra=extra)
        )


def test_what_is_left_out_has_a_default():
    settings = read()
    assert settings.base_url == "https://revor.ai"
    assert (settings.timeout, settings.max_retries, settings.verify, dict(settings.proxies)) == (30.0, 3, True, {})


@pytest.mark.parametrize(
    ("fields", "base_url"),
    [
        ({"host": "revor.ai"}, "https://revor.ai"),
        ({"host": " https://revor.ai/ "}, "https://revor.ai"),
        ({"host": "REVOR.ai"}, "https://revor.ai"),
        ({"host": "revor.ai:8443"}, "https://revor.ai:8443"),
        ({"host": "revor.ai", "port": 8443}, "https://revor.ai:8443"),
        ({"host": "https://revor.ai:8443", "port": 8443}, "https://revor.ai:8443"),
        ({"host": "revor.ai", "schema": "https"}, "https://revor.ai"),
        ({"host": "revor.ai", "schema": "HTTPS://"}, "https://revor.ai"),
        ({"host": "https://gateway.example/revor/"}, "https://gateway.example/revor"),
        ({"host": "https://revor.ai/api/v1/"}, "https://revor.ai"),
        ({"host": "https://revor.ai/api/v2"}, "https://revor.ai"),
        ({"host": "https://gateway.example/revor/api/v2/"}, "https://gateway.example/revor"),
        ({"host": "revor.ai", "port": 0}, "https://revor.ai"),
        ({"host": "revor.ai:0", "port": 8443}, "https://revor.ai:8443"),
        ({"host": "http://127.0.0.1:8000"}, "http://127.0.0.1:8000"),
        ({"host": "http://localhost", "port": 8000}, "http://localhost:8000"),
        ({"host": "http://[::1]:8000"}, "http://[::1]:8000"),
        ({"host": "127.0.0.1", "port": 8000}, "http://127.0.0.1:8000"),
        ({"host": "https://127.0.0.1:8000"}, "https://127.0.0.1:8000"),
        ({"host": "", "port": None}, "https://revor.ai"),
    ],
)
def test_the_host_is_taken_as_people_write_it(fields, base_url):
    assert read(**fields).base_url == base_url


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("http://revor.ai", "sent in the clear"),
        ("http://127.0.0.1.evil.example", "sent in the clear"),
        ("http://10.0.0.5", "sent in the clear"),
        ("ftp://revor.ai", "Use https"),
        ("https://user:pw@revor.ai", "login in its host"),
        ("https://revor.ai?x=1", "query or a fragment"),
        ("https://revor.ai/?", "query or a fragment"),
        ("https://revor.ai#x", "query or a fragment"),
        ("https://", "no URL"),
        ("https://re\nvor.ai", "no URL"),
        ("https://re\tvor.ai", "no URL"),
        ("https://revor.ai:port", "no URL"),
        ("https://revor.ai:99999", "port 99999 is invalid: use 1–65535"),
        ("https://1.2.3.999", "no URL"),
        ("https://[::1::2]", "no URL"),
        ("https://user:password", "no URL"),
        # The host of these would be "https".
        ("https:/revor.ai", "no URL"),
        ("https//revor.ai", "no URL"),
        ("HTTPS./revor.ai", "no URL"),
        ("https://revor..ai", "no URL"),
        (f"https://{'x' * 64}.ai", "no URL"),
        ("https://re vor.ai", "no URL"),
        ("https://revor.ai/a b", "no URL"),
        ("https://revor.ai\\@evil.example", "login in its host"),
        ("https://[::1", "no URL"),
    ],
)
def test_a_host_that_cannot_be_used_is_refused_with_the_reason(host, why):
    with pytest.raises(RevorConfigurationError, match=why) as caught:
        read(host=host)
    assert "'c'" in str(caught.value)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"host": "sk-revor-canary"}, id="alone"),
        pytest.param({"host": "https://sk-revor-canary"}, id="as-a-url"),
        pytest.param({"host": "REVOR_API_KEY=sk-revor-canary"}, id="line-of-a-file"),
        pytest.param({"host": "export REVOR_API_KEY='canary-of-a-key'"}, id="line-of-a-shell"),
        pytest.param({"host": "Bearer canary-of-a-key"}, id="bearer"),
        pytest.param({"host": "x-api-key: canary-of-a-key"}, id="header"),
        pytest.param({"host": "sk-revor-canary://revor.ai"}, id="as-a-scheme"),
        pytest.param({"host": "https://user:SK-revor-canary"}, id="as-a-password"),
        pytest.param({"host": "https://gateway.example/sk-revor-canary"}, id="in-a-path"),
        pytest.param({"host": "revor.ai", "schema": "sk-revor-canary"}, id="in-the-field-of-the-scheme"),
    ],
)
def test_a_key_in_the_host_is_neither_looked_up_as_a_name_nor_quoted(fields):
    with pytest.raises(
        RevorConfigurationError, match="'c' has an API key in its host. Move it into the pass"
    ) as caught:
        read(**fields)
    assert "canary" not in str(caught.value).lower()


def test_a_host_may_have_a_name_that_ends_like_a_key_begins():
    assert read(host="helpdesk-revor-gateway.example").base_url == "https://helpdesk-revor-gateway.example"


@pytest.mark.parametrize("schema", ["https://evil.example", "https://evil.example/", "//evil.example/", "https:/", "1"])
def test_the_field_of_the_scheme_cannot_name_another_host(schema):
    with pytest.raises(RevorConfigurationError, match="'c' has a scheme that is none"):
        read(host="revor.ai", schema=schema)


@pytest.mark.parametrize("port", [-1, 65536, 99999])
def test_an_invalid_port_is_refused(port):
    with pytest.raises(RevorConfigurationError, match=rf"port {port} is invalid: use 1–65535"):
        read(host="revor.ai", port=port)


def test_a_key_is_not_given_to_a_proxy_in_the_clear():
    extra = {"proxies": "http://proxy:3128"}
    with pytest.raises(RevorConfigurationError, match="in the clear"):
        read(extra, host="http://127.0.0.1:8000")
    assert read({**extra, "allow_http": True}, host="http://127.0.0.1:8000").loopback


def test_two_different_ports_are_refused():
    with pytest.raises(RevorConfigurationError, match="two ports: 1 in its host and 2"):
        read(host="https://revor.ai:1", port=2)


@pytest.mark.parametrize("allow", [True, "true", 1])
def test_plain_http_is_allowed_when_it_is_said(allow):
    assert read({"allow_http": allow}, host="http://revor.test").base_url == "http://revor.test"


def test_white_space_around_the_key_is_stripped():
    assert read(password=" sk-revor-x\n").api_key == "sk-revor-x"


@pytest.mark.parametrize("password", ["https://revor.ai", "REVOR_BASE_URL=https://revor.ai"])
def test_a_url_in_the_place_of_the_key_is_refused(password):
    with pytest.raises(RevorConfigurationError, match=r"password of connection 'c' holds a URL"):
        read(password=password)


@pytest.mark.parametrize("password", [None, "", "  \n"])
def test_a_connection_without_a_key_says_where_keys_are_made(password):
    with pytest.raises(RevorConfigurationError, match=r"no API key.*https://revor.ai/my-api-keys"):
        read(password=password)


@pytest.mark.parametrize(
    "password",
    [
        pytest.param('"sk-revor-x"', id="double-quotes"),
        pytest.param(" 'sk-revor-x' ", id="single-quotes"),
        pytest.param("Bearer sk-revor-x", id="bearer"),
        pytest.param("bearer  sk-revor-x", id="lower-case"),
        pytest.param('"Bearer sk-revor-x"', id="both"),
    ],
)
def test_a_key_is_understood_as_it_was_copied(password):
    assert read(password=password).api_key == "sk-revor-x"


def test_the_shortest_key_has_eight_characters():
    assert read(password="12345678").api_key == "12345678"


@pytest.mark.parametrize("password", ["1234567", "Bearer seven77", '"k"'])
def test_a_short_key_is_refused_and_not_shown(password):
    with pytest.raises(RevorConfigurationError, match="fewer than 8 characters") as caught:
        read(password=password)
    assert password not in str(caught.value)


@pytest.mark.parametrize("password", ["Basic sk-revor-x", "sk\r\nX-Evil: 1", "\"sk-revor-x'", "sk-ключ", "sk\x00", '"'])
def test_what_cannot_be_a_key_is_refused_and_not_shown(password):
    with pytest.raises(RevorConfigurationError, match="no API key") as caught:
        read(password=password)
    assert password not in str(caught.value)


def test_the_key_and_proxies_are_not_in_the_repr():
    settings = read({"proxies": "http://user:proxypw@proxy:3128"})
    assert "sk-revor-x" not in repr(settings)
    assert "proxypw" not in repr(settings)


@pytest.mark.parametrize(
    ("extra", "field", "value"),
    [
        ({"timeout": 5}, "timeout", 5.0),
        ({"timeout": "2.5"}, "timeout", 2.5),
        ({"timeout": ""}, "timeout", 30.0),
        ({"max_retries": 0}, "max_retries", 0),
        ({"max_retries": "2"}, "max_retries", 2),
        ({"verify": False}, "verify", False),
        ({"verify": "false"}, "verify", False),
        ({"verify": "true"}, "verify", True),
        ({"verify": ""}, "verify", True),
        ({"verify": __file__}, "verify", __file__),
        ({"proxies": "http://p:1"}, "proxies", {"http": "http://p:1", "https": "http://p:1"}),
        ({"proxies": {"https": "http://p:1"}}, "proxies", {"https": "http://p:1"}),
        ({"proxies": '{"https": "http://p:1"}'}, "proxies", {"https": "http://p:1"}),
        ({"proxies": ""}, "proxies", {}),
    ],
)
def test_extras_are_taken_as_json_or_as_a_form_writes_them(extra, field, value):
    assert getattr(read(extra), field) == value


@pytest.mark.parametrize(
    ("extra", "why"),
    [
        ({"timeout": 0}, "timeout"),
        ({"timeout": -1}, "timeout"),
        ({"timeout": "soon"}, "timeout"),
        ({"timeout": True}, "timeout"),
        ({"timeout": float("inf")}, "timeout"),
        ({"timeout": [1]}, "timeout"),
        ({"max_retries": -1}, "max_retries"),
        ({"max_retries": 1.5}, "max_retries"),
        ({"max_retries": "nan"}, "max_retries"),
        ({"verify": "/no/such/file"}, "there is no '/no/such/file'"),
        ({"verify": 5}, "verify"),
        ({"proxies": "proxy:3128"}, "proxies"),
        ({"proxies": "socks5://proxy:1080"}, "proxies"),
        ({"proxies": ["http://p:1"]}, "proxies"),
        ({"proxies": {"https": None}}, "proxies"),
        ({"proxies": {"https://": "http://p:1"}}, "only for the schemes http and https"),
        ({"proxies": "{bad"}, "not JSON"),
        ({"proxies": '{"a":' * 100_000}, "not JSON"),
        ({"allow_http": "maybe"}, "allow_http"),
    ],
)
def test_an_extra_that_cannot_be_used_is_named(extra, why):
    with pytest.raises(RevorConfigurationError, match=why):
        read(extra, host="http://revor.test" if "allow_http" in extra else None)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
values = scalars | st.lists(scalars, max_size=3) | st.dictionaries(st.text(max_size=5), scalars, max_size=3)
extras = st.dictionaries(st.sampled_from(["timeout", "max_retries", "verify", "proxies", "allow_http"]), values)


@given(
    host=st.none() | st.text(max_size=40) | st.text(max_size=20).map("https://".__add__),
    port=st.none() | st.integers(0, 70_000),
    schema=st.none() | st.text(max_size=8),
    password=st.none() | st.text(max_size=20),
    extra=extras,
)
def test_any_connection_is_settings_or_a_configuration_error(host, port, schema, password, extra):
    try:
        settings = read(extra, host=host, port=port, schema=schema, password=password)
    except RevorConfigurationError as error:
        assert "'c'" in str(error)
    else:
        assert settings.base_url.startswith("https://") or settings.loopback or extra.get("allow_http")
        assert json.dumps([settings.timeout, settings.max_retries])

from __future__ import annotations

import pytest

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.api.wire import Request

GET = Request("GET", "/api/v1/connect/accounts")


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("/api/v1/connect/accounts", "/api/v1/connect/accounts"),
        ("/api/v2/jobs/1", "/api/v2/jobs/1"),
        ("connect/accounts", "/api/v1/connect/accounts"),
        ("/connect/accounts", "/api/v1/connect/accounts"),
        ("api/v1/connect/accounts", "/api/v1/connect/accounts"),
    ],
)
def test_a_path_is_taken_from_the_api_root_unless_it_names_it(written, path):
    assert Request("get", written).path == path
    assert Request("get", written).method == "GET"


@pytest.mark.parametrize(
    "path",
    ["https://evil.example/api/v1", "//evil.example/x", "a?b=c", "a#b", "a b", "a\nb", "a\\b", "a\x00", "\ud800"],
)
def test_a_path_that_could_lead_elsewhere_is_refused(path):
    with pytest.raises(ValueError, match="is no path of the Revor API"):
        Request("GET", path)


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/outreach/jobs/../../x",
        "jobs/..",
        "./x",
        "jobs/%2e%2e/x",
        "jobs/%2E%2e/x",
        "jobs/.%2e/x",
        "jobs/%2E./x",
        "jobs/%252e%252e/x",
        "jobs/%25252e%25252e/x",
        "jobs/..%2fx",
        "jobs/..%5cx",
        "jobs%2F..%2Fx",
        "jobs/..;v=1/x",
        "jobs/%2e%2e%3b/x",
        "jobs/..%3fx",
        "jobs/..%23/x",
        "jobs/..%00/x",
        "jobs/%20..%09/x",
        "/api/../admin",
    ],
)
def test_a_path_that_leaves_its_base_is_refused(path):
    with pytest.raises(e.RevorValueError, match=r"is no path of the Revor API.*lead out"):
        Request("GET", path)


@pytest.mark.parametrize("path", ["jobs/a.b", "jobs/...", "jobs/a..b", "jobs/.hidden", "jobs/a%2Fb", "jobs/100%25"])
def test_dots_within_a_name_are_part_of_it(path):
    assert Request("GET", path).path == f"/api/v1/{path}"


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="no HTTP method"):
        Request("GET\r\nX: y", "connect/accounts")


@pytest.mark.parametrize("key", ["", "a b", "a\r\nX-Evil: 1", "ключ"])
def test_an_idempotency_key_that_is_no_header_is_refused(key):
    with pytest.raises(ValueError, match="idempotency key"):
        Request("POST", "x", idempotency_key=key)


def test_the_query_is_written_as_revor_reads_it():
    request = Request("GET", "x", params={"can_send": True, "channel": None, "limit": 5, "off": False})
    assert request.params == {"can_send": "true", "limit": "5", "off": "false"}


@pytest.mark.parametrize("values", [["a", True, 5], ("a", True, 5)], ids=["list", "tuple"])
def test_a_list_repeats_its_parameter(values):
    assert Request("GET", "x", params={"status": values}).params == {"status": ["a", "true", "5"]}


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"a": 1}, id="mapping"),
        pytest.param([["a"]], id="nested"),
        pytest.param([None], id="none-in-a-list"),
        pytest.param({"a"}, id="set"),
        pytest.param(b"a", id="bytes"),
        pytest.param((one for one in "ab"), id="generator"),
        pytest.param("\ud800", id="surrogate"),
    ],
)
def test_a_query_that_has_no_single_meaning_is_refused(value):
    with pytest.raises(e.RevorValueError, match="query parameter 'status'"):
        Request("GET", "x", params={"status": value})


def test_a_body_is_utf8_json():
    request = Request("POST", "x", body={"text": "Grüße"})
    assert request.content == '{"text": "Grüße"}'.encode()
    assert request.headers["Content-Type"] == "application/json; charset=utf-8"
    assert Request("POST", "x").content is None


@pytest.mark.parametrize("body", [{"x": object()}, {"x": float("nan")}, {"x": "\ud800"}, {"x": b"y"}])
def test_a_body_that_is_not_json_is_refused(body):
    with pytest.raises(ValueError, match="not plain JSON"):
        _ = Request("POST", "x", body=body).content


@pytest.mark.parametrize(
    ("request_", "repeatable"),
    [
        (GET, True),
        (Request("POST", "x"), False),
        (Request("DELETE", "x"), False),
        (Request("POST", "x", idempotency_key="k"), True),
    ],
)
def test_only_what_cannot_act_twice_is_repeatable(request_, repeatable):
    assert request_.repeatable is repeatable


@pytest.mark.parametrize("name", [None, 5, "a\ud800"])
def test_a_query_parameter_is_named_by_text(name):
    with pytest.raises(e.RevorValueError, match="must be named by valid text"):
        Request("GET", "connect/accounts", params={name: "1"})


@pytest.mark.parametrize(
    ("kwargs", "named"),
    [
        ({"method": None}, "method"),
        ({"path": 7}, "path"),
        ({"params": [("a", "b")]}, "params"),
        ({"params": "a=b"}, "params"),
        ({"idempotency_key": 7}, "idempotency_key"),
    ],
)
def test_a_request_of_another_type_is_a_value_error(kwargs, named):
    with pytest.raises(e.RevorValueError, match=f"`{named}`"):
        Request(**{"method": "GET", "path": "x", **kwargs})

"""The fault table, second part: answers with the status 200 whose bodies are not, or only just, as documented."""

from __future__ import annotations

import json

from factories import item, job, listing, resource
from faults.cells import ENDS, ONCE, WAITS, Row, answers, each, whatever
from faults.peer import http, send, zipped

from airflow_provider_revor import exceptions as e

ID = "Give Revor's support the request id."
MEGABYTE = 1_000_000


def _page(name, answer, says, **more):
    do = "Check the connection's host, and what stands between it and Airflow."
    return Row(name, answer, e.RevorResponseError, says, ONCE, WAITS, more.pop("do", do), **more)


def _odd(name, accounts, job, says, **more):
    kinds = ("accounts", "job") if job is not None else ("accounts",)
    return _page(name, each(accounts, job), says, do=ID, kinds=kinds, **more)


def _fine(name, answer, **more):
    return Row(name, answer, None, "", ONCE, more.pop("wait", ENDS), "Nothing.", **more)


def bare(**fields):
    return {"ok": True, "request_id": "req_1", **fields}


HTML = http(200, b"<html>Please log in</html>", Content_Type="text/html")
NOT_REVORS = [
    _page("200 with HTML", whatever(send(HTML)), "an HTML page of 26 bytes, not the documented JSON"),
    _page("200 with bad JSON", answers(200, b'{"ok": true, "items": ['), "23 bytes of JSON that cannot be read"),
    _page("200 with nothing in it", answers(200, b""), "an empty body, not the documented JSON", kinds=("accounts",)),
    _page("200 with JSON that is no object", answers(200, b'"ok"'), "JSON of another shape"),
    _page(
        "200 with JSON in another encoding than UTF",
        answers(200, b'{"ok": true, "x": "\xfc"}'),
        "22 bytes of JSON that cannot be read",
    ),
    _page(
        "200 with JSON nested 100,000 deep", answers(200, b"[" * 100_000), "100000 bytes of JSON that cannot be read"
    ),
    _page(
        "200 with an integer of 5,000 digits",
        answers(200, b'{"ok": true, "n": %s}' % (b"9" * 5000)),
        "5019 bytes of JSON that cannot be read",
    ),
    _page(
        "200 with `ok: false`",
        answers(200, {"ok": False, "error": {"code": "odd", "message": "Odd.", "request_id": "req_odd"}}),
        'an object whose `ok` is not true.*The response says: "Odd.".*200 odd, request_id req_odd',
    ),
    _page("200 with `ok` as a string", answers(200, {"ok": "true", "items": []}), "an object whose `ok` is not true"),
    _page("200 without `ok`", answers(200, {"items": []}), "an object whose `ok` is not true"),
]

BROKEN = [
    _odd("`items` (of a job: `item`) missing", bare(), bare(), "`items?` should be .*, not null or missing"),
    _odd("`items` null", bare(items=None), bare(item=None), "`items?` should be .*, not null or missing"),
    _odd("`items` an object", bare(items={}), bare(item=[]), "`items?` should be .*, not (a list|an object)"),
    _odd("`items` containing null", listing(item(), None), None, r"`items\[1\]` should be an object, not null"),
    _odd(
        "a mistyped field",
        listing(item(), item(can_send="true")),
        resource(job(status=5)),
        r"`(items\[1\].can_send|item.status)` should be a (boolean|string), not a (string|number)",
    ),
    _odd(
        "a missing field",
        listing({name: value for name, value in item().items() if name != "status"}),
        resource({name: value for name, value in job().items() if name != "id"}),
        r"`(items\[0\].status|item.id)` should be a string, not null or missing",
    ),
]

STRANGE = [
    _fine(
        "a status not known here", each(listing(item(status="dreaming")), resource(job(status="dreaming"))), wait=WAITS
    ),
    _fine("an empty list", each(listing()), wait=WAITS, kinds=("accounts",), found=0),
    _fine("an account that is listed twice", each(listing(item(), item())), kinds=("accounts",), found=2),
    _fine("extra fields", each(listing(item(x={"y": [1]})) | {"z": 1}, resource(job(x=1)) | {"z": 1})),
    _fine("huge integers", each(listing(item(x=10**4000)), resource(job(attempt_count=10**4000)))),
    _fine(
        "lone surrogates", each(listing(item(name="\ud800", account_id="acc_\udfff")), resource(job(action="\udfff")))
    ),
    _fine("JSON in UTF-16", answers(200, json.dumps(listing(item())).encode("utf-16")), kinds=("accounts",)),
    _fine(
        "100,000 items",
        whatever(send(http(200, listing(*[item()] * 100_000)))),
        kinds=("accounts",),
        found=100_000,
    ),
    _fine(
        "gzip",
        lambda kind: send(zipped(json.dumps({"accounts": listing(item()), "job": resource(job())}[kind]).encode())),
    ),
]

BIG = b'{"ok": true, "items": [], "x": "' + b"x" * (50 * MEGABYTE) + b'"}'
_padding = {"x": "x" * 3 * MEGABYTE}
MIDDLING = each(listing(item()) | _padding, resource(job()) | _padding)
LESS = "Ask for less, or allow more with the connection's extra `max_response_mb`."
TOO_MUCH = [
    _page("a body of 50 MB", whatever(send(http(200, BIG))), "larger than 32 MB", do=LESS, kinds=("accounts",)),
    _page("gzip that unpacks to 50 MB", whatever(send(zipped(BIG))), "larger than 32 MB", do=LESS, kinds=("accounts",)),
    _fine("a body of 3 MB, with `max_response_mb` at 4", MIDDLING, extra={"max_response_mb": 4}),
    _page("the same, with `max_response_mb` at 2", MIDDLING, "larger than 2 MB", extra={"max_response_mb": 2}, do=LESS),
]

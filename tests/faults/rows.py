"""The fault table, first part: limits, failures, lost answers, redirects, refusals."""

from __future__ import annotations

import socket
import time
from email.utils import formatdate

from factories import item, job, listing, refusal, resource
from faults.cells import AGAIN, ENDS, ONCE, WAITS, Asks, Row, answers, each, whatever
from faults.peer import Answer, drip, http, reset, send, stall, trickle

from airflow_provider_revor import exceptions as e

LIMITED = refusal("api_rate_limit_exceeded", "Too many requests.")
SHORT = {"timeout": 0.05}
WHOLE = http(200, listing(item()))
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
CUT = CHUNKED + b'1a\r\n{"ok": true, "items": [], '
SLOW = http(200, {"ok": True, "items": [], "item": {}})
SLOWER = "Ask less often: a longer `poke_interval`; deferrable gates on Airflow 3.3 share one request."
LATER = "Nothing; if it persists, give Revor's support the request id."
NETWORK = "Check the connection's host, and the network and proxies from the machine in the message."


def limited(**headers: str):
    return answers(429, LIMITED, **headers)


def limited_until(seconds: float):
    def answer(connection: socket.socket) -> None:
        connection.sendall(http(429, LIMITED, Retry_After=formatdate(time.time() + seconds, usegmt=True)))

    return whatever(answer)


def after(begin: bytes, then: Answer):
    def answer(connection: socket.socket) -> None:
        connection.sendall(begin)
        then(connection)

    return whatever(answer)


def moved(status: int, location: str):
    return answers(status, b"", Location=location)


def to_itself(kind: str) -> Answer:
    path = {"accounts": "/api/v1/connect/accounts", "job": "/api/v1/outreach/jobs/job_1"}[kind]
    return send(http(302, b"", Location=path))


def _limit(name, answer, hook, wait, says="Too many requests were sent.*429 api_rate_limit_exceeded"):
    return Row(name, answer, e.RevorRateLimitError, says, hook, wait, SLOWER)


RATE_LIMITS = [
    _limit("429, `Retry-After: 7`", limited(Retry_After="7"), Asks(4, 21), WAITS, "Wait at least 7 s"),
    _limit("429, `Retry-After: 90`", limited(Retry_After="90"), ONCE, Asks(4, 240), "Wait at least 90 s"),
    _limit(
        "429, `Retry-After` an HTTP date, 50 s ahead", limited_until(50), Asks(4, 150), WAITS, "Wait at least (50|49) s"
    ),
    _limit("429, `Retry-After` an HTTP date, past", limited_until(-3600), AGAIN, WAITS),
    _limit(
        "429, `Retry-After` a thousand years ahead",
        limited(Retry_After="31556952000"),
        ONCE,
        Asks(4, 60 + 2 * 86_400),
        "Wait at least 31556952000 s",
    ),
    _limit("429, `Retry-After` malformed", limited(Retry_After="soon"), AGAIN, WAITS),
    _limit("429, `Retry-After` negative", limited(Retry_After="-5"), AGAIN, WAITS),
    _limit(
        "429, `X-RateLimit-Window-Ms: 5000` alone",
        limited(X_RateLimit_Window_Ms="5000"),
        Asks(4, 15),
        WAITS,
        "Wait at least 5 s",
    ),
    _limit("429, without any hint", limited(), AGAIN, WAITS),
    _limit("429, without a body", answers(429, b""), AGAIN, WAITS, "the response was an empty body"),
]


def _down(name, answer, says, hook=AGAIN, wait=WAITS):
    return Row(name, answer, e.RevorServerError, says, hook, wait, LATER)


PROXYS_PAGE = http(502, b"<html>Bad gateway</html>", Content_Type="text/html; charset=utf-8")
FAILURES = [
    _down("500", answers(500, refusal("internal_error", "Oops.")), "Revor could not respond.*: Oops", ONCE),
    _down("502, a proxy's HTML", whatever(send(PROXYS_PAGE)), "the response was an HTML page"),
    _down("503", answers(503, refusal("unavailable", "Later.")), "Revor could not respond.*: Later"),
    _down("503, `Retry-After: 3`", answers(503, refusal(), Retry_After="3"), "Wait at least 3 s", Asks(4, 9)),
    _down("504", answers(504, b""), "the response was an empty body"),
    _down(
        "502, `X-RateLimit-Window-Ms: 3600000`",
        answers(502, refusal(), X_RateLimit_Window_Ms="3600000"),
        "Revor could not respond",
    ),
    _down("408", answers(408, refusal("timeout", "Slow.")), "The request took too long to arrive.*: Slow", ONCE),
]


def _lost(name, answer, says, do=NETWORK, **more):
    return Row(name, answer, e.RevorConnectionError, says, do=do, **more)


NOTHING = whatever(send(b""))
ENDLESS_HEADER = after(b"HTTP/1.1 200 OK\r\nX-Slow: ", trickle(b"x", 0.01))
CONTINUES = whatever(trickle(b"HTTP/1.1 100 Continue\r\n\r\n", 0.001))
ENDLESS_CHUNK = after(CHUNKED + b"5;x=", trickle(b"x", 0.01))
LOST = [
    _lost("connection refused", NOTHING, "Connection refused|Errno 111", place="closed"),
    _lost("the host's name is not known (DNS)", NOTHING, "Name or service not known", place="nowhere"),
    _lost("connection closed without an answer", NOTHING, "No response from"),
    _lost("connection reset before the answer", whatever(reset()), "No response from"),
    _lost("connection reset in the middle of the answer", whatever(reset(WHOLE[:-40])), "No response from"),
    _lost("connection closed within the headers", whatever(send(WHOLE[:30])), "No response from"),
    _lost("a truncated body", whatever(send(WHOLE[:-40])), "No response from"),
    _lost("a truncated body, in chunks", whatever(send(CUT)), "No response from"),
    _lost("no answer within `timeout`", whatever(stall()), "timed out after 0.05 s", extra=SHORT),
    _lost("a stalled answer", whatever(stall(WHOLE[:-40])), "timed out after 0.05 s", extra=SHORT),
    _lost("a body slower than `timeout`", whatever(drip(SLOW, 0.02)), "timed out after 0.05 s", extra=SHORT),
    _lost("a status line without end", whatever(trickle(b"H", 0.01)), "timed out after 0.05 s", extra=SHORT),
    _lost("a header without end", ENDLESS_HEADER, "timed out after 0.05 s", extra=SHORT),
    _lost("`100 Continue` again and again", CONTINUES, "timed out after 0.05 s", extra=SHORT),
    _lost("a chunk's size without end", ENDLESS_CHUNK, "timed out after 0.05 s", extra=SHORT),
    _lost("gzip that is none", answers(200, b"no gzip", Content_Encoding="gzip"), "No response from"),
    _lost("not HTTP at all", whatever(send(b"SSH-2.0-OpenSSH_9.6\r\n")), "No response from"),
]

BUNDLE = "Set the extra `verify` to the file of the company's CA."
FINE = each(listing(item()), resource(job()))
TLS = [
    _lost("a certificate of a CA that is not trusted", NOTHING, "certificate verify failed", BUNDLE, place="tls"),
    Row("the same, with `verify` set to that CA", FINE, None, "", ONCE, ENDS, BUNDLE, place="trusted"),
    _lost("TLS asked of a server that speaks plain HTTP", NOTHING, "No response from", BUNDLE, place="http"),
]


def _elsewhere(name, answer, says, **more):
    do = "Set the connection's host to where Revor is; what stands between may ask for a login."
    return Row(name, answer, e.RevorResponseError, says, ONCE, WAITS, do, **more)


REDIRECTS = [
    _elsewhere(
        "301 to another host",
        moved(301, "https://other.example/x"),
        "a redirect to other.example, which is not followed",
    ),
    _elsewhere(
        "302 to another host",
        moved(302, "https://other.example/x"),
        "a redirect to other.example, which is not followed",
    ),
    _elsewhere(
        "302 from https to http",
        moved(302, "http://127.0.0.1/x"),
        "a redirect to 127.0.0.1, which is not followed",
        place="trusted",
    ),
    _elsewhere("302 to itself", to_itself, "a redirect to the same host, which is not followed"),
    _elsewhere("307 without a `Location`", answers(307, b""), "a redirect to the same host, which is not followed"),
    _elsewhere("304", answers(304, b""), "a redirect to the same host, which is not followed"),
]


def _refused(name, answer, error, says, do, **more):
    return Row(name, answer, error, says, ONCE, more.pop("wait", ENDS), do, **more)


KEY = "Put a valid key into the connection's password."
FIX = "Fix what the message names."
GONE = "Check the id, and the connection's host."
PERMIT = "Give the key the permission that the message names."
CHECK = "Check the connection's host, and what stands between it and Airflow."
REFUSALS = [
    _refused("400", answers(400, refusal("invalid_channel")), e.RevorRequestError, "400 invalid_channel", FIX),
    _refused("401", answers(401, refusal("api_key_invalid")), e.RevorAuthenticationError, "401 api_key_invalid", KEY),
    _refused(
        "403", answers(403, refusal("permission_denied")), e.RevorPermissionError, "403 permission_denied", PERMIT
    ),
    _refused("404", answers(404, refusal()), e.RevorNotFoundError, "404 some_code", GONE),
    _refused(
        "409",
        answers(409, refusal()),
        e.RevorConflictError,
        "409 some_code",
        "Check the account at <https://revor.ai/console/connect>.",
    ),
    _refused("422, and any other 4xx", answers(422, refusal()), e.RevorRequestError, "422 some_code", FIX),
    _refused(
        "`insufficient_credits`, whatever the status",
        answers(402, refusal("insufficient_credits")),
        e.RevorPlanError,
        "There are not enough credits",
        "Have a person add credits in Revor.",
    ),
    _refused(
        "`membership_tier_insufficient`, whatever the status",
        answers(403, refusal("membership_tier_insufficient")),
        e.RevorPlanError,
        "The Revor plan does not include this",
        "Have a person upgrade the plan, or do without.",
    ),
    Row(
        "`job_concurrency_limit_exceeded`, whatever the status, with `Retry-After: 90`",
        answers(409, refusal("external_api_job_concurrency_limit_exceeded"), Retry_After="90"),
        e.RevorRateLimitError,
        "Too many jobs run at the same time",
        ONCE,
        Asks(4, 240),
        "Nothing: running jobs end.",
    ),
    _refused(
        "`task_not_found`, whatever the status",
        answers(400, refusal("external_api_task_not_found")),
        e.RevorNotFoundError,
        "Revor does not know this job",
        "Check the job's id, and whose key it is.",
    ),
    _refused(
        "`endpoint_not_found`, whatever the status",
        answers(400, refusal("endpoint_not_found")),
        e.RevorNotFoundError,
        "Revor has no such endpoint",
        "Check method, path and API version.",
    ),
    _refused(
        "an error without a code, but with a message",
        answers(403, {"ok": False, "error": {"message": "Not you."}}),
        e.RevorPermissionError,
        "The API key may not do this.*: Not you",
        PERMIT,
    ),
    _refused(
        "a code never heard of",
        answers(400, refusal("moon_in_retrograde", "Wait for Venus.")),
        e.RevorRequestError,
        "Revor rejected the request.*: Wait for Venus.*400 moon_in_retrograde",
        FIX,
    ),
    _refused(
        "a status never heard of, 599",
        answers(599, refusal("odd")),
        e.RevorServerError,
        "599 odd",
        LATER,
        wait=WAITS,
    ),
]


def _stranger(name, answer, says):
    return Row(name, answer, e.RevorResponseError, f"{says}, not the documented JSON", ONCE, WAITS, CHECK)


# A status below 500 that is not in Revor's envelope, so that it is somebody else's.
STRANGERS = [
    _stranger("401 with nothing in it", answers(401, b""), "an empty body"),
    _stranger(
        "403 with a login page", answers(403, b"<html>Log in</html>", Content_Type="text/html"), "an HTML page.*"
    ),
    _stranger("404 with a text", answers(404, b"Not Found", Content_Type="text/plain"), "9 bytes of text/plain"),
    _stranger("400 with JSON of another shape", answers(400, {"detail": "No"}), "JSON of another shape"),
    _stranger("400 with a list", answers(400, [1, 2]), "JSON of another shape"),
    _stranger(
        "an error's envelope without code, message or request id",
        answers(400, {"ok": False, "error": {}}),
        "JSON of another shape, with an `error` of another kind",
    ),
    _stranger(
        "an error's envelope whose fields are no strings",
        answers(403, {"ok": False, "error": {"code": 7, "message": ["x"], "request_id": {}}}),
        "JSON of another shape, with an `error` of another kind",
    ),
]

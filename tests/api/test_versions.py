from __future__ import annotations

import pytest
from factories import account, item, listing, response

from airflow_provider_revor.api.accounts import list_request, read_accounts
from airflow_provider_revor.api.answers import decode
from airflow_provider_revor.api.jobs import cancel_request, job_request
from airflow_provider_revor.api.versions import ApiVersion, parse_version, translate
from airflow_provider_revor.exceptions import RevorResponseError, RevorValueError
from airflow_provider_revor.selection import pick_account

V1, V2 = ApiVersion.V1, ApiVersion.V2


@pytest.mark.parametrize(
    ("value", "version"),
    [(None, V1), ("", V1), ("v1", V1), ("V2 ", V2), (2, V2), ("1", V1)],
)
def test_a_version_is_read_as_people_write_it(value, version):
    assert parse_version(value) is version


@pytest.mark.parametrize("value", ["v3", "latest", 0, True, ["v2"]])
def test_another_version_is_refused(value):
    with pytest.raises(RevorValueError, match="v1 or v2"):
        parse_version(value)


@pytest.mark.parametrize(
    ("path", "in_v2"),
    [
        ("/api/v1/connect/accounts", "/api/v2/connect/accounts"),
        ("/api/v1/outreach/dispatches", "/api/v2/outreach/dispatches"),
        ("/api/v1/outreach/linkedin/post-likes", "/api/v2/outreach/linkedin/post-likes"),
        ("/api/v1/outreach/jobs/job_1", "/api/v2/jobs/job_1"),
        ("/api/v2/credits", "/api/v2/credits"),
    ],
)
def test_where_each_endpoint_is(path, in_v2):
    assert translate(path, V2) == in_v2
    assert translate(path, V1) == path


def test_a_cancel_is_of_v2_and_may_be_sent_again():
    request = cancel_request("job/1", "k1")
    assert (request.method, request.path) == ("POST", "/api/v2/jobs/job%2F1/cancel")
    assert (request.idempotency_key, request.repeatable) == ("k1", True)


@pytest.mark.parametrize(
    ("status", "can_send", "by_v1", "by_v2"),
    [
        ("ok", True, True, True),
        ("error", True, False, True),
        ("credentials", True, False, True),
        ("ok", False, False, False),
    ],
)
def test_who_can_send_goes_by_the_version_also_after_xcom(status, can_send, by_v1, by_v2):
    body = listing(item(status=status, can_send=can_send))
    for version, sendable in ((V1, by_v1), (V2, by_v2)):
        (one,) = read_accounts(decode(list_request().in_version(version), response(200, body), "c"))
        assert (one.sendable, one.blocked_reason is None) == (sendable, sendable)
        assert ("api_version" in one.as_dict()) is (version is V2)
        if sendable:
            assert pick_account([one.as_dict()]) == one.as_dict()
        else:
            with pytest.raises(RevorValueError):
                pick_account([one.as_dict()])
    assert account().as_dict() == item()


def test_v2_may_omit_ok():
    bare = {"items": [item()]}
    for body in (bare, {"error": None, **bare}):
        assert len(read_accounts(decode(list_request().in_version(V2), response(200, body), "c"))) == 1
    for request, body in (
        (list_request(), bare),
        (list_request().in_version(V2), {"ok": False, **bare}),
        (list_request().in_version(V2), {"error": {"message": "x"}}),
        (job_request("job_1").in_version(V2), {}),
    ):
        with pytest.raises(RevorResponseError):
            decode(request, response(200, body), "c").items  # noqa: B018

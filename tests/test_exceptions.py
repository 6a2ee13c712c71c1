from __future__ import annotations

import json
import pickle

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException
from project import ROOT

from airflow_provider_revor import exceptions as e

CLASSES = [cls for cls in vars(e).values() if isinstance(cls, type) and issubclass(cls, e.RevorError)]


@pytest.mark.parametrize("cls", CLASSES)
def test_every_error_survives_the_way_from_a_trigger_to_the_worker(cls):
    error = cls(
        "It broke. Fix it. [GET /x]",
        reason="It broke.",
        advice="Fix it.",
        code="c",
        status_code=418,
        request_id="req_1",
        retry_after=3.0,
    )
    for back in (
        e.error_from_dict(json.loads(json.dumps(error.as_dict()))),
        pickle.loads(pickle.dumps(error)),
    ):
        assert str(back) == "It broke. Fix it. [GET /x]"
        assert (back.reason, back.advice) == ("It broke.", "Fix it.")
        assert (back.code, back.status_code, back.request_id, back.retry_after) == ("c", 418, "req_1", 3.0)
        # An abstract class of the tree is never raised itself.
        assert type(back) is cls or cls is e.RevorTransientError


def test_an_error_of_an_older_version_has_its_message_as_its_reason():
    old = {"error": "RevorServerError", "message": "It broke.", "code": None, "status_code": 500}
    back = e.error_from_dict(old)
    assert (str(back), back.reason, back.advice, back.retry_after) == ("It broke.", "It broke.", None, None)


def test_a_message_is_made_of_reason_advice_and_the_technical_rest():
    error = e.RevorServerError.of("It broke.", "Wait.", "GET /x: 500, request_id req_1", status_code=500)
    assert type(error) is e.RevorServerError
    assert str(error) == "It broke. Wait. [GET /x: 500, request_id req_1]"
    assert (error.reason, error.advice, error.status_code) == ("It broke.", "Wait.", 500)
    quoting = e.RevorServerError.of("It broke.", "Wait.", "GET /x", "Oops.")
    assert str(quoting) == 'It broke. Wait. The response says: "Oops." [GET /x]'


def test_an_error_of_a_newer_version_is_still_a_revor_error():
    assert type(e.error_from_dict({"error": "RevorNovelError", "message": "New."})) is e.RevorError


@pytest.mark.parametrize("cls", CLASSES)
def test_the_tree_in_the_docstring_names_every_class(cls):
    assert issubclass(cls, AirflowException)
    assert cls.__name__ in e.__doc__


def test_what_may_pass_never_fails_a_task_for_good():
    for cls in CLASSES:
        assert not (issubclass(cls, e.RevorTransientError) and issubclass(cls, AirflowFailException))


@pytest.mark.parametrize("name", e._CLASSES)
def test_the_documentation_says_what_to_do_about_every_error(name):
    assert f"### {name}\n" in (ROOT / "docs/guides/errors.md").read_text()


@pytest.mark.parametrize("cls", CLASSES)
def test_the_tree_marks_the_classes_that_fail_a_task_at_once(cls):
    line = next(line for line in e.__doc__.splitlines() if f"─ {cls.__name__} " in line or line.endswith(cls.__name__))
    assert line.endswith("(*)") is issubclass(cls, AirflowFailException)

from __future__ import annotations

import json
import pickle

import pytest
from airflow.providers.common.compat.sdk import AirflowException

from airflow_provider_revor import exceptions as e

CLASSES = [cls for cls in vars(e).values() if isinstance(cls, type) and issubclass(cls, e.RevorError)]


@pytest.mark.parametrize("cls", CLASSES)
def test_every_error_survives_the_way_from_a_trigger_to_the_worker(cls):
    error = cls("What happened.", code="c", status_code=418, request_id="req_1", retry_after=3.0)
    for back in (
        e.error_from_dict(json.loads(json.dumps(error.as_dict()))),
        pickle.loads(pickle.dumps(error)),
    ):
        assert str(back) == "What happened."
        assert (back.code, back.status_code, back.request_id, back.retry_after) == ("c", 418, "req_1", 3.0)
        # An abstract class of the tree is never raised itself.
        assert type(back) is cls or cls is e.RevorTransientError


def test_an_error_of_a_newer_version_is_still_a_revor_error():
    assert type(e.error_from_dict({"error": "RevorNovelError", "message": "New."})) is e.RevorError


@pytest.mark.parametrize("cls", CLASSES)
def test_the_tree_in_the_docstring_names_every_class(cls):
    assert issubclass(cls, AirflowException)
    assert cls.__name__ in e.__doc__


def test_what_may_heal_never_fails_a_task_for_good():
    from airflow.providers.common.compat.sdk import AirflowFailException

    for cls in CLASSES:
        assert not (issubclass(cls, e.RevorTransientError) and issubclass(cls, AirflowFailException))

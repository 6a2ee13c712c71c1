"""The arguments that mypy knows are those that Airflow takes."""

from __future__ import annotations

from inspect import signature

from airflow.providers.common.compat.sdk import BaseOperator, BaseSensorOperator

from airflow_provider_revor.api import checks
from airflow_provider_revor.api.checks import ADDRESS_FIELD
from airflow_provider_revor.rules import messages
from airflow_provider_revor.typing import (
    Attachment,
    BaseOperatorArgs,
    BaseSensorArgs,
    Content,
    OutreachMessage,
    Recipient,
)
from airflow_provider_revor.version_compat import RETRY_POLICIES

NEW_IN_3_3 = {"retry_policy", "render_template_as_native_obj"}


def parameters(cls):
    return set(signature(cls.__init__).parameters) - {"self", "args", "kwargs"}


def test_mypy_knows_the_arguments_of_an_operator_and_of_a_sensor():
    operators, sensors = parameters(BaseOperator), parameters(BaseSensorOperator)
    ours = set(BaseOperatorArgs.__annotations__)
    assert set(BaseSensorArgs.__annotations__) - ours == sensors - operators
    if RETRY_POLICIES:
        assert ours == operators
    else:
        assert ours - NEW_IN_3_3 <= operators


def test_mypy_knows_the_fields_that_are_sent():
    assert set(Recipient.__annotations__) == {*ADDRESS_FIELD.values(), "name"}
    assert set(Content.__annotations__) == {*checks._TEXTS, "attachments"}
    assert set(Attachment.__annotations__) == set(checks._ATTACHMENT_TEXTS)
    assert set(OutreachMessage.__annotations__) == set(messages._KNOWN)

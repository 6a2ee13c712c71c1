"""
The pytest fixture ``revor_sandbox``: a local Revor for one test.

Installing the provider with its extra ``sandbox`` is all that it takes:

.. code-block:: python

    def test_gate_opens(revor_sandbox):
        revor_sandbox.reconnect("acc_email_anna")
        dag.test()
        assert revor_sandbox.request_count == 1

The connection ``revor_default`` leads to the sandbox for the time of the test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

# pytest imports this module in every session, whether or not Revor is tested: anything else is imported late.
if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_revor.sandbox.server import Sandbox


@pytest.fixture
def revor_sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """
    Run a local Revor on a free port for one test.

    The environment variable AIRFLOW_CONN_REVOR_DEFAULT leads to it, and so does the connection
    ``revor_default``. No account can send at first: ``reconnect`` one, or ``set_accounts`` of your own.

    :return: the running :class:`~airflow_provider_revor.sandbox.server.Sandbox`.
    """
    try:
        from airflow_provider_revor.sandbox.server import Sandbox
    except ModuleNotFoundError as error:
        from airflow_provider_revor.sandbox import INSTALL_HINT

        pytest.fail(f"{INSTALL_HINT} ({error})", pytrace=False)

    with Sandbox() as sandbox:
        monkeypatch.setenv("AIRFLOW_CONN_REVOR_DEFAULT", sandbox.connection_json)
        yield sandbox

"""
The pytest fixtures ``revor_run_dag`` and ``revor_watch``: a Dag and an asset's watcher in a test.

They are there after one line in the pytest configuration:

.. code-block:: ini

    [pytest]
    revor_airflow = true

The tests then run in an Airflow home of their own, which is thrown away, without anything of this shell's Airflow. Use
them with ``revor_sandbox`` of the extra ``sandbox``:

.. code-block:: python

    def test_gate_opens(revor_sandbox, revor_run_dag):
        revor_sandbox.reconnect("acc_email_anna")
        assert revor_run_dag(outreach).state == "success"
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any, cast

import pytest

# pytest imports this module in every session, whether or not Revor is tested: anything else is imported late.
if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator, Callable, Iterator

    from airflow.triggers.base import BaseEventTrigger, TriggerEvent

    from airflow_provider_revor.sandbox.server import Sandbox

OPTION = "revor_airflow"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the option."""
    parser.addini(OPTION, "Run the tests in a throw-away Airflow home (true or false).", type="bool", default=False)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Make the Airflow home before a conftest.py imports Airflow, which reads its configuration then."""
    if not early_config.getini(OPTION):
        return
    if "airflow" in sys.modules:
        raise pytest.UsageError(f"{OPTION}: something has imported Airflow before its home could be made")
    home = tempfile.mkdtemp(prefix="revor-airflow-")
    early_config.add_cleanup(lambda: shutil.rmtree(home, ignore_errors=True))
    os.mkdir(dags := os.path.join(home, "dags"))
    # Nothing of an Airflow that this shell may be set up for: least of all its database.
    for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
        del os.environ[name]
    os.environ.update(
        AIRFLOW_HOME=home,
        AIRFLOW__CORE__DAGS_FOLDER=dags,
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        # A test's Dag may have the id of the test before.
        AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL="0",
    )


@pytest.fixture(scope="session")
def _revor_airflow_db(request: pytest.FixtureRequest) -> None:
    if not request.config.getini(OPTION):
        pytest.fail(f"set `{OPTION} = true` in the pytest configuration: the test needs an Airflow home", pytrace=False)
    command = [sys.executable, "-m", "airflow", "db", "migrate"]
    # Only this Python and fixed words.
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # noqa: S603
    if done.returncode:
        pytest.fail(f"`airflow db migrate` failed:\n{done.stdout}", pytrace=False)


@pytest.fixture
def revor_run_dag(_revor_airflow_db: None) -> Callable[..., Any]:
    """
    Run a Dag to its end in this process, deferred tasks included.

    :return: a function that takes the Dag, an object that need not be in any Dag folder, and the arguments of
        ``dag.test()``, such as ``run_conf``; it returns the Dag run, which has a ``state``.
    """

    def run_dag(dag: Any, **arguments: Any) -> Any:
        from airflow_provider_revor.version_compat import store_dag

        store_dag(dag)
        return dag.test(**arguments)

    return run_dag


class Watcher:
    """
    An asset's watcher that has looked once. Between two events it stands still.

    :param trigger: The watcher's trigger.
    :param loop: The event loop that it runs in, while it is waited for.
    """

    def __init__(self, trigger: BaseEventTrigger, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._events = cast("AsyncGenerator[TriggerEvent]", trigger.run())
        self._next = loop.create_task(anext(self._events))

    def run_until(self, condition: Callable[[], bool], timeout: float = 30.0) -> None:
        """
        Let it run until a condition holds, or it has an event.

        :param condition: Asked 100 times a second.
        :param timeout: The longest wait, in seconds. Default: 30.
        :raises TimeoutError: if nothing of that happens by then.
        """
        import asyncio

        async def wait() -> None:
            async with asyncio.timeout(timeout):
                while not condition() and not self._next.done():
                    await asyncio.sleep(0.01)

        self._loop.run_until_complete(wait())

    def next_event(self, timeout: float = 30.0) -> Any:
        """
        Let it run until it has an event.

        :param timeout: The longest wait, in seconds. Default: 30.
        :return: the event's payload.
        :raises TimeoutError: if there is none by then; what has happened meanwhile is not lost.
        """
        self.run_until(lambda: False, timeout)
        event = self._next.result()
        self._next = self._loop.create_task(anext(self._events))
        return event.payload

    def close(self) -> None:
        """End it."""
        import asyncio

        async def end() -> None:
            self._next.cancel()
            await asyncio.wait([self._next])
            await self._events.aclose()

        self._loop.run_until_complete(end())


@pytest.fixture
def revor_watch(_revor_airflow_db: None, revor_sandbox: Sandbox) -> Iterator[Callable[[BaseEventTrigger], Watcher]]:
    """
    Play the triggers of assets' watchers.

    :return: a function that takes a trigger, such as a ``SendableAccountEventTrigger``, lets it look at the sandbox
        once, so that it knows how things stand, and returns a :class:`Watcher`.
    """
    import asyncio

    loop = asyncio.new_event_loop()
    watchers = []

    def watch(trigger: BaseEventTrigger) -> Watcher:
        looks = revor_sandbox.request_count
        watchers.append(watcher := Watcher(trigger, loop))
        watcher.run_until(lambda: revor_sandbox.request_count > looks)
        return watcher

    yield watch
    for watcher in watchers:
        watcher.close()
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()

"""
A local Revor: develop and test Dags without a key, and without messaging anyone.

Three ways in: ``python -m airflow_provider_revor.sandbox`` for a shell, the pytest fixture ``revor_sandbox``
for tests, and :class:`Sandbox` for everything else. It needs the extra ``sandbox``
(``pip install 'airflow-provider-revor[sandbox]'``) and shares no code with the rest of the package, so that
a mistake in the client can't hide behind the same mistake here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_revor.sandbox.server import Sandbox

__all__ = ["INSTALL_HINT", "Sandbox"]

#: What to tell someone who has no FastAPI or uvicorn.
INSTALL_HINT = "the Revor sandbox needs more packages: pip install 'airflow-provider-revor[sandbox]'"


def __getattr__(name: str) -> Any:
    # Late, because the pytest plugin imports this package in every pytest session there is.
    if name == "Sandbox":
        from airflow_provider_revor.sandbox.server import Sandbox

        return Sandbox
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

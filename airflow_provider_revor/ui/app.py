"""The page's routes. They only read, and each asks Airflow whether the person may read connections."""

from __future__ import annotations

from importlib.resources import files
from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import ConnectionDetails, DagAccessEntity, DagDetails
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_connection
from airflow.models.connection import Connection
from airflow.models.dag import DagModel
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from airflow_provider_revor.ui import records
from airflow_provider_revor.ui.accounts import Accounts
from airflow_provider_revor.ui.masking import masked

_MEDIA_TYPES = {"index.html": "text/html", "page.css": "text/css", "page.js": "text/javascript"}
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

# On the router, so that no route can lack it: 401 for whoever is not logged in, 403 for whoever may not read
# connections; with a `connection_id` in the path, that very connection.
router = APIRouter(dependencies=[Depends(requires_access_connection("GET"))])


def create_app() -> FastAPI:
    """Put the application together, without pages of documentation, which would be open to all."""
    app = FastAPI(title="Revor", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.accounts = Accounts()
    app.include_router(router)
    return app


@router.get("/")
def page() -> Response:
    """Serve the page."""
    return page_file("index.html")


@router.get("/static/{name}")
def page_file(name: str) -> Response:
    """Serve its script or its style sheet."""
    if name not in _MEDIA_TYPES:
        raise HTTPException(404)
    content = files(__package__).joinpath("static", name).read_bytes()
    return Response(content, media_type=_MEDIA_TYPES[name], headers=_HEADERS)


@router.get("/overview")
def overview(session: SessionDep, user: GetUserDep) -> Response:
    """Return what Airflow's database knows, as far as the person may see it."""
    conn_ids = [conn_id for conn_id in records.connection_ids(session) if _may_connection("GET", conn_id, user)]
    dag_ids = records.dags_with_records(session)
    gates = [dag_id for dag_id in dag_ids if _may_dag(dag_id, DagAccessEntity.TASK_INSTANCE, user)]
    reached = [dag_id for dag_id in gates if _may_dag(dag_id, DagAccessEntity.XCOM, user)]
    shown = {
        "connections": conn_ids,
        "gates": records.waiting_gates(session, gates, conn_ids),
        "outreach": records.outreach(session, reached),
        "days": records.DAYS,
    }
    return JSONResponse(shown, headers=_HEADERS)


def revor_connection(connection_id: str, session: SessionDep) -> str:
    """Return the id of a connection of the type ``revor``; to whoever asks for another one, there is none."""
    if connection_id not in records.connection_ids(session):
        raise HTTPException(404, "There is no such connection of the type revor.")
    return connection_id


def may_edit(connection_id: str, user: GetUserDep) -> bool:
    """Return whether the person may edit the connection, and so see whose accounts it has."""
    return _may_connection("PUT", connection_id, user)


@router.get("/connections/{connection_id}/accounts")
async def accounts(
    request: Request,
    connection_id: Annotated[str, Depends(revor_connection)],
    unmasked: Annotated[bool, Depends(may_edit)],
) -> Response:
    """Return the accounts of a connection, as Revor had them within the last minute."""
    answer = await request.app.state.accounts.read(connection_id)
    shown = answer.accounts if unmasked else [masked(account) for account in answer.accounts]
    content = {"accounts": shown, "error": answer.error, "asked_at": answer.asked_at}
    return JSONResponse(content, headers=_HEADERS)


def _may_connection(method: Any, conn_id: str, user: BaseUser) -> bool:
    details = ConnectionDetails(conn_id=conn_id, team_name=Connection.get_team_name(conn_id))
    return get_auth_manager().is_authorized_connection(method=method, details=details, user=user)


def _may_dag(dag_id: str, entity: DagAccessEntity, user: BaseUser) -> bool:
    details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
    return get_auth_manager().is_authorized_dag(method="GET", access_entity=entity, details=details, user=user)

"""The page for people at ``/``: accounts, outbox, jobs, faults and requests, live."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response

from airflow_provider_revor.sandbox.world.world import World

#: No more of each kind is shown.
MOST_SHOWN = 50

_MEDIA_TYPES = {"home.css": "text/css", "home.js": "text/javascript"}
_HEADERS = {
    "Cache-Control": "no-store",
    # Only own files; and no other page may show this one in a frame, where a click would press its buttons.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

router = APIRouter(include_in_schema=False)


@router.get("/")
async def home() -> Response:
    """Serve the page."""
    return _file("index.html", "text/html")


@router.get("/sandbox/home/{name}")
async def home_file(name: str) -> Response:
    """Serve its script or its style sheet."""
    if name not in _MEDIA_TYPES:
        raise HTTPException(404)
    return _file(name, _MEDIA_TYPES[name])


@router.get("/sandbox/overview")
async def overview(request: Request) -> dict[str, Any]:
    """Return what the page shows: of each kind the total and the latest, newest first."""
    world: World = request.app.state.world
    return world.overview(MOST_SHOWN)


def _file(name: str, media_type: str) -> Response:
    return Response(files(__package__).joinpath(name).read_bytes(), media_type=media_type, headers=_HEADERS)

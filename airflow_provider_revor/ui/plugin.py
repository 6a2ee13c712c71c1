"""The plugin that Airflow loads, in every process: while the page is off, it is empty and imports nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin
from airflow.providers.common.compat.sdk import conf

from airflow_provider_revor.version_compat import UI_PLUGINS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

URL_PREFIX = "/revor"


class LazyApp:
    """The page's FastAPI application, made at its first request: only API servers ever have one."""

    def __init__(self) -> None:
        self._app: Callable[..., Awaitable[None]] | None = None

    async def __call__(
        self, scope: MutableMapping[str, Any], receive: Callable[..., Any], send: Callable[..., Any]
    ) -> None:
        """Handle one request, as ASGI defines it."""
        if self._app is None:
            from airflow_provider_revor.ui.app import create_app

            self._app = create_app()
        await self._app(scope, receive, send)


def extensions(switched_on: bool, base_url: str) -> dict[str, list[dict[str, Any]]]:
    """
    Return what the plugin adds to Airflow.

    :param switched_on: Whether ``[revor] accounts_page`` is true.
    :param base_url: Where the API server is, as ``[api] base_url`` says.
    """
    if not (switched_on and UI_PLUGINS):
        return {"fastapi_apps": [], "external_views": []}
    from urllib.parse import urlsplit

    # Without a `url_route`, Airflow opens it in a tab of its own. In Airflow's frame, which forbids navigation, no link
    # to a task or to Revor's console would work.
    view = {
        "name": "Revor",
        "href": urlsplit(base_url).path.rstrip("/") + URL_PREFIX + "/",
        "destination": "nav",
        "category": "browse",
    }
    return {
        "fastapi_apps": [{"app": LazyApp(), "url_prefix": URL_PREFIX, "name": "Revor"}],
        "external_views": [view],
    }


_extensions = extensions(
    conf.getboolean("revor", "accounts_page", fallback=False), conf.get("api", "base_url", fallback="") or ""
)


class RevorPlugin(AirflowPlugin):
    """Adds the page *Browse → Revor*: accounts, waiting gates and outreach. For Airflow 3.1+."""

    name = "revor"
    fastapi_apps = _extensions["fastapi_apps"]
    external_views = _extensions["external_views"]

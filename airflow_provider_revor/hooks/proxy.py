"""Which proxy carries requests to a connection's host."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from airflow_provider_revor.api.naming import Names
from airflow_provider_revor.api.text import hide
from airflow_provider_revor.exceptions import RevorConfigurationError
from airflow_provider_revor.hooks.addresses import PROXY_FORM, read_proxy

if TYPE_CHECKING:
    from airflow_provider_revor.hooks.settings import Settings


def proxy_for(settings: Settings) -> str | None:
    """
    Return the URL of the proxy that carries requests to the connection's host; None if none does.

    :param settings: The connection's.
    :raises RevorConfigurationError: if a proxy of the environment cannot be used.
    """
    from requests.utils import get_environ_proxies, select_proxy

    proxies = dict(settings.proxies)
    if not proxies and not settings.loopback:
        proxies = get_environ_proxies(settings.base_url)
    proxy: str | None = select_proxy(settings.base_url, proxies)
    if proxy and "://" not in proxy:
        proxy = f"http://{proxy}"
    if not proxy:
        return None
    try:
        usable = read_proxy(proxy)
    except ValueError as e:
        why = str(e)
    else:
        # A proxy may repeat the password that it got.
        hide(unquote(urlsplit(usable).password or ""))
        return usable
    # Outside of the `except` block, so that no context of the error leads to the proxy's password.
    raise RevorConfigurationError.of(
        Names.of(settings.conn_id).fill(
            f"{{connection}} would use a proxy of the environment that is no proxy: {why}."
        ),
        f"Set HTTP_PROXY and HTTPS_PROXY {PROXY_FORM}; or name a proxy in the connection's extra `proxies`, or its "
        "host in NO_PROXY.",
    )

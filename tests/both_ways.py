"""Listing accounts through the hook once, sync and awaited."""

from __future__ import annotations

import asyncio

import pytest

from airflow_provider_revor.hooks.revor import RevorHook


def list_sync():
    with RevorHook(max_retries=0) as hook:
        return hook.list_connect_accounts()


def list_async():
    async def ask():
        async with RevorHook(max_retries=0) as hook:
            return await hook.alist_connect_accounts()

    return asyncio.run(ask())


both = pytest.mark.parametrize("ask", [list_sync, list_async])

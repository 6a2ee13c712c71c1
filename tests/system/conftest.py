"""What a failed system test shows: the end of what each component of its Airflow has said."""

from __future__ import annotations

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed and (cluster := item.funcargs.get("cluster")):
        report.sections += [(component.log.name, component.tail()) for component in cluster.components]
    return report

from airflow.sdk import task

from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.retry_policy import RevorRetryPolicy


@task(retries=5, retry_policy=RevorRetryPolicy())
def count_accounts() -> int:
    with RevorHook() as hook:
        return len(hook.list_connect_accounts())

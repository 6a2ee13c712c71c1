from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_revor.exceptions import RevorPlanError, RevorTransientError
from airflow_provider_revor.hooks.revor import RevorHook


@dag(schedule=None)
def handle_errors():
    @task(retries=3)
    def sync_accounts() -> str:
        try:
            with RevorHook() as hook:
                return f"{len(hook.list_connect_accounts())} accounts"
        except RevorPlanError as error:
            # `reason` says what is wrong, `advice` what to do.
            return f"Skipped: {error.reason} {error.advice}"
        except RevorTransientError as error:
            # Airflow's `retries` apply to what is raised again.
            print(f"Revor asks for {error.retry_after or 0:g} s; request {error.request_id}")
            raise

    sync_accounts()


handle_errors()

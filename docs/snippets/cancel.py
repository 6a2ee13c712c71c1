from airflow.providers.common.compat.sdk import DAG

from airflow_provider_revor.operators.cancel import CancelOutreachJobOperator

with DAG("cancel", schedule=None, params={"job_id": "job_123"}) as dag:
    # The connection's extra says {"api_version": "v2"}.
    CancelOutreachJobOperator(task_id="cancel", job_id="{{ params.job_id }}", must_cancel=True)

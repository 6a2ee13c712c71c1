from airflow.providers.common.compat.sdk import DAG

from airflow_provider_revor.operators.outreach import OutreachDispatchOperator
from airflow_provider_revor.operators.summary import OutreachSummaryOperator

PEOPLE = [{"address": "ada@example.com"}, {"address": "grace@example.com"}]

with DAG("summary", schedule=None) as dag:
    send = OutreachDispatchOperator.partial(
        task_id="send",
        account_id="acc_1",
        channel="email",
        content={"subject": "Hello", "text": "Hello, shall we talk?"},
    ).expand(recipient=PEOPLE)

    # A tenth of the messages may fail; above that, the run fails.
    OutreachSummaryOperator(task_id="verdict", jobs=send.output, expected=len(PEOPLE), max_failed=0.1)

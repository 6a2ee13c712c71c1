from my_dags import outreach


def test_the_message_is_sent_once_an_account_can_send(revor_sandbox, revor_run_dag):
    # Fields that are left out are filled in, so this account can send.
    revor_sandbox.set_accounts([{"account_id": "acc_1", "channel": "email"}])
    # The gate's first request meets the rate limit.
    revor_sandbox.fail(429, retry_after=2)

    assert revor_run_dag(outreach).state == "success"

    (message,) = revor_sandbox.outbox
    assert message.recipient["address"] == "ada@example.com"


def test_nothing_is_sent_without_a_valid_key(revor_sandbox, revor_run_dag):
    revor_sandbox.revoke_key()

    assert revor_run_dag(outreach).state == "failed"

    assert revor_sandbox.outbox == []

from airflow_provider_revor.triggers.connect import SendableAccountEventTrigger


# For Airflow 3.0+.
def test_the_watcher_notices_a_blocked_account(revor_sandbox, revor_watch):
    revor_sandbox.reconnect("acc_email_anna")
    watcher = revor_watch(SendableAccountEventTrigger(becomes="blocked", poke_interval=1))

    revor_sandbox.block("acc_email_anna")

    assert watcher.next_event()["account_id"] == "acc_email_anna"

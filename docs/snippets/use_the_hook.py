from airflow_provider_revor.hooks.revor import RevorHook

with RevorHook("revor_default") as hook:
    accounts = hook.list_connect_accounts(channel="linkedin", sendable=True)
    rows = [account.as_dict() for account in accounts]
    job = hook.get_outreach_job("job_123")
    same = hook.request("GET", "/api/v1/outreach/jobs/job_123")["item"]

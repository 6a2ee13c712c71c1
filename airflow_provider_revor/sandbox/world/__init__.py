"""The world behind the API: accounts, keys, jobs, faults and the request log."""

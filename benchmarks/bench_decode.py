"""
A list of 1,000 accounts through the hook, beside ``requests.get(…).json()``.

``make bench-decode``. Both ask the same server on loopback, in turns and each time in a fresh process; the figures are
medians of the CPU seconds of the call itself.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ROUNDS = 7
ACCOUNTS = 1_000

ASK = {
    "requests.get(…).json()": "requests.get(URL + '/api/v1/connect/accounts', timeout=60).json()",
    "hook.list_connect_accounts()": "hook.list_connect_accounts()",
}

CODE = """
import os, time
import requests
import airflow.sdk
from airflow_provider_revor.hooks.revor import RevorHook
URL = os.environ["URL"]
hook = RevorHook()
try:
    hook.request("GET", "warm-up")
except Exception:
    pass
began = time.process_time()
answer = {ask}
print(time.process_time() - began)
"""


class Handler(BaseHTTPRequestHandler):
    body = b""

    def do_GET(self) -> None:
        listing = self.path.startswith("/api/v1/connect/accounts")
        body = self.body if listing else b"{}"
        self.send_response(200 if listing else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def main() -> None:
    items = [
        {
            "account_id": f"acc_{n:06}",
            "channel": ("email", "linkedin", "whatsapp")[n % 3],
            "name": f"Account number {n}",
            "account_identifier": f"person.{n}@example.com",
            "status": ("ok", "credentials")[n % 2],
            "lifecycle_status": "active",
            "can_send": n % 2 == 0,
            "can_receive": True,
        }
        for n in range(ACCOUNTS)
    ]
    Handler.body = json.dumps({"ok": True, "request_id": "req_1", "items": items}).encode()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    connection = json.dumps({"conn_type": "revor", "host": url, "password": "sk-revor-bench"})
    environment = {**os.environ, "URL": url, "AIRFLOW_CONN_REVOR_DEFAULT": connection}

    measured: dict[str, list[float]] = {name: [] for name in ASK}
    for _ in range(ROUNDS):
        for name, rounds in measured.items():
            run = subprocess.run(
                [sys.executable, "-c", CODE.format(ask=ASK[name])],
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            )
            rounds.append(float(run.stdout.split()[-1]))
    server.shutdown()

    medians = {name: statistics.median(rounds) for name, rounds in measured.items()}
    peer = medians["requests.get(…).json()"]
    print(f"{ACCOUNTS:,} accounts, {len(Handler.body) / 1e3:.0f} kB of JSON\n")
    print("| | CPU ms | of the peer's |\n| --- | --- | --- |")
    for name, cpu in medians.items():
        print(f"| `{name}` | {cpu * 1000:.1f} | {cpu / peer:.1f} |")


if __name__ == "__main__":
    main()

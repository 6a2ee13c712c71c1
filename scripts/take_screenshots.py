"""
``make screenshots``: take the pictures of the documentation, in a real Airflow beside the sandbox, into docs/images.

Names, sizes and colours are always the same; times of day and the ids of jobs are those of the run.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import requests
from local_airflow import ROOT, AirflowNotRunningError, LocalAirflow
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from airflow_provider_revor.sandbox import Sandbox

FOLDER = ROOT / "docs" / "images"
GATE, APPROVAL = "example_outreach_pipeline", "example_outreach_with_approval"
RUN = "monday"
ACCOUNTS = ("acc_email_anna", "acc_linkedin_anna", "acc_linkedin_ben", "acc_whatsapp_anna")
# A page of the documentation is 736 pixels wide: what is drawn much wider can't be read there.
WIDTH, SHARPNESS = 960, 1.5
COLOURS = 128
MOST_LOOKS = 8
CONFIG = {"AIRFLOW__REVOR__ACCOUNTS_PAGE": "True"}


class Scene:
    """
    A real Airflow with the two examples that are shown, beside the sandbox.

    :param airflow: The Airflow.
    :param sandbox: The Revor of its connection.
    """

    def __init__(self, airflow: LocalAirflow, sandbox: Sandbox) -> None:
        self.airflow, self.sandbox = airflow, sandbox
        self._http = requests.Session()
        self._http.trust_env = False
        token = self._http.get(f"{airflow.url}/auth/token", timeout=30).json()["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"

    def trigger(self, dag_id: str) -> None:
        """Start a run of a Dag, once it has been read."""
        runs = f"{self.airflow.url}/api/v2/dags/{dag_id}/dagRuns"
        body = {"dag_run_id": RUN, "logical_date": None}
        self.until(lambda: self._http.post(runs, json=body, timeout=30).ok, f"the Dag {dag_id}")

    def wait_for(self, dag_id: str, task_id: str, *states: str) -> None:
        """Wait until a task has one of the states."""
        task = f"{self.airflow.url}/api/v2/dags/{dag_id}/dagRuns/{RUN}/taskInstances/{task_id}"
        self.until(
            lambda: self._http.get(task, timeout=30).json().get("state") in states,
            f"{dag_id}.{task_id} to be {' or '.join(states)}",
        )

    def until(self, condition: Callable[[], bool], what: str, timeout: float = 180) -> None:
        """Wait until something holds."""
        end = time.monotonic() + timeout
        while not condition():
            self.airflow.check()
            if time.monotonic() > end:
                raise AirflowNotRunningError(f"{what}: not within {timeout:g} s")
            time.sleep(0.5)


def copy_examples(folder: Path) -> Path:
    """Put the examples that are shown into a folder: others would start by themselves."""
    folder.mkdir()
    for dag_id in (GATE, APPROVAL):
        shutil.copy(ROOT / "example_dags" / f"{dag_id}.py", folder)
    return folder


def new_sandbox() -> Sandbox:
    """Return a sandbox with fewer accounts, so that its pages are short."""
    return Sandbox(accounts=[account for account in Sandbox().accounts if account["account_id"] in ACCOUNTS])


def new_page(browser: Browser, height: int) -> Page:
    """Return a page as wide as all pictures."""
    context = browser.new_context(
        viewport={"width": WIDTH, "height": height},
        device_scale_factor=SHARPNESS,
        color_scheme="light",
        locale="en-GB",
        timezone_id="UTC",
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.set_default_timeout(60_000)
    return page


def connection_form(page: Page, scene: Scene) -> Locator:
    """Open the form of a new connection of the type Revor."""
    page.goto(f"{scene.airflow.url}/connections")
    page.get_by_role("button", name="Add Connection").click()
    form = page.get_by_role("dialog")
    form.locator("input[name=connection_id]").fill("revor_default")
    kind = form.get_by_role("combobox")
    kind.fill("revor")
    kind.press("Enter")
    form.get_by_text("API key", exact=True).wait_for()
    return form


def waiting_gate(page: Page, scene: Scene) -> Page:
    """Open the gate that waits, with its log, beside the grid."""
    page.goto(f"{scene.airflow.url}/dags/{GATE}/runs/{RUN}/tasks/gate")
    page.get_by_text("Waiting. No email account can send yet.").first.wait_for()
    page.keyboard.press("w")
    return page


def graph(page: Page, scene: Scene) -> Locator:
    """Open the graph of the example while its gate waits."""
    page.goto(f"{scene.airflow.url}/dags/{GATE}/runs/{RUN}")
    page.get_by_role("button", name="Show Graph").click()
    page.get_by_role("button", name="Collapse Details Panel").click()
    page.get_by_text("Give a verdict").first.wait_for()
    # What would lie over the tasks: the map, and what is said of the task under the mouse.
    page.add_style_tag(content=".react-flow__minimap, .react-flow__panel { display: none }")
    page.mouse.move(1, 1)
    return page.locator(".react-flow")


def approval(page: Page, scene: Scene) -> Page:
    """Open what a person is asked, by the way that a person goes."""
    page.goto(scene.airflow.url)
    page.get_by_role("button", name="Browse").click()
    page.get_by_role("menuitem", name="Required Actions").click()
    page.get_by_role("link", name="Send 2 messages?").click()
    page.get_by_role("button", name="Approve").wait_for()
    return page


def accounts_page(page: Page, scene: Scene) -> Page:
    """Open the page Browse > Revor."""
    page.goto(f"{scene.airflow.url}/revor/")
    page.locator("#state", has_text="Updated").wait_for()
    return page


def sandbox_page(page: Page, scene: Scene) -> Page:
    """Open the sandbox's page."""
    page.goto(scene.sandbox.url)
    page.get_by_text("Live", exact=True).wait_for()
    return page


Show = Callable[[Page, Scene], Page | Locator]


def take(browser: Browser, scene: Scene, height: int, show: Show) -> bytes:
    """Take a picture of what is shown."""
    page = new_page(browser, height)
    shown = show(page, scene)
    # Airflow's pages move a little after they have come; some count seconds, and so never stay as they are.
    before, picture = b"", shown.screenshot()
    for _ in range(MOST_LOOKS):
        if picture == before:
            break
        page.wait_for_timeout(500)
        before, picture = picture, shown.screenshot()
    page.context.close()
    return _small(picture)


def _small(picture: bytes) -> bytes:
    whole = Image.open(io.BytesIO(picture)).convert("RGB")
    # The method that keeps colours which few pixels have, such as those of states.
    few = whole.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(small := io.BytesIO(), "PNG", optimize=True)
    return small.getvalue()


def ask(scene: Scene) -> None:
    """Have the example ask a person for an approval."""
    scene.sandbox.reconnect("acc_email_anna")
    scene.sandbox.reconnect("acc_linkedin_anna")
    scene.trigger(APPROVAL)
    scene.wait_for(APPROVAL, "approve", "awaiting_input", "deferred")


def hold(scene: Scene) -> None:
    """Have the example's gate wait."""
    scene.sandbox.block("acc_email_anna")
    scene.trigger(GATE)
    scene.wait_for(GATE, "gate", "deferred")


# What is shown while the gate waits: by the name of the picture its height, and how it comes to be seen.
WHILE_IT_WAITS: dict[str, tuple[int, Show]] = {
    "connection-form": (900, connection_form),
    "gate-waits": (700, waiting_gate),
    "graph": (440, graph),
    "accounts-page": (900, accounts_page),
    "sandbox-page": (720, sandbox_page),
}


def take_all(browser: Browser, scene: Scene) -> Iterator[tuple[str, bytes]]:
    """Take each picture; return its name with it."""
    ask(scene)
    yield "approval", take(browser, scene, 1100, approval)
    approval(new_page(browser, 640), scene).get_by_role("button", name="Approve").click()
    # Its outreach is on the page of accounts.
    scene.wait_for(APPROVAL, "send", "success")
    hold(scene)
    for name, (height, show) in WHILE_IT_WAITS.items():
        yield name, take(browser, scene, height, show)


def main() -> int:
    browser = shutil.which("chromium")
    if browser is None:
        print("Chromium is needed: apt-get install chromium", file=sys.stderr)
        return 1
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="revor-shots-", ignore_cleanup_errors=True)))
        sandbox = stack.enter_context(new_sandbox())
        connections = {"revor_default": sandbox.connection}
        print("Starting a throw-away Airflow; it takes about half a minute …", flush=True)
        airflow = stack.enter_context(LocalAirflow(home, copy_examples(home / "dags"), connections, CONFIG))
        chromium = stack.enter_context(sync_playwright()).chromium
        # Chromium's own sandbox does not start as root.
        window = chromium.launch(executable_path=browser, args=["--no-sandbox"] if os.getuid() == 0 else [])
        for name, picture in take_all(window, Scene(airflow, sandbox)):
            path = FOLDER / f"{name}.png"
            path.write_bytes(picture)
            print(f"{path.relative_to(ROOT)}: {len(picture) / 1024:.0f} KiB", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

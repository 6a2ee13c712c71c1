"""Airflow's own UI, as a person clicks through it, and the pictures that ``make screenshots`` takes of it."""

from __future__ import annotations

import io

import pytest
from docs.pages import LARGEST_PICTURE
from local_airflow import LocalAirflow
from PIL import Image
from take_screenshots import (
    CONFIG,
    SHARPNESS,
    WHILE_IT_WAITS,
    WIDTH,
    Scene,
    approval,
    ask,
    copy_examples,
    hold,
    new_page,
    new_sandbox,
    take,
)

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    home = tmp_path_factory.mktemp("airflow")
    with new_sandbox() as sandbox:
        connections = {"revor_default": sandbox.connection}
        with LocalAirflow(home, copy_examples(home / "dags"), connections, CONFIG) as airflow:
            yield Scene(airflow, sandbox)


@pytest.fixture(scope="module")
def scene_with_a_gate(scene):
    hold(scene)
    return scene


def test_a_person_approves_and_then_the_messages_are_sent(chromium, scene):
    ask(scene)
    page = approval(new_page(chromium, 640), scene)
    # As Markdown, with a line for each number.
    lines = page.locator("body").inner_text
    scene.until(lambda: '"to_send": 2,' in map(str.strip, lines().splitlines()), "the numbers to be shown")
    assert scene.sandbox.outbox == []

    page.get_by_role("button", name="Approve").click()
    scene.until(lambda: len(scene.sandbox.outbox) == 2, "the messages to be sent")
    assert {message.channel for message in scene.sandbox.outbox} == {"email", "linkedin"}
    page.context.close()


@pytest.mark.parametrize("name", WHILE_IT_WAITS)
def test_a_picture_is_taken_and_is_small(chromium, scene_with_a_gate, name):
    height, show = WHILE_IT_WAITS[name]
    picture = take(chromium, scene_with_a_gate, height, show)
    assert len(picture) < LARGEST_PICTURE
    assert Image.open(io.BytesIO(picture)).width <= WIDTH * SHARPNESS

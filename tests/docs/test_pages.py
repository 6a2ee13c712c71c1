"""What the pages show is what there is: code, commands, errors and the picture of the rooms."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
import xml.etree.ElementTree as ET

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from docs.pages import ALL_PICTURES, DOCS, LARGEST_PICTURE, PAGES, PICTURES, SNIPPETS, blocks, commands, included
from project import EXAMPLES, ROOT
from test_rooms import APART, FLOORS

from airflow_provider_revor import exceptions
from airflow_provider_revor.__main__ import _parser
from airflow_provider_revor.api import errors, jobs
from airflow_provider_revor.api.wire import Response
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.sandbox.__main__ import _parse

SHELL = [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "RELEASING.md"]
COMMANDS = sorted({(path.name, command) for path in SHELL for command in commands(path)})
CONSTRAINTS = "raw.githubusercontent.com/apache/airflow"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(DOCS)))
def test_a_page_holds_no_code_that_no_test_runs(page):
    kinds = {kind for kind, _, _ in blocks(page)}
    assert kinds <= {"console", "{literalinclude}", "{include}", "{image}", "{toctree}"}


def test_every_example_and_snippet_is_shown():
    shown = set().union(*map(included, PAGES))
    assert [path.name for path in [*EXAMPLES, *SNIPPETS] if path.resolve() not in shown] == []


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=[" ".join(pair)[:70] for pair in COMMANDS])
def test_a_command_is_one_that_works(page, command, monkeypatch):
    match shlex.split(command.replace("…", "example")):
        case ["make", target, *_]:
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
        case ["pip", "install", *names]:
            check_requirements(names)
        case ["export", *settings]:
            for name, _, value in (setting.partition("=") for setting in settings):
                check_setting(name, value, monkeypatch)
        case ["airflow", "revor", *words] | ["python", "-m", "airflow_provider_revor", *words]:
            _parser().parse_args(words)
        case ["python", "-m", "airflow_provider_revor.sandbox", *words]:
            _parse(words)
        case ["airflow", "dags", "test", name]:
            assert name in [path.stem for path in EXAMPLES]
        case ["airflow", *words]:
            from airflow.cli.cli_parser import get_parser

            get_parser().parse_args(words)
        case ["pytest", *words]:
            assert words in ([], ["-o", "pythonpath=dags"])
        case _:
            assert page == "RELEASING.md", f"no test knows how to check: {command}"


def check_requirements(names):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    allowed = {project["name"], *(f"{project['name']}[{extra}]" for extra in project["optional-dependencies"])}
    if "--constraint" in names:
        names, constraints = names[:-2], names[-1]
        assert re.fullmatch(rf"https://{CONSTRAINTS}/constraints-3\.\d+\.\d+/constraints-3\.1[123]\.txt", constraints)
    assert {name for name in names if not re.fullmatch(r"apache-airflow==[23]\.\d+\.\d+", name)} - {"pytest"} <= allowed


def check_setting(name, value, monkeypatch):
    assert name.startswith("AIRFLOW_")
    if name.startswith("AIRFLOW_CONN_"):
        monkeypatch.setenv(name, value)
        assert RevorHook(name.removeprefix("AIRFLOW_CONN_").lower()).settings.api_key == "sk-revor-example"


ERRORS = (DOCS / "guides" / "errors.md").read_text()


def headings(title):
    """Return the headings below a section, each with its text."""
    (section,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", ERRORS, re.DOTALL | re.MULTILINE)
    found = re.findall(r"^### (\w+)\n(.*?)(?=^### |\Z)", section, re.DOTALL | re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in found}


CLASSES = {
    name: cls
    for name, cls in vars(exceptions).items()
    if isinstance(cls, type)
    and issubclass(cls, exceptions.RevorError)
    and cls not in (exceptions.RevorError, exceptions.RevorTransientError)
}


def test_every_error_class_has_a_heading_that_says_whether_a_retry_helps():
    told = {name: re.match(r"Retried: (yes|no)\. ", text) for name, text in headings("Classes").items()}
    assert {name: match and match[1] for name, match in told.items()} == {
        name: "no" if issubclass(cls, AirflowFailException) else "yes" for name, cls in CLASSES.items()
    }


def test_every_code_of_the_api_has_a_heading_that_names_its_class():
    told = {name: re.match(r"Raised as \[(\w+)\]", text) for name, text in headings("Codes of the API").items()}
    assert set(told) >= {*errors._BY_CODE, *errors._BY_PART_OF_CODE}
    for code, match in told.items():
        body = {"ok": False, "error": {"code": code, "message": "No."}}
        response = Response(400, {}, json.dumps(body).encode(), 0.0)
        assert match[1] == type(errors.error_for("GET /", response, body, "revor_default", None)).__name__, code


def test_every_code_of_a_job_has_a_heading_that_says_whether_a_retry_helps():
    told = {name: text.startswith("Retried: yes.") for name, text in headings("Codes of failed jobs").items()}
    assert set(told) >= set(jobs._PASSING_CODES)
    for code, retried in told.items():
        assert jobs.OutreachJob("job_1", "failed", error={"code": code}).retry_may_help is retried, code


def test_each_heading_says_what_to_do():
    for title in ("Classes", "Codes of the API", "Codes of failed jobs"):
        assert [name for name, text in headings(title).items() if "**What to do:** " not in text] == []


def test_the_picture_of_the_rooms_shows_every_floor():
    # After a change: PYTHONPATH=tests python scripts/draw_rooms.py
    svg = "{http://www.w3.org/2000/svg}"
    groups = ET.parse(DOCS / "images" / "rooms.svg").getroot().iter(f"{svg}g")
    drawn = [(group.get("class"), {text.text for text in group.iter(f"{svg}text")}) for group in groups]
    assert drawn == [*(("floor", rooms) for rooms in reversed(FLOORS)), ("apart", {APART})]


@pytest.mark.parametrize("picture", sorted((DOCS / "images").glob("*.svg")), ids=lambda path: path.name)
def test_a_picture_says_what_it_shows(picture):
    root = ET.parse(picture).getroot()
    assert root.find("{http://www.w3.org/2000/svg}title").text
    assert root.find("{http://www.w3.org/2000/svg}desc").text


def test_every_picture_is_shown_with_a_text_for_those_who_do_not_see_it():
    shown = {}
    for page in PAGES:
        for kind, argument, body in blocks(page):
            if kind == "{image}":
                shown[(page.parent / argument).resolve()] = re.search(r"^:alt: \S+ .{20,}$", body, re.MULTILINE)
    assert [path.name for path, alt in shown.items() if not alt] == []
    assert sorted(shown) == [path.resolve() for path in PICTURES]


def test_pictures_are_small():
    sizes = {path.name: path.stat().st_size for path in PICTURES}
    assert {name: size for name, size in sizes.items() if size > LARGEST_PICTURE} == {}
    assert sum(sizes.values()) < ALL_PICTURES

"""Fuzzing guided by coverage, where atheris can be installed: only documented errors, no hang, bounded memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from factories import item, job, listing, refusal, resource

pytest.importorskip("atheris", reason="atheris is not installed")

RUNS = 20_000


def test_coverage_finds_nothing_but_documented_errors(tmp_path):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number, body in enumerate([listing(item()), resource(job()), refusal()]):
        # The target takes what is left for the body.
        (corpus / str(number)).write_bytes(json.dumps(body).encode() + bytes(200))
    target = Path(__file__).with_name("atheris_target.py")
    limits = [f"-runs={RUNS}", "-seed=1", "-timeout=10", "-rss_limit_mb=1024", f"-artifact_prefix={tmp_path}/"]
    run = subprocess.run([sys.executable, target, *limits, corpus], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-3000:]
    assert f"Done {RUNS} runs" in run.stderr

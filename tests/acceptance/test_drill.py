"""The drill holds on the demonstration, and notices a door that has lost its no."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from darwin.testing.drill import FAMILIES
from darwin.testing.drill.held import Held, first, tried
from tests.conftest import ROOT

slow = pytest.mark.slow

PATCH = """
import importlib.abc, importlib.util, sys

class Saboteur(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != "darwin.engine.consult":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def exec_module(door):
            load(door)
            sound = door._ruling

            def ruling(page, stage, advice, why, take):
                if why is door.Why.RAISED:
                    return door.Ruling(0.0, False, why)
                return sound(page, stage, advice, why, take)

            door._ruling = ruling

        spec.loader.exec_module = exec_module
        return spec

sys.meta_path.insert(0, Saboteur())
"""
"""A `sitecustomize` that breaks the door: where a model raises, nothing is left of the order."""


def drill(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("DARWIN")}
    return subprocess.run(
        [sys.executable, "-m", "darwin.cli.main", "drill", *words],
        cwd=cwd,
        env=kept | environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def small(folder: Path, **changes: Any) -> str:
    """The demonstration's config in `folder`, with changes to its blocks."""
    tree = json.loads((ROOT / "configs" / "demo.json").read_text())
    for key, value in changes.items():
        tree[key] = {**tree[key], **value} if isinstance(value, dict) else value
    (folder / "config.json").write_text(json.dumps(tree))
    return "config.json"


@slow
def test_every_invariant_holds_on_the_demonstration(tmp_path: Path) -> None:
    done = drill(str(ROOT / "configs" / "demo.json"), "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["held"] is True
    assert list(dict.fromkeys(row["family"] for row in told["invariants"])) == list(FAMILIES)
    assert all(row["ok"] and row["seen"] for row in told["invariants"])
    assert list(tmp_path.iterdir()) == []  # nothing of it is left, and nothing was made here


@slow
def test_a_door_that_lets_failed_advice_stand_breaks_the_drill(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(PATCH)
    kept = tmp_path / "kept"
    words = (str(ROOT / "configs" / "demo.json"), "--only", "misbehaving", "--keep", "kept")
    done = drill(*words, cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 4, done.stdout + done.stderr
    said = done.stderr.splitlines()
    told = said[said.index("misbehaving: 6 of 10 hold") + 1 :]
    assert told[0] == "error: broken: orders, fills and outcomes are those without agents"
    assert told[1].startswith("  at: misbehaving; models raise, ")
    assert "seen: gate raises, " in told[1]
    assert told[2].startswith("  mend: ")
    broken = [line for line in done.stdout.splitlines() if line.startswith("BROKEN")]
    assert broken
    assert all("gate raises" in line for line in broken)
    assert (kept / "observe-0" / "config.json").is_file()


@slow
def test_a_config_or_a_market_that_will_not_do_is_refused_before_anything_is_rehearsed(
    tmp_path: Path,
) -> None:
    few = drill(small(tmp_path, market={"bars": 420}), cwd=tmp_path)
    assert few.returncode == 3
    assert "too little to rehearse on" in few.stderr
    bad = drill(small(tmp_path, costs={"taker_bps": -5}), cwd=tmp_path)
    assert bad.returncode == 2
    assert "costs.taker_bps" in bad.stderr
    other = drill(small(tmp_path), "--only", "weather", cwd=tmp_path)
    assert other.returncode == 2
    assert "known: unpromoted, misbehaving" in other.stderr
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    taken = drill(small(tmp_path), "--keep", "full", cwd=tmp_path)
    assert taken.returncode == 2
    assert "is not empty" in taken.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "full"]


def test_one_trial_that_went_wrong_breaks_an_invariant_and_is_named() -> None:
    found = tried("it holds", "all was done", {"a": "", "b": "it fell", "c": "it sank"})
    assert found == Held("it holds", "all was done", "b: it fell; wrong in 2 of 3", False)
    assert tried("it holds", "done", {"a": "", "b": ""}) == Held(
        "it holds", "done", "in all 2", True
    )


def test_nothing_tried_is_nothing_proved() -> None:
    assert not tried("it holds", "nothing was done", {}).ok


def test_the_first_flaw_is_told() -> None:
    assert first("", "b", "c") == "b"
    assert first("", "") == ""

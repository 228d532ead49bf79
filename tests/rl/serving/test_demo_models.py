"""The models that are shipped for the demonstration: they fit, and the page tells of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from darwin import plugins
from darwin.errors import ModelError
from darwin.rl.agents.pages import PAGES
from darwin.rl.serving import demo_models
from darwin.rl.serving.demo_models import DEMO_MODELS, FOLDER, DemoGate, DemoModel
from darwin.rl.serving.spec_file import read_spec
from tests.run.command import Desk

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "demo-policies.md").read_text("utf-8")


@pytest.mark.parametrize("kind", DEMO_MODELS)
def test_each_fits_its_page_and_gives_legal_advice(kind: type[DemoModel]) -> None:
    model, page = kind(), PAGES[kind.AGENT]
    assert model.model.version == f"demo.{kind.AGENT.replace('_', '-')}"
    spec = read_spec((FOLDER / kind.AGENT / "spec.json").read_bytes())
    rng = np.random.default_rng(0)
    told = [rng.normal(spec.mean, spec.sd).astype(np.float32) for _ in range(200)]
    advice = [model.advise(row) for row in told]
    assert all(page.is_legal(one.action) for one in advice)
    assert len({one.action for one in advice}) > 1
    assert model.strangeness(np.array(spec.mean, np.float32)) < 0.1
    assert model.strangeness(told[0] + np.float32(1e6)) > 10.0


@pytest.mark.parametrize("kind", DEMO_MODELS)
def test_the_page_tells_what_these_models_gained(kind: type[DemoModel]) -> None:
    spec = read_spec((FOLDER / kind.AGENT / "spec.json").read_bytes())
    row = next(x for x in PAGE.splitlines() if x.startswith(f"| {kind.AGENT.replace('_', '-')} |"))
    gained = [spec.metrics[f"test/learned_gain{name}"] for name in ("_r", "_low_r", "_high_r")]
    assert "| {:+.4f} | {:+.4f} to {:+.4f} |".format(*gained) in row
    assert gained[1] is not None and gained[1] > 0.0


def test_one_changed_byte_is_another_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = DemoGate().model
    assert plugins.factory("policy", "demo-gate")().model == shipped
    shutil.copytree(FOLDER, tmp_path / "demo")
    monkeypatch.setattr(demo_models, "FOLDER", tmp_path / "demo")
    assert DemoGate().model == shipped
    path = tmp_path / "demo" / "gate" / "spec.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps(told | {"threshold": told["threshold"] * 1.01}))
    assert DemoGate().model != shipped
    path.write_text(json.dumps(told | {"observation_schema": "0" * 64}))
    with pytest.raises(ModelError, match="other observations"):
        DemoGate()


@pytest.mark.slow
def test_a_run_that_they_watch_says_so_and_every_decision_is_made_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    rl = json.loads((ROOT / "configs" / "demo.json").read_text())["rl"]
    desk.config(market={"bars": 1500, "edge": 0.25}, rl=rl)
    done = desk.darwin("run", "config.json")
    assert done.returncode == 0, done.stderr
    said = "the models of the demonstration, trained on synthetic bars"
    assert said in (desk.run_dir() / "report.html").read_text()
    told = json.loads(desk.darwin("verify", "small", "--json").stdout)
    assert told["sound"] and told["recomputed"] > 50 and not told["without_model"]
    asked = desk.ask("SELECT DISTINCT model_version FROM agent_decisions ORDER BY 1")
    assert asked == [("demo.gate",), ("demo.meta-learner",), ("demo.portfolio",)]

"""What a consultation costs: model, door, row; and `darwin run` with three observing agents."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.end_to_end import ALL, FEW, config, darwin, run
from bench.tables import child, table
from darwin.core.account import Account
from darwin.core.agents import AGENTS, Model, Standing
from darwin.core.candidate import Exits
from darwin.core.clock import Clock
from darwin.core.decision import Verdict
from darwin.core.facts import STANDING, Input
from darwin.core.market import Timeframe
from darwin.core.ports import Moment, Policy
from darwin.data.synthetic import SyntheticProvider
from darwin.engine.consult import Door, Terms
from darwin.engine.proposals import Quiet, Setup, propose
from darwin.engine.seat import AgentTerms
from darwin.engine.timeline import candidates_of
from darwin.features.catalog import NAMES
from darwin.features.pipeline import Frame
from darwin.playbooks.breakout import Breakout
from darwin.rl.agents.pages import PAGES
from darwin.rl.serving.policy import policy_of
from darwin.safety.monitor import Monitor
from darwin.testing.models import make_model

MODEL = Model("20260101_000000", "0" * 64)
HIDDEN = (64, 64)


class _Shelf:
    """Models of the size that training makes."""

    def __init__(self) -> None:
        self._policies = {}
        for name in AGENTS:
            files = make_model(name, hidden=HIDDEN)
            self._policies[name] = policy_of(files["spec.json"], files["weights.safetensors"])

    def policy(self, agent: str, model: Model) -> Policy:
        return self._policies[agent]


def door() -> None:
    """Percentiles of one consultation of each agent, everything but the commit included."""
    provider = SyntheticProvider(
        bars=60_000, seed=1, edge=0.0, start_ms=1_577_836_800_000,
        timeframe=Timeframe.parse("1h"), symbols=("BTC/USDT",),
    )  # fmt: skip
    bars = provider.bars("BTC/USDT")
    setups = (Setup("breakout", Breakout(), Exits()),)
    candidates = propose((bars,), setups, Clock.of((bars,)), Quiet(), Frame, NAMES)
    shelf = _Shelf()
    terms = Terms(tuple(AgentTerms(PAGES[name], may_act=True) for name in AGENTS), shelf,
                  stopwatch_ns=time.perf_counter_ns)  # fmt: skip
    gate = Door(terms, ("breakout",), 3_600_000, lambda _: None, lambda _: None, Monitor(), [])
    gate.show(candidates, 0)
    account = Account(10_000.0, 2_000.0, 0.0, 1, -0.01)
    verdict = Verdict(True, 0.6, 0.6, (), 0.01)
    rows = []
    for name in AGENTS:
        standing = Standing(name, MODEL, promoted=True, stage=0.05)
        gate.heed(Input(0, 0, 0, STANDING, "bench", "", name, standing.text()))
        moment = Moment(account, 10_000.0, None if name == "gate" else verdict)
        took = []
        for candidate in candidates_of(candidates):
            began = time.perf_counter_ns()
            gate.consult(name, candidate, moment)
            took.append(time.perf_counter_ns() - began)
        us = np.array(took[500:]) / 1e3
        latency = np.array([one.latency_us for one in gate.decisions[500:]])
        gate.decisions.clear()
        rows.append((name, f"{len(us):,}", *(f"{np.percentile(us, q):.1f}" for q in (50, 90, 99)),
                     f"{np.percentile(latency, 50):.0f}"))  # fmt: skip
    head = ("agent", "asked", "p50 us", "p90", "p99", "of it the model, us")
    table("The door: advice, ruling, row; models of 64 x 64, no commit", head, rows)


def end_to_end() -> None:
    """`darwin run` with three observing agents beside the same without any."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for bars in (100_000, 500_000):
            target = folder / f"bars{bars}"
            child(darwin("data", "synth", "--bars", str(bars), "--seed", "1", "--timeframe", "1m",
                         "--symbols", "BTC/USDT", "-o", str(target)))  # fmt: skip
            for what, playbooks in (("few", [FEW]), ("many", ALL)):
                for agents in (False, True):
                    run_id = f"{what}{bars}{'agents' if agents else ''}"
                    path = config(target, run_id, bars, playbooks)
                    if agents:
                        _with_models(folder, path)
                    said = "three agents" if agents else "none"
                    rows.append(run(folder, f"{bars:,} bars, {what}, {said}", path))
    head = ("darwin run", "cand./100", "s", "k bars/s", "cand./s", "peak MB")
    table("End to end with three observing agents: every decision recorded and chained", head, rows)


def _with_models(folder: Path, path: str) -> None:
    """Name three observing agents in a config, and see that a model of each is deployed."""
    file = Path(path)
    tree = json.loads(file.read_text())
    tree["rl"] = {"enabled": True} | {
        f"{name}_agent": {"name": name, "mode": "observe"} for name in AGENTS
    }
    file.write_text(json.dumps(tree))
    artifacts = folder / "artifacts"
    if (artifacts / "rl_models").exists():
        return
    for name in AGENTS:
        source = folder / f"model-{name}"
        source.mkdir()
        for part, content in make_model(name, hidden=HIDDEN).items():
            (source / part).write_bytes(content)
        child(darwin("rl", "models", "deploy", name, str(source), "--artifacts-dir", str(artifacts),
                     "--by", "bench", "--reason", "bench"))  # fmt: skip


def main() -> None:
    """Print all tables."""
    door()
    end_to_end()


if __name__ == "__main__":
    main()

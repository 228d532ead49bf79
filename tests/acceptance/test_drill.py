"""The drill holds on the demonstration, and notices a door that has lost its no."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darwin.bootstrap import wire
from darwin.config.document import Table
from darwin.config.load import Loaded, load_config, load_resolved
from darwin.config.model import DeciderConfig, MarketConfig
from darwin.core.agents import KEEP, META_LEARNER, TO_SKIP, TO_TAKE
from darwin.data.files import digest
from darwin.rl.agents.pages import PAGES
from darwin.testing.builders import make_bars
from darwin.testing.drill import FAMILIES, market
from darwin.testing.drill.children import Ended
from darwin.testing.drill.held import Held, first, tried
from darwin.testing.drill.piece import cut
from darwin.testing.policies import Contrary, Extreme, Raising
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
        tree[key] = {**tree[key], **value}
    (folder / "config.json").write_text(json.dumps(tree))
    return "config.json"


@pytest.mark.sweep
@slow
def test_every_invariant_holds_on_the_demonstration(tmp_path: Path) -> None:
    done = drill(str(ROOT / "configs" / "demo.json"), "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["held"] is True
    assert list(dict.fromkeys(row["family"] for row in told["invariants"])) == list(FAMILIES)
    assert all(row["ok"] and row["seen"] for row in told["invariants"])
    assert list(tmp_path.iterdir()) == []  # nothing of it is left, and nothing was made here


@pytest.mark.sweep
@slow
def test_a_door_that_lets_failed_advice_stand_breaks_the_drill(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(PATCH)
    kept = tmp_path / "kept"
    words = (str(ROOT / "configs" / "demo.json"), "--only", "misbehaving", "--keep", "kept")
    done = drill(*words, cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 4, done.stdout + done.stderr
    said = done.stderr.splitlines()
    told = said[next(i for i, line in enumerate(said) if line.startswith("error: ")) :]
    assert len(told) == 3
    assert told[0] == "error: broken: orders, fills and outcomes are those without agents"
    assert told[1].startswith("  at: misbehaving; models raise, ")
    assert "seen: gate raises, " in told[1]
    assert told[2].startswith("  mend: ")
    broken = [line for line in done.stdout.splitlines() if line.startswith("BROKEN")]
    assert broken
    assert all("gate raises" in line for line in broken)
    assert (kept / "observe-0" / "config.json").is_file()


@pytest.mark.sweep
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


def test_a_refusal_without_three_lines_is_a_flaw() -> None:
    whole = "error: no room\n  at: here\n  mend: make some\n"
    assert Ended(4, b"", "checkpoint seq=3\nwarning: late\n" + whole).ends(4) == ""
    assert "exit 1 in place of 4 (error: no room)" in Ended(1, b"", whole).ends(4)
    assert "no three lines" in Ended(4, b"", "Traceback\n").ends(4)
    assert "no three lines" in Ended(4, b"", whole.replace("  mend", "  more: \n  mend")).ends(4)
    assert Ended(143, b"", "stopped\n").ends(143) == ""


def loaded(folder: Path, **changes: Any) -> Loaded:
    return load_config(folder / small(folder, **changes), (), {})


def test_bars_that_were_cut_are_read_as_they_were(tmp_path: Path) -> None:
    bars = make_bars(60, symbol="BTC/USDT:SYNTH", funding_rate=0.001)
    market.write(tmp_path, "BTC/USDT", bars)
    config = {"provider": market.PROVIDER, "path": str(tmp_path), "symbols": ["BTC/USDT"],
              "timeframe": "1h"}  # fmt: skip
    read = market.CutMarket(MarketConfig.model_validate(config)).bars("BTC/USDT")
    assert (read.symbol, read.timeframe) == (bars.symbol, bars.timeframe)
    assert digest(read) == digest(bars)
    later = {**config, "start": "2024-01-02T12:00:00Z"}
    cut_short = market.CutMarket(MarketConfig.model_validate(later)).bars("BTC/USDT")
    assert digest(cut_short) == digest(bars.slice(36, 60))


def test_a_piece_is_the_end_of_the_market_with_all_else_as_the_config_says(tmp_path: Path) -> None:
    symbols = ["BTC/USDT", "ETH/USDT", "SOL/USDT", "XRP/USDT"]
    steps = dict.fromkeys(symbols, 0.001)
    config = loaded(tmp_path, market={"symbols": symbols, "lot_size": steps})
    piece = cut(config, tmp_path / "market")
    whole = wire(config).session.markets
    for bars, own in zip(piece.whole.session.markets, whole, strict=False):
        assert digest(bars) == digest(own.slice(len(own) - len(bars), len(own)))
    assert piece.whole.tree["market"]["lot_size"] == dict.fromkeys(symbols[:3], 0.001)
    assert piece.feed.tree["market"]["lot_size"] == {"BTC/USDT": 0.001}
    for part in (piece.whole, piece.feed):
        again = wire(load_resolved(Table(json.loads(json.dumps(part.tree))), "a piece"))
        assert list(map(digest, again.session.markets)) == list(map(digest, part.session.markets))
        assert again.session.rules == part.session.rules
        assert again.session.run().orders == part.session.run().orders
    same = ("costs", "limits", "playbooks", "portfolio", "decider")
    assert {name: piece.whole.tree[name] for name in same} == {
        name: config.resolved()[name] for name in same
    }


def test_no_expert_that_costs_money_is_asked(tmp_path: Path) -> None:
    config = loaded(tmp_path)
    recorded = DeciderConfig.model_validate({"provider": "recorded", "run_id": "mine"})
    config = replace(config, config=config.config.model_copy(update={"decider": recorded}))
    assert cut(config, tmp_path / "market").whole.tree["decider"] == {"provider": "rules"}


def test_contrary_wants_the_opposite_of_what_the_expert_said_as_often_as_it_is_told() -> None:
    page = PAGES[META_LEARNER]
    rows = np.random.default_rng(1).normal(size=(600, len(page.names))).astype(np.float32)
    rows[:, page.place("verdict_take")] = take = np.arange(600) % 2
    always = [Contrary().advise(row).action for row in rows]
    assert always == np.where(take, TO_SKIP, TO_TAKE).tolist()
    sometimes = [Contrary(3).advise(row).action for row in rows]
    assert 130 < sum(action != KEEP for action in sometimes) < 270
    assert {action for action, one in zip(sometimes, always, strict=True) if action != one} == {
        KEEP
    }
    with pytest.raises(ValueError, match="one_in must be 1 or more"):
        Contrary(0)


def test_an_extreme_policy_knows_two_answers_and_gives_the_same_to_the_same_row() -> None:
    rows = np.random.default_rng(2).normal(size=(200, 5)).astype(np.float32)
    said = [Extreme(0.0, 1.0).advise(row).action for row in rows]
    assert set(said) == {0.0, 1.0}
    assert said == [Extreme(0.0, 1.0).advise(row).action for row in rows]


def test_a_policy_that_misbehaves_is_the_same_model_in_every_process() -> None:
    """A rule is known by its parameters, which may hold no address of this process."""
    shown = [repr(getattr(Raising(), one.name)) for one in fields(Raising)]
    assert not [text for text in shown if "0x" in text]

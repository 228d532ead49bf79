"""Whole lives where nothing is to be learned: how many agents are promoted all the same.

Each life is one of `darwin lifecycle`, made by its own code. *Forced*: every network is handed over
whatever its test shows, its held-out figures replaced by "no worse than the baseline", so that
nothing but graduation stands between an agent without skill and the capital. *As it is*: training
hands over what its test shows a gain for. Where it shows none for any agent of a seed there is
nothing to promote, and that life is not led a second time.

The null world costs nothing to trade in: with costs there is something to be learned where nothing
is planted, namely that they weigh more where the stop is near. The *control* is a world of the same
size in which something is planted; there agents must be promoted, else the null proves nothing.
"""

from __future__ import annotations

import io
import json
import tempfile
import time
from contextlib import chdir, redirect_stderr
from pathlib import Path
from typing import Any

from bench.learning_worlds import FREE
from bench.mutants import ROOT
from bench.tables import table
from darwin.cli.lifecycle_asked import Schooling, ask
from darwin.cli.lifecycle_phases import lead
from darwin.config.load import load_config
from darwin.core.agents import AGENTS
from darwin.errors import ModelError
from darwin.rl.cli.training import Asked, Deliver, hand_over, hand_over_what_learned
from darwin.rl.registry.files import SPEC
from darwin.rl.registry.versions import Version
from darwin.rl.training.course import Course

NULL_SEEDS = tuple(range(1001, 1021))
CONTROL_SEEDS = (1101, 1102, 1103)
MOST_PROMOTIONS = 1
BARS, SYMBOLS, SHARE = 10_000, 8, 0.6
SCHOOLING = Schooling(timesteps=40_960, seeds=1, canaries=False)
Lives = dict[int, dict[str, Any]]
"""The record of each life, by its seed."""


def main() -> None:
    """Print the forced null lives, those as they are, and the control."""
    began = time.perf_counter()
    print(
        f"\n{SYMBOLS} symbols of {BARS:,} hourly bars, the first {SHARE:.0%} to learn from;"
        f" {SCHOOLING.timesteps:,} steps, one network for each agent, no canaries",
        flush=True,
    )
    null = {"market": {"edge": 0.0}, "costs": FREE}
    forced = {seed: life(seed, null, force) for seed in NULL_SEEDS}
    tell("Null worlds, every network forced on trial", forced)
    taught = [seed for seed in NULL_SEEDS if any(map(_learned, forced[seed]["trained"].values()))]
    as_it_is = {seed: life(seed, null, hand_over_what_learned) for seed in taught}
    if as_it_is:
        tell("Null worlds, as they are, where something was handed over", as_it_is)
    for title, lives in (("forced on trial", forced), ("as they are", as_it_is)):
        count, of = promotions(lives), len(NULL_SEEDS) * len(AGENTS)
        met = "met" if count <= MOST_PROMOTIONS else "MISSED"
        print(f"null, {title}: {count} of {of} promoted; goal: at most {MOST_PROMOTIONS}, {met}")
    control = {seed: life(seed, {}, hand_over_what_learned) for seed in CONTROL_SEEDS}
    tell("Control: planted worlds of the same size, as they are", control)
    print(f"control: {promotions(control)} of {len(CONTROL_SEEDS) * len(AGENTS)} promoted")
    print(f"\nin {(time.perf_counter() - began) / 60:.1f} minutes, in one process")


def promotions(lives: Lives) -> int:
    """How many agents were promoted, be it that they were demoted later."""
    return sum(
        _was_promoted(one) for tree in lives.values() for one in tree["lived"]["agents"].values()
    )


def tell(title: str, lives: Lives) -> None:
    """Print a row for each agent of each life."""
    rows, on_trial, crossed = [], 0, 0
    for seed, tree in lives.items():
        for name in AGENTS:
            trained, lived = tree["trained"][name], tree["lived"]["agents"][name]
            tried = trained["version"] is not None
            on_trial, crossed = on_trial + tried, crossed + _crossed(lived["evidence"])
            rows.append((
                f"{seed} {name}", f"{trained['learned_gain_r']['value']:+.4f}",
                "yes" if _learned(trained) else "no",
                f"{lived['decisions']:,}" if tried else "none",
                _e(lived["evidence"], "skill"), _e(lived["evidence"], "utility"),
                "promoted" if _was_promoted(lived) else "", f"{lived['stage']:.0%}",
            ))  # fmt: skip
    table(
        title,
        ("seed, agent", "gain on the test, R", "learned", "decisions on trial",
         "log10 E of skill", "of utility", "", "stage at the end"),
        rows,
    )  # fmt: skip
    print(f"{on_trial} of {len(rows)} on trial; skill and utility both crossed in {crossed}")
    print(flush=True)


def life(seed: int, changes: dict[str, Any], deliver: Deliver) -> dict[str, Any]:
    """Lead one life of the world of `configs/planted.json` with `changes`; gives its record."""
    tree = json.loads((ROOT / "configs" / "planted.json").read_text("utf-8"))
    market = tree["market"] | {"seed": seed, "bars": BARS}
    market["symbols"] = market["symbols"][:SYMBOLS]
    tree |= {key: value for key, value in changes.items() if key != "market"}
    tree["market"] = market | changes.get("market", {})
    with tempfile.TemporaryDirectory() as folder, chdir(folder), redirect_stderr(io.StringIO()):
        config = Path("life.json")
        config.write_text(json.dumps(tree), "utf-8")
        asked = ask(load_config(config, (), {}), SHARE, None, SCHOOLING, by="bench")
        return lead(asked, resume=False, deliver=deliver)


def force(asked: Asked, course: Course) -> Version | None:
    """Hand a network over whatever its test shows; None where the registry refuses even that."""
    files = dict(course.files)
    spec = json.loads(files[SPEC])
    spec["held_out"] = {"gain": 0.0, "baseline": 0.0}
    files[SPEC] = json.dumps(spec).encode()
    try:
        return hand_over(asked, files)
    except ModelError:  # it advises the same whatever it sees
        return None


def _learned(trained: dict[str, Any]) -> bool:
    return bool(trained["learned"])


def _was_promoted(agent: dict[str, Any]) -> bool:
    return any(act["kind"] == "promoted" for act in agent["acts"])


def _crossed(evidence: dict[str, Any]) -> bool:
    return all(
        name in evidence and evidence[name]["crossed"] is not None for name in ("skill", "utility")
    )


def _e(evidence: dict[str, Any], name: str) -> str:
    """The logarithm of E at the end of the life, to the base of ten."""
    return f"{evidence[name]['log_e'] / 2.302585093:+.1f}" if name in evidence else ""

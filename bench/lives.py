"""Whole lives where nothing is to be learned: how many agents are promoted all the same.

Each life is one of `darwin lifecycle`, made by its own code. *As it is*: training hands over what
its test shows a gain for, and what it hands over is on trial. *Forced*: every network is handed
over whatever its test shows, its held-out figures replaced by "no worse than the baseline", so that
nothing but graduation stands between an agent without skill and the capital. The null world costs
nothing to trade in: with costs there is something to be learned where nothing is planted, namely
that they weigh more where the stop is near. The *control* is a world of the same size in which
something is planted; there agents must be promoted, else the null table would prove nothing.
"""

from __future__ import annotations

import io
import json
import tempfile
import time
from collections.abc import Sequence
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
BARS, SYMBOLS, SHARE = 9_000, 5, 0.5
SCHOOLING = Schooling(timesteps=40_960, seeds=1, canaries=False)


def main() -> None:
    """Print the null lives as they are, the forced ones, and the control."""
    began = time.perf_counter()
    print(
        f"\n{SYMBOLS} symbols of {BARS:,} hourly bars, the first {SHARE:.0%} to learn from;"
        f" {SCHOOLING.timesteps:,} steps, one network for each agent, no canaries"
    )
    null = {"market": {"edge": 0.0}, "costs": FREE}
    _lives("Null worlds, as they are", NULL_SEEDS, null, hand_over_what_learned, MOST_PROMOTIONS)
    _lives("Null worlds, every network forced on trial", NULL_SEEDS, null, force, MOST_PROMOTIONS)
    _lives("Control: planted worlds of the same size", CONTROL_SEEDS, {}, hand_over_what_learned)
    print(f"\nin {(time.perf_counter() - began) / 60:.1f} minutes, in one process")


def _lives(
    title: str,
    seeds: Sequence[int],
    changes: dict[str, Any],
    deliver: Deliver,
    most: int | None = None,
) -> None:
    """Lead a life for each seed, print a row for each agent, and count."""
    rows, handed_over, promoted, crossed = [], 0, 0, 0
    for seed in seeds:
        tree = life(seed, changes, deliver)
        for name in AGENTS:
            trained, lived = tree["trained"][name], tree["lived"]["agents"][name]
            was_promoted = any(act["kind"] == "promoted" for act in lived["acts"])
            all_crossed = _crossed(lived["evidence"])
            on_trial = trained["version"] is not None
            handed_over, promoted = handed_over + on_trial, promoted + was_promoted
            crossed += all_crossed
            gain = trained["learned_gain_r"]["value"]
            rows.append((
                f"{seed} {name}", f"{gain:+.4f}", "yes" if trained["learned"] else "no",
                f"{lived['decisions']:,}" if on_trial else "none",
                _e(lived["evidence"], "skill"), _e(lived["evidence"], "utility"),
                "promoted" if was_promoted else "", f"{lived['stage']:.0%}",
            ))  # fmt: skip
    table(
        f"{title}: {len(seeds)} seeds, {len(AGENTS)} agents",
        ("seed, agent", "gain on the test, R", "learned", "on trial for", "log10 E of skill",
         "of utility", "", "stage at the end"),
        rows,
    )  # fmt: skip
    goal = "" if most is None else f"; goal: at most {most}"
    met = "" if most is None else (", met" if promoted <= most else ", MISSED")
    print(f"\n{promoted} of {len(rows)} promoted{goal}{met}")
    print(f"{handed_over} of {len(rows)} on trial; skill and utility both crossed in {crossed}")


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


def _crossed(evidence: dict[str, Any]) -> bool:
    return all(
        name in evidence and evidence[name]["crossed"] is not None for name in ("skill", "utility")
    )


def _e(evidence: dict[str, Any], name: str) -> str:
    """The logarithm of E at the end of the life, to the base of ten."""
    return f"{evidence[name]['log_e'] / 2.302585093:+.1f}" if name in evidence else ""

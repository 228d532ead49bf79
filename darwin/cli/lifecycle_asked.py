"""What a whole life is asked to be: its config, the end of its training, and how it is trained."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from darwin.core.agents import AGENTS
from darwin.errors import ConfigError

if TYPE_CHECKING:
    from darwin.config.faults import Fault
    from darwin.config.load import Loaded

COLLECT = "-collect"
"""What the name of the run ends in from which the agents learn."""
_LONGEST_RUN_ID = 64 - len(COLLECT)


@dataclass(frozen=True, slots=True)
class Schooling:
    """How each agent is trained."""

    timesteps: int  # decisions, of each seed
    seeds: int
    canaries: bool = True
    allow_small: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """A life: the run to collect from, the run to live, the training between them."""

    collecting: Loaded
    living: Loaded
    until_ms: int  # bars that open before this are collected
    schooling: Schooling
    data_digest: str
    code_version: str
    by: str

    @property
    def run_id(self) -> str:
        """The name of the life, which is that of its second run."""
        return self.living.config.run_id

    def tree(self) -> dict[str, Any]:
        """All that must be the same when it is taken up again."""
        taught = self.schooling
        return {
            "train_until": iso(self.until_ms),
            "timesteps": taught.timesteps,
            "seeds": taught.seeds,
            "canaries": taught.canaries,
            "allow_small": taught.allow_small,
            "data": self.data_digest,
            "code": self.code_version,
            "config": self.living.resolved(),
        }


def ask(loaded: Loaded, share: float, until_ms: int | None, schooling: Schooling, by: str) -> Asked:
    """Plan the life that a config describes; its bars are loaded to know where training ends.

    That is at `until_ms` (ms UTC), else after `share` of all instants. Raises ConfigError where
    the config cannot have a life, DataError for bars that are too few.
    """
    from darwin.bootstrap import code_version, wire
    from darwin.core.clock import Clock

    _require_agents(loaded)
    living = _changed(loaded, {"rl": {f"{name}_agent": {"mode": "auto"} for name in AGENTS}})
    wired = wire(living)
    time = Clock.of(wired.session.markets).time
    until = int(time[int(np.ceil(share * len(time)))]) if until_ms is None else until_ms
    if not int(time[0]) < until <= int(time[-1]):
        raise ConfigError(
            f"training cannot end on {iso(until)}: the bars are of {iso(int(time[0]))} to"
            f" {iso(int(time[-1]))}",
            where="--train-until",
            mend="name a day between the two, or leave it out",
        )
    collecting = _collecting(loaded, until, int(np.searchsorted(time, until)))
    _require_cut(wire(collecting).session.markets, wired.session.markets, until)
    return Asked(collecting, living, until, schooling, wired.data_digest, code_version(), by)


def iso(ms: int) -> str:
    """A time in ms UTC as a config writes it."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _require_agents(loaded: Loaded) -> None:
    """Raise one ConfigError for all that keeps a config from having a life."""
    from darwin.config.faults import Fault

    rl, run_id = loaded.config.rl, loaded.config.run_id
    faults: list[Fault] = []
    if rl is None or not rl.enabled:
        mend = 'write "rl": {"enabled": true} with a gate_agent, a meta_learner_agent and a'
        faults.append(Fault(("rl",), "has no learned agents to train", f"{mend} portfolio_agent"))
    else:
        for name in AGENTS:
            faults += _faults_of(name, rl.agents().get(name))
    if len(run_id) > _LONGEST_RUN_ID:
        mend = f"write {_LONGEST_RUN_ID} characters at most"
        faults.append(Fault(("run_id",), f"leaves no room for '{COLLECT}' behind it", mend))
    if faults:
        raise loaded.refuse(faults)


def _faults_of(name: str, agent: Any) -> list[Fault]:
    from darwin.config.faults import Fault

    path = ("rl", f"{name}_agent")
    if agent is None:
        return [
            Fault(path, "is missing: a life is one of all three", f'write {{"name": "{name}"}}')
        ]
    found = []
    if not agent.enabled:
        found.append(Fault((*path, "enabled"), "must be true: a life is one of all three",
                           "leave it out"))  # fmt: skip
    if agent.policy is not None:
        found.append(Fault((*path, "policy"), "puts a rule in the place of what is to be learned",
                           "leave it out"))  # fmt: skip
    return found


def _collecting(loaded: Loaded, until_ms: int, bars: int) -> Loaded:
    """The run that the agents learn from: they see each candidate, and are asked nothing."""
    synthetic = loaded.config.market.provider == "synthetic"
    tree = {
        "run_id": loaded.config.run_id + COLLECT,
        "market": {"bars": bars} if synthetic else {"end": iso(until_ms)},
        "rl": {f"{name}_agent": {"mode": "observe", "enabled": False} for name in AGENTS},
    }
    return _changed(loaded, tree)


def _changed(loaded: Loaded, changes: dict[str, Any]) -> Loaded:
    from darwin.config.load import load_resolved

    tree: Any = _laid(loaded.resolved(), changes)
    made = load_resolved(tree, loaded.source)
    return replace(made, marks=loaded.marks)


def _laid(tree: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    laid = {
        key: _laid(tree[key], value) if isinstance(value, dict) else value
        for key, value in changes.items()
    }
    return tree | laid


def _require_cut(collected: Any, whole: Any, until_ms: int) -> None:
    """Raise ConfigError where a provider did not end its bars where it was told to."""
    for part, full in zip(collected, whole, strict=True):
        if len(part) != int(np.searchsorted(full.time, until_ms)):
            raise ConfigError(
                f"the bars of {part.symbol} do not end on {iso(until_ms)}",
                where="market.end, which their provider does not read",
                mend="write them into files, which are read by the provider 'files'",
            )

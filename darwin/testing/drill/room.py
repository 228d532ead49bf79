"""A room to rehearse in: a deployment of its own, with a piece of the user's run as its config."""

from __future__ import annotations

import json
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from darwin.bootstrap.agents import agents_of
from darwin.config.load import Loaded, load_config
from darwin.config.places import models_dir
from darwin.core.agents import AGENTS, Model, Why
from darwin.rl.agents.pages import PAGES
from darwin.rl.graduation import acts
from darwin.rl.registry.registry import Registry
from darwin.rl.serving.rules import RULES
from darwin.store.db import Database, connect
from darwin.testing.drill.children import PATIENCE_S, Child, Children, Ended

RUN = "drill"
"""The name of a room's run, where it has but one."""
CONFIG = "config.json"
TRADED = "orders,fills,outcomes"
NOT_JUDGED = frozenset((Why.BREAKER_OPEN, Why.NOT_FINITE, Why.OUT_OF_RANGE))
"""Why a model is not asked; no market is so good that it may not happen in it."""
AS_IS: Mapping[str, object] = {}
"""No change to the config."""
WHOLE = 1.0
"""All of the capital."""
_NO_TIMEOUT_MS = 60_000.0  # a busy machine must not look like a slow model
_LOOK_EVERY_S = 0.01


@dataclass(frozen=True)
class Seat:
    """An agent as a config seats it; without a policy it is served a model."""

    agent: str
    policy: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    mode: str = "active"

    def block(self) -> dict[str, Any]:
        """As the config says it."""
        return {
            "name": self.agent, "mode": self.mode, "policy": self.policy,
            "params": dict(self.params),
        }  # fmt: skip


def played(policy: str, agent: str, mode: str = "active", **params: Any) -> Seat:
    """A seat for a policy of `darwin.testing.policies`."""
    return Seat(agent, f"darwin.testing.policies:{policy}", params, mode)


def steady(agent: str, mode: str = "active") -> Seat:
    """A seat for a model that always advises what would stand without it."""
    return played("Constant", agent, mode, action=PAGES[agent].baseline)


def lively(mode: str = "active") -> list[Seat]:
    """All agents, each with the documented rule that stands in for its model."""
    return [Seat(agent, RULES[agent].NAME, {}, mode) for agent in AGENTS]


@dataclass(frozen=True)
class Room:
    """A folder with a config, in which `darwin` is started."""

    folder: Path
    tree: Mapping[str, Any]  # the config, without agents
    children: Children

    @property
    def artifacts(self) -> Path:
        """Where its deployment keeps its files."""
        return self.folder / "artifacts"

    @property
    def database(self) -> Path:
        """Its database."""
        return self.artifacts / "rl_state" / "agent_state.sqlite"

    def lay(self, *seats: Seat, changes: Mapping[str, object] = AS_IS) -> None:
        """Write the config with these agents; `changes` are top-level keys."""
        rl = {
            key: value
            for key, value in (self.tree.get("rl") or {}).items()
            if not key.endswith("_agent")
        }
        rl |= {"enabled": True, "agent_state_db": None, "timeout_ms": _NO_TIMEOUT_MS}
        rl |= {f"{seat.agent}_agent": seat.block() for seat in seats}
        tree = {**self.tree, **changes, "rl": rl if seats else None}
        (self.folder / CONFIG).write_text(json.dumps(tree, indent=2), "utf-8")

    def start(self, *words: str, **environment: str) -> Child:
        """Start `darwin` on these words."""
        return self.children.start(words, self.folder, environment)

    def start_on_a_full_disk(self, most_bytes: int, *words: str) -> Child:
        """The same where no file may grow beyond `most_bytes`: what a full disk comes to."""
        return self.children.start(words, self.folder, {}, most_bytes=most_bytes)

    def call(self, function: str) -> Ended:
        """Have a function called, `module:name`, in a process that stands in this room."""
        return self.children.start((), self.folder, {}, calls=function).ended()

    def darwin(self, *words: str, **environment: str) -> Ended:
        """Run `darwin` on these words, to its end."""
        return self.start(*words, **environment).ended()

    def run(self, run_id: str = RUN, *words: str, **environment: str) -> Ended:
        """Make the run that the config describes, under that name."""
        return self.darwin(*run_words(run_id), *words, **environment)

    def export(self, run_id: str = RUN, *words: str) -> bytes:
        """Its facts as lines, as `darwin ledger export` prints them; empty where it refuses."""
        ended = self.darwin("ledger", "export", run_id, *words)
        return ended.out if ended.code == 0 else b""

    def differs(self, bare: bytes, run_id: str = RUN) -> str:
        """In what its orders, fills and outcomes differ from those of `bare`; empty: in nothing."""
        lines, due = self.export(run_id, "--only", TRADED).splitlines(), bare.splitlines()
        if lines == due:
            return ""
        at = next((i for i, (a, b) in enumerate(zip(lines, due, strict=False)) if a != b), None)
        if at is None:
            return f"{len(lines):,} orders, fills and outcomes in place of {len(due):,}"
        return f"orders, fills or outcomes are others from line {at + 1:,} of {len(due):,} on"

    def verified(self, run_id: str = RUN) -> str:
        """What `darwin verify` objects to; empty: nothing."""
        flaw = self.darwin("verify", run_id).ends()
        return f"verify: {flaw}" if flaw else ""

    def disagrees(self, run_id: str = RUN) -> str:
        """What `darwin verify` and `darwin replay` object to; empty: nothing."""
        flaw = self.verified(run_id)
        if flaw:
            return flaw
        flaw = self.darwin("replay", run_id).ends()
        return f"replay: {flaw}" if flaw else ""

    def ask(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of the database as it is now; none where there is no such table yet."""
        address = f"{self.database.absolute().as_uri()}?mode=ro"
        try:
            with closing(sqlite3.connect(address, uri=True, timeout=PATIENCE_S)) as raw:
                return raw.execute(query, values).fetchall()
        except sqlite3.OperationalError:
            return []

    def count(self, table: str, run_id: str = RUN, where: str = "1") -> int:
        """How many rows of a run there are."""
        query = f"SELECT COUNT(*) FROM {table} WHERE run_id = ? AND {where}"  # noqa: S608
        return sum(row[0] for row in self.ask(query, run_id))

    def kept(self, run_id: str = RUN) -> int:
        """How many facts of a run are acknowledged."""
        return sum(
            row[0] for row in self.ask("SELECT facts FROM run_states WHERE run_id = ?", run_id)
        )

    def reasons(self, run_id: str = RUN, agent: str = "%") -> dict[str, int]:
        """Why rulings were what they were, and how often."""
        query = (
            "SELECT reason, COUNT(*) FROM agent_decisions WHERE run_id = ? AND agent_name LIKE ?"
            " GROUP BY reason ORDER BY reason"
        )
        return dict(self.ask(query, run_id, agent))

    def rules(
        self, why: Why, run_id: str = RUN, agent: str = "%", *, also: frozenset[Why] = frozenset()
    ) -> str:
        """What is wrong where every ruling should have that reason; empty: nothing.

        Some may have one of `also` in its place.
        """
        found = self.reasons(run_id, agent)
        as_due = why in found and set(found) <= {why, *also}
        return "" if as_due else f"rulings were {counted(found)}, not '{why}'"

    def loaded(self) -> Loaded:
        """Its config, for this process, which stands in another folder."""
        return load_config(self.folder / CONFIG, (f"artifacts_dir={self.artifacts}",), {})

    def promote(self) -> None:
        """Put on record that each agent of the config may act, with all of the capital."""
        config = self.loaded().config
        agents = agents_of(config)
        with connect(self.database) as database:
            for one in agents.terms.agents if agents else ():
                name = one.page.name
                rule = agents.policies.stand_in(name) if agents else None
                shelf = Registry(models_dir(config, name), database).shelf(name)
                model = rule.model if rule else shelf.serving
                if model is not None:
                    _promote(database, name, model)

    @contextmanager
    def held(self, child: Child) -> Iterator[None]:
        """Let a run stand still between two of its transactions while something is done."""
        child.signal(signal.SIGSTOP)
        while self._is_being_written() and child.runs:
            child.signal(signal.SIGCONT)
            time.sleep(_LOOK_EVERY_S)
            child.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            child.signal(signal.SIGCONT)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the write lock of the database, as a careless process might."""
        with closing(sqlite3.connect(self.database, isolation_level=None, timeout=0)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")

    def _is_being_written(self) -> bool:
        try:
            with self.locked():
                return False
        except sqlite3.OperationalError:
            return True

    def wait(self, child: Child, until: Callable[[], bool]) -> bool:
        """Wait until something is so; False where the child ends before, or it takes too long."""
        give_up = time.monotonic() + PATIENCE_S
        while not until():
            if not child.runs or time.monotonic() > give_up:
                return False
            time.sleep(_LOOK_EVERY_S)
        return True

    def wait_for_facts(self, child: Child, more_than: float) -> bool:
        """Wait until more facts of its run are kept; False where the child ends before."""
        return self.wait(child, lambda: self.kept() > more_than)


def _promote(database: Database, agent: str, model: Model) -> None:
    now = datetime.now(UTC)
    acts.promote(database, agent, model, by="drill", reason="a rehearsal", at=now, override=True)
    acts.set_stage(database, agent, WHOLE, by="drill", reason="a rehearsal", at=now, override=True)


def run_words(run_id: str) -> tuple[str, ...]:
    """The words that make the run of a room's config."""
    return ("run", CONFIG, "--set", f"run_id={run_id}")


def counted(found: Mapping[str, int]) -> str:
    """Reasons with how often each was given."""
    return ", ".join(f"{count:,} '{reason}'" for reason, count in found.items()) or "none at all"

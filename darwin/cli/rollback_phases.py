"""A rollback as it was asked for, and two of its phases: prepare, and roll back.

Each phase is safe to repeat: what is done already is found done. Nothing waits for a copy while
agents trade, so the kill switch comes before the backup. With `dry` nothing is written, and each
phase says what it would do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from darwin.rl.cli.options import Deployment, open_registry

if TYPE_CHECKING:
    from darwin.rl.registry.registry import Registry
    from darwin.rl.registry.versions import Shelf


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asked for."""

    agent: str
    to: str | None  # the version that is to serve; None: the one before
    by: str
    reason: str
    artifacts_dir: str
    where: Deployment
    dry: bool
    backup: bool
    release: bool

    @property
    def artifacts(self) -> Path:
        """Where the deployment keeps its files."""
        return Path(self.artifacts_dir)

    @property
    def told(self) -> str:
        """The reason as it stands in every record of it."""
        return f"{self.mark}: {self.reason}"

    @property
    def mark(self) -> str:
        """How a kill of this rollback can be told from any other."""
        return f"rollback of {self.agent}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What follows from it for the deployment as it stands."""

    serving: str | None
    target: str | None  # None: no version is there to serve
    why: str  # this one

    @property
    def moves(self) -> bool:
        """Whether another version is to serve."""
        return self.target != self.serving


def plan(asked: Asked) -> Plan:
    """Choose the version. Raises ConfigError, ModelError for one that cannot be rolled back to."""
    with open_registry(asked.where) as registry:
        shelf = registry.shelf(asked.agent)
        serving = shelf.serving and shelf.serving.version
        if asked.to is not None:
            return Plan(serving, shelf.pick(asked.to).name, "it was asked for")
        return Plan(serving, *_before(registry, shelf, serving))


def prepare(asked: Asked, plan: Plan | None) -> Iterator[str]:
    """Write down what stands, and make a backup of it."""
    from darwin.cli.backup_make import make, place_for
    from darwin.cli.backup_parts import Where
    from darwin.rl.graduation.latest import read_latest
    from darwin.rl.graduation.record import record_in

    assert plan is not None
    with open_registry(asked.where) as registry, registry.database.read() as connection:
        held = record_in(connection, asked.agent).promotion
        latest = read_latest(connection, asked.agent).run_id
        shelf = registry.shelf(asked.agent)
    of = f", manifest {shelf.serving.sha256}" if shelf.serving else ""
    yield f"serves: {plan.serving or 'no version'}{of}"
    promoted = f"version {held.model.version} on {held.stage:.0%}" if held else "none"
    yield f"promoted: {promoted}"
    yield f"latest run that asked it: {latest or 'none'}"
    if not asked.backup:
        yield "no backup: --no-backup says so"
        return
    at = now()
    path = place_for(None, asked.artifacts, at)
    if asked.dry:
        yield f"would make a backup below {path.parent}"
        return
    made = make(Where(asked.artifacts, *asked.where), path, at)
    yield f"backup: {made.path}, {made.bytes:,} bytes"


def roll_back(asked: Asked, plan: Plan | None) -> Iterator[str]:
    """Take capital and promotion from the agent, and let the other version serve."""
    from darwin.rl.graduation.record import read_record
    from darwin.rl.registry.rollback import rollback

    assert plan is not None
    with open_registry(asked.where, to_change=not asked.dry) as registry:
        held = read_record(registry.database, asked.agent).promotion
        if held is None:
            yield "nothing is promoted: it holds no capital"
        elif asked.dry:
            yield f"would demote version {held.model.version}, which has {held.stage:.0%}"
        else:
            by = "demoted" if _demote(asked, registry) else "another has demoted it meanwhile"
            yield f"{by}: version {held.model.version} had {held.stage:.0%} of the capital"
        if plan.target is None or not plan.moves:
            yield f"version {plan.serving or 'none'} stays: {plan.why}"
        elif asked.dry:
            yield f"would let version {plan.target} serve: {plan.why}"
        else:
            rollback(
                registry, asked.agent, plan.target, by=asked.by, reason=asked.told, now=now()
            )  # fmt: skip
            yield f"version {plan.target} serves in place of {plan.serving or 'none'}: {plan.why}"


def _before(registry: Registry, shelf: Shelf, serving: str | None) -> tuple[str | None, str]:
    """The version that served before the one that does; that one where there is none.

    One that serves by a rollback has been rolled back to: who repeats the command means no other.
    """
    from darwin.rl.registry.events import Kind, events
    from darwin.rl.registry.versions import Place, fold

    with registry.database.read() as connection:
        told = [one for one in events(connection) if one.agent == shelf.agent]
    served: list[tuple[str, Kind]] = []
    for count, event in enumerate(told, start=1):
        now = fold(shelf.agent, told[:count]).serving
        if now is not None and (not served or served[-1][0] != now.version):
            served.append((now.version, event.kind))
    if not served or serving is None:
        return serving, "no version serves"
    if served[-1][1] is Kind.ROLLED_BACK:
        return serving, "it serves by a rollback already; name another with --to"
    for name, _ in reversed(served[:-1]):
        found = shelf.find(name)
        if found is not None and name != serving and found.place is not Place.REMOVED:
            return name, "it served before"
    return serving, "no other version has served before"


def _demote(asked: Asked, registry: Registry) -> bool:
    """As `darwin rl demote` does, with its dossier; False where another was quicker."""
    from darwin.errors import ConfigError
    from darwin.rl.cli.acting import demote
    from darwin.rl.graduation.record import read_record

    try:
        demote(registry, asked.artifacts_dir, asked.agent, by=asked.by, reason=asked.told, at=now())
    except ConfigError:
        if read_record(registry.database, asked.agent).promotion is not None:
            raise
        return False
    return True


def now() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(UTC)

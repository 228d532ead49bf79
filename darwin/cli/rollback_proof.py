"""That a rollback is what it says: what serves, its files, its links, its outputs, the record."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from darwin.cli.rollback_phases import Asked, Plan
from darwin.errors import IntegrityError, ModelError
from darwin.rl.cli.options import open_registry

if TYPE_CHECKING:
    from darwin.rl.registry.registry import Registry


def verify(asked: Asked, plan: Plan | None) -> Iterator[str]:
    """Look at all of it again, as it is read by runs; before the act, at the version alone.

    Raises ModelError, IntegrityError, RecordError for the first thing that is not as it should be.
    """
    assert plan is not None
    with open_registry(asked.where) as registry:
        if plan.target is not None:
            yield from _model(asked, registry, plan.target)
        if asked.dry:
            return
        yield from _stands(asked, registry, plan)
        latest = _latest(asked, registry)
    if latest is None:
        yield "no run is on record, so there is none to verify"
    else:
        yield _run(asked, latest)


def _model(asked: Asked, registry: Registry, version: str) -> Iterator[str]:
    from darwin.rl.registry.fsck import require_whole
    from darwin.rl.serving.validation import validate_files

    one = registry.shelf(asked.agent).pick(version)
    content = require_whole(registry, asked.agent, one)
    yield f"version {version}: its files are those that were deployed ({one.model.sha256})"
    validate_files(asked.agent, content)
    yield f"version {version}: a forward pass gives what its training stored"


def _stands(asked: Asked, registry: Registry, plan: Plan) -> Iterator[str]:
    from darwin.rl.cli.killing import look
    from darwin.rl.graduation.record import read_record
    from darwin.rl.registry import folders

    serving = registry.shelf(asked.agent).serving
    version = serving and serving.version
    if version != plan.target:
        raise IntegrityError(
            f"version {version or 'none'} of {asked.agent} serves, not {plan.target or 'none'}",
            where=str(registry.database.path),
            mend="somebody deployed meanwhile; do this again with --to",
        )
    yield f"serves by the record: {version or 'none'}"
    home = registry.home(asked.agent)
    if home.root.is_dir() and not folders.is_pointed(home, version):
        raise ModelError(
            f"the links of {asked.agent} do not lead to version {version or 'none'}",
            where=str(home.root / "current"),
            mend="`darwin rl models fsck --repair` leads them there",
        )
    yield "links: both lead to it"
    if read_record(registry.database, asked.agent).promotion is not None:
        raise IntegrityError(
            f"{asked.agent} is promoted",
            where="graduation_events",
            mend=f"`darwin rl demote {asked.agent}` ends it, if nobody means it",
        )
    yield "promoted: none; it observes"
    now = look(asked.artifacts, asked.where.db)
    yield f"switched off: {now.why}" if now.killed else "not switched off: somebody released it"


def _latest(asked: Asked, registry: Registry) -> str | None:
    """The run that asked the agent last, else the one that was begun last."""
    from sqlalchemy import select

    from darwin.rl.graduation.latest import read_latest
    from darwin.store.schema import runs

    with registry.database.read() as connection:
        found = read_latest(connection, asked.agent).run_id
        newest = select(runs.c.run_id).order_by(runs.c.number.desc()).limit(1)
        return found or connection.execute(newest).scalar()


def _run(asked: Asked, run_id: str) -> str:
    from darwin.cli.verify import check_run

    checked = check_run(run_id, asked.artifacts_dir, str(asked.where.db.absolute()))
    return f"run '{run_id}': {checked.facts:,} facts are as they were recorded"

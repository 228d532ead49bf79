"""A run in the making: its session walks, its journal keeps or compares, its report is written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logging import Logger

    from darwin.bootstrap import Wired
    from darwin.config.load import Loaded
    from darwin.core.account import Alert
    from darwin.core.ports import Inputs, Witness
    from darwin.core.provenance import Provenance
    from darwin.engine.report import Report
    from darwin.engine.result import RunResult
    from darwin.engine.twins import Twins
    from darwin.rl.graduation.promoter import Promoter
    from darwin.store.acts import Source
    from darwin.store.db import Database
    from darwin.store.journal import Journal
    from darwin.store.runs import Begun, RunIdentity


def identify(loaded: Loaded, wired: Wired, mode: str) -> RunIdentity:
    """What makes this run this run."""
    from darwin.bootstrap import code_version
    from darwin.config.compare import canonical, digest
    from darwin.store.runs import RunIdentity

    resolved = loaded.resolved()
    return RunIdentity(
        run_id=loaded.config.run_id,
        mode=mode,
        config_json=canonical(resolved),
        config_digest=digest(resolved),
        data_digest=wired.data_digest if mode == "replay" else None,
        code_version=code_version(),
        symbols=tuple(bars.symbol for bars in wired.session.markets),
        feature_names=wired.session.feature_keys,
    )


def walk(
    wired: Wired,
    run_id: str,
    journal: Journal | None = None,
    inputs: Inputs | None = None,
    witness: Witness | None = None,
) -> RunResult:
    """Replay with progress on stderr; `journal` keeps or compares every fact."""
    from darwin.cli.progress import shown

    with shown(run_id) as progress:
        return wired.session.run(progress, journal, inputs, witness)


def keep(
    loaded: Loaded,
    wired: Wired,
    database: Database,
    run: Begun,
    log: Logger,
    speed: float | None,
    until_ms: int | None = None,
) -> tuple[RunResult, Wired]:
    """Make a run and keep every fact, announcing each checkpoint; gives what it came to.

    A feed is made bar by bar, then made again as a replay, which must give the same facts and
    whose result this is, with the session that it is of. It alone asks an expert that is a model.
    Raises ExpertError where that one cannot be asked as things stand, StorageError when the disk or
    file refuses: what was announced stays kept.
    """
    from darwin.bootstrap.experts import asking
    from darwin.bootstrap.recorded import as_far_as_fed, wire_here
    from darwin.cli.feed import feed
    from darwin.cli.paper import trade_on_paper
    from darwin.cli.progress import on_a_terminal, say
    from darwin.engine.marks import daily_marks
    from darwin.engine.report_words import iso
    from darwin.store.acts import Heard
    from darwin.store.journal import Journal
    from darwin.store.runs import find_begun

    def announce(facts: int) -> None:
        log.info("run %s checkpoint seq=%d", run.run_id, facts)
        if not on_a_terminal():
            say(f"checkpoint seq={facts}")

    def alert(one: Alert) -> None:
        about = f"RL {one.agent}: " if one.agent else ""
        log.warning(
            "run %s alert: %s%s at %s: %s", run.run_id, about, one.kind, iso(one.time), one.detail
        )

    def warn(text: str) -> None:
        log.warning("run %s: %s", run.run_id, text)
        say(f"warning: {text}")

    journal = Journal(database, run, wired.playbooks, announce=announce, alert=alert)
    promoter = _promoter(loaded, wired, database, run)
    asks = asking(wired, database, run, warn, on_paper=loaded.config.on_paper)
    mine = [promoter] if promoter is not None else []
    with outside(loaded, wired, database, run, log) as sources:
        every = [*mine, *sources]  # what a promoter writes into the logs is heard by the others
        if loaded.config.on_paper:
            trade_on_paper(
                asks, loaded.config, database, run, journal, every, until_ms, log, promoter
            )
        elif run.identity.mode == "feed":
            feed(asks, database, run, journal, every, speed, promoter)
        else:
            every = [*sources, *mine]
            inputs = Heard(database, run, *every) if every else None
            result = walk(asks, run.run_id, journal, inputs, promoter)
            journal.finish(daily_marks(result.equity))
            return result, wired
        journal.finish()
    done = find_begun(database, run.run_id)
    seen = as_far_as_fed(wire_here(loaded, database), done)
    return again(seen, database, done), seen


def _promoter(loaded: Loaded, wired: Wired, database: Database, run: Begun) -> Promoter | None:
    """Who watches the agents of a run; without any, nothing that it needs is imported."""
    if wired.agents is None:
        return None
    from darwin.bootstrap.promoting import promoter_of

    return promoter_of(loaded.config, wired, database, run)


@contextmanager
def outside(
    loaded: Loaded, wired: Wired, database: Database, run: Begun, log: Logger
) -> Iterator[list[Source]]:
    """What a run listens to while it goes on, its agents seated; warnings go to stderr and log.

    Raises ModelError where an agent that may act has a model that is refused.
    """
    from darwin.bootstrap.agents import switchboard, warnings
    from darwin.cli.progress import say

    if wired.agents is None:
        yield []
        return
    with closing(switchboard(loaded.config, wired.agents, database, run)) as board:
        for warning in (*board.warnings, *warnings(loaded.config, board.begin())):
            log.warning("RL %s", warning)
            say(f"warning: {warning}")
        yield [board]


def again(wired: Wired, database: Database, run: Begun) -> RunResult:
    """Make a recorded run once more, from the same bars and journaled inputs.

    Raises IntegrityError, naming the first fact that comes out otherwise than it is recorded, and
    ModelError where a model of then is not to be had.
    """
    from darwin.bootstrap.experts import by_record
    from darwin.store.acts import journaled
    from darwin.store.journal import Journal

    if wired.agents is not None:
        from darwin.bootstrap.remade import require_models

        require_models(wired.agents.policies, database, run)
    journal = Journal(database, run, wired.playbooks, only_compare=True)
    told = by_record(wired, database, run.run_id)
    result = walk(told, run.run_id, journal, journaled(database, run))
    journal.finish()
    return result


def report_on(
    result: RunResult, loaded: Loaded, wired: Wired, provenance: Provenance | None
) -> Report:
    """Work out all figures, and say on stderr what a careful reader must know of the inputs."""
    from darwin.bootstrap.experts import about_expert
    from darwin.cli.progress import say
    from darwin.engine.report import report

    for note in wired.notes:
        say(f"note: {note}")
    return report(
        result,
        loaded.config.run_id,
        calendar=loaded.config.market.calendar,
        digests=wired.data_digests,
        notes=wired.notes,
        provenance=provenance,
        twins=_twins(result, loaded, wired),
        about_expert=about_expert(wired),
    )


def _twins(result: RunResult, loaded: Loaded, wired: Wired) -> Twins | None:
    """The twins of a run with agents, with progress on stderr where they take their time."""
    if wired.agents is None:
        return None
    from darwin.bootstrap.twins import twins
    from darwin.cli.progress import shown

    if not result.consulted.followed.any():  # then there is nothing to walk again for
        return twins(result, wired)
    with shown(f"{loaded.config.run_id}, its twins") as progress:
        return twins(result, wired, progress)


def write_run_files(folder: Path, loaded: Loaded, wired: Wired, run: Begun, report: Report) -> None:
    """Write config, report and, last, the manifest into the folder of the run."""
    from darwin.cli import report_files as files
    from darwin.cli.report_files import write_report
    from darwin.report.files import json_text, write_text

    files.clear_strays(folder, *files.names(agents=True), "config.json", "manifest.json")
    manifest = {
        "run_id": run.run_id,
        "mode": run.identity.mode,
        "code_version": run.identity.code_version,
        "config_digest": run.identity.config_digest,
        "data_digest": report.metrics["run"]["data_digest"],
        "facts": report.metrics["run"]["facts"],
        "head": report.metrics["run"]["head"],
        "synthetic": report.metrics["synthetic"],
        "data": [
            {"symbol": symbol, "sha256": digest, "source": wired.sources[symbol]}
            for symbol, digest in wired.data_digests.items()
        ],
    }
    write_text(folder / "config.json", json_text(loaded.resolved()))
    write_report(folder, report)
    write_text(folder / "manifest.json", json_text(manifest))

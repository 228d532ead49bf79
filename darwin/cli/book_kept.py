"""A run of a book in the making: it walks, its journal keeps or compares, its report is written."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from logging import Logger

    from darwin.bootstrap.books import WiredBook
    from darwin.config.load import LoadedBook
    from darwin.core.account import Alert
    from darwin.engine.book_run import BookResult
    from darwin.store.db import Database
    from darwin.store.runs import Begun, RunIdentity

METRICS, EQUITY, WEIGHTS, PAGE = "metrics.json", "equity.csv", "weights.csv", "report.html"
NAMES = (METRICS, EQUITY, WEIGHTS, PAGE, "config.json", "manifest.json")


def execute(
    loaded: LoadedBook, *, resume: bool, accept_code: bool
) -> tuple[dict[str, Any] | None, Path]:
    """Run, record and report; the metrics are None if the run was finished before."""
    from darwin.cli.lock import alone
    from darwin.config.places import runs_dir

    folder = runs_dir(loaded.config) / loaded.config.run_id
    with alone(folder, loaded.config.run_id):
        return _execute(loaded, folder, resume=resume, accept_code=accept_code), folder


def _execute(
    loaded: LoadedBook, folder: Path, *, resume: bool, accept_code: bool
) -> dict[str, Any] | None:
    from datetime import UTC, datetime

    from darwin.bootstrap.books import wire_book
    from darwin.cli.logs import LOG_FILE, log_to
    from darwin.config.places import state_db_path
    from darwin.store.db import connect
    from darwin.store.runs import Standing, begin_run, find_begun

    log = log_to(LOG_FILE, folder / "run.log")
    run_id = loaded.config.run_id
    wired = wire_book(loaded)
    with connect(state_db_path(loaded.config)) as database:
        begun = begin_run(
            database, _identity(loaded, wired), at=datetime.now(UTC), resume=resume,
            accept_code=accept_code,
        )  # fmt: skip
        if begun.standing is Standing.FINISHED:
            if all((folder / name).is_file() for name in NAMES):
                log.info("run %s is finished already", run_id)
                return None
            result = again(wired, database, begun)
        else:
            goes = "begins" if begun.standing is Standing.NEW else "resumes"
            log.info("run %s %s after fact %d", run_id, goes, begun.place.facts)
            result = _keep(wired, database, begun, log)
        done = find_begun(database, run_id)
    metrics = write_files(folder, wired, done, result)
    log.info("run %s ends: %d rebalances, %d facts", run_id, len(result.rows), done.place.facts)
    return metrics


def _identity(loaded: LoadedBook, wired: WiredBook) -> RunIdentity:
    """What makes this run this run."""
    from darwin.bootstrap import code_version
    from darwin.config.compare import canonical, digest
    from darwin.store.runs import RunIdentity

    resolved = loaded.resolved()
    return RunIdentity(
        run_id=loaded.config.run_id,
        mode="replay",
        config_json=canonical(resolved),
        config_digest=digest(resolved),
        data_digest=wired.data_digest,
        code_version=code_version(),
        symbols=wired.plan.panel.symbols,
        feature_names=(),
    )


def _keep(wired: WiredBook, database: Database, run: Begun, log: Logger) -> BookResult:
    """Make a run and keep every fact, announcing each checkpoint. Raises StorageError."""
    from darwin.bootstrap.book_agents import switchboard_of_book, warnings_of_book
    from darwin.bootstrap.book_promoting import book_promoter_of
    from darwin.cli.progress import on_a_terminal, say, shown
    from darwin.engine.rebalancing import BookWalk
    from darwin.engine.report_words import iso
    from darwin.store.acts import Heard
    from darwin.store.journal import Journal

    def announce(facts: int) -> None:
        log.info("run %s checkpoint seq=%d", run.run_id, facts)
        if not on_a_terminal():
            say(f"checkpoint seq={facts}")

    def alert(one: Alert) -> None:
        log.warning("run %s alert: %s at %s: %s", run.run_id, one.kind, iso(one.time), one.detail)

    journal = Journal(database, run, (), announce=announce, alert=alert)
    promoter = book_promoter_of(wired, database, run)
    with closing(switchboard_of_book(wired, database, run)) as board:
        for warning in (*board.warnings, *warnings_of_book(wired, board.begin())):
            log.warning("RL %s", warning)
            say(f"warning: {warning}")
        inputs = Heard(database, run, board, promoter)
        with shown(run.run_id) as progress:
            result = BookWalk(wired.plan, journal, inputs, promoter).run(progress)
    journal.finish(result.marks)
    return result


def again(wired: WiredBook, database: Database, run: Begun) -> BookResult:
    """Make a recorded run once more, from the same bars and journaled inputs.

    Raises IntegrityError, naming the first fact that comes out otherwise than it is recorded, and
    ModelError where a model of then is not to be had.
    """
    from darwin.bootstrap.book_agents import require_book_models
    from darwin.cli.progress import shown
    from darwin.engine.rebalancing import BookWalk
    from darwin.store.acts import journaled
    from darwin.store.journal import Journal

    require_book_models(wired, database, run)
    journal = Journal(database, run, (), only_compare=True)
    with shown(run.run_id) as progress:
        result = BookWalk(wired.plan, journal, journaled(database, run)).run(progress)
    journal.finish(result.marks)
    return result


def write_files(folder: Path, wired: WiredBook, run: Begun, result: BookResult) -> dict[str, Any]:
    """Write config, figures, curves, page and, last, the manifest into the folder of the run."""
    from darwin.cli.report_files import clear_strays, csv_text
    from darwin.engine.book_report import book_metrics, equity_lines, weight_rows
    from darwin.report.book_run import book_run_page
    from darwin.report.files import json_text, write_text

    config = wired.config
    synthetic = config.market.provider == "synthetic"
    metrics = book_metrics(
        result, config.run_id, config.allocation.agent, calendar=config.market.calendar
    )
    metrics |= {
        "synthetic": synthetic,
        "facts": run.place.facts,
        "head": run.place.head.hex(),
        "data_digest": wired.data_digest,
    }
    manifest = {
        "run_id": run.run_id,
        "mode": run.identity.mode,
        "code_version": run.identity.code_version,
        "config_digest": run.identity.config_digest,
        "data_digest": wired.data_digest,
        "facts": run.place.facts,
        "head": run.place.head.hex(),
        "synthetic": synthetic,
        "data": [
            {"symbol": symbol, "sha256": digest, "source": wired.sources[symbol]}
            for symbol, digest in wired.data_digests.items()
        ],
    }
    clear_strays(folder, *NAMES)
    write_text(folder / "config.json", json_text(config.model_dump(mode="json")))
    write_text(folder / METRICS, json_text(metrics))
    write_text(folder / EQUITY, equity_lines(result))
    write_text(folder / WEIGHTS, csv_text(*weight_rows(result)))
    write_text(folder / PAGE, book_run_page(result, metrics, synthetic=synthetic))
    write_text(folder / "manifest.json", json_text(manifest))
    return metrics

"""`darwin run`: one run, from a config to a recorded result and its report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from darwin.errors import ConfigError, LockedError, StorageError

if TYPE_CHECKING:
    from logging import Logger

    from darwin.bootstrap import Wired
    from darwin.config.load import Loaded
    from darwin.engine.report import Report
    from darwin.store.record import RunIdentity


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--resume", is_flag=True, help="Go on with a run that was stopped.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key.")
@click.option("--json", "as_json", is_flag=True, help="Print the metrics as JSON on stdout.")
def run(config: Path, resume: bool, overrides: tuple[str, ...], as_json: bool) -> None:
    """Replay the run that CONFIG describes, record it, and write its report.

    A run that is finished with the same config, data and code is not run again. One that was
    stopped wants --resume; the same inputs give the same result, so it is run from its start.

    \b
    Examples:
      darwin run configs/demo.json
      darwin run configs/demo.json --set run_id=dear --set costs.taker_bps=20
    """
    from darwin.config.load import load_config

    loaded = load_config(config, overrides)
    report, folder = execute(loaded, resume=resume)
    if as_json:
        from darwin.cli.report_files import METRICS

        click.echo((folder / METRICS).read_text("utf-8"), nl=False)
    elif report is None:
        click.echo(f"run '{loaded.config.run_id}' is finished already, with the same inputs")
        _point_to(folder)
    else:
        _summarise(report)
        _point_to(folder)


def execute(loaded: Loaded, *, resume: bool) -> tuple[Report | None, Path]:
    """Run, record and report; the report is None if the run was finished before."""
    from darwin.config.places import runs_dir

    config = loaded.config
    folder = runs_dir(config) / config.run_id
    with _alone(folder, config.run_id):
        from darwin.cli.logs import LOG_FILE, log_to

        log = log_to(LOG_FILE, folder / "run.log")
        return _execute(loaded, folder, log, resume=resume), folder


def _execute(loaded: Loaded, folder: Path, log: Logger, *, resume: bool) -> Report | None:
    from datetime import UTC, datetime

    from darwin.bootstrap import wire
    from darwin.config.places import state_db_path
    from darwin.store.db import connect
    from darwin.store.record import Standing, begin_run, record_run

    run_id = loaded.config.run_id
    wired = wire(loaded)
    identity = identify(loaded, wired)
    with connect(state_db_path(loaded.config)) as database:
        begun = datetime.now(UTC)
        standing = begin_run(database, identity, started_at=begun, start_over=resume)
        if standing is Standing.UNFINISHED and not resume:
            raise ConfigError(
                f"run '{run_id}' was begun and is not finished",
                where=str(folder),
                mend="go on with --resume, or give this one another run_id",
            )
        if standing is Standing.FINISHED and _complete(folder):
            log.info("run %s is finished already", run_id)
            return None
        log.info("run %s begins: %s", run_id, ", ".join(wired.data_digests))
        report = replay(wired, loaded)
        if standing is not Standing.FINISHED:
            record_run(database, run_id, report.result, finished_at=datetime.now(UTC))
    write_run_files(folder, loaded, wired, identity, report)
    figures = report.metrics
    log.info(
        "run %s ends: %d candidates, %d trades, net %.2f USD",
        run_id, figures["candidates"], figures["trades"], figures["net_pnl_usd"],
    )  # fmt: skip
    return report


def replay(wired: Wired, loaded: Loaded) -> Report:
    """Replay and work out the figures, with progress on stderr."""
    from darwin.cli.progress import shown
    from darwin.engine.report import report

    market = loaded.config.market
    with shown(loaded.config.run_id) as progress:
        result = wired.session.run(progress)
    for note in wired.notes:
        click.echo(f"note: {note}", err=True)
    return report(
        result,
        loaded.config.run_id,
        calendar=market.calendar,
        digests=wired.data_digests,
        notes=wired.notes,
    )


def identify(loaded: Loaded, wired: Wired) -> RunIdentity:
    """What makes this run this run."""
    from darwin.bootstrap import code_version
    from darwin.config.compare import canonical, digest
    from darwin.store.record import RunIdentity

    resolved = loaded.resolved()
    return RunIdentity(
        run_id=loaded.config.run_id,
        mode=loaded.config.mode,
        config_json=canonical(resolved),
        config_digest=digest(resolved),
        data_digest=wired.data_digest,
        code_version=code_version(),
    )


def write_run_files(
    folder: Path, loaded: Loaded, wired: Wired, identity: RunIdentity, report: Report
) -> None:
    """Write manifest, config and report into the folder of the run."""
    from darwin.cli.report_files import json_text, write_report, write_text

    manifest = {
        "run_id": identity.run_id,
        "mode": identity.mode,
        "code_version": identity.code_version,
        "config_digest": identity.config_digest,
        "data_digest": identity.data_digest,
        "synthetic": report.metrics["synthetic"],
        "data": [
            {"symbol": symbol, "sha256": digest, "source": wired.sources[symbol]}
            for symbol, digest in wired.data_digests.items()
        ],
    }
    write_text(folder / "config.json", json_text(loaded.resolved()))
    write_report(folder, report)
    write_text(folder / "manifest.json", json_text(manifest))


@contextmanager
def _alone(folder: Path, run_id: str) -> Iterator[None]:
    """Hold the run's folder against a second process. Raises LockedError, StorageError."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / ".lock", timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise LockedError(
            f"run '{run_id}' is held by another process",
            where=str(folder),
            mend="wait for it, or give this one another run_id",
        ) from None
    except OSError as fault:
        raise StorageError(
            f"cannot use the folder of the run: {fault.strerror or fault}",
            where=str(folder),
            mend="check that it is a folder and writable, or set artifacts_dir",
        ) from fault
    try:
        yield
    finally:
        lock.release()


def _complete(folder: Path) -> bool:
    from darwin.cli.report_files import EQUITY, METRICS, PAGE, TRADES

    names = ("manifest.json", "config.json", METRICS, TRADES, EQUITY, PAGE)
    return all((folder / name).is_file() for name in names)


def _summarise(report: Report) -> None:
    """Say in a few lines what came out; the verdict first."""
    from darwin.cli.summary import summary_lines

    for line in summary_lines(report.metrics):
        click.echo(line)


def _point_to(folder: Path) -> None:
    from darwin.cli.report_files import PAGE

    click.echo(f"report: {folder / PAGE}")

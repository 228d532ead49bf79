"""`darwin run`: one run, from a config to a recorded result and its report."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

if TYPE_CHECKING:
    from logging import Logger

    from darwin.bootstrap import Wired
    from darwin.config.load import Loaded
    from darwin.engine.report import Report
    from darwin.store.db import Database
    from darwin.store.runs import Begun


class How(NamedTuple):
    """How a run is to be made."""

    resume: bool = False
    accept_code: bool = False
    feed: bool = False
    speed: float | None = None  # times real time; None: without waiting
    until_ms: int | None = None  # on paper: bars that open from here on are not waited for


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--resume", is_flag=True, help="Go on with a run that was stopped.")
@click.option("--accept-code", is_flag=True, help="With --resume: go on though the code changed.")
@click.option("--feed", is_flag=True, help="Feed the bars one by one, as if they came in live.")
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    metavar="FACTOR",
    help="With --feed: so many times real time; without it bars follow at once.",
)
@click.option("--until", metavar="DATE", help="On paper: end the run before that; else on and on.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key.")
@click.option("--json", "as_json", is_flag=True, help="Print the metrics as JSON on stdout.")
def run(
    config: Path,
    resume: bool,
    accept_code: bool,
    feed: bool,
    speed: float | None,
    until: str | None,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Make the run that CONFIG describes, record it, and write its report.

    Every fact is kept while the run goes on: `checkpoint seq=N` says that the first N are safe
    against any crash. A run that was stopped wants --resume and ends as if it had not been. A run
    that is finished with the same config, data and code is not run again. One whose expert is a
    model that answered none of its questions ends with exit 3.

    In mode `paper` bars come from a venue as they close, and orders are simulated. Such a run goes
    on until it is stopped, to be taken up with --resume, or until --until, which ends it.

    \b
    Examples:
      darwin run configs/demo.json
      darwin run configs/demo.json --set run_id=dear --set costs.taker_bps=20
      darwin run configs/demo.json --set run_id=fed --feed --speed 36000
      darwin run paper.json --resume --until 2026-12-31
    """
    from darwin.cli.instants import instant
    from darwin.cli.report_files import METRICS
    from darwin.config.load import load_config

    if speed is not None and not math.isfinite(speed):
        raise click.BadParameter(f"{speed} is no speed; write for example 60", param_hint="--speed")
    if speed is not None and not feed:
        raise click.UsageError("--speed has a meaning with --feed alone; add it or leave both out")
    if accept_code and not resume:
        raise click.UsageError("--accept-code goes with --resume: it lets a stopped run go on")
    loaded = load_config(config, overrides)
    on_paper = loaded.config.on_paper
    if on_paper and feed:
        raise click.UsageError("--feed has no meaning on paper, where bars come from a venue")
    if until is not None and not on_paper:
        raise click.UsageError(
            "--until has a meaning in mode 'paper' alone; set market.end instead"
        )
    until_ms = None if until is None else instant(until, "--until")
    begins_ms = loaded.config.market.start_ms
    if until_ms is not None and begins_ms is not None and until_ms <= begins_ms:
        raise click.UsageError("--until lies before market.start: such a run would have no bar")
    report, folder = execute(loaded, How(resume, accept_code, feed, speed, until_ms))
    written = (folder / METRICS).read_text("utf-8")
    if as_json:
        click.echo(written, nl=False)
    elif report is None:
        click.echo(f"run '{loaded.config.run_id}' is finished already, with the same inputs")
        _point_to(folder)
    else:
        _summarise(report)
        _point_to(folder)
    expert = json.loads(written)["expert"]
    _require_answers(expert["model"], expert["calls"], folder)


def execute(loaded: Loaded, how: How) -> tuple[Report | None, Path]:
    """Run, record and report; the report is None if the run was finished before."""
    from darwin.cli.lock import alone
    from darwin.config.places import runs_dir

    config = loaded.config
    folder = runs_dir(config) / config.run_id
    with alone(folder, config.run_id):
        return _execute(loaded, folder, how), folder


def _execute(loaded: Loaded, folder: Path, how: How) -> Report | None:
    from datetime import UTC, datetime

    from darwin.bootstrap import wire
    from darwin.bootstrap.experts import require_key
    from darwin.bootstrap.paper import venue_of
    from darwin.bootstrap.recorded import as_it_saw, wire_here
    from darwin.cli.dossiers import write_dossiers
    from darwin.cli.logs import LOG_FILE, log_to
    from darwin.cli.making import again, identify, keep, report_on, write_run_files
    from darwin.config.places import state_db_path
    from darwin.store.db import connect
    from darwin.store.queries import provenance
    from darwin.store.runs import Standing, begin_run, is_finished

    log = log_to(LOG_FILE, folder / "run.log")
    run_id = loaded.config.run_id
    on_paper = loaded.config.on_paper
    if on_paper:
        venue_of(loaded.config).close()  # refuses what brings no bars, before the run is begun
    wired = None if on_paper else wire(loaded)
    with connect(state_db_path(loaded.config)) as database:
        wired = wired or wire_here(loaded, database)
        identity = identify(loaded, wired, "feed" if how.feed or on_paper else "replay")
        if not is_finished(database, run_id):
            # before the run is begun: it could go no further
            require_key(wired, identity.config_json)
        begun = begin_run(
            database,
            identity,
            at=datetime.now(UTC),
            resume=how.resume,
            accept_code=how.accept_code,
        )
        if begun.standing is Standing.FINISHED:
            seen = as_it_saw(wired, begun)
            if _complete(folder, agents=wired.agents is not None):
                log.info("run %s is finished already", run_id)
                write_dossiers(loaded.config, database, log)
                return None
            result = again(seen, database, begun)
        else:
            goes = "begins" if begun.standing is Standing.NEW else "resumes"
            log.info(
                "run %s %s after fact %d: %s",
                run_id,
                goes,
                begun.place.facts,
                ", ".join(wired.data_digests),
            )
            with _taken_back_if_empty(wired, database, begun, log):
                result, wired = keep(loaded, wired, database, begun, log, how.speed, how.until_ms)
        report = report_on(result, loaded, wired, provenance(database, run_id))
    write_run_files(folder, loaded, wired, begun, report)
    if wired.agents is not None:
        write_dossiers(loaded.config, None, log)
    figures = report.metrics
    log.info(
        "run %s ends: %d candidates, %d trades, net %.2f USD, %d facts",
        run_id, figures["candidates"], figures["trades"], figures["net_pnl_usd"],
        figures["run"]["facts"],
    )  # fmt: skip
    return report


@contextmanager
def _taken_back_if_empty(
    wired: Wired, database: Database, run: Begun, log: Logger
) -> Iterator[None]:
    """Where expert or venue cannot be asked as things stand, say how the run goes on once it can.

    A run that has kept nothing yet is taken back, so that a mended config may have its name.
    """
    from darwin.errors import ConfigError, DataError, ExpertError
    from darwin.store.withdrawal import withdraw

    try:
        yield
    except ExpertError as fault:
        if wired.agents is None and withdraw(database, run):
            fault.mend += "; then run it again: no fact of the run is kept, answers and charges are"
        else:
            fault.mend += "; then go on with --resume, or with a changed config as another run_id"
        log.error("run %s stops: %s", run.run_id, fault)
        raise
    except (ConfigError, DataError) as fault:  # a venue that the config should not have named
        if run.identity.mode == "feed" and wired.agents is None and withdraw(database, run):
            fault.mend += "; then run it again: no fact of the run is kept"
        log.error("run %s stops: %s", run.run_id, fault)
        raise


def _require_answers(model: dict[str, Any] | None, calls: int, folder: Path) -> None:
    """Raise ModelError where the run's expert is a model that answered no question of it."""
    from darwin.cli.report_files import PAGE
    from darwin.engine.report_model import never_answered, why_not
    from darwin.errors import ModelError

    if model is not None and never_answered(model, calls):
        raise ModelError(
            f"the model '{model['model']}' answered none of {calls:,} questions, all were skipped:"
            f" {why_not(model)}",
            where=str(folder / PAGE),
            mend="mend that and begin it under another run_id: all of them are asked again",
        )


def _complete(folder: Path, *, agents: bool) -> bool:
    from darwin.cli.report_files import names

    written = ("manifest.json", "config.json", *names(agents=agents))
    return all((folder / name).is_file() for name in written)


def _summarise(report: Report) -> None:
    """Say in a few lines what came out; the verdict first."""
    from darwin.cli.summary import summary_lines

    for line in summary_lines(report.metrics):
        click.echo(line)


def _point_to(folder: Path) -> None:
    from darwin.cli.report_files import PAGE

    click.echo(f"report: {folder / PAGE}")

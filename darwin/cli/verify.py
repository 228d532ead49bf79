"""`darwin verify` and `darwin replay`: is the record what was recorded, and does it follow."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from darwin.cli.deployment import database_options, database_path, open_database
from darwin.errors import ConfigError, DamagedError, IntegrityError, RecordError, StorageError

if TYPE_CHECKING:
    from darwin.rl.serving.audit import Audit
    from darwin.store.runs import RunIdentity
    from darwin.store.verify import Checked, Fold


@click.command()
@click.argument("run_id")
@database_options
def verify(run_id: str, artifacts_dir: str, db: str | None, as_json: bool) -> None:
    """Check that a run stands in the database as it was recorded.

    Every row of the run is read and held against the chain, the seals and the manifest.json in the
    folder of the run; fills must balance, every candidate of a finished run must have one ending
    and one outcome; what agents decided is made again from their stored observations and the
    models named there, where these still exist, and each ruling from how the agent stood. Exit 4
    names the first row that is not what it was. A run that is not finished is checked as far as it
    is kept.

    \b
    Examples:
      darwin verify btc-breakout
      darwin verify btc-breakout --db backup/agent_state.sqlite --json
    """
    from darwin.cli.tables import print_json

    audits: list[Audit] = []
    try:
        checked = check_run(run_id, artifacts_dir, db, audits)
    except IntegrityError as found:
        if as_json:
            print_json({"run_id": run_id, "sound": False} | _told(found))
        raise
    if as_json:
        again = {
            name: getattr(audits[0], name)
            for name in ("recomputed", "without_model", "older_schema")
        }
        print_json({"run_id": run_id, "sound": True} | checked._asdict() | again)
    else:
        _say(checked, audits[0])


@click.command()
@click.argument("run_id")
@database_options
def replay(run_id: str, artifacts_dir: str, db: str | None, as_json: bool) -> None:
    """Make a recorded run again, from the same bars and inputs, and compare every fact.

    Nothing is written. Exit 4 names the first fact that comes out otherwise, exit 3 says that the
    bars are not those the run saw. The code may be another than then: what it says of that is
    whether it decides alike.

    \b
    Example:
      darwin replay btc-breakout
    """
    from darwin.bootstrap import code_version
    from darwin.bootstrap.books import rewire_book
    from darwin.bootstrap.recorded import rewire
    from darwin.cli.book_kept import again as again_of_book
    from darwin.cli.making import again
    from darwin.cli.tables import print_json
    from darwin.config.book import is_of_book
    from darwin.store.runs import find_begun

    with open_database(artifacts_dir, db) as database:
        run = find_begun(database, run_id)
        code = {"code_then": run.code_version, "code_now": code_version()}
        other = code["code_then"] != code["code_now"]
        try:
            if is_of_book(json.loads(run.identity.config_json)):
                again_of_book(rewire_book(run, artifacts_dir), database, run)
            else:
                again(rewire(run, artifacts_dir, database)[1], database, run)
        except IntegrityError as fault:
            if as_json:
                print_json({"run_id": run_id, "identical": False, "what": fault.what} | code)
            if other:
                fault.mend += f", this is {code['code_now']}"
            raise
    facts, head = run.place.facts, run.place.head.hex()
    if as_json:
        print_json({"run_id": run_id, "identical": True, "facts": facts, "head": head} | code)
        return
    click.echo(f"identical: {facts:,} facts, head {head}")
    if other:
        click.echo(
            f"made by code {code['code_then']}, this is {code['code_now']}: it decides alike"
        )


def check_run(
    run_id: str, artifacts_dir: str, db: str | None, audits: list[Audit] | None = None
) -> Checked:
    """Open the file and verify; what was made again of agents' decisions joins `audits`.

    Raises RecordError where even opening meets damage.
    """
    from darwin.store.verify import verify as check
    from darwin.trading.bookkeeping import Bookkeeping

    audits = [] if audits is None else audits

    def open_books(run: RunIdentity) -> list[Fold]:
        audits[:] = [_audit(run, artifacts_dir)]
        return [Bookkeeping(run.symbols), audits[0]]

    manifest = _manifest(run_id, artifacts_dir)
    with suppress(DamagedError), open_database(artifacts_dir, db) as database:
        return check(database, run_id, open_books, manifest)
    raise _unreadable(database_path(artifacts_dir, db))


def _audit(run: RunIdentity, artifacts_dir: str) -> Audit:
    """An audit with the models of the run's config, or without where these cannot be had."""
    from darwin.bootstrap.agents import agents_of, charters_of
    from darwin.bootstrap.books import audit_of_book
    from darwin.config.book import is_of_book
    from darwin.config.load import load_resolved
    from darwin.rl.serving.audit import Audit

    tree = json.loads(run.config_json) | {"artifacts_dir": artifacts_dir}
    if is_of_book(tree):
        return audit_of_book(tree, f"the recorded config of run '{run.run_id}'")
    try:
        config = load_resolved(tree, f"the recorded config of run '{run.run_id}'").config
    except ConfigError:
        return Audit(None)
    charters = charters_of(config)
    try:
        agents = agents_of(config)
    except ConfigError:
        return Audit(None, charters)
    return Audit(None if agents is None else agents.policies, charters)


def _unreadable(path: Path) -> RecordError:
    error = RecordError("cannot be read, nor can any other: the database is damaged", table="runs")
    error.where, error.mend = str(path), "put a backup of the database in its place"
    return error


def _manifest(run_id: str, artifacts_dir: str) -> bytes | None:
    """What the folder of the run says of it; None without one."""
    from darwin.config.values import SEGMENT

    if not SEGMENT.fullmatch(run_id):
        return None  # no run is called so, and no folder is looked into
    path = Path(artifacts_dir) / "runs" / run_id / "manifest.json"
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as fault:
        raise StorageError(
            f"cannot read the manifest of the run: {fault.strerror or fault}",
            where=str(path),
            mend="check its permissions, or name another place with --artifacts-dir",
        ) from fault


def _say(checked: Checked, audit: Audit) -> None:
    from darwin.cli.tables import count, print_table, terminal

    if checked.finished:
        click.echo(f"run '{checked.run_id}' is as it was recorded")
    else:
        click.echo(f"run '{checked.run_id}' is not finished; what is kept is as it was recorded")
    told = checked._asdict()
    numbers = ("facts", "checkpoints", "equity_marks", "alerts", "run_events", "acts")
    rows = [(name.replace("_", " "), count(told[name])) for name in numbers]
    rows.insert(1, ("head", checked.head))
    if audit.recomputed or audit.without_model:
        rows.append(("decisions made again", count(audit.recomputed)))
    if audit.without_model:
        rows.append(("not made again, their model is gone", count(audit.without_model)))
    if audit.older_schema:
        rows.append(("not made again, of other columns than today's", count(audit.older_schema)))
    rows.append(("manifest", "agrees" if checked.manifest else "none in the folder of the run"))
    print_table(terminal(), ("checked", ""), rows)


def _told(found: IntegrityError) -> dict[str, object]:
    """What was found, for a machine: table, place and candidate where a row is named."""
    named = found if isinstance(found, RecordError) else None
    return {
        "what": found.what,
        "table": (named.table if named else "") or None,
        "seq": named.seq if named else None,
        "candidate_id": (named.candidate_id if named else "") or None,
    }

"""Begin a run, or find how far it has come."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select

from darwin.config.compare import differences
from darwin.errors import ConfigError, IntegrityError
from darwin.store import chain, schema
from darwin.store.archived import archived_in
from darwin.store.db import Database
from darwin.store.queries import require_run
from darwin.store.rows import add_beside


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """What makes a run the same run; `config_json` is the resolved config as JSON."""

    run_id: str
    mode: str  # "replay" or "feed"
    config_json: str
    config_digest: str
    data_digest: str | None  # of all bars; None in a feed, whose bars are known as they come
    code_version: str
    symbols: tuple[str, ...]
    feature_names: tuple[str, ...]

    def genesis(self) -> bytes:
        """What the first fact of the run hangs on."""
        told = asdict(self)
        del told["config_json"]  # its digest stands for it, without names of folders
        return chain.genesis(told)


class Standing(Enum):
    """What the database knew of a run when it was to begin."""

    NEW = "new"
    UNFINISHED = "unfinished"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class Place:
    """How far a run is kept."""

    facts: int = 0  # acknowledged
    head: bytes = b""  # hash of the last of them, or the genesis
    reached: int | None = None  # open time of the last bar covered
    bars: int = 0  # of all symbols, up to there
    data_digest: str | None = None  # of those bars; None in a replay


@dataclass(frozen=True, slots=True)
class Begun:
    """A run that may go on: who it is, its number in this file, how far it is kept."""

    identity: RunIdentity  # as it was first begun
    number: int
    standing: Standing
    place: Place
    code_version: str  # that it goes on with

    @property
    def run_id(self) -> str:
        """Its name."""
        return self.identity.run_id


def begin_run(
    database: Database,
    run: RunIdentity,
    *,
    at: datetime,
    resume: bool = False,
    accept_code: bool = False,
) -> Begun:
    """Note that `run` begins or goes on, and say how it stood before.

    An unfinished one is only taken up with `resume`, and with other code only with `accept_code`;
    either is noted. Raises ConfigError when a run of that name was begun with another config, data
    or code, naming what differs, or is unfinished and not to be resumed.
    """
    with database.write() as connection:
        row = _row_of(connection, run.run_id)
        if row is None:
            return _begin(connection, run, at)
        begun = standing_of(connection, row)
        finished = begun.standing is Standing.FINISHED
        if finished or resume:
            what = _differing(replace(begun.identity, code_version=begun.code_version), run)
            if what and not (resume and accept_code and list(what) == ["code"]):
                raise _other(database, run.run_id, what, finished=finished)
        if finished:
            return begun
        if not resume:
            raise ConfigError(
                f"run '{run.run_id}' was begun and is not finished: {begun.place.facts:,} facts"
                " are kept",
                where=str(database.path),
                mend="go on with --resume, or give this one another run_id",
            )
        if run.code_version != begun.code_version:
            before, begun = begun.code_version, replace(begun, code_version=run.code_version)
            note(connection, begun, "code accepted", f"in place of {before}", at)
        note(connection, begun, "resumed", "", at)
        return begun


def find_begun(database: Database, run_id: str) -> Begun:
    """How run `run_id` stands. Raises ConfigError, suggesting the closest name, without one."""
    with database.read() as connection:
        return standing_of(connection, require_run(connection, database, run_id))


def is_finished(database: Database, run_id: str) -> bool:
    """Whether there is a run of that name that has come to its end."""
    with database.read() as connection:
        row = _row_of(connection, run_id)
        return row is not None and standing_of(connection, row).standing is Standing.FINISHED


def _begin(connection: Connection, run: RunIdentity, at: datetime) -> Begun:
    if moved := archived_in(connection, run.run_id):
        raise ConfigError(
            f"run '{run.run_id}' is finished and has moved into an archive",
            where=moved,
            mend="give this one another run_id; `--db` with that file shows the other",
        )
    last = connection.execute(select(func.max(schema.runs.c.number))).scalar()
    number = (last or 0) + 1
    row: dict[str, Any] = asdict(run) | {
        "number": number,
        "symbols": json.dumps(run.symbols),
        "feature_names": json.dumps(run.feature_names),
        "started_at": iso_time(at),
    }
    connection.execute(insert(schema.runs), row | {"seal": run_seal(row)})
    begun = Begun(run, number, Standing.NEW, Place(head=run.genesis()), run.code_version)
    note(connection, begun, "begun", "", at)
    return begun


def run_seal(row: dict[str, Any]) -> bytes:
    """The seal of a row of `runs`, over all its other columns."""
    [line] = chain.sealed_lines(schema.runs, {name: [value] for name, value in row.items()})
    return hashlib.sha256(line).digest()


def standing_of(connection: Connection, row: Row[Any]) -> Begun:
    """How the run of `row`, a row of `runs`, stands. Raises IntegrityError if it was changed."""
    if run_seal(dict(row._mapping)) != row.seal:
        raise IntegrityError(
            f"what run '{row.run_id}' is made of was changed",
            where="its row of runs",
            mend="put a backup of the database in its place",
        )
    identity = RunIdentity(
        row.run_id, row.mode, row.config_json, row.config_digest, row.data_digest,
        row.code_version, tuple(json.loads(row.symbols)), tuple(json.loads(row.feature_names)),
    )  # fmt: skip
    first, last = schema.id_range(row.number)
    mine = schema.checkpoints.c.id.between(first, last)
    kept = connection.execute(
        select(schema.checkpoints).where(mine).order_by(schema.checkpoints.c.id.desc()).limit(1)
    ).one_or_none()
    place = Place(head=identity.genesis())
    if kept is not None:
        place = Place(kept.facts, kept.head, kept.reached, kept.bars, kept.data_digest)
    events = connection.execute(
        select(schema.run_events)
        .where(schema.run_events.c.id.between(first, last))
        .order_by(schema.run_events.c.id)
    ).all()
    finished = any(event.kind == "finished" for event in events)
    code = [e.code_version for e in events if e.kind in {"begun", "code accepted"}]
    return Begun(
        identity,
        row.number,
        Standing.FINISHED if finished else Standing.UNFINISHED,
        place,
        code[-1] if code else identity.code_version,
    )


def note(connection: Connection, run: Begun, kind: str, detail: str, at: datetime) -> None:
    """Write down what happened to a run, at its place."""
    event = {
        "kind": kind,
        "facts": run.place.facts,
        "code_version": run.code_version,
        "detail": detail,
        "at": iso_time(at),
    }
    columns = {name: [value] for name, value in event.items()}
    add_beside(connection, schema.run_events, run.run_id, run.number, columns)


def _row_of(connection: Connection, run_id: str) -> Row[Any] | None:
    query = select(schema.runs).where(schema.runs.c.run_id == run_id)
    return connection.execute(query).one_or_none()


def iso_time(moment: datetime) -> str:
    """Write a moment of the wall clock as ISO 8601 in UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _other(database: Database, run_id: str, what: dict[str, str], *, finished: bool) -> ConfigError:
    mend = "give this one another run_id"
    if list(what) == ["code"] and not finished:
        mend = f"go on with that version, or accept this one with --accept-code, or {mend}"
    if list(what) == ["mode"]:
        with_feed = what["mode"].startswith("feed")
        mend = f"{'add' if with_feed else 'leave out'} --feed, or {mend}"
    told = ", another ".join(f"{name} ({how})" for name, how in what.items())
    return ConfigError(
        f"run '{run_id}' was {'finished' if finished else 'begun'} with another {told}",
        where=str(database.path),
        mend=mend,
    )


def _differing(stored: RunIdentity, given: RunIdentity) -> dict[str, str]:
    """Name what differs between two runs of one name, and how; empty when nothing does."""
    what = {}
    if stored.config_digest != given.config_digest:
        keys = differences(json.loads(stored.config_json), json.loads(given.config_json))
        what["config"] = ", ".join(keys) or "its digest"
    data = ("data", _short(stored.data_digest), _short(given.data_digest))
    for name, then, now in (
        ("mode", stored.mode, given.mode),
        *((data,) if stored.mode == given.mode else ()),  # a feed has no digest of all its bars
        ("code", stored.code_version, given.code_version),
    ):
        if then != now:
            what[name] = f"{then} then, {now} now"
    return what


def _short(digest: str | None) -> str:
    return "none" if digest is None else f"digest {digest[:12]}"

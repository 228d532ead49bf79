"""The worked-out run as one that can be verified, and ways to damage its file."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from darwin.config.compare import digest
from darwin.core.facts import RELEASE, Input
from darwin.engine.marks import daily_marks
from darwin.store import schema
from darwin.store.acts import ask
from darwin.store.db import connect
from darwin.store.export import export_lines
from darwin.store.journal import Journal
from darwin.store.runs import RunIdentity, begin_run, find_begun
from tests.store.conftest import IDS, NOW, facts_of, hour, identity, worked_out
from tests.store.outsider import CHAINED, rows

EVERY = ("runs", "run_events", "checkpoints", "acts", *CHAINED, "equity_marks", "alerts")
UNGUARDED = {"latency_us"}
"""By the wall clock, in no hash and no export: a change of it alone is not found, on purpose."""


def sound_identity(run_id: str = "one", **other: Any) -> RunIdentity:
    """An identity whose config has the digest it says."""
    made = identity(run_id, **other)
    told = digest(json.loads(made.config_json))
    return identity(run_id, **({"config_digest": told} | other))


def sound(path: Path, *run_ids: str, finished: bool = True) -> None:
    """Keep the worked-out run under each of these names, as a feed in which a person spoke."""
    taken = Input(3, IDS[3], hour(20), RELEASE, "Ada", "all is well")
    run = worked_out()
    for run_id in run_ids:
        with connect(path) as database:
            told = sound_identity(run_id, mode="feed", data_digest=None)
            journal = Journal(database, begin_run(database, told, at=NOW), run.playbooks)
            ask(database, run_id, RELEASE, by="Ada", reason="all is well", at=NOW)
            journal.append(facts_of(run, [taken]))
            if finished:
                journal.finish(daily_marks(run.equity))


def manifest_of(path: Path, run_id: str = "one") -> dict[str, Any]:
    """What the folder of a run says of it, as it is now."""
    with connect(path) as database:
        run = find_begun(database, run_id)
        assert len(list(export_lines(database, run))) == run.place.facts
    told = run.identity
    return {
        "run_id": run_id,
        "mode": told.mode,
        "code_version": told.code_version,
        "config_digest": told.config_digest,
        "data_digest": run.place.data_digest,
        "facts": run.place.facts,
        "head": run.place.head.hex(),
    }


def write_manifest(path: Path, told: dict[str, Any] | str, run_id: str = "one") -> None:
    """Put a manifest into the folder of a run of the deployment whose database is at `path`."""
    folder = path.parent.parent / "runs" / run_id
    folder.mkdir(parents=True, exist_ok=True)
    text = told if isinstance(told, str) else json.dumps(told)
    (folder / "manifest.json").write_text(text)


@contextmanager
def tampering(path: Path, *, loose: bool = False) -> Iterator[sqlite3.Connection]:
    """The file without the rules that SQLite keeps; `loose` also lets any type into any column."""
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA foreign_keys = OFF")
        raw.execute("PRAGMA ignore_check_constraints = ON")
        if loose:
            _loosen(raw, "STRICT", "/*    */")
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA ignore_check_constraints = ON")
        yield raw
        raw.commit()
        if loose:
            _loosen(raw, "/*    */", "STRICT")


def _loosen(raw: sqlite3.Connection, before: str, after: str) -> None:
    raw.execute("PRAGMA writable_schema = ON")
    raw.execute("UPDATE sqlite_master SET sql = replace(sql, ?, ?)", (before, after))
    raw.commit()


def folded(path: Path) -> None:
    """Bring all of the write-ahead log into the file itself, and let SQLite forget of it."""
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert not path.with_name(path.name + "-wal").exists()


def root_page(path: Path, name: str) -> range:
    """The bytes of the first page of a table or index."""
    (told,) = rows(path, "SELECT rootpage FROM sqlite_master WHERE name = ?", name)
    (size,) = rows(path, "PRAGMA page_size")
    return range((told["rootpage"] - 1) * size["page_size"], told["rootpage"] * size["page_size"])


def overwrite(path: Path, at: int, content: bytes) -> None:
    """Change bytes of the file."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


def copy_of(path: Path, folder: Path) -> Path:
    """A copy of a deployment that may be damaged."""
    shutil.copytree(path.parent.parent, folder)
    return folder / path.relative_to(path.parent.parent)


def columns(table: str) -> list[tuple[str, str, bool]]:
    """Name, type and nullability of what a table stores."""
    return [
        (column.name, str(column.type), bool(column.nullable))
        for column in schema.metadata.tables[table].c
        if column.name != "seq"
    ]

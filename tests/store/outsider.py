"""What anyone reads from the file with Python's own sqlite3, json and hashlib alone."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

CHAINED = (
    "inputs", "candidates", "verdicts", "orders", "fills", "outcomes", "safety_events",
    "agent_decisions",
)  # fmt: skip
OF_BOOKS = ("rebalances", "holdings")
"""Chained as well, in runs of books."""
BESIDE = ("run_events", "checkpoints", "equity_marks", "alerts")
LATER = {
    "inputs": {"agent_name", "detail"}, "safety_events": {"agent_name"},
    "verdicts": {"prompt_sha256", "input_tokens", "output_tokens"},
}  # fmt: skip
"""Columns that older rows do not have: in the line where they say something."""
GENESIS = (
    "run_id", "mode", "config_digest", "data_digest", "code_version", "symbols", "feature_names",
)  # fmt: skip


def rows(path: Path, sql: str, *values: object) -> list[dict[str, Any]]:
    """What a query finds, each row by the names of its columns."""
    with closing(sqlite3.connect(path)) as raw:
        raw.row_factory = sqlite3.Row
        return [dict(row) for row in raw.execute(sql, values)]


def tell(path: Path, sql: str, *values: object) -> None:
    """Change the file behind Darwin's back."""
    with closing(sqlite3.connect(path)) as raw:
        raw.execute(sql, values)
        raw.commit()


def tables(path: Path, *names: str) -> dict[str, list[dict[str, Any]]]:
    """All that stands in the tables `names`, in the order of their rows."""
    return {name: rows(path, f"SELECT * FROM {name} ORDER BY rowid") for name in names}


def facts(path: Path, run_id: str = "one") -> list[dict[str, Any]]:
    """The chained rows of a run by their ids, the name of their table under `fact`."""
    found = [
        {"fact": table} | row
        for table in (*CHAINED, *OF_BOOKS)
        for row in rows(path, f"SELECT * FROM {table} WHERE run_id = ?", run_id)
    ]
    return sorted(found, key=lambda row: row["id"])


def said(row: dict[str, Any]) -> dict[str, Any]:
    """What a chained row says, its table under `fact`."""
    late = LATER.get(row["fact"], set())
    return {
        key: value
        for key, value in row.items()
        if key not in LINKS and not (key in late and value is None)
    }


def hashes_by_hand(path: Path, run_id: str = "one") -> list[bytes]:
    """The hash that each fact of a run should carry, in the order of their ids."""
    (run,) = rows(path, "SELECT * FROM runs WHERE run_id = ?", run_id)
    run |= {name: json.loads(run[name]) for name in ("symbols", "feature_names")}
    head = sha256(plain({name: run[name] for name in GENESIS})).digest()
    hashes = []
    for row in facts(path, run_id):
        head = sha256(head + plain(said(row))).digest()
        hashes.append(head)
    return hashes


def seals_by_hand(path: Path, table: str, run_id: str = "one") -> list[bytes]:
    """The seal that each row beside the chain should carry."""
    seals, seal = [], b""
    for row in rows(path, f"SELECT * FROM {table} WHERE run_id = ? ORDER BY rowid", run_id):
        seal = sha256(seal + plain({"fact": table} | row, but="seal")).digest()
        seals.append(seal)
    return seals


def plain(row: dict[str, Any], *, but: str = "") -> bytes:
    """A row as the chain sees it."""
    shown = {k: v.hex() if isinstance(v, bytes) else v for k, v in row.items() if k != but}
    return json.dumps(shown, sort_keys=True, separators=(",", ":")).encode()


LINKS = ("id", "seq", "run_id", "hash", "prev_hash", "latency_us")

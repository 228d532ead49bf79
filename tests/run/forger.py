"""Change a fact and hash everything after it anew, as someone who may write the file could."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from hashlib import sha256

from tests.run.command import Desk
from tests.store.outsider import CHAINED, OF_BOOKS, hashes_by_hand, plain


def forge(desk: Desk, sql: str, run_id: str = "small") -> None:
    """Run `sql`, then make chain, checkpoints, seals and the last event agree with it."""
    path = desk.folder / "artifacts" / "rl_state" / "agent_state.sqlite"
    with closing(sqlite3.connect(path)) as raw:
        raw.row_factory = sqlite3.Row
        raw.execute(sql)
        raw.commit()
        hashes = hashes_by_hand(path, run_id)
        [number] = raw.execute("SELECT number FROM runs WHERE run_id = ?", (run_id,)).fetchone()
        base = number << 40
        for place, made in enumerate(hashes, start=1):
            for table in (*CHAINED, *OF_BOOKS):
                raw.execute(f"UPDATE {table} SET hash = ? WHERE id = ?", (made, base + place))
        for table in ("agent_decisions", "rebalances"):
            for (row,) in raw.execute(f"SELECT id FROM {table}").fetchall():
                place = row - base
                if place > 1:
                    raw.execute(
                        f"UPDATE {table} SET prev_hash = ? WHERE id = ?",
                        (hashes[place - 2], row),
                    )
        _seal(raw, "checkpoints", base, lambda row: {"head": hashes[row["facts"] - 1]})
        seals = {
            table: _last_seal(raw, table, base)
            for table in ("checkpoints", "equity_marks", "alerts")
        }
        end = json.dumps({"head": hashes[-1].hex(), **seals}, sort_keys=True)
        _seal(raw, "run_events", base,
              lambda row: {"detail": end} if row["kind"] == "finished" else {})  # fmt: skip
        raw.commit()


def _seal(raw: sqlite3.Connection, table: str, base: int, change: object) -> None:
    seal = b""
    rows = raw.execute(f"SELECT * FROM {table} WHERE id > ? AND id < ? ORDER BY id",
                       (base, base + (1 << 40))).fetchall()  # fmt: skip
    for row in rows:
        told = dict(row) | change(row)  # type: ignore[operator]
        seal = sha256(seal + plain({"fact": table} | told, but="seal")).digest()
        told["seal"] = seal
        columns = ", ".join(f'"{name}" = ?' for name in told)
        raw.execute(f"UPDATE {table} SET {columns} WHERE id = ?", (*told.values(), row["id"]))


def _last_seal(raw: sqlite3.Connection, table: str, base: int) -> str:
    found = raw.execute(f"SELECT seal FROM {table} WHERE id BETWEEN ? AND ? ORDER BY id DESC",
                        (base, base + (1 << 40))).fetchone()  # fmt: skip
    return found[0].hex() if found else ""

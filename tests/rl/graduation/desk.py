"""A database to put decisions into, row by row; a test names only what matters to it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from darwin.core.agents import Model
from darwin.core.market import DAY_MS, HOUR_MS
from darwin.store.db import Database, connect
from darwin.store.runs import iso_time
from darwin.store.schema import SEQ_BITS

START = 1_704_067_200_000  # 2024-01-01 00:00 UTC
NOW = datetime(2026, 1, 13, 9, 30, tzinfo=UTC)
OURS = Model("20260113_093000", "a" * 64)
OTHER = Model("20260106_093000", "b" * 64)
NOTHING = bytes(32)
RISK = {"mode": "paper", "portfolio": {"sizing": "risk", "risk_per_trade": 0.01}}


class Desk:
    """Runs and what was decided in them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database: Database = connect(path)
        self._numbers: dict[str, int] = {}
        self._seq: dict[str, int] = {}
        self._beside = 0

    def run(self, run_id: str = "one", mode: str = "feed", config: object = RISK) -> str:
        self._numbers[run_id] = number = len(self._numbers) + 1
        self._seq[run_id] = 0
        row = (run_id, number, mode, json.dumps(config), "c", "1", "[]", "[]", "2024", NOTHING)
        names = "run_id, number, mode, config_json, config_digest, code_version, symbols"
        self._insert("runs", f"{names}, feature_names, started_at, seal", [row])
        return run_id

    def decide(
        self, agent: str, days: float | Iterable[float], action: float | None, *, run: str = "one",
        take: int | None = None, r: float | None = None, status: str | None = None,
        reason: str = "observe", mode: str = "observe", model: Model = OURS, role: str = "serving",
        first: int | None = None, exit_days: float = 0.1,
        observation: bytes = b"", schema: str = "s" * 64,
    ) -> None:  # fmt: skip
        """A decision on a new candidate at each of `days`; `first`: on that candidate and so on."""
        some = [days] if isinstance(days, (int, float)) else list(days)
        status = "resolved" if status is None and r is not None else status
        decisions, verdicts, outcomes = [], [], []
        for place, day in enumerate(some):
            at = START + round(day * DAY_MS)
            number = self._next(run)
            candidate = f"{(number if first is None else first + place):016x}"
            decisions.append(
                (
                    number, run, candidate, agent, role, at, mode, action, 1.0, 1.0, 0, reason,
                    *model, schema, observation, NOTHING, NOTHING,
                )
            )  # fmt: skip
            if take is not None:
                said = (self._next(run), run, candidate, take, 0.5, 0.5, "[]", 0.0, NOTHING)
                verdicts.append(said)
            if status is not None:
                end = at + round(exit_days * DAY_MS) if status == "resolved" else None
                price, why = (1.0, "stop") if status == "resolved" else (None, None)
                outcomes.append(
                    (self._next(run), run, candidate, status, end, price, why, 0, r, NOTHING)
                )
        names = "id, run_id, candidate_id, "
        self._insert(
            "agent_decisions",
            names + "agent_name, role, bar_time, mode, action, baseline_action, final_action,"
            "followed, reason, model_version, model_sha256, feature_schema, observation, prev_hash,"
            "hash",
            decisions,
        )
        said = names + "take, confidence, quality, risk_flags, cost_usd, hash"
        self._insert("verdicts", said, verdicts)
        ends = names + "status, exit_time, exit_price, exit_reason, ambiguous, r, hash"
        self._insert("outcomes", ends, outcomes)

    def checkpoint(self, at: datetime, run: str = "one", reached: float | None = None) -> None:
        """All that was decided in `run` is kept at that moment of the wall clock.

        `reached`: in days, how far its bars go.
        """
        self._beside += 1
        bar = None if reached is None else START + round(reached * DAY_MS)
        row = (
            (self._numbers[run] << SEQ_BITS) + self._beside, run, self._seq[run], NOTHING, 0, bar,
            iso_time(at), NOTHING,
        )  # fmt: skip
        self._insert("checkpoints", "id, run_id, facts, head, bars, reached, at, seal", [row])

    def safety(self, agent: str, day: float, kind: str, detail: str, run: str = "one") -> None:
        at = START + round(day * DAY_MS)
        row = (self._next(run), run, at, kind, detail, agent, NOTHING)
        self._insert("safety_events", "id, run_id, time, kind, detail, agent_name, hash", [row])

    def alert(self, agent: str | None, day: float, kind: str, run: str = "one") -> None:
        self._beside += 1
        at = START + round(day * DAY_MS)
        number = (self._numbers[run] << SEQ_BITS) + self._beside
        row = (number, run, at, kind, agent, "told", NOTHING)
        self._insert("alerts", "id, run_id, time, kind, agent_name, detail, seal", [row])

    def rows(self, table: str) -> list[sqlite3.Row]:
        with closing(sqlite3.connect(self.path)) as raw:
            raw.row_factory = sqlite3.Row
            return list(raw.execute(f"SELECT * FROM {table} ORDER BY id"))

    def _next(self, run: str) -> int:
        self._seq[run] += 1
        return (self._numbers[run] << SEQ_BITS) + self._seq[run]

    def _insert(self, table: str, names: str, rows: list[tuple[object, ...]]) -> None:
        if rows:
            marks = ", ".join("?" * len(rows[0]))
            with closing(sqlite3.connect(self.path)) as raw, raw:
                raw.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)


def hours(day: float, count: int) -> list[float]:
    """So many hours from `day` on, in days."""
    return [day + hour * HOUR_MS / DAY_MS for hour in range(count)]


def later(**how: float) -> datetime:
    return NOW + timedelta(**how)

"""What the journal tells of the rows of a training, read a second time and by other code.

`dataset` joins tables with the query builder and keeps what training needs. Here one statement of
plain SQL fetches all that is on record of a candidate, and which rows there should be is reckoned
anew, so that a slip of one reader shows in the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sqlalchemy import text

from darwin.config.load import load_resolved
from darwin.config.model import RunConfig
from darwin.core.market import DAY_MS, FloatArray, IntArray, Timeframe
from darwin.rl.agents.spec import AgentSpec
from darwin.rl.training.dataset import Observe, Source
from darwin.rl.training.rows import Rows

_COLUMNS = {
    "c.candidate_id": pl.String, "c.symbol": pl.String, "c.playbook": pl.String,
    "c.side": pl.String, "c.bar_time": pl.Int64, "c.close": pl.Float64,
    "c.stop_distance": pl.Float64, "c.target_distance": pl.Float64,
    "c.time_stop_bars": pl.Float64, "c.trail_activation_r": pl.Float64,
    "c.trail_distance": pl.Float64, "c.anchor": pl.String, "c.features": pl.Binary,
    "v.take": pl.Float64, "v.confidence": pl.Float64, "v.quality": pl.Float64,
    "json_array_length(v.risk_flags) AS flags": pl.Float64, "v.cost_usd": pl.Float64,
    "o.status": pl.String, "o.entry_time": pl.Int64, "o.entry_price": pl.Float64,
    "o.stop_price": pl.Float64, "o.target_price": pl.Float64, "o.exit_time": pl.Int64,
    "o.exit_price": pl.Float64, "o.exit_reason": pl.String, "o.funding": pl.Float64,
    "o.r": pl.Float64, "d.observation": pl.Binary, "e.units AS units": pl.Float64,
    "e.price AS paid": pl.Float64, "e.mid_price AS paid_mid": pl.Float64,
    "e.stop_price AS first_stop": pl.Float64, "e.fee_usd AS entry_fee": pl.Float64,
    "x.price AS got": pl.Float64, "x.fee_usd AS exit_fee": pl.Float64,
    "x.funding_usd AS funding_usd": pl.Float64, "x.reason AS left_by": pl.String,
}  # fmt: skip
_SQL = f"""
    SELECT {", ".join(_COLUMNS)}
    FROM candidates c
    LEFT JOIN agent_decisions d ON d.run_id = c.run_id AND d.candidate_id = c.candidate_id
         AND d.agent_name = :agent AND d.role = 'serving'
    LEFT JOIN verdicts v ON v.run_id = c.run_id AND v.candidate_id = c.candidate_id
    LEFT JOIN outcomes o ON o.run_id = c.run_id AND o.candidate_id = c.candidate_id
    LEFT JOIN fills e ON e.run_id = c.run_id AND e.candidate_id = c.candidate_id
         AND e.kind = 'entry'
    LEFT JOIN fills x ON x.run_id = c.run_id AND x.candidate_id = c.candidate_id
         AND x.kind = 'exit'
    WHERE c.run_id = :run ORDER BY c.id
"""  # noqa: S608  nothing in it comes from outside
_FIRST_OPEN = """
    SELECT min(c.bar_time) FROM candidates c JOIN outcomes o USING (run_id, candidate_id)
    WHERE c.run_id = :run AND o.status = 'unresolved'
"""
_RUN = """
    SELECT r.config_json, r.feature_names, s.mode, s.data_digest, s.reached
    FROM runs r JOIN run_states s USING (run_id) WHERE run_id = :run
"""


@dataclass(frozen=True)
class Told:
    """What one run has on record of the rows that are its own, m of them."""

    run_id: str
    config: RunConfig
    data_digest: str  # of its bars, as its mode reckons it
    fed_until: int | None  # the last bar that it was fed, ms UTC; None: a replay of all its bars
    bar_ms: int
    feature_names: tuple[str, ...]
    asked: pl.DataFrame  # all that the agent was asked about, in the order of events
    facts: pl.DataFrame  # (m, …), those of them that are rows, in the same order
    place: IntArray  # (m,), where each stands among the rows of training, -1 where it does not

    def __getitem__(self, name: str) -> FloatArray:
        """A column of numbers, shape (m,), NaN where the record has NULL."""
        column: FloatArray = self.facts[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
        return column

    def is_(self, name: str, value: str) -> NDArray[np.bool_]:
        """Where a column of words says `value`, shape (m,)."""
        return np.array([word == value for word in self.facts[name]], dtype=np.bool_)

    @property
    def side(self) -> FloatArray:
        """1 for a long, -1 for a short, shape (m,)."""
        return np.where(self.is_("side", "long"), 1.0, -1.0)

    @property
    def features(self) -> FloatArray:
        """As recorded with the candidates, shape (m, features)."""
        return _matrix(self.facts["features"].to_list(), "<f8", len(self.feature_names))

    def observations(self, width: int) -> NDArray[np.float32]:
        """As the door stored them, shape (m, width)."""
        return _matrix(self.facts["observation"].to_list(), "<f4", width).astype(np.float32)


def read_told(
    page: AgentSpec,
    sources: Iterable[Source],
    rows: Rows,
    *,
    observe: Observe | None = None,
    last_days: float | None = None,
) -> tuple[Told, ...]:
    """What is on record of the rows that these runs should give, each row under its first run.

    `observe` and `last_days` are as for `dataset.read_rows`.
    """
    place = {one.decode(): at for at, one in enumerate(rows.ids.tolist())}
    seen: set[str] = set()
    told = []
    for source in sources:
        for run_id in source.run_ids:
            one = _of_run(page, source, run_id, place, seen, observe)
            seen.update(one.facts["candidate_id"])
            told.append(one)
    return tuple(told) if last_days is None else _the_last(told, last_days)


def _the_last(told: list[Told], days: float) -> tuple[Told, ...]:
    """Of all rows those decided in the `days` before the last decision."""
    decided = [one["bar_time"] + one.bar_ms for one in told]
    since = max((float(times.max()) for times in decided if len(times)), default=0.0)
    since -= days * DAY_MS
    return tuple(
        replace(
            one, facts=one.facts.filter(pl.Series(times > since)), place=one.place[times > since]
        )
        for one, times in zip(told, decided, strict=True)
    )


def _of_run(
    page: AgentSpec,
    source: Source,
    run_id: str,
    place: dict[str, int],
    seen: set[str],
    observe: Observe | None,
) -> Told:
    which = {"run": run_id, "agent": page.name}
    with source.database.read() as connection:
        found = connection.execute(text(_SQL), which).all()
        first_open = connection.execute(text(_FIRST_OPEN), {"run": run_id}).scalar_one()
        run = connection.execute(text(_RUN), {"run": run_id}).one()
    names = [name.rpartition(" AS ")[2].rpartition(".")[2] for name in _COLUMNS]
    schema = dict(zip(names, _COLUMNS.values(), strict=True))
    known = pl.DataFrame([tuple(row) for row in found], schema=schema, orient="row")
    if observe is not None and known["observation"].null_count() == len(known):
        shown = {key.decode(): raw for key, raw in observe(source.database, run_id).items()}
        would = [shown.get(candidate) for candidate in known["candidate_id"]]
        known = known.with_columns(pl.Series("observation", would, dtype=pl.Binary))
    asked = known.filter(pl.col("observation").is_not_null())
    finite = [bool(np.isfinite(np.frombuffer(raw, "<f4")).all()) for raw in asked["observation"]]
    facts = asked.filter(
        pl.Series(finite, dtype=pl.Boolean)
        & pl.col("take").is_not_null()
        & ~pl.col("candidate_id").is_in(list(seen))
        & (pl.lit(first_open is None) | (pl.col("bar_time") < (first_open or 0)))
    )
    config = load_resolved(json.loads(run.config_json), run_id).config
    return Told(
        run_id=run_id,
        config=config,
        data_digest=run.data_digest,
        fed_until=run.reached if run.mode == "feed" else None,
        bar_ms=Timeframe.parse(config.market.timeframe).ms,
        feature_names=tuple(json.loads(run.feature_names)),
        asked=asked,
        facts=facts,
        place=np.array([place.get(one, -1) for one in facts["candidate_id"]], dtype=np.int64),
    )


def _matrix(raw: list[bytes], kind: str, width: int) -> FloatArray:
    flat = np.frombuffer(b"".join(raw), dtype=kind).astype(np.float64)
    return flat.reshape(-1, width)

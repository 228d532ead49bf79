"""The tables of Darwin's database, as SQLAlchemy Core sees them.

The file itself is created and changed by the migrations beside this module alone; a test proves
that both say the same. All tables are STRICT, times are open times of bars in ms UTC, and `id` is
the order of recording, which within a run is the order of events.

SQLite has neither NaN nor a negative zero: a column that may be NULL says here what NULL means,
every other one refuses it, and -0.0 reads back as 0.0 (feature bytes keep theirs).
"""

from __future__ import annotations

from sqlalchemy import (
    BLOB,
    INTEGER,
    REAL,
    TEXT,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
)
from sqlalchemy.schema import SchemaItem

VERSION = "0001"
"""The revision this code reads and writes: the newest file in `migrations/versions`."""

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


def _fact(name: str, *items: SchemaItem) -> Table:
    """A table of facts: each belongs to a run, `id` is the order of recording."""
    return Table(
        name,
        metadata,
        Column("id", INTEGER, primary_key=True),
        Column("run_id", TEXT, nullable=False),
        *items,
        sqlite_strict=True,
    )


def _of_a_candidate() -> ForeignKeyConstraint:
    """The fact is about a candidate that the same run recorded."""
    return ForeignKeyConstraint(
        ["run_id", "candidate_id"], ["candidates.run_id", "candidates.candidate_id"]
    )


runs = Table(
    "runs",
    metadata,
    Column("run_id", TEXT, primary_key=True),
    Column("status", TEXT, nullable=False),
    Column("mode", TEXT, nullable=False),
    Column("config_json", TEXT, nullable=False),  # resolved: defaults, environment, --set
    Column("config_digest", TEXT, nullable=False),
    Column("data_digest", TEXT, nullable=False),
    Column("code_version", TEXT, nullable=False),
    Column("bars", INTEGER),  # of all symbols together; NULL until finished
    Column("feature_names", TEXT),  # JSON array, order of candidates.features; NULL until finished
    Column("started_at", TEXT, nullable=False),  # wall clock, ISO 8601 UTC; in no export
    Column("finished_at", TEXT),  # wall clock, ISO 8601 UTC; in no export
    CheckConstraint("status IN ('running', 'finished')", name="status"),
    CheckConstraint(
        "(status = 'finished') = (finished_at IS NOT NULL)"
        " AND (status = 'finished') = (bars IS NOT NULL)"
        " AND (status = 'finished') = (feature_names IS NOT NULL)",
        name="finished",
    ),
    sqlite_strict=True,
)

candidates = _fact(
    "candidates",
    Column("candidate_id", TEXT, nullable=False),  # 16 hex digits
    Column("symbol", TEXT, nullable=False),
    Column("playbook", TEXT, nullable=False),
    Column("side", TEXT, nullable=False),
    Column("bar_time", INTEGER, nullable=False),
    Column("close", REAL, nullable=False),
    Column("stop_distance", REAL, nullable=False),  # price units, like all distances
    Column("target_distance", REAL),  # NULL: no target
    Column("time_stop_bars", INTEGER),  # NULL: no time stop
    Column("trail_activation_r", REAL),  # NULL: no trailing stop
    Column("trail_distance", REAL),  # NULL: no trailing stop
    Column("anchor", TEXT, nullable=False),  # what the distances are measured from
    Column("stage", TEXT, nullable=False),  # where in the funnel it ended
    Column("reason", TEXT, nullable=False),  # the one reason it ended with
    Column("feature_version", TEXT, nullable=False),
    Column("features", BLOB, nullable=False),  # float64 little-endian
    ForeignKeyConstraint(["run_id"], ["runs.run_id"]),
    UniqueConstraint("run_id", "candidate_id"),
    Index("ix_candidates_ending", "run_id", "stage", "reason"),
    CheckConstraint("length(candidate_id) = 16", name="id"),
    CheckConstraint("side IN ('long', 'short')", name="side"),
    CheckConstraint("anchor IN ('signal', 'fill')", name="anchor"),
    CheckConstraint("length(features) % 8 = 0", name="features"),
)

verdicts = _fact(
    "verdicts",
    Column("candidate_id", TEXT, nullable=False),
    Column("take", INTEGER, nullable=False),  # 0 or 1
    Column("confidence", REAL, nullable=False),
    Column("quality", REAL, nullable=False),
    Column("risk_flags", TEXT, nullable=False),  # JSON array of strings
    Column("cost_usd", REAL, nullable=False),
    _of_a_candidate(),
    UniqueConstraint("run_id", "candidate_id"),
    CheckConstraint("take IN (0, 1)", name="take"),
    CheckConstraint("confidence BETWEEN 0 AND 1 AND quality BETWEEN 0 AND 1", name="share"),
)

orders = _fact(
    "orders",
    Column("candidate_id", TEXT, nullable=False),
    Column("kind", TEXT, nullable=False),  # a cancellation is a fact of its own
    Column("symbol", TEXT, nullable=False),
    Column("side", TEXT, nullable=False),
    Column("time", INTEGER, nullable=False),  # submitted: the signal's bar; cancelled: that bar
    Column("units", REAL, nullable=False),
    Column("price", REAL, nullable=False),  # the signal's close, from which the size was reckoned
    Column("clipped_by", TEXT, nullable=False),  # '' where nothing cut the full size
    Column("reason", TEXT),  # why cancelled; NULL on a submission
    _of_a_candidate(),
    UniqueConstraint("run_id", "candidate_id", "kind"),
    CheckConstraint("kind IN ('submitted', 'cancelled')", name="kind"),
    CheckConstraint("side IN ('long', 'short')", name="side"),
    CheckConstraint("(kind = 'cancelled') = (reason IS NOT NULL)", name="reason"),
)

fills = _fact(
    "fills",
    Column("candidate_id", TEXT, nullable=False),
    Column("kind", TEXT, nullable=False),
    Column("symbol", TEXT, nullable=False),
    Column("side", TEXT, nullable=False),  # of the position, not of the transaction
    Column("time", INTEGER, nullable=False),
    Column("phase", INTEGER, nullable=False),  # 0 open, 1 intrabar, 2 mark, 3 decide
    Column("units", REAL, nullable=False),
    Column("price", REAL, nullable=False),  # with half-spread and slippage
    Column("mid_price", REAL, nullable=False),  # without them
    Column("fee_usd", REAL, nullable=False),
    Column("funding_usd", REAL, nullable=False),
    Column("stop_price", REAL),  # the initial stop; NULL on an exit
    Column("reason", TEXT),  # why it left; NULL on an entry
    _of_a_candidate(),
    UniqueConstraint("run_id", "candidate_id", "kind"),
    CheckConstraint("kind IN ('entry', 'exit')", name="kind"),
    CheckConstraint("side IN ('long', 'short')", name="side"),
    CheckConstraint(
        "(kind = 'exit') = (reason IS NOT NULL) AND (kind = 'entry') = (stop_price IS NOT NULL)",
        name="exit",
    ),
)

outcomes = _fact(
    "outcomes",
    Column("candidate_id", TEXT, nullable=False),
    Column("status", TEXT, nullable=False),
    Column("entry_time", INTEGER),  # NULL: no next bar; also set where it gapped
    Column("entry_price", REAL),  # mid prices; NULL: not entered
    Column("stop_price", REAL),
    Column("target_price", REAL),  # NULL: no target, or not entered
    Column("exit_time", INTEGER),  # NULL, like all below: not resolved
    Column("exit_price", REAL),
    Column("exit_phase", INTEGER),
    Column("exit_reason", TEXT),
    Column("ambiguous", INTEGER, nullable=False),  # 1: that bar touched stop and target
    Column("funding", REAL),  # paid per unit between entry and exit, in quote currency
    Column("r", REAL),  # net of all costs
    _of_a_candidate(),
    UniqueConstraint("run_id", "candidate_id"),
    CheckConstraint("status IN ('resolved', 'gapped', 'unresolved')", name="status"),
    CheckConstraint("ambiguous IN (0, 1)", name="ambiguous"),
    CheckConstraint(
        "(status = 'resolved') = (r IS NOT NULL)"
        " AND (status = 'resolved') = (exit_time IS NOT NULL)"
        " AND (status = 'resolved') = (exit_price IS NOT NULL)"
        " AND (status = 'resolved') = (exit_reason IS NOT NULL)",
        name="resolved",
    ),
)

equity_marks = Table(
    "equity_marks",
    metadata,
    Column("run_id", TEXT, ForeignKey("runs.run_id"), nullable=False),
    Column("day", TEXT, nullable=False),  # UTC, YYYY-MM-DD
    Column("time", INTEGER, nullable=False),  # the day's last bar, marked at its close
    Column("equity_usd", REAL, nullable=False),
    Column("exposure_usd", REAL, nullable=False),
    Column("positions", INTEGER, nullable=False),
    PrimaryKeyConstraint("run_id", "day"),
    sqlite_strict=True,
)

safety_events = _fact(
    "safety_events",
    Column("time", INTEGER, nullable=False),
    Column("kind", TEXT, nullable=False),
    Column("detail", TEXT, nullable=False),
    ForeignKeyConstraint(["run_id"], ["runs.run_id"]),
    Index("ix_safety_events_run_id", "run_id"),
)

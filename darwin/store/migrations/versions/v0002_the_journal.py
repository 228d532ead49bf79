"""The journal: facts are chained, a run's events, checkpoints and marks sealed.

Runs of before have no chain, and one made up afterwards would prove nothing. Their tables are kept
as they are under names that begin with `before_0002_`; running such a run again records it anew.
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

_OLD = (
    "runs", "candidates", "verdicts", "orders", "fills", "outcomes", "equity_marks",
    "safety_events",
)  # fmt: skip
_OLD_INDEXES = ("ix_candidates_ending", "ix_safety_events_run_id")


def upgrade() -> None:
    """Put the old tables aside and make the new ones; `darwin.store.schema` says what they mean."""
    for index in _OLD_INDEXES:
        op.drop_index(index)
    for name in _OLD:
        op.rename_table(name, f"before_0002_{name}")
    for statement in _STATEMENTS:
        op.execute(statement)


_STATEMENTS = (
    """
CREATE TABLE runs (
    run_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    mode TEXT NOT NULL,
    config_json TEXT NOT NULL,
    config_digest TEXT NOT NULL,
    data_digest TEXT,
    code_version TEXT NOT NULL,
    symbols TEXT NOT NULL,
    feature_names TEXT NOT NULL,
    started_at TEXT NOT NULL,
    seal BLOB NOT NULL,
    CONSTRAINT pk_runs PRIMARY KEY (run_id),
    CONSTRAINT uq_runs UNIQUE (number),
    CONSTRAINT ck_runs_mode CHECK (mode IN ('replay', 'feed')),
    CONSTRAINT ck_runs_seal CHECK (length(seal) = 32)
)
 STRICT
    """,
    """
CREATE TABLE acts (
    id INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    "by" TEXT NOT NULL,
    reason TEXT NOT NULL,
    at TEXT NOT NULL,
    seal BLOB NOT NULL,
    CONSTRAINT pk_acts PRIMARY KEY (id),
    CONSTRAINT fk_acts_runs FOREIGN KEY(run_id) REFERENCES runs (run_id),
    CONSTRAINT ck_acts_kind CHECK (kind IN ('release')),
    CONSTRAINT ck_acts_seal CHECK (length(seal) = 32)
)
 STRICT
    """,
    """
CREATE TABLE candidates (
    id INTEGER NOT NULL,
    seq INTEGER GENERATED ALWAYS AS (id & 1099511627775) VIRTUAL,
    run_id TEXT NOT NULL,
    candidate_id TEXT NOT NULL,
    symbol TEXT NOT NULL,
    playbook TEXT NOT NULL,
    side TEXT NOT NULL,
    bar_time INTEGER NOT NULL,
    close REAL NOT NULL,
    stop_distance REAL NOT NULL,
    target_distance REAL,
    time_stop_bars INTEGER,
    trail_activation_r REAL,
    trail_distance REAL,
    anchor TEXT NOT NULL,
    stage TEXT,
    reason TEXT,
    feature_version TEXT NOT NULL,
    features BLOB NOT NULL,
    hash BLOB NOT NULL,
    CONSTRAINT pk_candidates PRIMARY KEY (id),
    CONSTRAINT fk_candidates_runs FOREIGN KEY(run_id) REFERENCES runs (run_id),
    CONSTRAINT uq_candidates UNIQUE (run_id, candidate_id),
    CONSTRAINT ck_candidates_id CHECK (length(candidate_id) = 16),
    CONSTRAINT ck_candidates_side CHECK (side IN ('long', 'short')),
    CONSTRAINT ck_candidates_anchor CHECK (anchor IN ('signal', 'fill')),
    CONSTRAINT ck_candidates_features CHECK (length(features) % 8 = 0),
    CONSTRAINT ck_candidates_ending CHECK ((stage IS NULL) = (reason IS NULL)),
    CONSTRAINT ck_candidates_hash CHECK (length(hash) = 32)
)
 STRICT
    """,
    """
CREATE INDEX ix_candidates_ending ON candidates (run_id, stage, reason)
    """,
    """
CREATE TABLE checkpoints (
    id INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    facts INTEGER NOT NULL,
    head BLOB NOT NULL,
    reached INTEGER,
    bars INTEGER NOT NULL,
    data_digest TEXT,
    at TEXT NOT NULL,
    seal BLOB NOT NULL,
    CONSTRAINT pk_checkpoints PRIMARY KEY (id),
    CONSTRAINT ck_checkpoints_head CHECK (length(head) = 32),
    CONSTRAINT fk_checkpoints_runs FOREIGN KEY(run_id) REFERENCES runs (run_id),
    CONSTRAINT ck_checkpoints_seal CHECK (length(seal) = 32)
)
 STRICT
    """,
    """
CREATE TABLE equity_marks (
    id INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    day TEXT NOT NULL,
    time INTEGER NOT NULL,
    equity_usd REAL NOT NULL,
    exposure_usd REAL NOT NULL,
    positions INTEGER NOT NULL,
    seal BLOB NOT NULL,
    CONSTRAINT pk_equity_marks PRIMARY KEY (id),
    CONSTRAINT uq_equity_marks UNIQUE (run_id, day),
    CONSTRAINT fk_equity_marks_runs FOREIGN KEY(run_id) REFERENCES runs (run_id),
    CONSTRAINT ck_equity_marks_seal CHECK (length(seal) = 32)
)
 STRICT
    """,
    """
CREATE TABLE inputs (
    id INTEGER NOT NULL,
    seq INTEGER GENERATED ALWAYS AS (id & 1099511627775) VIRTUAL,
    run_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    candidate_id TEXT NOT NULL,
    time INTEGER NOT NULL,
    "by" TEXT NOT NULL,
    reason TEXT NOT NULL,
    hash BLOB NOT NULL,
    CONSTRAINT pk_inputs PRIMARY KEY (id),
    CONSTRAINT fk_inputs_runs FOREIGN KEY(run_id) REFERENCES runs (run_id),
    CONSTRAINT ck_inputs_hash CHECK (length(hash) = 32)
)
 STRICT
    """,
    """
CREATE TABLE run_events (
    id INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    facts INTEGER NOT NULL,
    code_version TEXT NOT NULL,
    detail TEXT NOT NULL,
    at TEXT NOT NULL,
    seal BLOB NOT NULL,
    CONSTRAINT pk_run_events PRIMARY KEY (id),
    CONSTRAINT ck_run_events_kind CHECK (kind IN ('begun', 'resumed', 'code accepted', 'waited', 'finished')),
    CONSTRAINT fk_run_events_runs FOREIGN KEY(run_id) REFERENCES runs (run_id),
    CONSTRAINT ck_run_events_seal CHECK (length(seal) = 32)
)
 STRICT
    """,
    """
CREATE TABLE safety_events (
    id INTEGER NOT NULL,
    seq INTEGER GENERATED ALWAYS AS (id & 1099511627775) VIRTUAL,
    run_id TEXT NOT NULL,
    time INTEGER NOT NULL,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL,
    hash BLOB NOT NULL,
    CONSTRAINT pk_safety_events PRIMARY KEY (id),
    CONSTRAINT fk_safety_events_runs FOREIGN KEY(run_id) REFERENCES runs (run_id),
    CONSTRAINT ck_safety_events_hash CHECK (length(hash) = 32)
)
 STRICT
    """,
    """
CREATE INDEX ix_safety_events_run_id ON safety_events (run_id)
    """,
    """
CREATE TABLE fills (
    id INTEGER NOT NULL,
    seq INTEGER GENERATED ALWAYS AS (id & 1099511627775) VIRTUAL,
    run_id TEXT NOT NULL,
    candidate_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    symbol TEXT NOT NULL,
    side TEXT NOT NULL,
    time INTEGER NOT NULL,
    phase INTEGER NOT NULL,
    units REAL NOT NULL,
    price REAL NOT NULL,
    mid_price REAL NOT NULL,
    fee_usd REAL NOT NULL,
    funding_usd REAL NOT NULL,
    stop_price REAL,
    reason TEXT,
    hash BLOB NOT NULL,
    CONSTRAINT pk_fills PRIMARY KEY (id),
    CONSTRAINT fk_fills_candidates FOREIGN KEY(run_id, candidate_id) REFERENCES candidates (run_id, candidate_id),
    CONSTRAINT uq_fills UNIQUE (run_id, candidate_id, kind),
    CONSTRAINT ck_fills_kind CHECK (kind IN ('entry', 'exit')),
    CONSTRAINT ck_fills_side CHECK (side IN ('long', 'short')),
    CONSTRAINT ck_fills_exit CHECK ((kind = 'exit') = (reason IS NOT NULL) AND (kind = 'entry') = (stop_price IS NOT NULL)),
    CONSTRAINT ck_fills_hash CHECK (length(hash) = 32)
)
 STRICT
    """,
    """
CREATE TABLE orders (
    id INTEGER NOT NULL,
    seq INTEGER GENERATED ALWAYS AS (id & 1099511627775) VIRTUAL,
    run_id TEXT NOT NULL,
    candidate_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    symbol TEXT NOT NULL,
    side TEXT NOT NULL,
    time INTEGER NOT NULL,
    units REAL NOT NULL,
    price REAL NOT NULL,
    clipped_by TEXT NOT NULL,
    reason TEXT,
    hash BLOB NOT NULL,
    CONSTRAINT pk_orders PRIMARY KEY (id),
    CONSTRAINT fk_orders_candidates FOREIGN KEY(run_id, candidate_id) REFERENCES candidates (run_id, candidate_id),
    CONSTRAINT uq_orders UNIQUE (run_id, candidate_id, kind),
    CONSTRAINT ck_orders_kind CHECK (kind IN ('submitted', 'cancelled')),
    CONSTRAINT ck_orders_side CHECK (side IN ('long', 'short')),
    CONSTRAINT ck_orders_reason CHECK ((kind = 'cancelled') = (reason IS NOT NULL)),
    CONSTRAINT ck_orders_hash CHECK (length(hash) = 32)
)
 STRICT
    """,
    """
CREATE TABLE outcomes (
    id INTEGER NOT NULL,
    seq INTEGER GENERATED ALWAYS AS (id & 1099511627775) VIRTUAL,
    run_id TEXT NOT NULL,
    candidate_id TEXT NOT NULL,
    status TEXT NOT NULL,
    entry_time INTEGER,
    entry_price REAL,
    stop_price REAL,
    target_price REAL,
    exit_time INTEGER,
    exit_price REAL,
    exit_phase INTEGER,
    exit_reason TEXT,
    ambiguous INTEGER NOT NULL,
    funding REAL,
    r REAL,
    hash BLOB NOT NULL,
    CONSTRAINT pk_outcomes PRIMARY KEY (id),
    CONSTRAINT fk_outcomes_candidates FOREIGN KEY(run_id, candidate_id) REFERENCES candidates (run_id, candidate_id),
    CONSTRAINT uq_outcomes UNIQUE (run_id, candidate_id),
    CONSTRAINT ck_outcomes_status CHECK (status IN ('resolved', 'gapped', 'unresolved')),
    CONSTRAINT ck_outcomes_ambiguous CHECK (ambiguous IN (0, 1)),
    CONSTRAINT ck_outcomes_resolved CHECK ((status = 'resolved') = (r IS NOT NULL) AND (status = 'resolved') = (exit_time IS NOT NULL) AND (status = 'resolved') = (exit_price IS NOT NULL) AND (status = 'resolved') = (exit_reason IS NOT NULL)),
    CONSTRAINT ck_outcomes_hash CHECK (length(hash) = 32)
)
 STRICT
    """,
    """
CREATE TABLE verdicts (
    id INTEGER NOT NULL,
    seq INTEGER GENERATED ALWAYS AS (id & 1099511627775) VIRTUAL,
    run_id TEXT NOT NULL,
    candidate_id TEXT NOT NULL,
    take INTEGER NOT NULL,
    confidence REAL NOT NULL,
    quality REAL NOT NULL,
    risk_flags TEXT NOT NULL,
    cost_usd REAL NOT NULL,
    hash BLOB NOT NULL,
    CONSTRAINT pk_verdicts PRIMARY KEY (id),
    CONSTRAINT fk_verdicts_candidates FOREIGN KEY(run_id, candidate_id) REFERENCES candidates (run_id, candidate_id),
    CONSTRAINT uq_verdicts UNIQUE (run_id, candidate_id),
    CONSTRAINT ck_verdicts_take CHECK (take IN (0, 1)),
    CONSTRAINT ck_verdicts_share CHECK (confidence BETWEEN 0 AND 1 AND quality BETWEEN 0 AND 1),
    CONSTRAINT ck_verdicts_hash CHECK (length(hash) = 32)
)
 STRICT
    """,
    """CREATE VIEW endings AS
        SELECT c.run_id, c.candidate_id,
               CASE WHEN c.reason IS NOT NULL THEN c.stage
                    WHEN o.reason IS NOT NULL THEN 'entry'
                    WHEN f.id IS NOT NULL THEN 'taken' END AS stage,
               CASE WHEN c.reason IS NOT NULL THEN c.reason
                    WHEN o.reason IS NOT NULL THEN o.reason
                    WHEN f.id IS NOT NULL THEN 'taken' END AS reason
        FROM candidates AS c
        LEFT JOIN orders AS o ON c.reason IS NULL AND o.run_id = c.run_id
             AND o.candidate_id = c.candidate_id AND o.kind = 'cancelled'
        LEFT JOIN fills AS f ON c.reason IS NULL AND f.run_id = c.run_id
             AND f.candidate_id = c.candidate_id AND f.kind = 'entry'
""",
    """CREATE VIEW run_states AS
        SELECT r.run_id, r.mode, r.started_at,
               CASE WHEN e.id IS NULL THEN 'running' ELSE 'finished' END AS status,
               e.at AS finished_at,
               coalesce(c.facts, 0) AS facts, c.reached, coalesce(c.bars, 0) AS bars,
               coalesce(c.data_digest, r.data_digest) AS data_digest
        FROM runs AS r
        LEFT JOIN run_events AS e ON e.run_id = r.run_id AND e.kind = 'finished'
             AND e.id BETWEEN (r.number << 40) AND ((r.number + 1) << 40) - 1
        LEFT JOIN checkpoints AS c ON c.id =
             (SELECT max(id) FROM checkpoints
              WHERE id BETWEEN (r.number << 40) AND ((r.number + 1) << 40) - 1)
""",
)

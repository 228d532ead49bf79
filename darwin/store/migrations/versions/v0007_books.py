"""Runs of books: what was decided about them and what came of it; their agents in the logs.

Two tables are new. Five logs name the agents that they may be about: SQLite cannot change such a
rule, so each log is made anew and its rows are carried over as they are, seals and all.
"""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add tables, and widen logs; `darwin.store.schema` says what they mean."""
    for statement in _TABLES:
        op.execute(statement)
    for name, statement in _LOGS.items():
        op.execute(f"ALTER TABLE {name} RENAME TO {name}_of_before")
        op.execute(statement)
        columns = ", ".join(f'"{row[1]}"' for row in _columns(f"{name}_of_before"))
        op.execute(f"INSERT INTO {name} ({columns}) SELECT {columns} FROM {name}_of_before")  # noqa: S608
        op.execute(f"DROP TABLE {name}_of_before")


def _columns(table: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in op.get_bind().exec_driver_sql(f"PRAGMA table_info({table})")]


_TABLES = (
    """
CREATE TABLE rebalances (
    id INTEGER NOT NULL,
    seq INTEGER GENERATED ALWAYS AS (id & 1099511627775) VIRTUAL,
    run_id TEXT NOT NULL,
    rebalance_id TEXT NOT NULL,
    agent_name TEXT NOT NULL,
    role TEXT NOT NULL,
    bar_time INTEGER NOT NULL,
    mode TEXT NOT NULL,
    action BLOB,
    probability REAL,
    advised_weights BLOB,
    baseline_weights BLOB NOT NULL,
    final_weights BLOB NOT NULL,
    limited_by TEXT NOT NULL,
    followed INTEGER NOT NULL,
    reason TEXT NOT NULL,
    model_version TEXT,
    model_sha256 TEXT,
    feature_schema TEXT NOT NULL,
    observation BLOB NOT NULL,
    latency_us INTEGER,
    prev_hash BLOB NOT NULL,
    hash BLOB NOT NULL,
    CONSTRAINT pk_rebalances PRIMARY KEY (id),
    CONSTRAINT fk_rebalances_runs FOREIGN KEY(run_id) REFERENCES runs (run_id),
    CONSTRAINT uq_rebalances UNIQUE (run_id, agent_name, role, rebalance_id),
    CONSTRAINT ck_rebalances_agent CHECK (agent_name IN ('allocator', 'market')),
    CONSTRAINT ck_rebalances_id CHECK (length(rebalance_id) = 16),
    CONSTRAINT ck_rebalances_role CHECK (role IN ('serving', 'challenger')),
    CONSTRAINT ck_rebalances_mode CHECK (mode IN ('observe', 'active')),
    CONSTRAINT ck_rebalances_probability CHECK (probability IS NULL OR probability BETWEEN 0 AND 1),
    CONSTRAINT ck_rebalances_followed CHECK (followed IN (0, 1)),
    CONSTRAINT ck_rebalances_advice CHECK ((action IS NULL) = (advised_weights IS NULL)),
    CONSTRAINT ck_rebalances_weights CHECK (length(baseline_weights) % 8 = 0 AND length(final_weights) = length(baseline_weights)),
    CONSTRAINT ck_rebalances_observation CHECK (length(observation) % 4 = 0),
    CONSTRAINT ck_rebalances_hash CHECK (length(hash) = 32)
)
 STRICT
    """,
    """
CREATE TABLE holdings (
    id INTEGER NOT NULL,
    seq INTEGER GENERATED ALWAYS AS (id & 1099511627775) VIRTUAL,
    run_id TEXT NOT NULL,
    rebalance_id TEXT NOT NULL,
    agent_name TEXT NOT NULL,
    role TEXT NOT NULL,
    known_time INTEGER NOT NULL,
    advised_return REAL NOT NULL,
    baseline_returns BLOB NOT NULL,
    asset_returns BLOB NOT NULL,
    book_return REAL,
    turnover REAL,
    cost REAL,
    hash BLOB NOT NULL,
    CONSTRAINT pk_holdings PRIMARY KEY (id),
    CONSTRAINT fk_holdings_rebalances FOREIGN KEY(run_id, agent_name, role, rebalance_id) REFERENCES rebalances (run_id, agent_name, role, rebalance_id),
    CONSTRAINT uq_holdings UNIQUE (run_id, agent_name, role, rebalance_id),
    CONSTRAINT ck_holdings_returns CHECK (length(asset_returns) % 8 = 0),
    CONSTRAINT ck_holdings_hash CHECK (length(hash) = 32)
)
 STRICT
    """,
)

_LOGS = {
    "model_events": """
CREATE TABLE model_events (
    id INTEGER NOT NULL,
    agent_name TEXT NOT NULL,
    kind TEXT NOT NULL,
    version TEXT NOT NULL,
    manifest_sha256 TEXT NOT NULL,
    zip_sha256 TEXT NOT NULL,
    "by" TEXT NOT NULL,
    reason TEXT NOT NULL,
    at TEXT NOT NULL,
    seal BLOB NOT NULL,
    CONSTRAINT pk_model_events PRIMARY KEY (id),
    CONSTRAINT ck_model_events_agent CHECK (agent_name IN ('allocator', 'gate', 'market', 'meta_learner', 'portfolio')),
    CONSTRAINT ck_model_events_kind CHECK (kind IN ('deployed', 'adopted', 'challenging', 'rolled_back', 'withdrawn', 'pinned', 'unpinned', 'archived', 'removed')),
    CONSTRAINT ck_model_events_seal CHECK (length(seal) = 32)
)
 STRICT
    """,
    "graduation_events": """
CREATE TABLE graduation_events (
    id INTEGER NOT NULL,
    agent_name TEXT NOT NULL,
    kind TEXT NOT NULL,
    version TEXT NOT NULL,
    manifest_sha256 TEXT NOT NULL,
    scope TEXT NOT NULL,
    "by" TEXT NOT NULL,
    reason TEXT NOT NULL,
    override INTEGER NOT NULL,
    detail TEXT,
    at TEXT NOT NULL,
    seal BLOB NOT NULL,
    CONSTRAINT pk_graduation_events PRIMARY KEY (id),
    CONSTRAINT ck_graduation_events_agent CHECK (agent_name IN ('allocator', 'gate', 'market', 'meta_learner', 'portfolio')),
    CONSTRAINT ck_graduation_events_kind CHECK (kind IN ('promoted', 'demoted')),
    CONSTRAINT ck_graduation_events_override CHECK (override IN (0, 1)),
    CONSTRAINT ck_graduation_events_seal CHECK (length(seal) = 32)
)
 STRICT
    """,
    "rollout_events": """
CREATE TABLE rollout_events (
    id INTEGER NOT NULL,
    agent_name TEXT NOT NULL,
    stage REAL NOT NULL,
    "by" TEXT NOT NULL,
    reason TEXT NOT NULL,
    override INTEGER NOT NULL,
    scope TEXT,
    detail TEXT,
    at TEXT NOT NULL,
    seal BLOB NOT NULL,
    CONSTRAINT pk_rollout_events PRIMARY KEY (id),
    CONSTRAINT ck_rollout_events_agent CHECK (agent_name IN ('allocator', 'gate', 'market', 'meta_learner', 'portfolio')),
    CONSTRAINT ck_rollout_events_stage CHECK (stage BETWEEN 0 AND 1),
    CONSTRAINT ck_rollout_events_override CHECK (override IN (0, 1)),
    CONSTRAINT ck_rollout_events_seal CHECK (length(seal) = 32)
)
 STRICT
    """,
    "contracts": """
CREATE TABLE contracts (
    id INTEGER NOT NULL,
    agent_name TEXT NOT NULL,
    version TEXT NOT NULL,
    manifest_sha256 TEXT NOT NULL,
    scope TEXT NOT NULL,
    number INTEGER NOT NULL,
    entered INTEGER NOT NULL,
    terms TEXT NOT NULL,
    digest TEXT NOT NULL,
    "by" TEXT NOT NULL,
    reason TEXT NOT NULL,
    at TEXT NOT NULL,
    seal BLOB NOT NULL,
    CONSTRAINT pk_contracts PRIMARY KEY (id),
    CONSTRAINT ck_contracts_agent CHECK (agent_name IN ('allocator', 'gate', 'market', 'meta_learner', 'portfolio')),
    CONSTRAINT ck_contracts_number CHECK (number >= 1),
    CONSTRAINT ck_contracts_seal CHECK (length(seal) = 32)
)
 STRICT
    """,
    "trials": """
CREATE TABLE trials (
    id INTEGER NOT NULL,
    agent_name TEXT NOT NULL,
    kind TEXT NOT NULL,
    finished INTEGER NOT NULL,
    data_digest TEXT NOT NULL,
    plan_digest TEXT NOT NULL,
    algo TEXT NOT NULL,
    seed INTEGER NOT NULL,
    timesteps INTEGER NOT NULL,
    rows_from INTEGER NOT NULL,
    test_from INTEGER NOT NULL,
    rows_until INTEGER NOT NULL,
    gain_r REAL NOT NULL,
    sharpe REAL,
    "by" TEXT NOT NULL,
    at TEXT NOT NULL,
    seal BLOB NOT NULL,
    CONSTRAINT pk_trials PRIMARY KEY (id),
    CONSTRAINT ck_trials_agent CHECK (agent_name IN ('allocator', 'gate', 'market', 'meta_learner', 'portfolio')),
    CONSTRAINT ck_trials_kind CHECK (kind IN ('seed', 'search')),
    CONSTRAINT ck_trials_finished CHECK (finished IN (0, 1)),
    CONSTRAINT ck_trials_seal CHECK (length(seal) = 32)
)
 STRICT
    """,
}

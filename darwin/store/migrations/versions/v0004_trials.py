"""The log of trials: networks that were trained, and so looked at. Nothing of before changes."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the table; `darwin.store.schema` says what its columns mean."""
    op.execute(_STATEMENT)


_STATEMENT = """
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
    CONSTRAINT ck_trials_agent CHECK (agent_name IN ('gate', 'meta_learner', 'portfolio')),
    CONSTRAINT ck_trials_kind CHECK (kind IN ('seed', 'search')),
    CONSTRAINT ck_trials_finished CHECK (finished IN (0, 1)),
    CONSTRAINT ck_trials_seal CHECK (length(seal) = 32)
)
 STRICT
"""

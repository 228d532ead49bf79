"""The service: its tokens, acts, schedules, notices and jobs; a cap on positions beside a stage.

Nothing of before changes: the new column is empty in old rows and no part of their lines.
"""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add tables and a column; `darwin.store.schema` says what they mean."""
    for statement in _STATEMENTS:
        op.execute(statement)


_STATEMENTS = (
    "ALTER TABLE rollout_events ADD COLUMN max_position_usd REAL",
    """
CREATE TABLE tokens (
    id INTEGER NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    "by" TEXT NOT NULL,
    at TEXT NOT NULL,
    seal BLOB NOT NULL,
    CONSTRAINT pk_tokens PRIMARY KEY (id),
    CONSTRAINT ck_tokens_kind CHECK (kind IN ('created', 'revoked')),
    CONSTRAINT ck_tokens_role CHECK (role IN ('viewer', 'operator')),
    CONSTRAINT ck_tokens_sha256 CHECK (length(sha256) = 64),
    CONSTRAINT ck_tokens_seal CHECK (length(seal) = 32)
)
 STRICT
    """,
    """
CREATE TABLE service_acts (
    id INTEGER NOT NULL,
    act TEXT NOT NULL,
    "by" TEXT NOT NULL,
    role TEXT NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    status INTEGER NOT NULL,
    at TEXT NOT NULL,
    seal BLOB NOT NULL,
    CONSTRAINT pk_service_acts PRIMARY KEY (id),
    CONSTRAINT ck_service_acts_status CHECK (status BETWEEN 100 AND 599),
    CONSTRAINT ck_service_acts_seal CHECK (length(seal) = 32)
)
 STRICT
    """,
    """
CREATE TABLE schedule_events (
    id INTEGER NOT NULL,
    agent_name TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    cron TEXT,
    interval_days INTEGER,
    timezone TEXT NOT NULL,
    last_days REAL NOT NULL,
    timesteps INTEGER NOT NULL,
    "by" TEXT NOT NULL,
    reason TEXT NOT NULL,
    at TEXT NOT NULL,
    seal BLOB NOT NULL,
    CONSTRAINT pk_schedule_events PRIMARY KEY (id),
    CONSTRAINT ck_schedule_events_agent CHECK (agent_name IN ('allocator', 'gate', 'market', 'meta_learner', 'portfolio')),
    CONSTRAINT ck_schedule_events_enabled CHECK (enabled IN (0, 1)),
    CONSTRAINT ck_schedule_events_pace CHECK ((cron IS NULL) <> (interval_days IS NULL)),
    CONSTRAINT ck_schedule_events_interval CHECK (interval_days IS NULL OR interval_days BETWEEN 1 AND 366),
    CONSTRAINT ck_schedule_events_seal CHECK (length(seal) = 32)
)
 STRICT
    """,
    """
CREATE TABLE notices (
    id INTEGER NOT NULL,
    "key" TEXT NOT NULL,
    severity TEXT NOT NULL,
    text TEXT NOT NULL,
    sent INTEGER NOT NULL,
    detail TEXT NOT NULL,
    at TEXT NOT NULL,
    seal BLOB NOT NULL,
    CONSTRAINT pk_notices PRIMARY KEY (id),
    CONSTRAINT ck_notices_severity CHECK (severity IN ('info', 'warning', 'critical')),
    CONSTRAINT ck_notices_sent CHECK (sent IN (0, 1)),
    CONSTRAINT ck_notices_seal CHECK (length(seal) = 32)
)
 STRICT
    """,
    """
CREATE TABLE jobs (
    id INTEGER NOT NULL,
    kind TEXT NOT NULL,
    lane TEXT NOT NULL,
    agent_name TEXT,
    period TEXT,
    words TEXT NOT NULL,
    "by" TEXT NOT NULL,
    reason TEXT NOT NULL,
    state TEXT NOT NULL,
    queued_at TEXT NOT NULL,
    started_at TEXT,
    ended_at TEXT,
    worker TEXT,
    lease_until TEXT,
    attempts INTEGER NOT NULL,
    stop INTEGER NOT NULL,
    progress TEXT NOT NULL,
    exit_code INTEGER,
    message TEXT NOT NULL,
    CONSTRAINT pk_jobs PRIMARY KEY (id),
    CONSTRAINT uq_jobs UNIQUE (kind, agent_name, period),
    CONSTRAINT ck_jobs_state CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    CONSTRAINT ck_jobs_stop CHECK (stop IN (0, 1)),
    CONSTRAINT ck_jobs_worker CHECK ((state = 'running') <= (worker IS NOT NULL))
)
 STRICT
    """,
    "CREATE UNIQUE INDEX ix_jobs_lane ON jobs (lane) WHERE state = 'running'",
)

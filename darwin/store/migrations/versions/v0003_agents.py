"""Learned agents: their decisions, the logs of their models, promotions and stages, kill switch.

Nothing of before changes: new columns are empty in old rows and no part of their lines.
"""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add tables and columns; `darwin.store.schema` says what they mean."""
    for statement in _STATEMENTS:
        op.execute(statement)


_STATEMENTS = (
    "ALTER TABLE inputs ADD COLUMN agent_name TEXT",
    "ALTER TABLE inputs ADD COLUMN detail TEXT",
    "ALTER TABLE safety_events ADD COLUMN agent_name TEXT",
    """
CREATE TABLE agent_decisions (
    id INTEGER NOT NULL,
    seq INTEGER GENERATED ALWAYS AS (id & 1099511627775) VIRTUAL,
    run_id TEXT NOT NULL,
    candidate_id TEXT NOT NULL,
    agent_name TEXT NOT NULL,
    role TEXT NOT NULL,
    bar_time INTEGER NOT NULL,
    mode TEXT NOT NULL,
    action REAL,
    probability REAL,
    baseline_action REAL NOT NULL,
    final_action REAL NOT NULL,
    followed INTEGER NOT NULL,
    reason TEXT NOT NULL,
    model_version TEXT,
    model_sha256 TEXT,
    feature_schema TEXT NOT NULL,
    observation BLOB NOT NULL,
    latency_us INTEGER,
    prev_hash BLOB NOT NULL,
    hash BLOB NOT NULL,
    CONSTRAINT pk_agent_decisions PRIMARY KEY (id),
    CONSTRAINT fk_agent_decisions_candidates FOREIGN KEY(run_id, candidate_id) REFERENCES candidates (run_id, candidate_id),
    CONSTRAINT uq_agent_decisions UNIQUE (run_id, agent_name, role, candidate_id),
    CONSTRAINT ck_agent_decisions_agent CHECK (agent_name IN ('gate', 'meta_learner', 'portfolio')),
    CONSTRAINT ck_agent_decisions_role CHECK (role IN ('serving', 'challenger')),
    CONSTRAINT ck_agent_decisions_mode CHECK (mode IN ('observe', 'active')),
    CONSTRAINT ck_agent_decisions_share CHECK (final_action BETWEEN 0 AND 1),
    CONSTRAINT ck_agent_decisions_probability CHECK (probability IS NULL OR probability BETWEEN 0 AND 1),
    CONSTRAINT ck_agent_decisions_followed CHECK (followed IN (0, 1)),
    CONSTRAINT ck_agent_decisions_observation CHECK (length(observation) % 4 = 0),
    CONSTRAINT ck_agent_decisions_hash CHECK (length(hash) = 32)
)
 STRICT
    """,
    """
CREATE TABLE alerts (
    id INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    time INTEGER NOT NULL,
    kind TEXT NOT NULL,
    agent_name TEXT,
    detail TEXT NOT NULL,
    seal BLOB NOT NULL,
    CONSTRAINT pk_alerts PRIMARY KEY (id),
    CONSTRAINT fk_alerts_runs FOREIGN KEY(run_id) REFERENCES runs (run_id),
    CONSTRAINT ck_alerts_seal CHECK (length(seal) = 32)
)
 STRICT
    """,
    """
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
    CONSTRAINT ck_model_events_agent CHECK (agent_name IN ('gate', 'meta_learner', 'portfolio')),
    CONSTRAINT ck_model_events_kind CHECK (kind IN ('deployed', 'adopted', 'challenging', 'rolled_back', 'withdrawn', 'pinned', 'unpinned', 'archived', 'removed')),
    CONSTRAINT ck_model_events_seal CHECK (length(seal) = 32)
)
 STRICT
    """,
    """
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
    at TEXT NOT NULL,
    seal BLOB NOT NULL,
    CONSTRAINT pk_graduation_events PRIMARY KEY (id),
    CONSTRAINT ck_graduation_events_agent CHECK (agent_name IN ('gate', 'meta_learner', 'portfolio')),
    CONSTRAINT ck_graduation_events_kind CHECK (kind IN ('promoted', 'demoted')),
    CONSTRAINT ck_graduation_events_override CHECK (override IN (0, 1)),
    CONSTRAINT ck_graduation_events_seal CHECK (length(seal) = 32)
)
 STRICT
    """,
    """
CREATE TABLE rollout_events (
    id INTEGER NOT NULL,
    agent_name TEXT NOT NULL,
    stage REAL NOT NULL,
    "by" TEXT NOT NULL,
    reason TEXT NOT NULL,
    override INTEGER NOT NULL,
    at TEXT NOT NULL,
    seal BLOB NOT NULL,
    CONSTRAINT pk_rollout_events PRIMARY KEY (id),
    CONSTRAINT ck_rollout_events_agent CHECK (agent_name IN ('gate', 'meta_learner', 'portfolio')),
    CONSTRAINT ck_rollout_events_stage CHECK (stage BETWEEN 0 AND 1),
    CONSTRAINT ck_rollout_events_override CHECK (override IN (0, 1)),
    CONSTRAINT ck_rollout_events_seal CHECK (length(seal) = 32)
)
 STRICT
    """,
    """
CREATE TABLE kill_events (
    id INTEGER NOT NULL,
    kind TEXT NOT NULL,
    "by" TEXT NOT NULL,
    reason TEXT NOT NULL,
    at TEXT NOT NULL,
    seal BLOB NOT NULL,
    CONSTRAINT pk_kill_events PRIMARY KEY (id),
    CONSTRAINT ck_kill_events_kind CHECK (kind IN ('on', 'off')),
    CONSTRAINT ck_kill_events_seal CHECK (length(seal) = 32)
)
 STRICT
    """,
    """
CREATE VIEW decisions_with_outcomes AS
        SELECT d.run_id, d.seq, d.agent_name, d.role, d.candidate_id, d.bar_time, d.mode, d.action,
               d.probability, d.baseline_action, d.final_action, d.followed, d.reason,
               d.model_version, v.take, o.status, o.exit_time, o.r
        FROM agent_decisions AS d
        LEFT JOIN verdicts AS v ON v.run_id = d.run_id AND v.candidate_id = d.candidate_id
        LEFT JOIN outcomes AS o ON o.run_id = d.run_id AND o.candidate_id = d.candidate_id
    """,
)

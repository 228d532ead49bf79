"""Contracts of graduation; what promotions and stages rest on, and whose stages they are.

Nothing of before changes: new columns are empty in old rows and no part of their lines.
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add table and columns; `darwin.store.schema` says what they mean."""
    for statement in _STATEMENTS:
        op.execute(statement)


_STATEMENTS = (
    "ALTER TABLE graduation_events ADD COLUMN detail TEXT",
    "ALTER TABLE rollout_events ADD COLUMN scope TEXT",
    "ALTER TABLE rollout_events ADD COLUMN detail TEXT",
    """
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
    CONSTRAINT ck_contracts_agent CHECK (agent_name IN ('gate', 'meta_learner', 'portfolio')),
    CONSTRAINT ck_contracts_number CHECK (number >= 1),
    CONSTRAINT ck_contracts_seal CHECK (length(seal) = 32)
)
 STRICT
    """,
)

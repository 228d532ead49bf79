"""What experts that are models were asked and answered; the bars that runs on paper were fed.

Nothing of before changes: new columns are empty in old rows and no part of their lines.
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add tables and columns; `darwin.store.schema` says what they mean."""
    for statement in _STATEMENTS:
        op.execute(statement)


_STATEMENTS = (
    "ALTER TABLE verdicts ADD COLUMN prompt_sha256 TEXT",
    "ALTER TABLE verdicts ADD COLUMN input_tokens INTEGER",
    "ALTER TABLE verdicts ADD COLUMN output_tokens INTEGER",
    "ALTER TABLE verdicts ADD COLUMN latency_us INTEGER",
    """
CREATE TABLE llm_calls (
    id INTEGER NOT NULL,
    kind TEXT NOT NULL,
    run_id TEXT NOT NULL,
    candidate_id TEXT NOT NULL,
    request_sha256 TEXT NOT NULL,
    model TEXT NOT NULL,
    text TEXT NOT NULL,
    input_tokens INTEGER,
    output_tokens INTEGER,
    usd REAL NOT NULL,
    latency_us INTEGER,
    at TEXT NOT NULL,
    seal BLOB NOT NULL,
    CONSTRAINT pk_llm_calls PRIMARY KEY (id),
    CONSTRAINT ck_llm_calls_kind CHECK (kind IN ('charged', 'answered', 'failed')),
    CONSTRAINT ck_llm_calls_request CHECK (length(request_sha256) = 64),
    CONSTRAINT ck_llm_calls_seal CHECK (length(seal) = 32)
)
 STRICT
    """,
    """
CREATE TABLE bars (
    id INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    symbol TEXT NOT NULL,
    time INTEGER NOT NULL,
    open REAL NOT NULL,
    high REAL NOT NULL,
    low REAL NOT NULL,
    close REAL NOT NULL,
    volume REAL,
    stale INTEGER NOT NULL,
    at TEXT NOT NULL,
    seal BLOB NOT NULL,
    CONSTRAINT pk_bars PRIMARY KEY (id),
    CONSTRAINT uq_bars UNIQUE (run_id, symbol, time),
    CONSTRAINT ck_bars_stale CHECK (stale IN (0, 1)),
    CONSTRAINT fk_bars_runs FOREIGN KEY(run_id) REFERENCES runs (run_id),
    CONSTRAINT ck_bars_seal CHECK (length(seal) = 32)
)
 STRICT
    """,
)

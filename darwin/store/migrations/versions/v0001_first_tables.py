"""The first tables: a run, its candidates, and everything that became of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create them all; what the columns mean stands in `darwin.store.schema`."""
    op.create_table(
        "runs",
        sa.Column("run_id", sa.TEXT(), nullable=False),
        sa.Column("status", sa.TEXT(), nullable=False),
        sa.Column("mode", sa.TEXT(), nullable=False),
        sa.Column("config_json", sa.TEXT(), nullable=False),
        sa.Column("config_digest", sa.TEXT(), nullable=False),
        sa.Column("data_digest", sa.TEXT(), nullable=False),
        sa.Column("code_version", sa.TEXT(), nullable=False),
        sa.Column("bars", sa.INTEGER(), nullable=True),
        sa.Column("feature_names", sa.TEXT(), nullable=True),
        sa.Column("started_at", sa.TEXT(), nullable=False),
        sa.Column("finished_at", sa.TEXT(), nullable=True),
        sa.CheckConstraint(
            "(status = 'finished') = (finished_at IS NOT NULL)"
            " AND (status = 'finished') = (bars IS NOT NULL)"
            " AND (status = 'finished') = (feature_names IS NOT NULL)",
            name=op.f("ck_runs_finished"),
        ),
        sa.CheckConstraint("status IN ('running', 'finished')", name=op.f("ck_runs_status")),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_runs")),
        sqlite_strict=True,
    )
    op.create_table(
        "candidates",
        sa.Column("id", sa.INTEGER(), nullable=False),
        sa.Column("run_id", sa.TEXT(), nullable=False),
        sa.Column("candidate_id", sa.TEXT(), nullable=False),
        sa.Column("symbol", sa.TEXT(), nullable=False),
        sa.Column("playbook", sa.TEXT(), nullable=False),
        sa.Column("side", sa.TEXT(), nullable=False),
        sa.Column("bar_time", sa.INTEGER(), nullable=False),
        sa.Column("close", sa.REAL(), nullable=False),
        sa.Column("stop_distance", sa.REAL(), nullable=False),
        sa.Column("target_distance", sa.REAL(), nullable=True),
        sa.Column("time_stop_bars", sa.INTEGER(), nullable=True),
        sa.Column("trail_activation_r", sa.REAL(), nullable=True),
        sa.Column("trail_distance", sa.REAL(), nullable=True),
        sa.Column("anchor", sa.TEXT(), nullable=False),
        sa.Column("stage", sa.TEXT(), nullable=False),
        sa.Column("reason", sa.TEXT(), nullable=False),
        sa.Column("feature_version", sa.TEXT(), nullable=False),
        sa.Column("features", sa.BLOB(), nullable=False),
        sa.CheckConstraint("anchor IN ('signal', 'fill')", name=op.f("ck_candidates_anchor")),
        sa.CheckConstraint("side IN ('long', 'short')", name=op.f("ck_candidates_side")),
        sa.CheckConstraint("length(candidate_id) = 16", name=op.f("ck_candidates_id")),
        sa.CheckConstraint("length(features) % 8 = 0", name=op.f("ck_candidates_features")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name=op.f("fk_candidates_runs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_candidates")),
        sa.UniqueConstraint("run_id", "candidate_id", name=op.f("uq_candidates")),
        sqlite_strict=True,
    )
    op.create_index("ix_candidates_ending", "candidates", ["run_id", "stage", "reason"])
    op.create_table(
        "equity_marks",
        sa.Column("run_id", sa.TEXT(), nullable=False),
        sa.Column("day", sa.TEXT(), nullable=False),
        sa.Column("time", sa.INTEGER(), nullable=False),
        sa.Column("equity_usd", sa.REAL(), nullable=False),
        sa.Column("exposure_usd", sa.REAL(), nullable=False),
        sa.Column("positions", sa.INTEGER(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name=op.f("fk_equity_marks_runs")),
        sa.PrimaryKeyConstraint("run_id", "day", name=op.f("pk_equity_marks")),
        sqlite_strict=True,
    )
    op.create_table(
        "safety_events",
        sa.Column("id", sa.INTEGER(), nullable=False),
        sa.Column("run_id", sa.TEXT(), nullable=False),
        sa.Column("time", sa.INTEGER(), nullable=False),
        sa.Column("kind", sa.TEXT(), nullable=False),
        sa.Column("detail", sa.TEXT(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name=op.f("fk_safety_events_runs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_safety_events")),
        sqlite_strict=True,
    )
    op.create_index("ix_safety_events_run_id", "safety_events", ["run_id"], unique=False)
    op.create_table(
        "fills",
        sa.Column("id", sa.INTEGER(), nullable=False),
        sa.Column("run_id", sa.TEXT(), nullable=False),
        sa.Column("candidate_id", sa.TEXT(), nullable=False),
        sa.Column("kind", sa.TEXT(), nullable=False),
        sa.Column("symbol", sa.TEXT(), nullable=False),
        sa.Column("side", sa.TEXT(), nullable=False),
        sa.Column("time", sa.INTEGER(), nullable=False),
        sa.Column("phase", sa.INTEGER(), nullable=False),
        sa.Column("units", sa.REAL(), nullable=False),
        sa.Column("price", sa.REAL(), nullable=False),
        sa.Column("mid_price", sa.REAL(), nullable=False),
        sa.Column("fee_usd", sa.REAL(), nullable=False),
        sa.Column("funding_usd", sa.REAL(), nullable=False),
        sa.Column("stop_price", sa.REAL(), nullable=True),
        sa.Column("reason", sa.TEXT(), nullable=True),
        sa.CheckConstraint(
            "(kind = 'exit') = (reason IS NOT NULL)"
            " AND (kind = 'entry') = (stop_price IS NOT NULL)",
            name=op.f("ck_fills_exit"),
        ),
        sa.CheckConstraint("kind IN ('entry', 'exit')", name=op.f("ck_fills_kind")),
        sa.CheckConstraint("side IN ('long', 'short')", name=op.f("ck_fills_side")),
        sa.ForeignKeyConstraint(
            ["run_id", "candidate_id"],
            ["candidates.run_id", "candidates.candidate_id"],
            name=op.f("fk_fills_candidates"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fills")),
        sa.UniqueConstraint("run_id", "candidate_id", "kind", name=op.f("uq_fills")),
        sqlite_strict=True,
    )
    op.create_table(
        "orders",
        sa.Column("id", sa.INTEGER(), nullable=False),
        sa.Column("run_id", sa.TEXT(), nullable=False),
        sa.Column("candidate_id", sa.TEXT(), nullable=False),
        sa.Column("kind", sa.TEXT(), nullable=False),
        sa.Column("symbol", sa.TEXT(), nullable=False),
        sa.Column("side", sa.TEXT(), nullable=False),
        sa.Column("time", sa.INTEGER(), nullable=False),
        sa.Column("units", sa.REAL(), nullable=False),
        sa.Column("price", sa.REAL(), nullable=False),
        sa.Column("clipped_by", sa.TEXT(), nullable=False),
        sa.Column("reason", sa.TEXT(), nullable=True),
        sa.CheckConstraint(
            "(kind = 'cancelled') = (reason IS NOT NULL)", name=op.f("ck_orders_reason")
        ),
        sa.CheckConstraint("kind IN ('submitted', 'cancelled')", name=op.f("ck_orders_kind")),
        sa.CheckConstraint("side IN ('long', 'short')", name=op.f("ck_orders_side")),
        sa.ForeignKeyConstraint(
            ["run_id", "candidate_id"],
            ["candidates.run_id", "candidates.candidate_id"],
            name=op.f("fk_orders_candidates"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orders")),
        sa.UniqueConstraint("run_id", "candidate_id", "kind", name=op.f("uq_orders")),
        sqlite_strict=True,
    )
    op.create_table(
        "outcomes",
        sa.Column("id", sa.INTEGER(), nullable=False),
        sa.Column("run_id", sa.TEXT(), nullable=False),
        sa.Column("candidate_id", sa.TEXT(), nullable=False),
        sa.Column("status", sa.TEXT(), nullable=False),
        sa.Column("entry_time", sa.INTEGER(), nullable=True),
        sa.Column("entry_price", sa.REAL(), nullable=True),
        sa.Column("stop_price", sa.REAL(), nullable=True),
        sa.Column("target_price", sa.REAL(), nullable=True),
        sa.Column("exit_time", sa.INTEGER(), nullable=True),
        sa.Column("exit_price", sa.REAL(), nullable=True),
        sa.Column("exit_phase", sa.INTEGER(), nullable=True),
        sa.Column("exit_reason", sa.TEXT(), nullable=True),
        sa.Column("ambiguous", sa.INTEGER(), nullable=False),
        sa.Column("funding", sa.REAL(), nullable=True),
        sa.Column("r", sa.REAL(), nullable=True),
        sa.CheckConstraint(
            "(status = 'resolved') = (r IS NOT NULL)"
            " AND (status = 'resolved') = (exit_time IS NOT NULL)"
            " AND (status = 'resolved') = (exit_price IS NOT NULL)"
            " AND (status = 'resolved') = (exit_reason IS NOT NULL)",
            name=op.f("ck_outcomes_resolved"),
        ),
        sa.CheckConstraint(
            "status IN ('resolved', 'gapped', 'unresolved')", name=op.f("ck_outcomes_status")
        ),
        sa.CheckConstraint("ambiguous IN (0, 1)", name=op.f("ck_outcomes_ambiguous")),
        sa.ForeignKeyConstraint(
            ["run_id", "candidate_id"],
            ["candidates.run_id", "candidates.candidate_id"],
            name=op.f("fk_outcomes_candidates"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outcomes")),
        sa.UniqueConstraint("run_id", "candidate_id", name=op.f("uq_outcomes")),
        sqlite_strict=True,
    )
    op.create_table(
        "verdicts",
        sa.Column("id", sa.INTEGER(), nullable=False),
        sa.Column("run_id", sa.TEXT(), nullable=False),
        sa.Column("candidate_id", sa.TEXT(), nullable=False),
        sa.Column("take", sa.INTEGER(), nullable=False),
        sa.Column("confidence", sa.REAL(), nullable=False),
        sa.Column("quality", sa.REAL(), nullable=False),
        sa.Column("risk_flags", sa.TEXT(), nullable=False),
        sa.Column("cost_usd", sa.REAL(), nullable=False),
        sa.CheckConstraint(
            "confidence BETWEEN 0 AND 1 AND quality BETWEEN 0 AND 1", name=op.f("ck_verdicts_share")
        ),
        sa.CheckConstraint("take IN (0, 1)", name=op.f("ck_verdicts_take")),
        sa.ForeignKeyConstraint(
            ["run_id", "candidate_id"],
            ["candidates.run_id", "candidates.candidate_id"],
            name=op.f("fk_verdicts_candidates"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verdicts")),
        sa.UniqueConstraint("run_id", "candidate_id", name=op.f("uq_verdicts")),
        sqlite_strict=True,
    )

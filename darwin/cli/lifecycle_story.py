"""What came of a life: what each agent earned and lost, and what its run gained by it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from darwin.core.agents import AGENTS

if TYPE_CHECKING:
    from darwin.cli.lifecycle_asked import Asked
    from darwin.engine.report import Report
    from darwin.rl.graduation.judged import Judged
    from darwin.rl.graduation.record import Act
    from darwin.store.db import Database


def story(asked: Asked, figures: dict[str, Any], report: Report, folder: Path) -> dict[str, Any]:
    """All of it, for JSON: `agents` by name, `run`, and `against_twin`.

    The last is None where no agent has changed an order.
    """
    from darwin.cli.report_files import PAGE
    from darwin.engine.report_words import plain

    agents = {name: _agent(asked, name, figures["agents"].get(name, {})) for name in AGENTS}
    promoted = [act["bar_time_ms"] for one in agents.values() for act in one["acts"]]
    names = ("bars", "candidates", "trades", "net_pnl_usd", "total_return", "sharpe_ratio",
             "max_drawdown", "final_equity_usd")  # fmt: skip
    told: dict[str, Any] = plain(
        {
            "run": {"run_id": asked.run_id, **{name: figures[name] for name in names}},
            "agents": agents,
            "against_twin": against_twin(report, min(promoted, default=0)),
            "report": str(folder / PAGE),
        }
    )
    return told


def against_twin(report: Report, since_ms: int) -> dict[str, Any] | None:
    """How the run did from `since_ms` on, day by day, beside itself without agents.

    `daily_lead` is the mean of its simple daily return less the twin's, in fractions of equity,
    with a 95 % interval over weeks. None where both are the same.
    """
    from darwin.stats.paired import DAYS_THAT_HANG_TOGETHER, daily_lead
    from darwin.stats.performance import day_of

    twin, result = report.twin, report.result
    if twin is None:
        return None
    days = report.sampling.days
    from_day = int(day_of(np.array([since_ms]))[0])
    first = max(int(np.searchsorted(days.day, from_day)) - 1, 0)
    ours, theirs = (one.equity.equity[days.last[first:]] for one in (result, twin))
    found = daily_lead(ours, theirs, np.random.default_rng(0))
    return {
        "final_equity_usd": float(result.equity.equity[-1]),
        "twin_final_equity_usd": float(twin.equity.equity[-1]),
        "since": since_ms,
        "days": len(ours) - 1,
        "days_that_hang_together": DAYS_THAT_HANG_TOGETHER,
        "daily_lead": {"mean": found.value, "low": found.low, "high": found.high, "level": 0.95},
    }


def _agent(asked: Asked, name: str, panel: dict[str, Any]) -> dict[str, Any]:
    """What was said of an agent in the run, and where it stands at its end.

    `panel` is what the report of the run has of it.
    """
    from darwin.config.places import models_dir, state_db_path
    from darwin.rl.cli.graduation_status import look
    from darwin.rl.cli.options import Deployment, open_registry
    from darwin.rl.graduation.record import scope_of

    config = asked.living.config
    scope = scope_of(asked.run_id)
    with open_registry(Deployment(state_db_path(config), models_dir(config, name))) as registry:
        judged = look(registry, name, asked.run_id)
        dossiers = _dossiers(registry.database, config.artifacts_dir, name, scope)
    held = judged.record.within(scope)
    acts = [_act(act) for act in judged.record.acts if act.scope == scope]
    return {
        "version": judged.model.version if judged.model else None,
        "decisions": judged.card.decisions,
        "reasons": panel.get("reasons", {}),
        "promoted": held is not None,
        "stage": held.stage if held else 0.0,
        "acts": acts,
        "dossiers": dossiers,
        "evidence": _evidence(judged),
        "lacks": _lacks(judged),
    }


def _dossiers(database: Database, artifacts_dir: str, agent: str, scope: str) -> list[str]:
    """The dossiers of its promotions and demotions in the scope, as far as they are written."""
    from darwin.rl.cli.dossier_files import FOLDER, WRITTEN, places

    return [
        str(one.html)
        for one in places(database, Path(artifacts_dir) / FOLDER, agent)
        if one.event.act.scope == scope and one.state == WRITTEN
    ]


def _act(act: Act) -> dict[str, Any]:
    from darwin.engine.report_words import iso

    told = dict(act.detail)
    at = told.pop("bar_time", None)
    return {
        "kind": str(act.kind),
        "bar_time_ms": at,
        "bar_time": None if at is None else iso(at),
        "stage": act.stage,
        "by": act.by,
        "reason": act.reason,
        "rests_on": told,
    }


def _evidence(judged: Judged) -> dict[str, Any]:
    """Each test at the end of the run: E, what it needed, and when it got there."""
    from darwin.engine.report_words import iso

    if judged.trial is None:
        return {}
    return {
        name: {
            "log_e": track.log_e,
            "log_needed": -math.log(track.level),
            "crossed": None if track.crossed is None else iso(track.crossed.end_ms),
        }
        for name, track in judged.trial.tracks.items()
    }


def _lacks(judged: Judged) -> list[str]:
    """The conditions that stand in the way at the end of the run, in words."""
    from darwin.rl.graduation.checklist import lacking

    return [f"{one.name}: {one.lacks or str(one.state)}" for one in lacking(judged.conditions)]

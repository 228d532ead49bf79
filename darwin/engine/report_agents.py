"""What the learned agents of a run did, agreed with, and would have changed.

A shadow: every figure compares an agent's advice with what its baseline let stand, on outcomes that
are known for all candidates. It is no evidence yet: luck looks the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from darwin.core.agents import (
    AGENTS,
    GATE,
    KEEP,
    META_LEARNER,
    PORTFOLIO,
    SKIP,
    TO_SKIP,
    TO_TAKE,
    UNPROVEN,
    Standing,
)
from darwin.core.decision import Reason
from darwin.core.facts import STANDING
from darwin.core.market import BoolArray, FloatArray
from darwin.core.trade import Status
from darwin.engine.consulted import WHYS, ConsultedColumns
from darwin.engine.report_model import mean_cost_usd
from darwin.engine.report_words import iso
from darwin.engine.result import RunResult

RULE = "rule."
"""How the version of a rule in the place of a model begins."""
DEMO = "demo."
"""How the version of a model of the demonstration begins."""


def agents(result: RunResult) -> dict[str, Any]:
    """A panel for each agent that was asked, by name, in the order in which they are asked."""
    lineage = _lineage(result)
    return {
        name: _panel(result, name, result.consulted.of(name), lineage.get(name, []))
        for name in AGENTS
        if name in lineage or len(result.consulted.of(name))
    }


def _lineage(result: RunResult) -> dict[str, list[dict[str, Any]]]:
    """How each agent stood, from its first standing on."""
    told: dict[str, list[dict[str, Any]]] = {}
    for one in result.inputs:
        if one.kind == STANDING:
            standing = Standing.read(one.detail)
            model = standing.serving
            told.setdefault(one.agent, []).append(
                {
                    "from": iso(one.time),
                    "version": model.version if model else None,
                    "sha256": model.sha256 if model else None,
                    "fault": standing.fault,
                    "promoted": standing.promoted,
                    "stage": standing.stage,
                    "basis": standing.basis,
                    "challenger": standing.challenger.version if standing.challenger else None,
                    "max_position_usd": standing.max_position_usd,
                }
            )
    return told


def _panel(
    result: RunResult, name: str, asked: ConsultedColumns, lineage: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    advised = np.isfinite(asked.action)
    whys = Counter(WHYS[code].value for code in asked.why.tolist())
    r = result.outcomes.r[asked.row]
    known = advised & (result.outcomes.status[asked.row] == Status.RESOLVED)
    versions = [one["version"] for one in lineage if one["version"]]
    return {
        "versions": list(lineage),
        "is_rule": bool(versions) and all(version.startswith(RULE) for version in versions),
        "decisions": len(asked),
        "advised": int(advised.sum()),
        "active": int(asked.active.sum()),
        "followed": int(asked.followed.sum()),
        "reasons": dict(sorted(whys.items())),
        "outcomes": int(known.sum()),
        "excluded_share": float(1 - advised.mean()) if len(asked) else float("nan"),
        **_SHADOWS[name](result, asked, advised, known, r),
    }


def _gate(
    result: RunResult, asked: ConsultedColumns, advised: BoolArray, known: BoolArray, r: FloatArray
) -> dict[str, Any]:
    """Skips among all calls, and what the expert would have made of what was skipped."""
    skips = advised & (asked.action == SKIP)
    taken = result.verdicts.take[asked.row] & known
    winners = taken & (r > 0)
    return {
        "agreement": _share(~skips[advised]),
        "saved_calls": _share(skips[advised]),
        "miss_rate": _share(skips[winners]),
        "would_change_r": float(-r[taken & skips].sum()),
        **_spared(result, asked, skips, known, r),
    }


def _spared(
    result: RunResult, asked: ConsultedColumns, skips: BoolArray, known: BoolArray, r: FloatArray
) -> dict[str, Any]:
    """What skips saved in calls and missed in R, of what the expert would have taken.

    Where it was asked all the same (watching, below all of the capital, audits) what it would have
    taken is known. Where the call was spared that is estimated: as many candidates as there are, at
    the mean of those skips on which it was heard.
    """
    heard = result.verdicts.asked[asked.row]
    spared = skips & (result.reasons[asked.row] == Reason.GATE_SKIP)
    told, silent = skips & known & heard, spared & known
    taken_r = np.where(result.verdicts.take[asked.row], r, 0.0)[told]
    rest = len(taken_r) > 0 or not silent.any()
    estimate = float(taken_r.mean()) * int(silent.sum()) if silent.any() and rest else 0.0
    return {
        "spared_calls": int(spared.sum()),
        "saved_usd": int(spared.sum()) * mean_cost_usd(result) if spared.any() else 0.0,
        "missed_r": float(taken_r.sum()) + estimate if rest else float("nan"),
        "missed_r_known": float(taken_r.sum()),
        "missed_r_estimated": estimate if rest else float("nan"),
        "heard_skips": len(taken_r),
    }


def _meta_learner(
    result: RunResult, asked: ConsultedColumns, advised: BoolArray, known: BoolArray, r: FloatArray
) -> dict[str, Any]:
    """Overrides among all verdicts, and how many of them were right."""
    take = result.verdicts.take[asked.row]
    stands = np.where(asked.action == TO_SKIP, False, np.where(asked.action == TO_TAKE, True, take))
    overrides = advised & (asked.action != KEEP) & (stands != take)
    judged = overrides & known
    right = np.where(stands, r > 0, r <= 0)
    return {
        "agreement": _share(~overrides[advised]),
        "overrides": int(overrides.sum()),
        "override_accuracy": _share(right[judged]),
        "would_change_r": float(np.where(stands, r, -r)[judged].sum()),
    }


def _portfolio(
    result: RunResult, asked: ConsultedColumns, advised: BoolArray, known: BoolArray, r: FloatArray
) -> dict[str, Any]:
    """Fractions of full size, and what they would have earned against full size."""
    fraction = asked.action[advised]
    return {
        "agreement": _share(fraction == 1.0),
        "mean_fraction": float(fraction.mean()) if len(fraction) else float("nan"),
        "would_change_r": float(((asked.action - 1.0) * r)[known].sum()),
    }


_SHADOWS = {GATE: _gate, META_LEARNER: _meta_learner, PORTFOLIO: _portfolio}


def _share(flags: BoolArray) -> float:
    return float(flags.mean()) if len(flags) else float("nan")


def agents_sentence(panels: dict[str, Any]) -> str | None:
    """What a reader must know of the agents first; None where none was asked."""
    at_door = {name: panel for name, panel in panels.items() if panel["decisions"]}
    if not at_door:
        return None
    asked = {name: panel for name, panel in at_door.items() if _had_model(panel)}
    without = _names(name for name in at_door if name not in asked)
    if not asked:
        return f"No agent had a model at the door: {without} changed nothing."
    acted = [name for name, panel in asked.items() if panel["followed"]]
    did = (
        f"of these {_names(acted)} acted"
        if acted
        else "they only watched: no order was changed by them"
    )
    versions = [one["version"] or "" for panel in asked.values() for one in panel["versions"]]
    what = "models"
    if all(panel["is_rule"] for panel in asked.values()):
        what = "documented rules, no trained models"
    elif versions and all(version.startswith(DEMO) for version in versions):
        what = "the models of the demonstration, trained on synthetic bars"
    rest = f"; {without} had no model" if without else ""
    return f"Agents at the door ({what}): {_names(asked)}; {did}{rest}{_by_override(asked)}."


def _had_model(panel: dict[str, Any]) -> bool:
    """Whether a model, or a rule in the place of one, ever served the agent in the run."""
    return any(one["version"] for one in panel["versions"])


def _names(agents: Iterable[str]) -> str:
    return " and ".join(", ".join(name.replace("_", "-") for name in agents).rsplit(", ", 1))


def _by_override(asked: dict[str, Any]) -> str:
    """Which promotions rest on a person's word alone; empty: none does."""
    told = {
        (name, one["basis"])
        for name, panel in asked.items()
        for one in panel["versions"]
        if one["basis"].endswith(UNPROVEN)
    }
    return "".join(
        f"; {name.replace('_', '-')} was promoted {basis}" for name, basis in sorted(told)
    )

"""A trial as a status shows it: its contract, its evidence as bars, what is expected next."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from darwin.core.market import DAY_MS
from darwin.rl.cli.columns import percent

if TYPE_CHECKING:
    from darwin.rl.graduation.judged import Judged
    from darwin.rl.graduation.trial import Track, Trial

_CELLS = 24


def trial_rows(one: Judged) -> list[tuple[str, str]]:
    """What the status says of a trial, as name and words."""
    trial = one.trial
    from darwin.rl.graduation.delay import expected_delay

    if trial is None:
        return [("trial", "none: the next run that asks this version writes its contract")]
    contract, stream = trial.contract, trial.stream
    terms = contract.terms
    days = terms.block_ms / DAY_MS
    trained = contract.since_ms > contract.entered_ms
    why = "a day after its training ended" if trained else "its first decision under the contract"
    since = f"{_day(contract.since_ms)}, {why}"
    rows = [
        ("trial", _where(one)),
        ("contract", f"{terms.digest[:12]}, version number {contract.number} of its 180 days"),
        ("level", f"{contract.alpha_v:.3%} chance of a promotion without skill, ever"),
        ("counts from", since),
        ("blocks", f"{len(trial.blocks):,} scored of {days:g} days, {stream.open_blocks} open"),
        ("not counted", _not_counted(trial)),
    ]
    held = one.in_trial
    if held is not None:
        rows.append(("in the trial", f"active, {percent(held.stage)} of the capital"))
    delay = expected_delay(trial, one.decay) if one.decay is not None else None
    if delay is not None:
        rows.append(
            ("found out after", f"{_days(delay.turned)} should its edge turn, {_days(delay.gone)}"
             " should it go: in the median, of market time")
        )  # fmt: skip
    return rows


def evidence_rows(one: Judged) -> list[tuple[str, str, str, str]]:
    """A row for each test: its name, a bar, E of what is needed, when it may be there."""
    from darwin.rl.graduation.proof import eta_days

    if one.trial is None:
        return []
    return [
        (track.name, bar(track), _e(track), _when(one.trial, track, eta_days(one.trial, track)))
        for track in one.trial.tracks.values()
    ]


def bar(track: Track) -> str:
    """How far a test has come by the logarithm of its E, of what it needs."""
    share = max(0.0, min(track.log_e / track.log_needed, 1.0))
    full = _CELLS if track.crossed is not None else round(share * _CELLS)
    return "[" + "#" * full + "." * (_CELLS - full) + "]"


def trial_tree(one: Judged) -> dict[str, Any] | None:
    """The trial as JSON."""
    from darwin.rl.graduation.delay import expected_delay
    from darwin.rl.graduation.footing import footing
    from darwin.rl.graduation.proof import eta_days

    trial = one.trial
    if trial is None:
        return None
    contract = trial.contract
    held = one.in_trial
    delay = expected_delay(trial, one.decay) if one.decay is not None else None
    told = footing(trial, None)
    for name, track in trial.tracks.items():
        eta = eta_days(trial, track)
        told["evidence"][name] |= {
            "level": track.level,
            "eta_days": None if math.isnan(eta) else eta,
            "refuted_ms": track.refuted and track.refuted.end_ms,
        }
    return told | {
        "scope": contract.scope,
        "alpha_v": contract.alpha_v,
        "entered_ms": contract.entered_ms,
        "since_ms": contract.since_ms,
        "block_days": contract.terms.block_ms / DAY_MS,
        "open_blocks": trial.stream.open_blocks,
        "too_early": trial.stream.too_early,
        "late": trial.stream.late,
        "twice": trial.stream.twice,
        "stage": held.stage if held else 0.0,
        "expected_delay_days": delay
        and {name: days if math.isfinite(days) else None for name, days in delay._asdict().items()},
        "terms": contract.terms.text(),
    }


def _days(days: float) -> str:
    return f"{days:,.0f} days" if math.isfinite(days) else "more than can be told"


def _where(one: Judged) -> str:
    from darwin.rl.graduation.record import DEPLOYMENT, run_of

    scope = one.trial.contract.scope if one.trial else DEPLOYMENT
    if scope == DEPLOYMENT:
        return "the deployment: decisions of runs on paper"
    return f"replay '{run_of(scope)}': what it shows promotes there alone"


def _not_counted(trial: Trial) -> str:
    stream = trial.stream
    parts = [
        f"{stream.too_early:,} before that" if stream.too_early else "",
        f"{stream.late:,} came after their block was scored" if stream.late else "",
        f"{stream.twice:,} told twice" if stream.twice else "",
    ]
    return "; ".join(part for part in parts if part) or "none"


def _e(track: Track) -> str:
    needed = 1.0 / track.level
    return f"E {math.exp(min(track.log_e, 700.0)):,.3g} now, {needed:,.0f} needed"


def _when(trial: Trial, track: Track, eta: float) -> str:
    if track.crossed is not None:
        return f"crossed on {_day(track.crossed.end_ms)}"
    if not trial.blocks:
        return "no block is scored yet"
    return "it does not grow" if math.isnan(eta) else f"about {eta:,.0f} market days more"


def _day(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d}"

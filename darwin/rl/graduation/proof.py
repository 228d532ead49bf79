"""The conditions that rest on evidence: each test with its E, its bound and its expected end."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from darwin.core.market import DAY_MS
from darwin.rl.graduation.checklist import COST, EVIDENCE, VALUE, Condition, State
from darwin.rl.graduation.decay import Alarm, Decay
from darwin.rl.graduation.trial import MISS, OVER_HOLD, SKILL, UTILITY, Track, Trial

LEAST_BLOCKS = 20
LONGEST_DAYS = 3_650.0
"""An expected time beyond that is said to be none."""

NO_CONTRACT = (
    "no contract was written before its decisions: the next run that asks it enters it into one"
)


def proof_of(trial: Trial | None, *, unchanged: bool = True) -> tuple[Condition, ...]:
    """What the trial of a version shows; None: it is in none.

    `unchanged` says that what asks it now is what the contract is about.
    """
    if trial is None:
        return (
            Condition("blocks", State.MISSING, None, f"{LEAST_BLOCKS} or more", NO_CONTRACT),
            Condition(f"{EVIDENCE} of skill", State.MISSING, None, "E as agreed", NO_CONTRACT),
        )
    return (
        _blocks(trial),
        _contract(unchanged=unchanged),
        *[_evidence(trial, track) for track in trial.tracks.values()],
    )


def green_of(decay: Decay | None) -> tuple[Condition, ...]:
    """Whether what came since a promotion speaks for more capital; None: nothing is promoted."""
    if decay is None:
        return ()
    return tuple(
        _since_promotion(alarm, what)
        for alarm, what in ((decay.soft, "skill goes on"), (decay.hard, "it pays"))
    )


def _since_promotion(alarm: Alarm, what: str) -> Condition:
    bound = f"above {alarm.floor:.3g} R per block since the promotion"
    if alarm.sounded_ms is not None:
        day = datetime.fromtimestamp(alarm.sounded_ms / 1000, UTC)
        told = f"its detector sounded on {day:%Y-%m-%d}, by the last blocks; the value is of all"
        return Condition(what, State.REFUTED, alarm.seen.now, bound, told)
    if alarm.log_m == -math.inf:
        return Condition(what, State.MISSING, None, bound, "no block since")
    m = math.exp(min(alarm.log_m, 700.0))
    told = f"evidence that this has ended: {m:,.3g}; its detector sounds at {alarm.needed:g}"
    state = State.PASSED if alarm.is_green else State.INCONCLUSIVE
    return Condition(what, state, alarm.seen.now, bound, told)


def eta_days(trial: Trial, track: Track) -> float:
    """Market days until the test may cross, at its rate so far; NaN: it does not approach."""
    if track.crossed is not None:
        return 0.0
    if not trial.blocks or not track.log_e > 0.0:
        return math.nan
    gone = (trial.blocks[-1].end_ms - trial.blocks[0].start_ms) / DAY_MS
    more = gone * (track.log_needed - track.log_e) / track.log_e
    return more if more <= LONGEST_DAYS else math.nan


def _blocks(trial: Trial) -> Condition:
    count, bound = len(trial.blocks), f"{LEAST_BLOCKS} or more"
    days = trial.contract.terms.block_ms / DAY_MS
    if count >= LEAST_BLOCKS:
        return Condition("blocks", State.PASSED, count, bound)
    lacks = f"{LEAST_BLOCKS - count} more of {days:g} days of market time each"
    return Condition("blocks", State.INCONCLUSIVE, count, bound, lacks)


def _contract(*, unchanged: bool) -> Condition:
    bound = "as when it entered observe"
    if unchanged:
        return Condition("contract", State.PASSED, None, bound)
    lacks = (
        "it is asked in another world now: playbooks, costs, expert, timeframe or symbols; of a"
        " book also its pace"
    )
    return Condition("contract", State.REFUTED, None, bound, lacks)


def _evidence(trial: Trial, track: Track) -> Condition:
    name = f"{EVIDENCE} of {_WORDS[track.name]}"
    value, needed = math.exp(min(track.log_e, 700.0)), 1.0 / track.level
    bound = f"E of {needed:,.0f} or more, once"
    rule = _RULE.get(track.name, "") if MISS in trial.tracks else ""
    if track.crossed is not None:
        return Condition(name, State.PASSED, math.exp(min(_most(track), 700.0)), bound, rule=rule)
    if not trial.blocks:
        return Condition(name, State.MISSING, None, bound, "no block is scored yet", rule)
    if track.refuted is not None:
        return Condition(name, State.REFUTED, value, bound, _AGAINST[track.name], rule)
    eta = eta_days(trial, track)
    lacks = "it does not grow" if math.isnan(eta) else f"about {eta:,.0f} market days at its rate"
    return Condition(name, State.INCONCLUSIVE, value, bound, lacks, rule)


def _most(track: Track) -> float:
    return max(point.log_e for point in track.points)


_WORDS = {
    SKILL: "skill", UTILITY: "utility", MISS: "few misses", OVER_HOLD: "utility over buy & hold",
}  # fmt: skip
_RULE = {SKILL: VALUE, MISS: COST}
_AGAINST = {
    SKILL: "the opposite is shown: it leaves what wins and keeps what loses",
    UTILITY: "the opposite is shown: obeying it costs more than it brings",
    MISS: "the opposite is shown: it misses more winners than it may",
    OVER_HOLD: "the opposite is shown: to buy and hold brings more",
}

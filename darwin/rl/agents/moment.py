"""Columns of the moment of asking: the account, what the expert said, how often it was right.

They are read for every candidate, so they are plain Python. What is not known is NaN, which the
door refuses to judge.
"""

from __future__ import annotations

import math

from darwin.core.ports import Moment
from darwin.rl.agents.columns import MomentColumn

MOST_EXPOSURE = 100.0
"""Exposure over equity is cut off here: as equity vanishes it would grow without bound."""

GROWTH_ENDS = (-1.0, 1.0)
"""Where the logarithm of grown equity is cut off: at 37 % of the start, and at 272 %."""

DRAWDOWN_ENDS = (-1.0, 0.0)
SHARE_ENDS = (0.0, 1.0)


def _exposure(moment: Moment) -> float:
    account = moment.account
    held = float(account.gross_exposure) + float(account.pending_exposure)
    equity = float(account.equity)
    if equity <= 0.0:
        return MOST_EXPOSURE if held > 0.0 else 0.0 * held
    return min(held / equity, MOST_EXPOSURE)


def _open_positions(moment: Moment) -> float:
    return float(moment.account.open_positions)


def _drawdown(moment: Moment) -> float:
    return max(float(moment.account.drawdown), DRAWDOWN_ENDS[0])


def _equity_growth(moment: Moment) -> float:
    equity, (least, most) = float(moment.account.equity), GROWTH_ENDS
    grown = equity / moment.starting_equity_usd  # 0 also where so little is left that it underflows
    return least if grown <= 0.0 else min(max(math.log(grown), least), most)


def _take(moment: Moment) -> float:
    return math.nan if moment.verdict is None else float(moment.verdict.take)


def _confidence(moment: Moment) -> float:
    return math.nan if moment.verdict is None else float(moment.verdict.confidence)


def _quality(moment: Moment) -> float:
    return math.nan if moment.verdict is None else float(moment.verdict.quality)


def _risk_flags(moment: Moment) -> float:
    return math.nan if moment.verdict is None else float(len(moment.verdict.risk_flags))


def _accuracy_by_playbook(moment: Moment) -> float:
    return float(moment.accuracy_by_playbook)


def _accuracy_by_symbol(moment: Moment) -> float:
    return float(moment.accuracy_by_symbol)


EXPOSURE = MomentColumn(
    "exposure",
    f"(gross + pending exposure) / equity, at most {MOST_EXPOSURE:g}; "
    f"{MOST_EXPOSURE:g} for any exposure without equity",
    _exposure,
)
OPEN_POSITIONS = MomentColumn("open_positions", "number of open positions", _open_positions)
DRAWDOWN = MomentColumn("drawdown", "equity / its peak - 1, at least -1", _drawdown, DRAWDOWN_ENDS)
EQUITY_GROWTH = MomentColumn(
    "equity_growth",
    f"ln(equity / starting equity), cut off at {GROWTH_ENDS[0]:g} and {GROWTH_ENDS[1]:g}; "
    f"{GROWTH_ENDS[0]:g} without equity",
    _equity_growth,
    GROWTH_ENDS,
)
TAKE = MomentColumn("verdict_take", "1 where the expert takes, 0 where it skips", _take)
CONFIDENCE = MomentColumn("confidence", "of the verdict, 0..1", _confidence)
QUALITY = MomentColumn("quality", "of the verdict, 0..1", _quality)
RISK_FLAGS = MomentColumn("risk_flags", "number of risk flags of the verdict", _risk_flags)
ACCURACY_BY_PLAYBOOK = MomentColumn(
    "accuracy_by_playbook",
    "share of the expert's recent verdicts on this playbook that were right",
    _accuracy_by_playbook,
    SHARE_ENDS,
)
ACCURACY_BY_SYMBOL = MomentColumn(
    "accuracy_by_symbol",
    "share of the expert's recent verdicts on this symbol that were right",
    _accuracy_by_symbol,
    SHARE_ENDS,
)

"""Heads: from what the last layer gives to advice.

What is recorded is rounded to 9 decimals first and compared afterwards, so that processors whose
last bits differ decide alike. Outputs that are not finite give advice that is not finite.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

from darwin.core.agents import Advice
from darwin.rl.serving.spec_file import ARGMAX_Q, CATEGORICAL, CLIPPED_GAUSSIAN

DECIMALS = 9

Head: TypeAlias = Callable[[list[float]], Advice]
_NOT_SOUND = Advice(math.nan, math.nan)
_NO_FRACTION = Advice(math.nan, None)


def head(kind: str, outputs: int, baseline: float, threshold: float | None) -> Head:
    """The head called `kind`, for `outputs` numbers.

    *categorical*: softmax; *argmax_q*: the values of actions. Both leave the baseline for the best
    of the other actions where the probability of leaving it, or what that is worth beyond the
    baseline, reaches `threshold`. Without one, where it is more likely or worth more than the
    baseline. *clipped_gaussian*, *tanh_gaussian*: the mean, clipped to or bent into −1..1, as a
    fraction 0..1.
    """
    if kind == CATEGORICAL:
        return _categorical(outputs, int(baseline), threshold)
    if kind == ARGMAX_Q:
        return _argmax_q(outputs, int(baseline), threshold)
    return _clipped if kind == CLIPPED_GAUSSIAN else _bent


def _categorical(outputs: int, baseline: int, threshold: float | None) -> Head:
    others = [code for code in range(outputs) if code != baseline]

    def advise(logits: list[float]) -> Advice:
        if not math.isfinite(sum(logits)):
            return _NOT_SOUND
        top = max(logits)
        weights = [math.exp(logit - top) for logit in logits]
        whole = sum(weights)
        stay = weights[baseline]
        best = others[0] if len(others) == 1 else max(others, key=weights.__getitem__)
        if threshold is None:
            leaves = round((weights[best] - stay) / whole, DECIMALS) > 0.0
        else:
            leaves = round((whole - stay) / whole, DECIMALS) >= threshold
        action = best if leaves else baseline
        return Advice(float(action), round(weights[action] / whole, DECIMALS))

    return advise


def _argmax_q(outputs: int, baseline: int, threshold: float | None) -> Head:
    others = [code for code in range(outputs) if code != baseline]

    def advise(values: list[float]) -> Advice:
        if not math.isfinite(sum(values)):
            return _NO_FRACTION
        best = max(others, key=values.__getitem__)
        margin = round(values[best] - values[baseline], DECIMALS)
        leaves = margin > 0.0 if threshold is None else margin >= threshold
        return Advice(float(best if leaves else baseline), None)

    return advise


def _clipped(mean: list[float]) -> Advice:
    if not math.isfinite(mean[0]):
        return _NO_FRACTION
    return Advice(round((max(-1.0, min(1.0, mean[0])) + 1.0) / 2.0, DECIMALS), None)


def _bent(mean: list[float]) -> Advice:
    if not math.isfinite(mean[0]):
        return _NO_FRACTION
    return Advice(round((math.tanh(mean[0]) + 1.0) / 2.0, DECIMALS), None)

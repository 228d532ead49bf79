"""The trained network itself: it looks at what it sees, and its threshold is validation's."""

from __future__ import annotations

import numpy as np

from darwin.core.market import FloatArray
from darwin.rl.training.canaries.finding import Finding, unchecked
from darwin.rl.training.gains import departs
from darwin.rl.training.network import Network, actions_of, scores
from darwin.rl.training.rows import Normaliser, Rows

_LEAST_SPREAD = 1e-6
"""Of the outputs: a network that was trained on anything varies a thousand times as much."""


def policy_looks(validation: Rows, network: Network, normaliser: Normaliser) -> Finding:
    """*Constant policy*: what the network gives changes with what it is shown.

    Before any clipping: where trading pays nowhere, a size of nothing for all is no fault.
    """
    given = network.outputs(normaliser(validation.observations))
    finite = bool(np.isfinite(given).all())
    relative = given - given[:, :1] if given.shape[1] > 1 else given
    most = float(np.ptp(relative, axis=0).max(initial=0.0)) if finite else float("nan")
    said = f"outputs on validation vary by {most:.2g} between rows"
    if not finite:
        said = "outputs on validation are not finite"
    return Finding("constant policy", most > _LEAST_SPREAD, most, said)


def threshold_is_of_validation(
    validation: Rows, network: Network, normaliser: Normaliser, threshold: float | None
) -> Finding:
    """With its threshold the model leaves the baseline on validation as often as its page aims at.

    Rows that score alike leave together, so that as many may leave beyond the aim.
    """
    page, rate = validation.page, validation.page.departure_rate
    if rate is None or threshold is None:
        return unchecked("threshold", "no action of the network would leave the baseline")
    seen = normaliser(validation.observations)
    actions = actions_of(page, network, seen, threshold)
    share = float(departs(validation, actions).mean())
    alike = _largest_tie(scores(page, network, seen))
    slack = (alike + 2.0) / len(validation)
    reachable = float((departs(validation, actions_of(page, network, seen, 1e-12)) > 0).mean())
    aim = min(rate, reachable)
    said = f"it leaves the baseline in {share:.1%} of validation, and aims at {aim:.1%}"
    return Finding("threshold", aim - slack <= share <= aim + slack, share, said)


def _largest_tie(score: FloatArray) -> int:
    _, count = np.unique(score, return_counts=True)
    return int(count.max())

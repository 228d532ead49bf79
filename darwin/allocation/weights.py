"""From what a network gives to weights that may be held: the softmax of outputs, then cash.

Outputs are cut off at ±REACH first, so that no weight vanishes for good and a network cannot run
away; one weight is at most e^(2·REACH) times another.
"""

from __future__ import annotations

import numpy as np

from darwin.core.market import FloatArray

REACH = 5.0
"""The largest output that counts. SAC's outputs are bent into it, REACH · tanh(x)."""


def softmax(outputs: FloatArray) -> FloatArray:
    """Shares of 1, shape (e, k), of outputs (e, k); NaN where one is not finite."""
    cut = np.clip(outputs, -REACH, REACH)
    raised = np.exp(cut - cut.max(axis=-1, keepdims=True))
    shares: FloatArray = raised / raised.sum(axis=-1, keepdims=True)
    return shares


def bent(outputs: FloatArray) -> FloatArray:
    """Outputs of any size within ±REACH, as SAC has them."""
    within: FloatArray = REACH * np.tanh(outputs)
    return within

"""A model of an agent of books as a policy: one row in, weights or a position out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from darwin.allocation.allocator import AllocatorPage, allocator_page
from darwin.allocation.market import MARKET_PAGE, MarketPage
from darwin.allocation.weights import bent, softmax
from darwin.core.market import FloatArray
from darwin.core.rebalance import ALLOCATOR, BOOK_AGENTS, BookAdvice, BookPage
from darwin.errors import ModelError
from darwin.rl.serving.heads import DECIMALS, head
from darwin.rl.serving.policy import Forward
from darwin.rl.serving.spec_file import TANH_SOFTMAX, ModelSpec, read_spec
from darwin.rl.serving.weights_file import Weights, read_weights

FLAT = 0


def page_of(spec: ModelSpec) -> AllocatorPage | MarketPage:
    """The page on which a model of a book is asked. Raises ModelError for one of candidates."""
    if spec.book is None:
        raise ModelError(
            f"a model of {spec.agent} decides about no book", mend="serve it on its candidates"
        )
    return allocator_page(len(spec.book.symbols)) if spec.agent == ALLOCATOR else MARKET_PAGE


def weights_of(kind: str, outputs: FloatArray) -> FloatArray:
    """What heads of weights make of outputs (e, k): weights and cash (e, k), rounded.

    *softmax*: of outputs cut off at ±5; *tanh_softmax*: of 5 · tanh(outputs).
    """
    raw = bent(outputs) if kind == TANH_SOFTMAX else outputs
    return np.round(softmax(raw), DECIMALS)


class BookNumpyPolicy(Forward):
    """Implements `core.rebalance.BookPolicy`; any number of threads may ask."""

    __slots__ = ("_code", "page")

    def __init__(self, spec: ModelSpec, weights: Weights) -> None:
        """Take what was read. Raises ModelError for a model of candidates or of another page."""
        super().__init__(spec, weights)
        self.page = page_of(spec)
        _refuse_other_page(self.page, spec)
        coded = not self.page.is_continuous
        self._code = head(spec.head, spec.outputs, FLAT, spec.threshold) if coded else None

    def advise(self, observation: NDArray[np.float32]) -> BookAdvice:
        """What the agent would do, seeing `observation`. Raises ModelError for another shape.

        Outputs that are not finite give advice that is not finite.
        """
        outputs = self.outputs(observation)
        if self._code is None:
            return BookAdvice(tuple(weights_of(self.spec.head, outputs).tolist()), None)
        advice = self._code(outputs.tolist())
        return BookAdvice((advice.action,), advice.probability)


def book_policy_of(spec: bytes, weights: bytes) -> BookNumpyPolicy:
    """Read a model from the bytes of its spec.json and weights.safetensors. Raises ModelError."""
    read = read_spec(spec)
    return BookNumpyPolicy(read, read_weights(weights, read))


def book_policy_for(page: BookPage, spec: bytes, weights: bytes) -> BookNumpyPolicy:
    """Like `book_policy_of`, for a model that will be asked on `page`."""
    policy = book_policy_of(spec, weights)
    if policy.page.assets != page.assets or policy.spec.agent != page.name:
        raise ModelError(
            f"a model of {policy.spec.agent} for {policy.page.assets} assets where one of"
            f" {page.name} for {page.assets} is wanted",
            mend="name the symbols that it was trained on",
        )
    return policy


def _refuse_other_page(page: AllocatorPage | MarketPage, spec: ModelSpec) -> None:
    if spec.agent not in BOOK_AGENTS or spec.observation_schema != page.schema:
        raise ModelError(
            f"the model was trained on other observations than {page.name} sees now",
            where=f"schema {spec.observation_schema[:12]} instead of {page.schema[:12]}",
            mend="train it again with this version of Darwin",
        )
    if spec.width != len(page.names):
        raise ModelError(
            f"the model takes {spec.width} columns where {page.name} sees {len(page.names)}",
            mend="export it again",
        )

"""A model as a strategy: asked with the book as the walk has it, held to what its page allows."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from darwin.allocation.benchmark_agent import followed
from darwin.core.rebalance import ALLOCATOR, BookAdvice, BookState
from darwin.trading.book import walk
from tests.benchmark.panels import HOUR, null_panel


class Page:
    """Sees the last close and the book; weights are legal up to 1 each."""

    name, assets, schema, warmup = ALLOCATOR, 2, "0" * 64, 30

    def columns(self, panel):
        seen = panel.close.astype(np.float32)
        seen[: self.warmup] = np.nan
        return seen

    def moment(self, book):
        return (*book.weights, book.value, book.drawdown)

    def is_legal(self, action):
        return len(action) == 2 and all(0 <= weight <= 1 for weight in action)

    def target(self, action):
        return np.array(action)

    def baseline(self, book):
        return np.array([0.25, 0.25])


class Model:
    def __init__(self, actions, strange=()):
        self.actions, self.asked, self.strange = iter(actions), [], set(strange)

    def strangeness(self, observation):
        if not np.isfinite(observation).all():
            return float("nan")
        return 10.5 if len(self.asked) in self.strange else 9.5

    def advise(self, observation):
        self.asked.append(observation)
        return BookAdvice(next(self.actions), None)


ROWS = np.arange(20, 99, 8)
NEW = BookState.start(2)


def test_it_is_asked_with_the_book_that_the_walk_comes_to():
    panel = null_panel(1, 100, 2, HOUR)
    actions = [tuple(pair) for pair in np.random.default_rng(0).uniform(0, 0.5, (len(ROWS), 2))]
    model = Model(actions)
    plan = followed(Page(), model, 0.002)(panel, ROWS, NEW)
    walked = walk(panel, plan.rows, plan.targets, 0.002)
    asked = ROWS[Page.warmup <= ROWS]
    assert len(model.asked) == len(asked)
    peak = np.maximum.accumulate(walked.value[ROWS])[-len(asked) :]
    for row, seen, top in zip(asked, model.asked, peak, strict=True):
        assert_allclose(seen[:2], panel.close[row], rtol=1e-6)
        assert_allclose(seen[2:4], walked.weights[row], rtol=1e-5)
        assert seen[4] == pytest.approx(walked.value[row], rel=1e-6)
        assert seen[5] == pytest.approx(walked.value[row] / top - 1, abs=1e-6)


def test_until_all_is_known_and_where_it_may_not_the_baseline_stands():
    panel = null_panel(1, 100, 2, HOUR)
    model = Model([(2.0, 0.0), (float("nan"), 0.0), *[(1.0, 0.0)] * 20])
    plan = followed(Page(), model, 0.0)(panel, ROWS, NEW)
    assert plan.targets[:2].tolist() == [[0.25, 0.25]] * 2  # rows 20 and 28: before 30
    assert plan.targets[2:4].tolist() == [[0.25, 0.25]] * 2  # illegal
    assert plan.targets[4:].tolist() == [[1.0, 0.0]] * (len(ROWS) - 4)


def test_what_is_too_strange_for_the_door_is_not_asked():
    panel = null_panel(1, 100, 2, HOUR)
    model = Model([(1.0, 0.0)] * 20, strange=[3])  # from the fourth on, for it is asked no more
    plan = followed(Page(), model, 0.0)(panel, ROWS, NEW)
    assert len(model.asked) == 3
    assert plan.targets[2:].tolist() == [[1.0, 0.0]] * 3 + [[0.25, 0.25]] * (len(ROWS) - 5)


def test_it_goes_on_from_the_book_that_it_is_given():
    model = Model([(0.0, 0.0)] * 20)
    followed(Page(), model, 0.0)(null_panel(1, 100, 2, HOUR), ROWS[4:], BookState((0.5, 0.1), 2, 4))
    assert model.asked[0][2:].tolist() == pytest.approx([0.5, 0.1, 2.0, -0.5])
    assert model.asked[1][2:4].tolist() == [0.0, 0.0]

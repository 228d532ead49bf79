"""Seven perpetuals, hourly: least variance against its closed form, a table that claims nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from bench.allocation_real import SYMBOLS
from darwin.allocation.benchmark import benchmark_of
from darwin.allocation.benchmark_settings import BenchmarkSettings
from darwin.allocation.strategies import least_variance
from darwin.cli.book_options import panel_from_files
from darwin.core.market import Timeframe
from darwin.core.panel import Panel
from darwin.core.rebalance import BookState

JAN_2024 = 1_704_067_200_000

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def perpetuals(market_dir: Path) -> Panel:
    span = (None, "2026-01-01")
    return panel_from_files(market_dir, SYMBOLS, Timeframe.parse("1h"), span, funding=True)


def test_least_variance_is_its_closed_form(perpetuals):
    row = int(np.searchsorted(perpetuals.time, JAN_2024))
    moved = perpetuals.returns()[row - 1440 : row]
    ones = np.linalg.inv(np.cov(moved, rowvar=False)) @ np.ones(7)
    rows, book = np.array([row]), BookState.start(7)
    own = least_variance(1440, long_only=False)(perpetuals, rows, book).targets[0]
    assert_allclose(own, ones / ones.sum(), atol=1e-12)


def test_the_table_has_an_interval_for_every_figure(perpetuals):
    settings = BenchmarkSettings(test_from=JAN_2024, seeds=3, draws=200)
    told = benchmark_of(perpetuals, None, settings)
    assert len(told.course.days.day) > 600
    for one in told.standings:
        for figure in one.figures:
            assert figure.low <= figure.value <= figure.high
    assert told.winner is None

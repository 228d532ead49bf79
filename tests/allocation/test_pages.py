"""What the pages of books see, and what they let an agent do."""

from __future__ import annotations

import math

import numpy as np
import pytest

from darwin.allocation.allocator import allocator_page
from darwin.allocation.market import MARKET_PAGE
from darwin.core.agents import FURTHEST_SD
from darwin.core.market import Timeframe
from darwin.core.panel import Panel
from darwin.core.rebalance import BookPage, BookState
from darwin.data.synthetic import SyntheticProvider
from darwin.errors import ConfigError

SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
START_MS = 1_577_836_800_000


def panel_of(symbols: tuple[str, ...], bars: int = 900) -> Panel:
    provider = SyntheticProvider(
        bars=bars, seed=3, edge=0.0, start_ms=START_MS, timeframe=Timeframe.parse("1h"),
        symbols=symbols,
    )  # fmt: skip
    return Panel.of([provider.bars(symbol) for symbol in symbols])


PAGES = [(allocator_page(3), panel_of(SYMBOLS)), (MARKET_PAGE, panel_of(SYMBOLS[:1]))]
each_page = pytest.mark.parametrize(("page", "panel"), PAGES, ids=["allocator", "market"])


@each_page
def test_a_row_does_not_change_when_the_future_arrives(page: BookPage, panel: Panel) -> None:
    whole = page.columns(panel)
    np.testing.assert_array_equal(page.columns(panel.slice(0, 500)), whole[:500])


@each_page
def test_all_is_known_after_the_warm_up(page: BookPage, panel: Panel) -> None:
    known = np.isfinite(page.columns(panel)).all(axis=1)
    assert known[page.warmup :].all()
    assert not known[: page.warmup - 1].any()


@each_page
def test_no_bit_changes_when_every_price_is_halved(page: BookPage, panel: Panel) -> None:
    halved = Panel(
        panel.symbols, panel.timeframe, panel.time, panel.open / 2, panel.high / 2, panel.low / 2,
        panel.close / 2, panel.funding,
    )  # fmt: skip
    np.testing.assert_array_equal(page.columns(halved), page.columns(panel))


@each_page
def test_no_book_is_ever_strange(page: BookPage, panel: Panel) -> None:
    wild = [
        BookState((weight,) * page.assets, value, peak, entry)
        for weight in (-40.0, -1.0, 0.0, 0.5, 3.0)
        for value, peak, entry in ((1.0, 1.0, 1.0), (0.001, 1.0, 0.9), (50.0, 60.0, 0.1))
    ]
    for book in wild:
        seen = np.array(page.moment(book), dtype=np.float32)
        sd = [scale.sd for scale in page.scales]  # type: ignore[attr-defined]
        assert np.abs(seen / sd).max() <= FURTHEST_SD


def test_the_allocator_may_ask_for_shares_that_make_a_whole() -> None:
    page = allocator_page(2)
    assert page.is_legal((0.25, 0.5, 0.25))
    np.testing.assert_array_equal(page.target((0.25, 0.5, 0.25)), [0.25, 0.5])
    for action in (
        (0.5, 0.5), (0.5, 0.5, 0.1), (-0.1, 0.6, 0.5), (math.nan, 0.5, 0.5), (1.5, -0.25, -0.25),
        (True, 0.0, 0.0),
    ):  # fmt: skip
        assert not page.is_legal(action)


def test_the_market_agent_may_ask_for_one_of_three_codes() -> None:
    assert [MARKET_PAGE.target((code,)).tolist() for code in (0.0, 1.0, 2.0)] == [[0], [1], [-1]]
    for action in ((3.0,), (0.5,), (math.nan,), (-1.0,), (0.0, 1.0), (True,)):
        assert not MARKET_PAGE.is_legal(action)


def test_without_an_agent_weights_are_equal_and_the_market_is_left_alone() -> None:
    assert allocator_page(4).baseline(BookState.start(4)).tolist() == [0.25] * 4
    assert MARKET_PAGE.baseline(BookState((1.0,), 2.0, 2.0)).tolist() == [0.0]


def test_what_moves_alike_is_wholly_correlated_and_what_does_not_is_not() -> None:
    one = panel_of(SYMBOLS[:1], bars=4_000)
    names = allocator_page(2).market_names

    def seen(close: np.ndarray) -> dict[str, float]:
        panel = Panel(("A", "B"), one.timeframe, one.time, *[close] * 4, np.zeros_like(close))
        return dict(zip(names, allocator_page(2).columns(panel)[-1].tolist(), strict=True))

    alike = seen(np.column_stack([one.close, 3.0 * one.close]))
    assert alike["mean_correlation_168"] == pytest.approx(1.0)
    assert alike["basket_correlation_168[0]"] == pytest.approx(1.0)
    walk = np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.01, (4_000, 2)), axis=0))
    assert abs(seen(walk)["mean_correlation_168"]) < 0.25


def test_an_open_position_tells_what_it_has_returned_since_it_was_turned() -> None:
    book = BookState((0.0,), 2.0, 2.0).after((-1.0,), (-0.9,), 1.8)
    assert MARKET_PAGE.moment(book) == pytest.approx((-0.9, -0.1, -0.1))
    kept = book.after((-1.0,), (-1.0,), 1.9)
    assert MARKET_PAGE.moment(kept) == pytest.approx((-1.0, -0.05, -0.05))
    turned = kept.after((1.0,), (1.0,), 1.9)
    assert MARKET_PAGE.moment(turned) == pytest.approx((1.0, 0.0, -0.05))


def test_a_panel_of_another_number_of_assets_is_refused() -> None:
    with pytest.raises(ConfigError, match="page of 2 assets was shown a panel of 3"):
        allocator_page(2).columns(PAGES[0][1])
    with pytest.raises(ConfigError, match="shown 3 symbols"):
        MARKET_PAGE.columns(PAGES[0][1])

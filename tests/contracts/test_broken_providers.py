"""A provider that breaks a promise makes the test of that promise fail, with the mend."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from darwin.core.market import Bars
from darwin.testing.builders import make_bars
from darwin.testing.contracts import ProviderContract
from tests.contracts.caught import assert_caught


class Shelf:
    """A provider over bars that are handed in; subclasses break a promise each."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars

    def bars(self, symbol: str) -> Bars:
        return self._bars

    def digest(self, symbol: str) -> str:
        return f"{abs(hash(self._bars.close.tobytes())):064x}"

    def source(self, symbol: str) -> str:
        return "a shelf"


class Restless(Shelf):
    def bars(self, symbol: str) -> Bars:
        self._bars = replace(self._bars, close=np.nextafter(self._bars.close, self._bars.high))
        return self._bars


class Blunt(Shelf):
    def digest(self, symbol: str) -> str:
        return f"{len(self._bars):064x}"


class Dated(Shelf):
    def digest(self, symbol: str) -> str:
        return f"{id(self):064x}"


class Short(Shelf):
    def digest(self, symbol: str) -> str:
        return "12ab"


class KeyErrors(Shelf):
    def bars(self, symbol: str) -> Bars:
        return {"BTC/USDT": self._bars}[symbol]


class TellsPath(Shelf):
    def source(self, symbol: str) -> str:
        return "read from /home/me/market/BTCUSDT.csv"


def shelf(kind: type[Shelf] = Shelf, **columns) -> Shelf:
    return kind(replace(make_bars(50), **columns))


GOOD = make_bars(50)
CHECKED = "test_bars_are_checked_bars"
TWICE = "test_asked_twice_it_gives_the_same_bytes"
DIGEST = "test_the_digest_is_that_of_the_data"
REFUSED = "test_what_it_does_not_have_is_refused"


@pytest.mark.parametrize(
    ("columns", "mend"),
    [
        ({"time": GOOD.time[::-1].copy()}, "bar 1 opens less than 1h after"),
        ({"time": np.concatenate((GOOD.time[:1], GOOD.time[:-1]))}, "passed darwin.data.checks"),
        ({"time": GOOD.time.astype(float)}, "not int64 ms UTC"),
        ({"high": GOOD.low}, "leaves its own high and low"),
        ({"close": np.where(np.arange(50) == 7, np.nan, GOOD.close)}, "close of bar 7 is no price"),
        ({"low": -GOOD.low}, "low of bar 0 is no price"),
        ({"open": GOOD.open[1:]}, "open is float64 of shape"),
        ({"volume": np.where(np.arange(50) == 7, np.nan, GOOD.volume)}, "negative or NaN"),
        ({"symbol": "btc usdt"}, "is no symbol"),
    ],
)
def test_a_provider_of_bad_bars_is_caught(columns, mend):
    assert_caught(ProviderContract, CHECKED, mend, shelf(**columns), "BTC/USDT")


def test_a_provider_that_changes_its_mind_is_caught():
    assert_caught(ProviderContract, TWICE, "hand out the same", shelf(Restless), shelf(), "A/B")


@pytest.mark.parametrize(
    ("kind", "mend"),
    [
        (Blunt, "other bars have the same digest"),
        (Dated, "the same bars have two digests"),
        (Short, "64 hex digits"),
    ],
)
def test_a_digest_that_is_none_is_caught(kind, mend):
    other = shelf(kind, close=GOOD.open)
    assert_caught(ProviderContract, DIGEST, mend, shelf(kind), shelf(kind), other, "A/B")


def test_an_other_that_is_the_same_proves_nothing():
    assert_caught(
        ProviderContract, DIGEST, "change a bar in that fixture", shelf(), shelf(), shelf(), "A/B"
    )


@pytest.mark.parametrize(
    ("kind", "mend"), [(Shelf, "gives 50 bars of BTC/USDT"), (KeyErrors, "ends in KeyError")]
)
def test_a_provider_that_answers_for_unknown_symbols_is_caught(kind, mend):
    assert_caught(ProviderContract, REFUSED, mend, shelf(kind))


def test_a_provider_that_tells_its_path_is_caught():
    promise = "test_it_says_where_the_bars_come_from"
    assert_caught(ProviderContract, promise, "name the file alone", shelf(TellsPath), "A/B")

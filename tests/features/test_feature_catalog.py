"""The catalog: scale-free, finite after warm-up, bounded, and honest about its version."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_bars import assert_same_bits, scaled, walk

from darwin.core.market import Bars
from darwin.features import catalog, formula
from darwin.features.catalog import DESCRIPTIONS, NAMES, REVISION, VERSION, WARMUP, version_of
from darwin.features.pipeline import Frame


def everything(bars: Bars) -> np.ndarray:
    return Frame(bars).take(NAMES, np.arange(len(bars)))


def flat_from(bars: Bars, start: int, stop: int) -> Bars:
    """The same bars with nothing moving and nothing traded in [start, stop)."""
    columns = {name: getattr(bars, name).copy() for name in ("open", "high", "low", "close")}
    for column in columns.values():
        column[start:stop] = bars.close[max(start - 1, 0)]
    volume = bars.volume.copy()
    volume[start:stop] = 0.0
    return replace(bars, volume=volume, **columns)


ROUGH_MARKETS = {
    "walk": walk(3_000),
    "bad days": walk(3_000, seed=3, bad_days=True),
    "no volume": walk(2_000, volume_known=False),
    "dies for good": flat_from(walk(9_000), 500, 9_000),
    "wakes up": flat_from(walk(4_000), 500, 3_000),
    "never moved": flat_from(walk(1_000), 0, 1_000),
    "minutes": walk(2_000, timeframe="1m", begins_ms=1_600_049_717_000),
    "days": walk(2_000, timeframe="1d", begins_ms=0, bad_days=True),
}


@pytest.mark.parametrize("name", ROUGH_MARKETS)
def test_after_the_warm_up_every_feature_is_finite_and_bounded(name: str) -> None:
    values = everything(ROUGH_MARKETS[name])[WARMUP - 1 :]
    assert np.isfinite(values).all(), dict(zip(NAMES, np.isfinite(values).all(0), strict=True))
    bounds = [168.0 if name == "atr_ratio_14_168" else 50.0 for name in NAMES]
    assert (np.abs(values) <= bounds).all()


def test_the_warm_up_is_as_long_as_it_says() -> None:
    missing = np.isnan(everything(walk(800)))
    assert missing[WARMUP - 2].any()
    assert not missing[WARMUP - 1 :].any()


def test_a_column_is_missing_until_it_is_known_and_never_again() -> None:
    missing = np.isnan(everything(walk(1_000, bad_days=True)))
    assert not (missing[1:] & ~missing[:-1]).any()


def test_a_market_that_stands_still_has_features_of_zero() -> None:
    values = dict(zip(NAMES, everything(ROUGH_MARKETS["never moved"])[-1], strict=True))
    clock = {"hour_sin", "hour_cos", "weekday_sin", "weekday_cos"}
    assert {name for name, value in values.items() if value != 0.0} <= clock


def test_a_market_that_died_long_ago_shows_no_distance_however_small_its_atr_has_become() -> None:
    died = ROUGH_MARKETS["dies for good"]
    assert 0.0 < Frame(died)["atr_14"][-1] < 1e-100
    values = dict(zip(NAMES, everything(died)[-1], strict=True))
    kept = ("hour", "weekday", "rsi_balance", "di_balance", "trend_strength")
    alive = {name for name, value in values.items() if value != 0.0}
    assert not {name for name in alive if not any(word in name for word in kept)}


@pytest.mark.parametrize("factor", [2.0, 2.0**-20, 2.0**31])
@pytest.mark.parametrize("name", ["bad days", "wakes up"])
def test_no_bit_changes_when_prices_or_volumes_are_doubled(name: str, factor: float) -> None:
    bars = ROUGH_MARKETS[name]
    expected = everything(bars)
    assert_same_bits(everything(scaled(bars, price=factor)), expected)
    assert_same_bits(everything(scaled(bars, volume=factor)), expected)


def test_absent_volume_reads_as_no_volume() -> None:
    absent = walk(1_000, volume_known=False)
    dry = replace(absent, volume=np.zeros(len(absent)))
    assert_same_bits(everything(absent), everything(dry))
    about_volume = [j for j, name in enumerate(NAMES) if "volume" in name]
    assert len(about_volume) >= 6
    assert not everything(absent)[WARMUP:, about_volume].any()


def test_names_are_unique_and_each_has_one_line_of_its_own() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert list(DESCRIPTIONS) == list(NAMES)
    assert len(set(DESCRIPTIONS.values())) == len(NAMES)
    for line in DESCRIPTIONS.values():
        assert line
        assert not set(line) & set("{}\n")


def test_the_hour_turns_once_a_day_and_the_week_begins_on_monday() -> None:
    monday_midnight = 1_600_041_600_000
    frame = Frame(walk(24 * 7, begins_ms=monday_midnight))
    hour = np.arctan2(frame["hour_sin"], frame["hour_cos"]) / (2 * np.pi) * 24 % 24
    weekday = np.arctan2(frame["weekday_sin"], frame["weekday_cos"]) / (2 * np.pi) * 7 % 7
    closes_after_hours = np.arange(1, 24 * 7 + 1)
    np.testing.assert_allclose(np.round(hour, 9) % 24, closes_after_hours % 24)
    np.testing.assert_allclose(np.round(weekday, 9) % 7, closes_after_hours // 24 % 7)


def test_a_return_in_volatilities_is_what_its_name_says() -> None:
    bars = walk(600)
    steps = np.diff(np.log(bars.close))
    expected = steps[-8:].sum() / (np.sqrt(np.mean(steps[-168:] ** 2)) * np.sqrt(8))
    np.testing.assert_allclose(Frame(bars)["return_in_vol_8"][-1], expected, rtol=1e-10)


def test_a_backed_move_is_a_steady_move_with_the_volume_that_ranges_do_not_explain() -> None:
    bars = walk(600)
    steps = np.diff(np.log(bars.close))[-32:]
    spans = np.log(bars.high / bars.low)

    def smooth(x: np.ndarray, span: int) -> float:
        value = x[:span].mean()
        for one in x[span:]:
            value += 2.0 / (span + 1) * (one - value)
        return float(value)

    def level(x: np.ndarray) -> float:
        return float(np.log(smooth(x, 16) / smooth(x, 336) + 0.01))

    surprise = np.tanh(4.0 * (level(bars.volume) - 0.9 * level(spans)))
    steady = np.tanh(steps.sum() / np.sqrt((steps**2).sum()))
    found = [Frame(bars)[name][-1] for name in
             ("volume_surprise_16_336", "steady_move_32", "backed_move_32_16")]  # fmt: skip
    np.testing.assert_allclose(found, [surprise, steady, steady * surprise], rtol=1e-9)


def test_the_version_changes_with_names_order_numbers_definitions_and_revision(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert version_of(NAMES, REVISION) == VERSION
    changed = {
        version_of(NAMES[:-1], REVISION),
        version_of((*NAMES[1:], NAMES[0]), REVISION),
        version_of((*NAMES[:-1], "rsi_balance_15"), REVISION),
        version_of(NAMES, REVISION + 1),
    }

    def atr(bars: int) -> formula.Formula:
        return formula.recall(catalog.measures.window_mean, "true_range", bars=bars)

    monkeypatch.setitem(formula._DEFINITIONS, "atr", atr)
    changed.add(version_of(NAMES, REVISION))
    assert len(changed | {VERSION}) == 6


def test_arithmetic_that_changes_values_raises_the_revision() -> None:
    """Values of revision 1 on fixed bars. If this fails on purpose, raise REVISION and refresh."""
    k = np.arange(500.0)
    close = 100.0 + (k * 7.0) % 13.0 + (k * 3.0) % 31.0 / 4.0
    opened = np.concatenate(([100.0], close[:-1])) + (k % 3.0) / 8.0
    high, low = np.maximum(opened, close) + (k % 5.0), np.minimum(opened, close) - (k % 7.0)
    bars = replace(walk(500), open=opened, high=high, low=low, close=close, volume=1.0 + k % 11.0)
    values = Frame(bars).take(NAMES, np.array([499]))[0]
    assert REVISION == 1
    np.testing.assert_allclose(values, REVISION_1, rtol=1e-9, atol=1e-12)


REVISION_1 = [
    1.15911698498,
    0.257983018348,
    -0.195988041042,
    0.11595962723,
    -0.179098311898,
    -0.0544740236297,
    0.0924229088135,
    1.14518098514,
    1.05760469858,
    1.0424414909,
    1.022906189,
    1.14922216027,
    0.0105433225713,
    0.412844036697,
    0.238195109952,
    0.177851860116,
    0.148233581976,
    0.131992372713,
    -0.106205512392,
    -0.00833085301364,
    -0.0232806187733,
    0.148705028476,
    -0.00144734392892,
    0.0222514132714,
    0.306532663317,
    0.176470588235,
    0.503855107189,
    0.342124276289,
    0.504201680672,
    0.997604790419,
    0.0143884892086,
    0.0410757923852,
    0.0764381896165,
    0.0346067828647,
    -0.530137790171,
    0.0935712252191,
    -0.0496056425613,
    0.0568973146706,
    -0.0102216387684,
    0.0189027050487,
    0.288389353471,
    -0.000527594540488,
    0.155497161461,
    -0.866025403784,
    0.5,
    -0.781831482468,
    0.623489801859,
]

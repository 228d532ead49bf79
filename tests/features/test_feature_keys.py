"""Keys: what they mean, and how a wrong one is refused."""

from __future__ import annotations

import pytest
from made_bars import PLAYBOOK_KEYS, walk

from darwin.core.market import Timeframe
from darwin.errors import ConfigError
from darwin.features.formula import describe
from darwin.features.pipeline import Frame, Stream

HOUR = Timeframe.parse("1h")


@pytest.mark.parametrize(
    ("key", "mend"),
    [
        ("atrr_14", "did you mean 'atr_14'?"),
        ("donchian_hihg_20", "did you mean 'donchian_high_20'?"),
        ("clsoe", "did you mean 'close'?"),
        ("x4_rsii_14", "did you mean 'rsi_14'?"),
        ("atr", "write atr_<bars>"),
        ("atr_14_3", "write atr_<bars>"),
        ("macd_12", "write macd_<fast>_<slow>"),
        ("prev_close_3", "write prev_close"),
        ("atr_0", "write a whole number from 1 to 10000"),
        ("atr_014", "write a whole number from 1 to 10000"),
        ("atr_10001", "write a whole number from 1 to 10000"),
        ("x1_atr_14", "write a whole number from 2 to 10000 behind the x, as in x4_atr_14"),
        ("x4_volume_ratio_20", "use keys that rest on open, high, low, close, close_time"),
        ("zzqq", "known names: "),
        ("", "known names: "),
        ("atr_14\n", "did you mean"),
        ("ATR_14", "known names: "),
    ],
)
def test_a_wrong_key_is_refused_with_the_mend(key: str, mend: str) -> None:
    bars = walk(30)
    for ask in (
        lambda: Frame(bars)[key],
        lambda: Frame(bars, (key,)),
        lambda: Stream(HOUR, ("close", key)),
    ):
        with pytest.raises(ConfigError) as caught:
            ask()
        assert caught.value.mend.startswith(mend)
        assert len(caught.value.lines()) <= 3


def test_a_key_is_described_with_its_numbers() -> None:
    assert (
        describe("atr_14") == "Wilder's average true range over 14 bars; seed: mean of the first 14"
    )
    assert describe("x4_sma_9") == (
        "Arithmetic mean of the last 9 closes, over closed bars of 4 times the timeframe"
    )
    for key in PLAYBOOK_KEYS:
        assert not set(describe(key)) & set("{}\n"), key

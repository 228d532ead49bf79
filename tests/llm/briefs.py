"""A candidate as a model is shown it, with anything in it changed."""

from __future__ import annotations

from typing import Any

from darwin.core.account import Account
from darwin.core.candidate import Candidate, Exits, Trailing
from darwin.core.expert import Judged, Record, Tally
from darwin.deciders.llm.brief import Brief, Scene
from darwin.deciders.llm.prompt import Setting
from darwin.deciders.llm.words import NEEDS

SCENE = Scene(
    symbols=("BTC/USDT", "ETH/USDT:USDT"),
    playbooks=("breakout", "pullback"),
    rules=("Long above the channel. Here: lookback=32.", "Long after a fall in an uptrend."),
    exits=(Exits(), Exits(2.0, None, None, Trailing(1.0, 1.5))),
    timeframe="1h",
    round_trip_bps=14.0,
    starting_equity_usd=10_000.0,
    max_positions=10,
    max_exposure_fraction=1.0,
)
CANDIDATE = Candidate(0xABCDEF, 17, 0, 0, 1, 1_704_078_000_000, 40, 43_210.9876, 300.0, 600.0)
ACCOUNT = Account(10_400.0, 2_100.0, 0.0, 1, -0.031)
LAST = (Judged(True, 0.6, ("thin volume",), -1.02), Judged(False, 0.4, (), 1.96))
RECORD = Record(Tally(12, 7, 5, -0.75, LAST, 2.1), Tally(20, 9, 8, 1.5, LAST, -0.6))
SETTING = Setting("openai", None, "gpt-5-mini", 400, 0.0, "schema", False, "")


def brief(**changes: Any) -> Brief:
    """The usual one, with `changes` to its fields."""
    features = {key: 0.1 * number - 1.28 for number, key in enumerate(NEEDS)}
    return Brief(SCENE, CANDIDATE, features, ACCOUNT, RECORD)._replace(**changes)

"""The block of the risk manager: what cannot be meant is refused at its key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from darwin.bootstrap import rules_of
from darwin.config.load import load_config
from darwin.errors import ConfigError
from tests.config.test_config_load import SMALL

Write = Callable[[object], Path]


def portfolio(**keys: Any) -> dict[str, Any]:
    return SMALL | {"portfolio": {"sizing": "risk_manager"} | keys}


@pytest.mark.parametrize(
    ("tree", "key", "hint"),
    [
        (portfolio(risk_per_trade=0.06), "portfolio.risk_per_trade", "above 0.05"),
        (portfolio(risk_manager={"max_leverage": 2}), "risk_manager.max_leverage",
         "without margin"),
        (portfolio(risk_manager={"min_leverage": 0.8, "max_leverage": 0.5}),
         "risk_manager.min_leverage", "swap them"),
        (portfolio(risk_manager={"volatility_bars": 500}), "risk_manager.volatility_bars",
         "market.warmup_bars, 400"),
        (portfolio(risk_manager={"volatility_bars": 1}), "risk_manager.volatility_bars", "2"),
        (portfolio(risk_manager={"target_volatility": 0}), "risk_manager.target_volatility", "0"),
        (portfolio(risk_manager={"hedge_threshold": 1.5}), "risk_manager.hedge_threshold", "1"),
        (portfolio(risk_manager={"hedge_treshold": 0.1}), "hedge_treshold", "hedge_threshold"),
        (portfolio(risk_manager=None), "portfolio.risk_manager", "object"),
        (portfolio(units=1.0), "portfolio.units", "risk_manager"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_at_its_key(
    tree: dict[str, Any], key: str, hint: str, write: Write
) -> None:
    with pytest.raises(ConfigError) as told:
        load_config(write(tree), (), {})
    assert key in str(told.value) and hint in str(told.value)


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"risk_per_trade": 0.05},
        {"max_exposure_fraction": 2.0, "risk_manager": {"max_leverage": 2}},
        {"max_exposure_fraction": None, "risk_manager": {"max_leverage": 5, "min_leverage": 5}},
        {"sizing": "risk", "risk_per_trade": 0.5, "risk_manager": {"max_leverage": 2}},
    ],
)
def test_what_can_be_meant_is_taken(keys: dict[str, Any], write: Write) -> None:
    assert load_config(write(portfolio(**keys)), (), {}).config


def test_the_rule_of_a_run_is_what_the_config_says(write: Write) -> None:
    block = {
        "target_volatility": 0.4, "max_leverage": 1.5, "min_leverage": 0.2, "volatility_bars": 24,
        "hedge_threshold": 0.1, "hedge_part_of_excess": 2,
    }  # fmt: skip
    tree = portfolio(risk_per_trade=0.02, max_exposure_fraction=2, risk_manager=block)
    rules = rules_of(load_config(write(tree), (), {}).config)
    rule: Any = rules.risk
    assert rules.sizing.method == "risk_manager" and rule.bars == 24
    assert (rule.sizer.risk, rule.leverage.target, rule.leverage.cap) == (0.02, 0.4, 1.5)
    assert (rule.leverage.floor, rule.hedging.threshold) == (0.2, 0.1)
    assert rule.hedging.part_of_excess == 2


def test_other_methods_have_no_such_rule(write: Write) -> None:
    assert rules_of(load_config(write(SMALL), (), {}).config).risk is None

"""The stages of the guide: a percentage of capital, and what it is called."""

from __future__ import annotations

import pytest

from darwin.core.agents import STAGES
from darwin.errors import ConfigError
from darwin.service.stages import require_risk_guard, stage_of_percent, stage_of_share

GUIDE = {
    0: "Stage 0: Shadow Mode (0%)",
    1: "Stage 1: Initial Testing (1%)",
    5: "Stage 2: Confidence Building (5%)",
    10: "Stage 3: Standard Operation (10%)",
    25: "Stage 4: Expanded Operation (25%)",
    50: "Stage 4: Expanded Operation (50%)",
    100: "Stage 4: Expanded Operation (100%)",
}


@pytest.mark.parametrize(("percent", "words"), GUIDE.items())
def test_a_percentage_is_called_as_the_guide_calls_it(percent: int, words: str) -> None:
    for said in (percent, float(percent)):
        assert stage_of_percent(said).words == words
    assert stage_of_percent(percent).share == STAGES[list(GUIDE).index(percent)]


@pytest.mark.parametrize("share", STAGES)
def test_a_share_on_record_is_the_stage_of_its_percentage(share: float) -> None:
    assert stage_of_share(share).share == share
    assert stage_of_share(share) == stage_of_percent(stage_of_share(share).percent)


@pytest.mark.parametrize(
    "percent", [0.01, 0.5, 2, 5.0000001, 11, 99.9, 101, -1, 1e999, -1e999, float("nan")]
)
def test_a_percentage_that_is_no_stage_is_refused_with_those_that_are(percent: float) -> None:
    with pytest.raises(ConfigError, match="no stage") as refused:
        stage_of_percent(percent)
    assert "0, 1, 5, 10, 25, 50, 100" in str(refused.value.lines())


@pytest.mark.parametrize("percent", [1, 5.0, 100, 0.5, float("nan")])
def test_above_no_capital_the_risk_guard_cannot_be_switched_off(percent: float) -> None:
    require_risk_guard(percent, enabled=True)
    with pytest.raises(ConfigError, match="risk guard cannot be switched off") as refused:
        require_risk_guard(percent, enabled=False)
    assert "enable_risk_guard" in str(refused.value.lines())


def test_without_capital_there_is_nothing_to_guard() -> None:
    require_risk_guard(0, enabled=False)

"""Building plug-ins from free options: strict types, named faults, lists for tuples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from darwin.config.load import load_config
from darwin.config.options import attempt, build, option_faults
from darwin.core.candidate import Exits, Trailing
from darwin.errors import ConfigError
from darwin.plugins import factory as find
from tests.config.config_samples import EXITS, changed

USUAL = Trailing(1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Rule:
    least: float
    span: int = 5
    side: Literal["long", "short"] = "long"
    names: tuple[str, ...] = ()
    both: int | str | None = None
    flag: bool = False
    trailing: Trailing = USUAL
    second: Trailing | None = None
    handed: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (1 <= self.span <= 100):
            raise ValueError(f"span must lie between 1 and 100, not {self.span}")
        if self.least > self.span:
            raise ValueError("the least is more than the span")


class Classic:
    """A plug-in of the old school: a class with a constructor, and a rest that takes anything."""

    def __init__(self, depth: int, *, broker: Path | None = None, **rest: object) -> None:
        self.depth = depth
        self.broker = broker


def plain(depth: int, wild) -> int:  # type: ignore[no-untyped-def]
    return depth


def test_options_become_what_the_annotations_say() -> None:
    options = {"least": 1, "names": ["a", "b"], "trailing": {"activation_r": 2, "distance_atr": 3}}
    built = build(Rule, options, "decider", {"handed": {1: "x"}})
    assert built == Rule(1.0, names=("a", "b"), trailing=Trailing(2.0, 3.0), handed={1: "x"})
    assert type(built.least) is float


def test_an_exits_block_of_the_config_builds_the_exits_of_the_core() -> None:
    exits = build(Exits, EXITS, "playbooks[0].exits")
    assert exits.trailing == Trailing(1.0, 1.2)
    assert exits.anchor == "fill"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "playbooks[0].params.least is required"),
        ({"least": 1, "spam": 5}, "did you mean 'span'?"),
        ({"least": 1, "zzz": 5}, "known here: both, flag, least"),
        ({"least": 1, "handed": {}}, "playbooks[0].params.handed is no option here"),
        ({"least": "1"}, "playbooks[0].params.least must be a number, not text"),
        ({"least": True}, "must be a number, not true"),
        ({"least": 1, "span": 5.0}, "playbooks[0].params.span must be a whole number, not 5"),
        ({"least": 1, "flag": 1}, "playbooks[0].params.flag must be true or false, not 1"),
        ({"least": 1, "side": "up"}, "playbooks[0].params.side must be 'long' or 'short'"),
        ({"least": 1, "names": "a"}, "playbooks[0].params.names must be a list, not text"),
        ({"least": 1, "names": ["a", 5]}, "playbooks[0].params.names[1] must be text"),
        ({"least": 1, "both": 1.5}, "must be a whole number or text in quotes, not 1.5"),
        ({"least": 1, "trailing": {"activation_r": 1, "distanze_atr": 1}}, "'distance_atr'?"),
        ({"least": 1, "trailing": {"activation_r": 1, "distance_atr": None}},
         "playbooks[0].params.trailing.distance_atr must be a number, not null"),
        ({"least": 1, "second": {"activation_r": 1, "distance_atr": 1, "x": 1}},
         "playbooks[0].params.second.x is refused: unexpected keyword argument"),
        ({"least": float("nan")}, "playbooks[0].params.least must be a finite number"),
        ({"least": 1, "trailing": [1, 2]}, "playbooks[0].params.trailing must be an object"),
        ({"least": 1, "span": 101}, "playbooks[0].params.span must lie between 1 and 100"),
        ({"least": 9}, "playbooks[0].params is refused: the least is more than the span"),
    ],
)  # fmt: skip
def test_a_wrong_option_is_named_with_its_mend(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        build(Rule, options, "playbooks[0].params", {"handed": {}})
    assert said in str(refused.value)
    assert len(refused.value.lines()) == 3


def test_all_wrong_options_stand_in_one_message() -> None:
    built, faults = attempt(Rule, {"span": "x", "flagg": True}, ("decider",))
    assert built is None
    assert [fault.path[-1] for fault in faults] == ["span", "flagg", "least"]


@pytest.mark.parametrize("factory", [Classic, plain])
def test_a_factory_need_not_be_a_dataclass(factory: Callable[..., Any]) -> None:
    extra = {"wild": object()} if factory is plain else {}
    assert getattr(build(factory, {"depth": 3}, "decider", extra), "depth", 3) == 3
    with pytest.raises(ConfigError, match=r"decider\.rest is no option"):
        build(factory, {"depth": 3, "rest": 1}, "decider", extra)
    with pytest.raises(ConfigError, match=r"decider\.depth must be a whole number"):
        build(factory, {"depth": "3"}, "decider", extra)


def test_an_error_of_the_factory_that_is_no_refusal_is_not_hidden() -> None:
    def broken() -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        build(broken, {}, "decider")


def test_faults_of_all_plug_ins_are_found_together(write: Callable[[object], Path]) -> None:
    tree = changed(("playbooks", 0, "params", "lookback"), "long")
    tree["playbooks"][1]["name"] = "pulback"
    tree["decider"]["take_al"] = True
    tree["market"]["provider"] = "sinthetic"
    loaded = load_config(write(tree), (), {})
    faults = option_faults(loaded.config, find)
    assert [fault.path for fault in faults] == [
        ("market", "provider"),
        ("playbooks", 0, "params", "lookback"),
        ("playbooks", 1, "name"),
        ("decider", "take_al"),
    ]
    assert (
        loaded.refuse(faults).lines()[0].startswith("error: 4 faults; the first: market.provider")
    )

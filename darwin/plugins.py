"""Find a thing by kind and name: built in, by entry point, or by `package.module:Name`."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

from darwin.errors import ConfigError

BUILT_IN: dict[str, dict[str, str]] = {
    "playbook": {
        "breakout": "darwin.playbooks.breakout:Breakout",
        "mean_reversion": "darwin.playbooks.mean_reversion:MeanReversion",
        "pullback": "darwin.playbooks.pullback:Pullback",
    },
    "provider": {
        "ccxt": "darwin.data.sources:ccxt",
        "files": "darwin.data.sources:files",
        "klines": "darwin.data.sources:klines",
        "synthetic": "darwin.data.sources:synthetic",
    },
    "policy": {
        "cautious-gate": "darwin.rl.serving.rules:CautiousGate",
        "second-opinion": "darwin.rl.serving.rules:SecondOpinion",
        "size-by-strength": "darwin.rl.serving.rules:SizeByStrength",
        "demo-gate": "darwin.rl.serving.demo_models:DemoGate",
        "demo-meta-learner": "darwin.rl.serving.demo_models:DemoMetaLearner",
        "demo-portfolio": "darwin.rl.serving.demo_models:DemoPortfolio",
    },
    "decider": {
        "llm": "darwin.deciders.llm.decider:LlmDecider",
        "recorded": "darwin.deciders.recorded:RecordedDecider",
        "rules": "darwin.deciders.rules:RulesDecider",
    },
}


METHOD = {"playbook": "scan", "provider": "bars", "decider": "decide", "policy": "advise"}
"""What makes a class one of its kind; nothing else is called on the word of a config."""


def factory(kind: str, name: str) -> Callable[..., Any]:
    """Return what builds the `kind` called `name`; imported only now.

    Looks at Darwin's own first, then at entry points of group `darwin.<kind>`; a name with a
    colon is imported as it stands. Raises ConfigError with a suggestion when nothing is found.
    """
    known = BUILT_IN[kind]
    target = known.get(name)
    if target is None and ":" in name:
        target = name
    if target is None:
        outside = {point.name: point.value for point in entry_points(group=f"darwin.{kind}")}
        target = outside.get(name)
        known = known | outside
    if target is None:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"known: {', '.join(sorted(known))}"
        raise ConfigError(f"no {kind} called '{name}'", mend=hint)
    module_name, _, attribute = target.partition(":")
    try:
        found: Callable[..., Any] = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError, ValueError) as fault:
        raise ConfigError(
            f"the {kind} '{name}' cannot be imported ({fault})",
            mend="check that its package is installed and the name behind the colon exists",
        ) from fault
    method = METHOD[kind]
    if name not in BUILT_IN[kind] and not (
        isinstance(found, type) and callable(getattr(found, method, None))
    ):
        raise ConfigError(
            f"'{name}' is no {kind}: it is no class with a method '{method}'",
            mend="name a class that keeps the contract of its kind (darwin.testing.contracts)",
        )
    return found

"""The report of a training as a page: all of it from the tree that report.json holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from darwin.engine import report_words as words
from darwin.report import training_drawn as drawn
from darwin.report.shell import TEMPLATES, own, render
from darwin.report.svg import curve_svg
from darwin.report.training_words import SPEECH, Tree, key_figures, sentences

KINDS_SHOWN, COLUMNS_SHOWN = 10, 20
_FORESTS = (
    ("learned_gain_r", "Learned gain", "beyond a rival that is as busy at random"),
    ("over_baseline_r", "Gain over the baseline", "beyond leaving everything as it was"),
)


def page(tree: Tree) -> str:
    """Write the page of one training; `tree` is what report.json holds.

    Other parts of a training may add `canaries` (a list of name, passed, figure, told) and
    `trials` (figures by name); without them their sections are left out.
    """
    speech = SPEECH[tree["agent"]]
    plots = drawn.curves(tree)
    sizes = "leaving_r" not in tree["calibration"][0]
    svg = {
        name: own(curve_svg(plots[name], log=False, unit="", label=label))
        for name, label in (("gain", "Learned gain on validation"), ("reward", "Mean reward"))
    }
    return render(
        "training.html.j2",
        TEMPLATES,
        plots,
        t=tree,
        agent=tree["agent"].replace("_", "-"),
        speech=speech,
        sizes=sizes,
        sentences=sentences(tree, speech, sizes),
        failed=[one for one in tree.get("canaries") or () if one["passed"] is False],
        key_figures=key_figures(tree, speech, sizes),
        forests=[(title, note, drawn.forest(tree, gain)) for gain, title, note in _FORESTS],
        kinds=drawn.bars(tree["importance"]["kinds"][:KINDS_SHOWN]),
        columns=drawn.bars(tree["importance"]["columns"][:COLUMNS_SHOWN]),
        gain_svg=svg["gain"],
        reward_svg=svg["reward"],
        calibration_svg=own(drawn.calibration(tree, speech, sizes)),
        timeline=drawn.timeline(tree),
        plan=list(_flat(_readable(tree))),
        trials=list(_flat(tree.get("trials", {}))),
    )  # fmt: skip


def _readable(tree: Tree) -> dict[str, Any]:
    """The plan, with times as people write them."""
    plan, aimed = dict(tree["plan"]), tree["departure_rate_aimed_at"]
    plan["embargo"] = f"{words.number(plan.pop('embargo_ms') / 3_600_000, 1)} hours"
    if plan["test_from"] is not None:
        plan["test_from"] = words.day(plan["test_from"])
    rate = "no such aim" if aimed is None else words.percent(aimed, 0)
    return plan | {"recipe": plan["recipe"] | {"departure_rate": rate}}


def _flat(tree: Tree, before: str = "") -> Iterator[tuple[str, str]]:
    """Every value of a tree with its path, in words."""
    for name, value in tree.items():
        called = f"{before}{name.replace('_', ' ')}"
        if isinstance(value, dict):
            yield from _flat(value, f"{called}: ")
        else:
            yield called, _said(value)


def _said(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.6g}".replace("-", words.MINUS)
    if isinstance(value, list):
        return ", ".join(map(_said, value))
    return str(value)

"""The dossier of a promotion or demotion as a page: all of it from the tree that its JSON holds."""

from __future__ import annotations

import json
import math
from typing import Any

from darwin.report import dossier_words as said
from darwin.report.dossier_words import Tree
from darwin.report.shell import TEMPLATES, own, render
from darwin.report.svg import curve_svg

_TEN = math.log(10.0)
_LOOKS = {"skill": "run", "utility": "learner", "miss rate": "buy_and_hold"}
_ALARMS = {"skill": "run", "utility": "learner"}


def page(tree: Tree) -> str:
    """Write the page of one dossier; it holds the tree as well, and asks for nothing outside."""
    plots = {
        "evidence": _evidence(tree),
        "ledger": _ledger(tree),
        "detectors": _detectors(tree["detectors"]),
    }
    labels = {
        "evidence": "Evidence of each test after every block, in powers of ten",
        "ledger": "Cumulated R of the baseline, of the agent obeyed, and their difference",
        "detectors": "Detectors after every block, in powers of ten",
    }
    drawn = {
        name: own(curve_svg(plot, log=False, unit="", label=labels[name])) if plot["series"] else ""
        for name, plot in plots.items()
    }
    return render(
        "dossier.html.j2",
        TEMPLATES,
        plots,
        t=tree,
        whole=own(_inert(json.dumps(tree, ensure_ascii=False, allow_nan=False))),
        agent=said.NAMES[tree["agent"]],
        said=said,
        headline=said.headline(tree),
        warnings=said.warnings(tree),
        sentences=said.sentences(tree),
        key_figures=said.key_figures(tree),
        terms=said.terms(tree),
        drawn=drawn,
    )


def _evidence(t: Tree) -> dict[str, Any]:
    x = [block["end_ms"] // 1000 for block in t["blocks"]]
    series = [
        {
            "name": one["name"].replace(" ", "_"),
            "look": _LOOKS[one["name"]],
            "label": one["name"],
            "values": [_tens(block["log_e"][one["name"]]) for block in t["blocks"]],
        }
        for one in t["tests"]
    ]
    needed = sorted({one["log_e_needed"] for one in t["tests"]})
    series += [
        _level(f"needed_{at}", "needed" if len(needed) == 1 else f"needed {said.e_value(one)}",
               _tens(one), len(x))
        for at, one in enumerate(needed)
    ]  # fmt: skip
    return _plot(x, series, "tens")


def _ledger(t: Tree) -> dict[str, Any]:
    curve = t["shadow"]["curve"]
    x = [one["end_ms"] // 1000 for one in curve]
    looks = {
        "obeyed": ("run", "agent obeyed"),
        "baseline": ("learner", "baseline alone"),
        "difference": ("buy_and_hold", "difference"),
    }
    series: list[dict[str, Any]] = [
        {
            "name": name,
            "look": look,
            "label": label,
            "values": [one[f"{name}_r"] for one in curve],
        }
        for name, (look, label) in looks.items()
    ]
    return _plot(x, series, "R")


def _detectors(told: Tree | None) -> dict[str, Any]:
    if told is None:
        return _plot([], [], "tens")
    x = [one["end_ms"] // 1000 for one in told["blocks"]]
    series = [
        {
            "name": one["name"],
            "look": _ALARMS[one["name"]],
            "label": one["name"],
            "values": [_tens(block["log_m"][one["name"]]) for block in told["blocks"]],
        }
        for one in told["alarms"]
    ]
    series += [
        _level(f"needed_{one['name']}", f"{one['name']} sounds at", _tens(one["log_m_needed"]),
               len(x))
        for one in told["alarms"]
    ]  # fmt: skip
    return _plot(x, series, "tens")


def _plot(x: list[int], series: list[dict[str, Any]], unit: str) -> dict[str, Any]:
    """A plot of at least two points in which every line has some; else an empty one."""
    told = [one for one in series if any(value is not None for value in one["values"])]
    if len(x) < 2:
        return {"x": [], "series": [], "unit": unit}
    return {"x": x, "series": told, "unit": unit}


def _level(name: str, label: str, value: float | None, length: int) -> dict[str, Any]:
    return {"name": name, "look": "zero", "label": label, "values": [value] * length}


def _tens(log: float | None) -> float | None:
    return None if log is None else round(log / _TEN, 6)


def _inert(text: str) -> str:
    """JSON that no HTML parser can mistake for markup."""
    for mark in "<>&\u2028\u2029":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return text

"""What the report of a training draws: curves, and places on lines, 0 to 100 per cent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from darwin.engine import report_words as words
from darwin.report.svg import errors_svg
from darwin.report.training_words import Speech, Tree, with_error


def curves(tree: Tree) -> dict[str, Any]:
    """What the looks at validation found: `gain`, with the supervised learner, and `reward`."""
    looks = {seed: {one["steps"]: one for one in told} for seed, told in tree["curves"].items()}
    x = sorted({steps for told in looks.values() for steps in told})

    def series(figure: str) -> list[dict[str, Any]]:
        return [
            {
                "name": f"seed_{seed}",
                "look": "seed",
                "label": f"seed {seed}",
                "values": [told[at][figure] if at in told else None for at in x],
            }
            for seed, told in sorted(looks.items(), key=lambda one: int(one[0]))
        ]

    beside = tree["supervised_learner_on_validation_r"]
    level = [("learner", "supervised learner", beside), ("zero", "rival", 0.0)]
    flat = [
        {"name": name, "look": name, "label": label, "values": [value] * len(x)}
        for name, label, value in level
    ]
    common = {"x": x, "across": "steps", "unit": "R"}
    return {
        "gain": {**common, "series": [*series("learned_gain"), *flat]},
        "reward": {**common, "series": series("mean_reward")},
    }


def forest(tree: Tree, gain: str) -> list[dict[str, Any]]:
    """Figures with intervals, as places from 0 to 100 on one line that holds zero."""
    rows = [
        ("Merged network", tree["test"][gain], "own"),
        *((f"Seed {one['seed']} alone", one[gain], "") for one in tree["seeds_alone"]),
        ("Seeds, middle half", tree["interquartile_mean"][gain], ""),
        ("Supervised learner", tree["supervised_learner"][gain], "quiet"),
    ]
    ends = [end for _, one, _ in rows for end in one.values() if end is not None]
    place = _Line([0.0, *ends])
    return [
        {
            "name": name,
            "kind": kind,
            "figure": one,
            "zero": place(0.0),
            "at": place(one["value"]),
            "from": None if one["low"] is None else place(one["low"]),
            "to": None if one["high"] is None else place(one["high"]),
        }
        for name, one, kind in rows
    ]


def bars(columns: Sequence[Tree]) -> list[dict[str, Any]]:
    """Columns with the places of their bar and of its spread, 0 to 100."""
    reach = [one["fall"] + sign * one["spread"] for one in columns for sign in (-1.0, 1.0)]
    place = _Line([0.0, *reach])
    return [
        {
            **one,
            "zero": place(0.0),
            "from": min(place(0.0), place(one["fall"])),
            "to": max(place(0.0), place(one["fall"])),
            "low": place(one["fall"] - one["spread"]),
            "high": place(one["fall"] + one["spread"]),
        }
        for one in columns
    ]


def calibration(tree: Tree, speech: Speech, sizes: bool) -> str:
    """What became of each tenth, as SVG; set off are those that reach the threshold."""
    figure, threshold = "mean_r" if sizes else "leaving_r", tree["threshold"]
    return errors_svg(
        [
            {
                "value": one[figure],
                "error": one[f"{figure}_error"],
                "on": threshold is None or one["high"] >= threshold,
                "says": f"{speech.score} {words.number(one['low'], 3)} to"
                f" {words.number(one['high'], 3)}: {with_error(one[figure], None)}",
            }
            for one in tree["calibration"]
        ],
        ends=("lowest tenth", "highest tenth"),
        label=f"{'Mean R' if sizes else f'What {speech.leaving} earns'} by tenths of the score",
    )


def timeline(tree: Tree) -> list[dict[str, Any]]:
    """The parts with their places on a line of time, 0 to 100."""
    first, last = (_seconds(tree["spans"][at][end]) for at, end in ((0, "from"), (-1, "to")))
    whole = (last - first) or 1.0
    return [
        {
            **one,
            "left": round(100.0 * (_seconds(one["from"]) - first) / whole, 2),
            "width": round(100.0 * (_seconds(one["to"]) - _seconds(one["from"])) / whole, 2),
        }
        for one in tree["spans"]
    ]


class _Line:
    """Places of values on a line that holds all of `values`, 2 to 98 per cent."""

    def __init__(self, values: Sequence[float]) -> None:
        self._low, self._room = min(values), (max(values) - min(values)) or 1.0

    def __call__(self, value: float) -> float:
        return round(2.0 + 96.0 * (value - self._low) / self._room, 2)


def _seconds(iso: str) -> float:
    return datetime.fromisoformat(iso).timestamp()

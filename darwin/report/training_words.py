"""What the report of a training says in words and in few figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from darwin.engine import report_words as words

Tree: TypeAlias = Mapping[str, Any]
_R = "\N{NO-BREAK SPACE}R"


class Speech(NamedTuple):
    """How one talks of what an agent does."""

    leaving: str  # the baseline
    left: str  # of candidates
    stayed: str
    rate: str  # how often it does
    score: str


SPEECH = {
    "gate": Speech("skipping", "skipped", "passed", "Skips", "Odds of a skip"),
    "meta_learner": Speech("overriding", "overridden", "kept", "Overrides", "Odds of an override"),
    "portfolio": Speech("cutting the size", "what was cut", "what stayed", "Mean size", "Size"),
}


def sentences(tree: Tree, speech: Speech, sizes: bool) -> list[str]:
    """What stands below the verdict, most telling first."""
    over, learner = tree["test"]["over_baseline_r"], tree["supervised_learner"]["learned_gain_r"]
    alone = [one["learned_gain_r"]["value"] for one in tree["seeds_alone"]]
    better = tree["test"]["learned_gain_r"]["value"] > learner["value"]
    gaining = sum(one > 0.0 for one in alone)
    told = [
        f"Over the baseline it gains {_r(over['value'])} per decision,"
        f" {_between(over)}{'' if _clear(over) else '; that may be luck'}.",
        f"A ridge regression on the same rows gains {_r(learner['value'])}:"
        f" {'the network does better' if better else 'the network does no better'}.",
    ]
    if len(alone) > 1:
        told.append(
            f"Alone, {gaining} of {len(alone)} seeds {'gains' if gaining == 1 else 'gain'}"
            f" something: {_r(min(alone))} to {_r(max(alone))}."
        )
    tenths = tree["calibration"]
    if len(tenths) > 1:
        figure = "mean_r" if sizes else "leaving_r"
        first, last = (with_error(one[figure], one[f"{figure}_error"]) for one in
                       (tenths[0], tenths[-1]))  # fmt: skip
        told.append(
            f"Where it sizes most a full size came to {last}, where it sizes least to {first}."
            if sizes
            else f"Where it most wants to leave the baseline {speech.leaving} would have earned"
            f" {last} beyond staying, where it least wants to {first}."
        )
    clear = [one for one in tree["importance"]["kinds"] if one["beyond_spread"]]
    told.append(
        f"It hangs most on {clear[0]['name'].replace('_', ' ')}: without what that tells, the"
        f" learned gain falls by {_r(clear[0]['fall'])}."
        if clear
        else "No kind of column stands out: the learned gain hangs on none by itself."
    )
    if any(one["passed"] is False for one in tree.get("canaries") or ()):
        told.append("A canary failed: rely on none of these figures until that is explained.")
    elif tree["learned"]:
        told.append(
            "The model goes to the registry, where it only watches until a person promotes it."
        )
    else:
        told.append("No model is handed over; the registry stays as it was.")
    told.append(
        "The test was looked at once by this training. Every further training on the same runs is"
        " one more look at the same test."
    )
    return told


def key_figures(tree: Tree, speech: Speech, sizes: bool) -> list[dict[str, Any]]:
    """The figures at the top: label, value, a note, and whether it is a loss."""
    test, middle = tree["test"], tree["interquartile_mean"]["learned_gain_r"]
    learned, over = test["learned_gain_r"], test["over_baseline_r"]
    whole = tree["changes"]["gain_r"]
    rate = 1.0 - test["departure_rate"] if sizes else test["departure_rate"]
    aimed = tree["departure_rate_aimed_at"]
    span, learner = tree["spans"][-1], tree["supervised_learner"]["learned_gain_r"]
    figures = [
        ("Learned gain", _r(learned["value"]), _between(learned), learned["value"]),
        ("Over the baseline", _r(over["value"]), _between(over), over["value"]),
        ("In all", words.number(whole, 1, True) + _R, "over the baseline, whole test", whole),
        (speech.rate, words.percent(rate),
         "of full size" if aimed is None else f"aimed at {words.percent(aimed, 0)}", None),
        ("Supervised learner", _r(learner["value"]), _between(learner), learner["value"]),
        ("Seeds, middle half", _r(middle["value"]), _between(middle), middle["value"]),
        ("Test", words.count(span["rows"], "row"), f"{span['from'][:10]} to {span['to'][:10]}",
         None),
        ("Threshold", words.number(tree["threshold"], 4),
         "sizes have none" if sizes else f"on {speech.score.lower()}", None),
    ]  # fmt: skip
    return [
        {"label": label, "value": value, "note": note, "loss": sign is not None and sign < 0}
        for label, value, note, sign in figures
    ]


def _r(value: float | None) -> str:
    return words.number(value, 4, True) + _R


def _between(one: Tree) -> str:
    if one["low"] is None:
        return "too short for an interval"
    return f"95 %: {words.number(one['low'], 4, True)} to {words.number(one['high'], 4, True)}"


def _clear(one: Tree) -> bool:
    """Whether an interval leaves zero out."""
    return one["low"] is not None and (one["low"] > 0.0 or one["high"] < 0.0)


def with_error(value: float, error: float | None) -> str:
    """A figure in R, with its standard error where that is known."""
    text = words.number(value, 3, True)
    return (text if error is None else f"{text} ± {words.number(error, 3)}") + _R

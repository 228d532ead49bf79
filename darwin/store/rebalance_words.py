"""The story of one rebalance in words for people, which `darwin why` prints and a page shows.

All of it is read from the tree that JSON has (`rebalance_tree`).
"""

from __future__ import annotations

from typing import Any

from darwin.core.written import number, when

_SEEN = ("drawdown", "cash")  # of the observation, what a reader asks first
WEIGHT_HEADS = ("weight", "advised", "baseline", "held", "then returned")
"""What stands above `weight_rows`."""


def about(tree: dict[str, Any]) -> tuple[str, str]:
    """Which rebalance it is, and of what book."""
    row = tree["rebalance"]
    return (
        f"rebalance {row['rebalance_id']} · {row['agent_name']} · run {row['run_id']}",
        f"decided {when(tree['decided'])} on a book of {number(round(tree['book_value_usd'], 2))}"
        " USD; traded at the next open",
    )


def stage_rows(tree: dict[str, Any]) -> list[tuple[str, str]]:
    """A row for each stage: its name, and what was said there."""
    row = tree["rebalance"]
    return [
        ("seen", _seen(tree["observation"])),
        ("advice", _advice(row)),
        ("baseline", "what stands without the agent: the column below"),
        ("door", f"{row['reason']} (mode {row['mode']}): {_ruling(row)}"),
        ("limits", f"cut by {row['limited_by']}" if row["limited_by"] else "cut nothing"),
        ("holding", _holding(tree["holding"])),
    ]


def challenger_lines(tree: dict[str, Any]) -> list[str]:
    """A line for each model that was asked beside the one that serves."""
    return [_challenger(one) for one in tree["challengers"]]


def _seen(observation: Any) -> str:
    told = f"{len(observation)} figures: --json shows them"
    if not isinstance(observation, dict):
        return told
    first = [f"{name} {_percent(observation[name])}" for name in _SEEN if name in observation]
    return f"the book of its own advice: {', '.join(first)}; {told}" if first else told


def _advice(row: dict[str, Any]) -> str:
    if row["model_version"] is None:
        return "no model was asked"
    model = f"model {row['model_version']} ({row['model_sha256'][:12]})"
    sure = "" if row["probability"] is None else f", sure by {_percent(row['probability'])}"
    return f"{model}{sure}"


def _ruling(row: dict[str, Any]) -> str:
    return "the advice was followed" if row["followed"] else "the advice was not followed"


def _holding(told: dict[str, Any] | None) -> str:
    if told is None:
        return "not over when the run ended: nothing is known of it"
    returns = [("book", told["book_return"]), ("as advised", told["advised_return"])]
    returns += [(name.replace("_", " "), one) for name, one in told["baseline_returns"].items()]
    made = ", ".join(f"{name} {_percent(one)}" for name, one in returns)
    return (
        f"to {when(told['known'])}: {made}; traded {_percent(told['turnover'])} of the book, which"
        f" cost {_percent(told['cost'])} of it"
    )


def weight_rows(tree: dict[str, Any]) -> list[tuple[str, ...]]:
    """A row for each asset, and cash: what was advised, what stands without, what was held."""
    told = [tree["weights"][kind] for kind in ("advised", "baseline", "final")]
    moved = None if tree["holding"] is None else tree["holding"]["asset_returns"]
    rows = [
        (symbol, *(_percent(None if of is None else of[symbol]) for of in (*told, moved)))
        for symbol in tree["symbols"]
    ]
    cash = [_percent(None if of is None else 1.0 - sum(of.values())) for of in told]
    return [*rows, ("cash", *cash, "")]


def _challenger(told: dict[str, Any]) -> str:
    weights, holding = told["weights"]["advised"], told["holding"]
    wanted = "no advice"
    if weights is not None:
        wanted = ", ".join(f"{symbol} {_percent(one)}" for symbol, one in weights.items())
    made = "" if holding is None else f"; it would have made {_percent(holding['advised_return'])}"
    return f"challenger: {_advice(told['rebalance'])}: {wanted}{made}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.3%}"

"""What the page of a dossier says in words and in few figures; all of it from the tree."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

from darwin.core.market import DAY_MS
from darwin.engine import report_words as words

Tree: TypeAlias = Mapping[str, Any]
_R = "\N{NO-BREAK SPACE}R"
NAMES = {"gate": "gate", "meta_learner": "meta-learner", "portfolio": "portfolio agent"}
TESTS = {
    "skill": "it tells good from bad better than chance does",
    "utility": "obeying it pays, against the baseline",
    "miss rate": "it misses fewer than one winner in ten",
}
SIZED = "with its sizes the trades have the higher Sharpe ratio than at full size"
OBEYED = {
    "gate": "each skip leaves out the trade and saves the call to the expert",
    "meta_learner": "each override turns the verdict of the expert round",
    "portfolio": "each order has the size that the agent wants, 0 to 1 of full size",
}
BASELINE = {
    "gate": "the expert asked about every candidate, and obeyed",
    "meta_learner": "the expert obeyed",
    "portfolio": "every order at full size",
}


_OVERALL = {
    "passed": "All conditions of one way to graduate were passed.",
    "refuted": "A condition was refuted; the table says which.",
    "inconclusive": "Not all conditions of any way to graduate were passed; the table says which.",
    "missing": "Of its conditions nothing was known.",
}


def headline(t: Tree) -> str:
    """What was done, in one sentence."""
    act = t["act"]
    name, version = NAMES[t["agent"]], act["model"]["version"]
    capital = words.percent(act["capital_after"], 0)
    if act["kind"] == "promoted":
        return f"Version {version} of the {name} may act, on {capital} of the capital at first."
    return f"The {name} acts no longer: version {version} observes again."


def where(scope: str) -> str:
    """A scope in words."""
    run = scope.partition(":")[2]
    return f"in replay “{run}” alone" if run else "in the deployment"


def warnings(t: Tree) -> list[str]:
    """What a reader must know before all else."""
    told = []
    if not t["agrees"]:
        told.append(
            "What the act says of its evidence does not come out of the record: the figures below"
            " are those of the record."
        )
    if t["act"]["override"]:
        told.append("A person let it act without the evidence that it wants.")
    if t["contract"] is None:
        told.append("No contract was written before its decisions, so there is no evidence.")
    return told


def sentences(t: Tree) -> list[str]:
    """What stands below the headline, most telling first."""
    act, ledger = t["act"], t["shadow"]
    who = "Darwin, by its evidence" if act["by"] == "darwin" else act["by"]
    told = [f"Said by {who}, {where(act['scope'])}: {_sentence(act['reason'])}"]
    gain = ledger["total_r"]["difference"]
    if ledger["decisions"]:
        told.append(
            f"Over {words.count(ledger['decisions'], 'decision')} the baseline alone came to"
            f" {_r(ledger['total_r']['baseline']['value'])}; with the agent obeyed it would have"
            f" been {_r(ledger['total_r']['obeyed']['value'])}. The difference is"
            f" {_r(gain['value'])}, {between(gain)}."
        )
    else:
        told.append("Of none of its decisions both outcome and verdict were known by then.")
    for one in t["tests"]:
        told.append(_test_sentence(one, t["agent"]))
    told.append(_OVERALL[t["overall"]])
    return told


def _test_sentence(one: Tree, agent: str) -> str:
    claim = claim_of(one["name"], agent)
    crossed = one["crossed_ms"]
    if crossed is None:
        return (
            f"Not shown by then: {claim}. E stood at {e_value(one['log_e'])} of"
            f" {e_value(one['log_e_needed'])}."
        )
    return (
        f"Shown on {words.day(crossed)}: {claim}. E reached {e_value(one['log_e_most'])}, needed"
        f" were {e_value(one['log_e_needed'])}."
    )


def claim_of(test: str, agent: str) -> str:
    """What a test is about."""
    return SIZED if (test, agent) == ("utility", "portfolio") else TESTS[test]


def e_value(log_e: float | None) -> str:
    """E itself; beyond what is worth reading, as a power of ten."""
    if log_e is None:
        return "0"
    if log_e > math.log(1e9):
        return f"10^{log_e / math.log(10.0):,.0f}"
    value = math.exp(log_e)
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def key_figures(t: Tree) -> list[dict[str, Any]]:
    """The figures at the top: label, value, a note with its bound, and whether it is a loss."""
    act, ledger, contract, tries = t["act"], t["shadow"], t["contract"], t["shadow"]["trials"]
    gain, mean = ledger["total_r"]["difference"], ledger["mean_r"]["difference"]
    figures = [
        ("Bar time of the act", moment(act["bar_time_ms"]), "UTC; it holds from there on", None),
        ("Capital", words.percent(act["capital_after"], 0),
         f"before {words.percent(act['capital_before'], 0)}", None),
        ("Obeying adds", _r(gain["value"]), between(gain), gain["value"]),
        ("Per decision", _r(mean["value"], 4), between(mean, 4), mean["value"]),
        ("Blocks", f"{len(t['blocks']):,}", f"needed {t['least_blocks']} or more", None),
        ("Chance without skill",
         "n/a" if contract is None else words.percent(contract["chance_without_skill"], 3),
         "no contract" if contract is None
         else f"of ever being promoted; version {contract['version_number']} in 180 days", None),
        ("Sharpe of the gain", words.number(tries["sharpe_per_day"], 3, True),
         f"per UTC day, over {tries['days']:,} days", tries["sharpe_per_day"]),
        ("Deflated", words.percent(tries["deflated"]),
         f"sure that it is above the best of {tries['networks_different']:,} networks' luck"
         if tries["networks_different"] else "no training of this agent is on record", None),
    ]  # fmt: skip
    return [
        {"label": label, "value": value, "note": note, "loss": sign is not None and sign < 0}
        for label, value, note, sign in figures
    ]


def condition_value(one: Tree) -> str:
    """The value of a condition as people read it, in the unit of its bound."""
    if one["value"] is None:
        return ""
    if "%" in one["bound"]:
        return words.percent(one["value"])
    if one["bound"].startswith("E of") and one["value"] > 0.0:
        return e_value(math.log(one["value"]))
    if "R per block" in one["bound"]:
        return words.number(one["value"], 3, True) + _R
    return f"{one['value']:,.4g}".replace("-", words.MINUS)


def terms(t: Tree) -> list[tuple[str, str]]:
    """The contract, line by line, each with its unit."""
    contract = t["contract"]
    if contract is None:
        return []
    told = contract["terms"]
    end, life, risk = told["training_end_ms"], told["life_ms"], told["risk_per_trade"]
    threshold = told["action_threshold"]
    return [
        ("Where it holds", where(contract["scope"])),
        ("Written down", f"{contract['written_at'][:16].replace('T', ' ')} UTC by the wall clock"),
        ("Version", told["version"]),
        ("Number of the version", f"{contract['version_number']} within 180 days of market time"),
        ("Level of all versions together", words.percent(told["alpha"], 1)),
        ("Level of this version", words.percent(contract["chance_without_skill"], 3)),
        ("Decisions count from", f"{moment(contract['counts_from_ms'])} UTC"),
        ("Training ended", "none was told" if end is None else f"{moment(end)} UTC"),
        ("A block lasts", f"{told['block_ms'] / DAY_MS:g} days of market time"),
        ("A bracket lives", "without end" if life is None else f"{life / DAY_MS:.3g} days at most"),
        ("A bar lasts", f"{told['bar_ms'] / 3_600_000:g} hours"),
        ("Wins count up to", ", ".join(f"{name} {value:g} R"
         for name, value in sorted(told["take_profit_r"].items()))),
        ("Losses count down to", f"{words.MINUS}3 R, where that favours the agent"),
        ("A call to the expert costs", f"{told['call_cost_r']:.6g} R"),
        ("A trade risks", "not told by its sizes" if risk is None
         else f"{words.percent(risk, 2)} of equity"),
        ("Threshold of an action", "none, sizes have none" if threshold is None
         else f"{threshold:.6g}, on its probability"),
    ]  # fmt: skip


def moment(ms: int | None) -> str:
    """A time in ms UTC to the minute."""
    return words.MISSING if ms is None else words.iso(ms)[:16].replace("T", " ")


def between(one: Tree, digits: int = 1) -> str:
    """An interval at 95 %, or that there is none."""
    if one["low"] is None or one["high"] is None:
        return "too few blocks for an interval"
    low, high = (words.number(one[end], digits, True) for end in ("low", "high"))
    return f"95 %: {low} to {high}{_R}"


def _r(value: float | None, digits: int = 1) -> str:
    return words.number(value, digits, True) + _R


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."

"""A plan as people read it, each number with its unit and its bound, and as JSON."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

from darwin.core.agents import GATE, META_LEARNER, PORTFOLIO
from darwin.rl.cli.columns import print_columns

if TYPE_CHECKING:
    from darwin.rl.graduation.plan import Plan, Rule

_ACTS = {GATE: "skipped", META_LEARNER: "overridden"}


def print_page(one: Plan) -> None:
    """Print it: the record, the terms, each rule, the verdict."""
    agent = one.habits.agent
    print_columns((agent, "", ""), _record(one))
    click.echo()
    print_columns(("the next version", "", ""), _terms(one))
    for rule in one.rules:
        click.echo()
        head = f"rule by {rule.name}" if len(one.rules) > 1 else "its rule"
        print_columns((head, f"{rule.state}", ""), _rule(one, rule))
        for why in rule.why:
            click.echo(f"  {why}")
    click.echo()
    for line in _reckoned(one):
        click.echo(line)
    click.echo(f"{agent}: {one.state}")


def _record(one: Plan) -> list[tuple[str, str, str]]:
    habits = one.habits
    taken = [] if math.isnan(habits.takes) else [("taken", f"{habits.takes:.1%}", "by the expert")]
    if habits.agent == PORTFOLIO:
        mean, spread = habits.sizes.mean(), habits.sizes.std()
        acts = ("mean size", f"{mean:.2f}", f"of full size, 0 to 1; spread {spread:.2f}")
    else:
        bound = "20% to 40% by value, 20% or more by cost" if habits.agent == GATE else "5% to 20%"
        acts = (
            _ACTS[habits.agent],
            f"{habits.acts:.1%}",
            f"of its decisions; bound {bound}{_of_taken(one)}",
        )
    rows = [
        ("planned on", f"run '{habits.run_id}'", f"a {habits.mode}"),
        ("decisions", f"{habits.decisions:,}", f"over {habits.days:,.1f} market days"),
        ("candidates", f"{habits.per_day:,.2f}", "a market day"),
        *taken,
        acts,
        ("winners", f"{habits.wins:.1%}", f"of {habits.settled:,} of which the outcome is known"),
        ("sd of R", f"{habits.sd:.2f} R", "losses beyond 3 R count as 3 R, wins up to the target"),
        (
            "clustering", f"{habits.clustering:.1f}",
            f"times the variance of decisions on their own, by {habits.blocks:,} blocks",
        ),
    ]  # fmt: skip
    return [*rows, *(("assumed", "", what) for what in one.assumed)]


def _of_taken(one: Plan) -> str:
    """What the gate skips among what the expert takes, on which the tests of its skill rest."""
    if one.habits.agent != GATE:
        return ""
    (side,) = one.habits.sides
    return f"; {side.acts:.1%} of what is taken"


def _terms(one: Plan) -> list[tuple[str, str, str]]:
    habits, per_block = one.habits, one.habits.per_day * one.habits.block_days
    return [
        ("number", f"{one.number}", "of its 180 market days; each one has a stricter level"),
        ("level", f"{one.alpha_v:.3%}", "chance of ever being promoted without skill"),
        ("block", f"{habits.block_days:.3g} days", f"of market time, {per_block:,.1f} decisions"),
        ("horizon", f"{one.days:g} days", f"{one.blocks:,} blocks, 20 are the least"),
        ("pays from", _auc(one.pays_from), _pays(one)),
        ("planned on", _auc(one.most_auc), f"AUC at most{_why_at_most(one)}"),
    ]


def _rule(one: Plan, rule: Rule) -> list[tuple[str, str, str]]:
    from darwin.rl.graduation.plan import POWER, Feasible

    at = f"at an AUC of {rule.auc:.2f}{_unplanned(one, rule)}"
    some = not math.isnan(rule.median_days)
    days = f"{rule.median_days:,.0f} days" if some else "too late"
    half = "of market time in half of the cases" if some else "in more than half of the cases"
    decisions = [("decisions", f"{rule.median_decisions:,.0f}", "by then")] if some else []
    rows = [("E needed", f"{1.0 / rule.level:,.0f}", "once, in its strictest test")]
    rows += [
        (bound.name, _auc(bound.auc), f"the least AUC that holds it {bound.bound}, on average")
        for bound in rule.bounds
    ]
    rows += [
        (
            "smallest skill", _auc(rule.smallest_auc),
            f"AUC that is promoted within the horizon in {POWER:.0%} of cases",
        ),
    ]  # fmt: skip
    if rule.state is Feasible.IMPOSSIBLE:
        return rows  # what it would come to with a skill that is not to be had misleads
    return [
        *rows,
        ("acting brings", f"{rule.worth_r:+.4f} R", f"per decision, {at}{_beyond(one)}"),
        ("promoted after", days, f"{half}, {at}"),
        *decisions,
        ("stays open", f"{rule.inconclusive:.1%}", f"chance of no promotion in time, {at}"),
    ]


def _unplanned(one: Plan, rule: Rule) -> str:
    """Words for figures of a skill beyond what is planned on; empty: they are within it."""
    return ", which nobody is planned to have" if rule.auc > one.most_auc else ""


def _why_at_most(one: Plan) -> str:
    from darwin.rl.graduation.plan import MOST_AUC

    return "; nobody ranks single trades much better" if one.most_auc == MOST_AUC else ""


def _beyond(one: Plan) -> str:
    if one.habits.agent == PORTFOLIO:
        return ", beyond the same capital spread evenly"
    return ", beyond what the baseline brings"


def _pays(one: Plan) -> str:
    if one.habits.agent == PORTFOLIO:
        return "AUC from which on its Sharpe ratio is above that of full size"
    return "AUC from which on acting brings more than it costs"


def _reckoned(one: Plan) -> list[str]:
    return [
        "AUC: how often it ranks a winner above a loser; 0.50 is a coin, 1.00 never errs.",
        f"Reckoned from {one.streams:,} agents drawn with these habits for each AUC (seeded), whose"
        " blocks were",
        "told to the tests that promote. Their scores of winners and of losers are normal and"
        " spread alike.",
        "A market that changes, and the wait for the last outcomes of a block, are not in it.",
    ]


def _auc(value: float) -> str:
    return "none" if math.isnan(value) else f"{value:.2f}"


def tree(one: Plan) -> dict[str, Any]:
    """The same as JSON."""
    habits = one.habits
    return {
        "agent": habits.agent,
        "state": str(one.state),
        "run_id": habits.run_id,
        "mode": habits.mode,
        "advises": habits.advises,
        "assumed": list(one.assumed),
        "decisions": habits.decisions,
        "days_on_record": habits.days,
        "candidates_per_day": habits.per_day,
        "take_rate": _number(habits.takes),
        "act_rate": _number(habits.acts) if habits.agent != PORTFOLIO else None,
        "mean_size": float(habits.sizes.mean()) if habits.agent == PORTFOLIO else None,
        "outcomes": habits.settled,
        "winners": habits.wins,
        "sd_r": habits.sd,
        "clustering": habits.clustering,
        "version_number": one.number,
        "alpha_v": one.alpha_v,
        "block_days": habits.block_days,
        "decisions_per_block": habits.per_day * habits.block_days,
        "horizon_days": one.days,
        "horizon_blocks": one.blocks,
        "pays_from_auc": _number(one.pays_from),
        "most_auc": one.most_auc,
        "streams": one.streams,
        "rules": [_rule_tree(rule) for rule in one.rules],
    }


def _rule_tree(rule: Rule) -> dict[str, Any]:
    return {
        "rule": rule.name,
        "state": str(rule.state),
        "why": list(rule.why),
        "bounds": [
            {"name": b.name, "bound": b.bound, "auc": _number(b.auc), "binds": b.binds}
            for b in rule.bounds
        ],
        "level": rule.level,
        "smallest_auc": _number(rule.smallest_auc),
        "auc": rule.auc,
        "worth_r_per_decision": rule.worth_r,
        "promoted": rule.promoted,
        "inconclusive": rule.inconclusive,
        "median_days": _number(rule.median_days),
        "median_decisions": _number(rule.median_decisions),
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value

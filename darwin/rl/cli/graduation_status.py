"""`python -m darwin.rl.cli.graduation_status`, also `darwin rl status`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from darwin.core.agents import AGENTS
from darwin.core.rebalance import ALL_AGENTS, BOOK_AGENTS
from darwin.rl.cli.columns import percent, print_columns, print_json
from darwin.rl.cli.options import Deployment, model_options, open_registry
from darwin.rl.cli.trial_page import evidence_rows, trial_rows, trial_tree

if TYPE_CHECKING:
    from darwin.rl.graduation.checklist import Condition, State
    from darwin.rl.graduation.judged import Judged
    from darwin.rl.graduation.record import Act
    from darwin.rl.registry.registry import Registry

NOT_PASSED, INCONCLUSIVE = 10, 11


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("agent", required=False, type=click.Choice(ALL_AGENTS))
@click.option("--run", "run_id", metavar="RUN_ID", help="The one run whose evidence it is about.")
@model_options
def status(
    agent: str | None,
    run_id: str | None,
    artifacts_dir: str,
    db: str | None,
    models_dir: str | None,
    as_json: bool,
) -> int:
    """Say how far an agent has come: its model, its mode on record, its conditions.

    The last line is the verdict: passed (exit 0), refuted (10), or inconclusive (11). Where there
    are several ways to graduate, it is that of the best of them. Without AGENT the three that are
    asked about candidates are shown, and the worst is the exit code. Evidence is that of the
    deployment, else that of the latest replay; --run looks at one run.

    \b
    Examples:
      darwin rl status gate
      python -m darwin.rl.cli.graduation_status gate --db artifacts/rl_state/agent_state.sqlite
    """
    from darwin.rl.graduation.checklist import overall

    with open_registry(Deployment.of(artifacts_dir, db, models_dir)) as registry:
        found = [look(registry, name, run_id) for name in ((agent,) if agent else AGENTS)]
    if as_json:
        trees = [status_tree(one) for one in found]
        print_json(trees[0] if agent else trees)
    else:
        for place, one in enumerate(found):
            if place:
                click.echo()
            _tell(one)
    return exit_code(overall(one.conditions) for one in found)


def look(registry: Registry, agent: str, run_id: str | None = None) -> Judged:
    """Judge an agent, its model validated as a deploy validates it.

    Raises ConfigError for a run that is not on record.
    """
    from darwin.rl.graduation.judged import judge
    from darwin.rl.serving.validation import may_do_more_than_watch
    from darwin.store.queries import require_run

    if run_id is not None:
        with registry.database.read() as connection:
            require_run(connection, registry.database, run_id)
    return judge(registry, agent, may_do_more_than_watch, run_id)


def exit_code(states: Iterable[State]) -> int:
    """What a command on graduation ends with: the worst that was found."""
    found = set(states)
    if "refuted" in found:
        return NOT_PASSED
    return 0 if found == {"passed"} else INCONCLUSIVE


def verdict(agent: str, conditions: Sequence[Condition]) -> str:
    """What they come to, in words, and by which rule where there are several."""
    from darwin.rl.graduation.checklist import by_rule, overall

    ways = "; ".join(f"by {rule}: {state}" for rule, state in by_rule(conditions).items())
    return f"{agent}: {overall(conditions)}{f' ({ways})' if ways else ''}"


def print_conditions(conditions: Iterable[Condition], about: str = "condition") -> None:
    """Print them as a table; `about` is its first head."""
    rows = [
        (f"{one.name}{_way(one)}", str(one.state), shown(one), one.bound, one.lacks)
        for one in conditions
    ]
    print_columns((about, "is", "value", "bound", ""), rows)


def _way(one: Condition) -> str:
    told = [f"by {one.rule}"] if one.rule else []
    told += ["reported"] if one.reported else []
    return f" ({', '.join(told)})" if told else ""


def shown(one: Condition) -> str:
    """Its value as people read it: a share, a count, a figure; of evidence as of when it is."""
    from darwin.rl.graduation.checklist import EVIDENCE, State

    if one.value is None:
        return ""
    if isinstance(one.value, int):
        return f"{one.value:,}"
    if one.name.startswith(EVIDENCE):
        return f"{one.value:,.3g} {'at its highest' if one.state is State.PASSED else 'now'}"
    return f"{one.value:.1%}" if "%" in one.bound else f"{one.value:,.4g}"


def condition_trees(conditions: Iterable[Condition]) -> list[dict[str, Any]]:
    """Them as JSON."""
    return [one._asdict() | {"state": str(one.state)} for one in conditions]


def _tell(one: Judged) -> None:
    from darwin.rl.graduation.proof import green_of

    card, latest = one.card, one.card.latest
    promotion, last = one.promotion, one.record.acts[-1:]
    rows = [
        ("serving", one.serving.version if one.serving else "no model"),
        ("judged", one.model.version if one.model else "nothing"),
        ("challenger", one.challenger.version if one.challenger else "none"),
        ("mode on record", f"{one.mode}, {percent(one.stage)} of the capital"),
        ("promoted", f"version {promotion.model.version}" if promotion else "none"),
        ("last act", _words(last[0]) if last else "none"),
        ("decisions", f"{card.decisions:,}, {card.fed:,} of them on paper"),
        ("no advice", _share(card.silent_share)),
        ("latest run", latest.run_id or "none"),
        ("alerts, 24 h", "; ".join(f"{a.kind}: {a.detail}" for a in latest.alerts) or "none"),
    ]
    print_columns((one.agent, ""), [*rows, *trial_rows(one), *_figures(one)])
    click.echo()
    if bars := evidence_rows(one):
        print_columns(("evidence of", "", "", ""), bars)
        click.echo()
    print_conditions(one.conditions)
    if green := green_of(one.decay):
        click.echo()
        print_conditions(green, "for more capital")
    click.echo(f"\n{verdict(one.agent, one.conditions)}")


def _figures(one: Judged) -> list[tuple[str, str]]:
    """Figures that are reported and are no condition, or say what one was made from."""
    rows = []
    for name, value in one.card.figures._asdict().items():
        if isinstance(value, float) and math.isnan(value):
            continue
        label, form = (_OF_BOOK if one.agent in BOOK_AGENTS else _SHOWN)[name]
        rows.append((label, form.format(value)))
    return rows


_SHOWN = {
    "saved_share": ("calls it saves", "{:.1%} of its decisions are skips"),
    "miss_rate": ("winners it misses", "{:.1%} of those that the expert takes"),
    "winners": ("winners known", "{:,} trades that the expert takes and that won"),
    "sharpe": ("Sharpe ratio", "{:.2f} a year, as it sizes"),
    "sharpe_equal_weight": ("Sharpe, full size", "{:.2f} a year, the same trades at full size"),
    "per_year": ("trades", "{:,.0f} a year"),
    "trades": ("trades known", "{:,} with an outcome"),
    "drawdown_r": ("deepest fall", "{:.1f} R, of the sum of what it sizes"),
    "drawdown": ("shadow drawdown", "{:.1%} of equity, risking what the run risks"),
    "agreement": ("agreement", "{:.1%} of verdicts are kept"),
    "overrides": ("overrides", "{:,} verdicts set aside"),
    "overrides_known": ("overrides known", "{:,} of these with an outcome"),
    "override_accuracy": ("override accuracy", "{:.1%} of these were right"),
}
"""Figures as people read them: a name, and the number with its unit."""
_OF_BOOK = {
    "total_return": ("return", "{:+.1%}, had the book always done as advised"),
    "sharpe": ("Sharpe ratio", "{:.2f} a year"),
    "per_year": ("holdings", "{:,.0f} a year"),
    "holdings": ("holdings known", "{:,} that are over"),
    "drawdown": ("shadow drawdown", "{:.1%} of the value of that book"),
}


def _words(act: Act) -> str:
    what = f"{act.kind} to {percent(act.stage)}"
    if act.model is not None:
        what = f"{act.kind} version {act.model.version}, {act.scope}"
    elif act.max_position_usd is not None:
        what += f", positions of at most {act.max_position_usd:,.2f} USD"
    override = ", with override" if act.override else ""
    return f"{act.at:%Y-%m-%d %H:%M} UTC {what} by {act.by}{override}: {act.reason}"


def _share(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.1%} of all times it was asked"


def status_tree(one: Judged) -> dict[str, Any]:
    """An agent as it stands, as JSON."""
    from darwin.rl.graduation.checklist import by_rule, overall
    from darwin.rl.graduation.proof import green_of

    card = one.card
    return {
        "agent": one.agent,
        "judged": one.model and one.model._asdict(),
        "serving": one.serving and one.serving._asdict(),
        "challenger": one.challenger and one.challenger._asdict(),
        "mode": str(one.mode),
        "stage": one.stage,
        "acts": [act_tree(act) for act in one.record.acts],
        "decisions": card.decisions,
        "decisions_fed": card.fed,
        "outcomes": card.resolved,
        "excluded_share": _number(card.silent_share),
        "days": card.days,
        "figures": {name: _number(value) for name, value in card.figures._asdict().items()},
        "latest_run": card.latest.run_id,
        "breaker": str(card.latest.breaker),
        "alerts": [alert._asdict() for alert in card.latest.alerts],
        "overall": str(overall(one.conditions)),
        "by_rule": {rule: str(state) for rule, state in by_rule(one.conditions).items()},
        "conditions": condition_trees(one.conditions),
        "since_promotion": condition_trees(green_of(one.decay)),
        "trial": trial_tree(one),
    }


def act_tree(act: Act) -> dict[str, Any]:
    """What was said of an agent, as JSON."""
    return act._asdict() | {
        "kind": str(act.kind),
        "at": act.at.isoformat(),
        "model": act.model and act.model._asdict(),
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


if __name__ == "__main__":
    from darwin.rl.cli.door import leave_through

    leave_through(status)

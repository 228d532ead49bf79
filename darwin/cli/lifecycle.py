"""`darwin lifecycle`: a whole life in one command, from the first candidate to agents that act."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from darwin.core.agents import AGENTS
from darwin.rl.cli.options import Finite, login, said

_MOST_STEPS = 1_000_000_000
_SHARE = 0.4


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--train-share", type=Finite(0, 1, min_open=True, max_open=True), metavar="SHARE",
    help=f"Share of the time that is collected and trained on; {_SHARE} without --train-until.",
)  # fmt: skip
@click.option("--train-until", metavar="DATE", help="Collect what opens before that instead.")
@click.option(
    "--timesteps", type=click.IntRange(1, _MOST_STEPS), default=100_000, show_default=True,
    help="Decisions that each network learns from.",
)  # fmt: skip
@click.option(
    "--seeds", type=click.IntRange(1, 32), default=3, show_default=True,
    help="Networks of each agent, merged into one.",
)  # fmt: skip
@click.option("--skip-canaries", is_flag=True, help="Do not look for bugs of training first.")
@click.option("--allow-small", is_flag=True, help="Train on few candidates, to try things out.")
@click.option("--resume", is_flag=True, help="Go on with a life that was stopped.")
@click.option(
    "--by", default=login, metavar="NAME", callback=said,
    help="Whose models these are, for the record; else the login name.",
)  # fmt: skip
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
def lifecycle(
    config: Path,
    train_share: float | None,
    train_until: str | None,
    timesteps: int,
    seeds: int,
    skip_canaries: bool,
    allow_small: bool,
    resume: bool,
    by: str,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Lead a whole life on the bars of CONFIG: collect, train, observe, graduate, rise.

    The first part of the bars is a run in which agents have no say. All three learn from it, and
    what they learned is deployed. Then all bars are run with agents in mode auto, whatever CONFIG
    says: they watch at first, are promoted, raised and demoted by what they show on bars that they
    were not trained on. That nothing graduates is a result as well, and ends with exit 0.

    A life that was stopped wants --resume; phases that are finished are not done again.

    \b
    Examples:
      darwin lifecycle configs/planted.json
      darwin lifecycle configs/planted.json --set run_id=other --set market.seed=5 --json
    """
    from darwin.cli.instants import instant
    from darwin.cli.lifecycle_asked import Schooling, ask
    from darwin.cli.lifecycle_phases import lead
    from darwin.cli.tables import print_json
    from darwin.config.load import load_config
    from darwin.rl.cli.training_options import require_training

    until = None if train_until is None else instant(train_until, "--train-until")
    if train_share is not None and until is not None:
        raise click.UsageError("--train-share and --train-until both say where training ends")
    if train_share is not None and not math.isfinite(train_share):
        raise click.BadParameter("is no share; write for example 0.4", param_hint="--train-share")
    loaded = load_config(config, overrides)
    require_training()
    schooling = Schooling(timesteps, seeds, not skip_canaries, allow_small)
    asked = ask(loaded, train_share or _SHARE, until, schooling, by)
    tree = lead(asked, resume=resume)
    if as_json:
        print_json({"run_id": asked.run_id, **tree})
    else:
        for line in life_lines(tree):
            click.echo(line)


def life_lines(tree: dict[str, Any]) -> list[str]:
    """What came of a life, in a dozen lines: the agents, then the money."""
    collected, lived = tree["collected"], tree["lived"]
    run = lived["run"]
    lines = [
        f"{run['run_id']}: a whole life",
        f"  collected until {collected['train_until'][:10]}: {collected['bars']:,} bars,"
        f" {collected['candidates']:,} candidates (run '{collected['run_id']}')",
    ]
    lines += [f"  trained {name}: {_training(tree['trained'][name])}" for name in AGENTS]
    for name in AGENTS:
        lines += _agent_lines(name, lived["agents"][name])
    lines += [f"  {line}" for line in _money(run, lived["against_twin"])]
    return [*lines, f"report: {lived['report']}"]


def _training(told: dict[str, Any]) -> str:
    version = told["version"]
    what = "nothing was handed over" if version is None else f"version {version}, {told['place']}"
    return f"{told['verdict']} ({what})"


def _agent_lines(name: str, told: dict[str, Any]) -> list[str]:
    acts = told["acts"]
    if told["version"] is None:
        return [f"  {name}: had no model, so it took no part"]
    lines = [f"  {name}: {_standing(told)}, after {told['decisions']:,} decisions"]
    lines += _unheard(told["reasons"])
    lines += [f"    {(act['bar_time'] or '')[:10]} {_act(act)}" for act in acts]
    lines += [f"    dossier: {path}" for path in told["dossiers"]]
    if not told["promoted"]:
        lines += [f"    lacks {what}" for what in told["lacks"]]
    return lines


def _unheard(reasons: dict[str, int]) -> list[str]:
    """That the door let no model see what is too far from its training, where it did so."""
    from darwin.core.agents import Why

    strange, times = reasons.get(Why.OUT_OF_RANGE.value, 0), sum(reasons.values())
    if not strange:
        return []
    return [f"    the door asked no model in {strange:,} of {times:,} cases: out of range"]


def _standing(told: dict[str, Any]) -> str:
    if told["promoted"]:
        return f"acts on {told['stage']:.0%} of the capital"
    return "watches again" if told["acts"] else "watches, as it did from the start"


def _act(act: dict[str, Any]) -> str:
    if act["kind"] == "staged":
        return f"{act['stage']:.0%} of the capital: {act['reason']}"
    return f"{act['kind']}: {act['reason']}"


def _money(run: dict[str, Any], against: dict[str, Any] | None) -> list[str]:
    if against is None:
        return [
            f"equity {run['final_equity_usd']:,.2f} USD, the same without agents:"
            " no order was changed by them"
        ]
    lead = against["daily_lead"]
    figures = [lead["mean"], lead["low"], lead["high"]]
    shown = ["unknown" if one is None else f"{one * 1e4:+.3f}" for one in figures]
    return [
        f"equity {against['final_equity_usd']:,.2f} USD, without agents"
        f" {against['twin_final_equity_usd']:,.2f} USD",
        f"lead over the run without agents: {shown[0]} bps of equity per day, 95 % interval"
        f" {shown[1]} to {shown[2]} ({against['days']:,} days since the first promotion, by weeks)",
    ]

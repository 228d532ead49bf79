"""`darwin rl schedule`: when agents are trained anew, and a way to do it by cron."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from darwin.cli.instants import instant
from darwin.core.rebalance import ALL_AGENTS
from darwin.errors import ConfigError
from darwin.rl.cli.options import Finite, act_options, model_options
from darwin.rl.cli.signed import signed

if TYPE_CHECKING:
    from datetime import datetime

    from darwin.service.place import Place
    from darwin.store.jobs import Job

FAILED, NOTHING_LEARNED, STOPPED = 1, 10, 143
_POLL_S = 0.5
an_agent = click.argument("agent", type=click.Choice(ALL_AGENTS))
perhaps_an_agent = click.argument("agent", required=False, type=click.Choice(ALL_AGENTS))


@click.group()
def schedule() -> None:
    """See and set when agents are trained anew; train those that are due.

    \b
    Examples:
      darwin rl schedule show
      darwin rl schedule set gate --cron "0 3 * * 0" --timezone Europe/Berlin --by Ada --reason x
      darwin rl schedule run --if-due
    """


@schedule.command()
@perhaps_an_agent
@model_options
def show(agent: str | None, as_json: bool, **where: Any) -> None:
    """Show the schedule of AGENT, else of all, and when it is due next.

    \b
    Example:
      darwin rl schedule show gate --json
    """
    from darwin.cli.tables import print_json

    trees = [_tree(_place(**where), name) for name in ([agent] if agent else ALL_AGENTS)]
    if as_json:
        print_json(trees[0] if agent else trees)
        return
    for tree in trees:
        click.echo(_words(tree))


@schedule.command("set")
@an_agent
@click.option("--cron", metavar="EXPR", help="Minute, hour, day, month, weekday of the zone.")
@click.option("--every-days", type=click.IntRange(1, 366), help="Every so many days, at 03:00.")
@click.option("--timezone", metavar="NAME", help="Whose wall clock is meant: Europe/Berlin.")
@click.option(
    "--last-days", type=Finite(0, min_open=True, max=1e5), help="Of the runs to learn from."
)
@click.option("--timesteps", type=click.IntRange(1, 1_000_000_000), help="Decisions to learn from.")
@click.option("--on/--off", "enabled", default=None, help="Whether it is trained by itself at all.")
@signed
@model_options
def set_(
    agent: str, cron: str | None, every_days: int | None, by: str, reason: str, as_json: bool,
    artifacts_dir: str, db: str | None, models_dir: str | None, **changes: Any,
) -> None:  # fmt: skip
    """Set when AGENT is trained anew; what is not named stays as it was.

    It holds from now on: nothing is due for the time before.

    \b
    Examples:
      darwin rl schedule set gate --every-days 7 --by Ada --reason "as the guide has it"
      darwin rl schedule set gate --off --by Ada --reason "not while we look into it"
    """
    from darwin.cli.tables import print_json
    from darwin.service.place import now
    from darwin.service.scheduler import set_schedule
    from darwin.store.schedules import read_schedule

    if cron is not None and every_days is not None:
        raise ConfigError("either says when", where="--cron, --every-days", mend="name one of them")
    place = _place(artifacts_dir, db, models_dir)
    with place.read() as database:
        held = read_schedule(database, agent)
    if cron is not None or every_days is not None:
        held = held._replace(cron=cron, interval_days=every_days)
    given = {name: value for name, value in changes.items() if value is not None}
    set_schedule(place, agent, held._replace(**given), by=by, reason=reason, at=now())
    tree = _tree(place, agent)
    if as_json:
        print_json(tree)
    else:
        click.echo(_words(tree))


@schedule.command()
@perhaps_an_agent
@click.option("--if-due", is_flag=True, help="Only agents whose schedule says so; of all of them.")
@click.option("--now", "at", metavar="TIME", help="With --if-due: as if it were that time, UTC.")
@click.option("--wait", is_flag=True, help="Return when it is done, with its exit code.")
@act_options
@model_options
def run(
    agent: str | None, if_due: bool, at: str | None, wait: bool, by: str, reason: str,
    as_json: bool, **where: Any,
) -> int:  # fmt: skip
    """Train AGENT anew as its schedule has it, or with --if-due all agents that are due.

    For cron, hourly: a period is trained for once, however often this is called, on whatever hosts,
    beside a service or without one. It returns at once, and the training goes on by itself; with
    --wait it ends with what came of it: 0 a new version, 10 nothing learned, else the error's.

    \b
    Examples:
      darwin rl schedule run --if-due
      darwin rl schedule run gate --wait --by Ada --reason "new playbook"
    """
    from datetime import UTC, datetime

    from darwin.cli.tables import print_json
    from darwin.service.jobs import Supervisor
    from darwin.service.place import now
    from darwin.service.reading import job_tree
    from darwin.service.retrain import ask
    from darwin.service.scheduler import Scheduler

    _require_one(agent, at, if_due=if_due)
    place = _place(**where)
    if agent is None:
        time = now() if at is None else datetime.fromtimestamp(instant(at, "--now") / 1000, UTC)
        made = Scheduler(place).tick(time)
    else:
        made = [ask(place, agent, by=by, reason=reason, at=now())]
    supervisor = Supervisor(place)
    supervisor.tick(now())
    if wait:
        made = _wait(place, supervisor, made)
    if as_json:
        print_json([job_tree(job) for job in made])
    else:
        for job in made:
            click.echo(f"{job.agent}: job {job.id} is {job.state}{_because(job)}")
        if not made:
            click.echo("nothing is due")
    return _code(made) if wait else 0


def _require_one(agent: str | None, at: str | None, *, if_due: bool) -> None:
    if if_due and agent is not None:
        raise ConfigError("--if-due is about all agents", where=agent, mend="leave the agent out")
    if not if_due and (agent is None or at is not None):
        raise ConfigError(
            "it is not said what to train",
            where="darwin rl schedule run",
            mend="name an agent, or write --if-due",
        )


def _wait(place: Place, supervisor: Any, made: list[Job]) -> list[Job]:
    """Keep the queue moving until these jobs are over; gives them as they ended."""
    import time

    from darwin.service.place import now
    from darwin.store.jobs import find

    while True:
        with place.read() as database:
            made = [find(database, job.id) for job in made]
        if all(job.state.over for job in made):
            return made
        time.sleep(_POLL_S)
        supervisor.tick(now())


def _code(made: list[Job]) -> int:
    """Of several jobs the worst counts: a failure, a stop, nothing learned, in this order."""
    from darwin.store.jobs import State

    failed = [job.exit_code or FAILED for job in made if job.state is State.FAILED]
    stopped = [STOPPED for job in made if job.state is State.CANCELLED and job.words]
    found = [job.exit_code or 0 for job in made if job.state is State.DONE]
    return [*failed, *stopped, max(found, default=0)][0]


def _because(job: Job) -> str:
    return f": {job.message}" if job.message else ""


def _tree(place: Place, agent: str) -> dict[str, Any]:
    """A schedule as JSON has it."""
    from darwin.service.place import now
    from darwin.service.schedule import next_due
    from darwin.store.schedules import read_schedule

    with place.registry() as registry:
        held = read_schedule(registry.database, agent)
        serving = registry.shelf(agent).serving
    due = next_due(held, now())
    told = held._asdict() | {"since": _iso(held.since)}
    return {
        "agent": agent, **told, "is_default": held.since is None,
        "serving": serving and serving.version,
        "next_due": None if serving is None else _iso(due),
    }  # fmt: skip


def _iso(time: datetime | None) -> str | None:
    from darwin.store.runs import iso_time

    return None if time is None else iso_time(time)


def _words(tree: dict[str, Any]) -> str:
    when = f"every {tree['interval_days']} days at 03:00" if tree["cron"] is None else tree["cron"]
    if not tree["enabled"]:
        due = "it is off"
    elif tree["serving"] is None:
        due = "no model serves, so nothing is due"
    else:
        due = f"next {tree['next_due']}"
    return (
        f"{tree['agent']}: {when} {tree['timezone']}, the last {tree['last_days']:g} days,"
        f" {tree['timesteps']:,} steps; {due}"
    )


def _place(artifacts_dir: str, db: str | None, models_dir: str | None) -> Place:
    from darwin.service.place import Place

    return Place(artifacts_dir, db, models_dir)

"""`darwin runs` and `darwin why`: what the database knows of runs and of one candidate."""

from __future__ import annotations

import click

from darwin.cli.deployment import database_options, open_database


class ListByDefault(click.Group):
    """A group that lists when it is told nothing else."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `list` before options that stand alone; help stays the group's."""
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=ListByDefault)
def runs() -> None:
    """List the recorded runs, show one, or compare two.

    \b
    Examples:
      darwin runs
      darwin runs show btc-breakout
      darwin runs compare btc-breakout btc-dear
    """


@runs.command("list")
@database_options
def list_(artifacts_dir: str, db: str | None, as_json: bool) -> None:
    """List all runs, the latest begun last.

    \b
    Example:
      darwin runs list --json
    """
    from darwin.cli.tables import count, number, print_json, print_table, terminal
    from darwin.store.queries import list_runs

    with open_database(artifacts_dir, db) as database:
        found = list_runs(database)
    if as_json:
        print_json([run._asdict() for run in found])
        return
    rows = [
        (
            run.run_id,
            run.status,
            run.mode,
            count(run.bars),
            count(run.candidates),
            count(run.taken),
            number(run.equity_usd),
            run.started_at[:16].replace("T", " "),
        )
        for run in found
    ]
    heads = ("run", "status", "mode", "bars", "candidates", "taken", "equity USD", "begun UTC")
    print_table(terminal(), heads, rows, numbers=range(3, 7))


@runs.command()
@click.argument("run_id")
@database_options
def show(run_id: str, artifacts_dir: str, db: str | None, as_json: bool) -> None:
    """Show one run: what made it, its funnel, its safety events.

    \b
    Example:
      darwin runs show btc-breakout
    """
    from darwin.cli.tables import count, number, print_json, print_table, terminal, when
    from darwin.store.queries import events_of, find_run, funnel, provenance, rulings_of

    with open_database(artifacts_dir, db) as database:
        run = find_run(database, run_id)
        endings = funnel(database, run_id)
        ruled = rulings_of(database, run_id)
        events = events_of(database, run_id)
        bar_events = provenance(database, run_id).bar_events
    if as_json:
        print_json(
            run._asdict()
            | {"funnel": [end._asdict() for end in endings]}
            | ({"rulings": [one._asdict() for one in ruled]} if ruled else {})
            | {"safety_events": [event._asdict() for event in events]}
            | {"bar_events": [event._asdict() for event in bar_events]}
        )
        return
    console = terminal()
    facts = {
        name: count(value) if isinstance(value, int) else value
        for name, value in (run._asdict() | {"equity_usd": number(run.equity_usd)}).items()
        if value is not None
    }
    print_table(console, ("run", run_id), list(facts.items())[1:])
    console.print()
    if ruled:
        heads = ("agent", "role", "ruling", "cut by", "rebalances")
        print_table(
            console, heads, [(*one[:4], count(one.rebalances)) for one in ruled], numbers=[4]
        )
        console.print()
    funnel_rows = [(end.stage, end.reason, count(end.candidates)) for end in endings]
    funnel_rows.append(("", "all", count(run.candidates)))
    if run.candidates or not ruled:
        print_table(console, ("stage", "ended by", "candidates"), funnel_rows, numbers=[2])
    if events:
        console.print()
        event_rows = [(when(event.time), event.kind, event.detail) for event in events]
        print_table(console, ("time", "safety event", "detail"), event_rows)
    if bar_events:
        console.print()
        bar_rows = [(when(one.reached or 0), one.kind, one.detail) for one in bar_events]
        print_table(console, ("time", "bars of the venue", "detail"), bar_rows)


@runs.command()
@click.argument("a")
@click.argument("b")
@click.option("--other-db", metavar="FILE", help="The database of B, if it is another one.")
@database_options
def compare(
    a: str, b: str, other_db: str | None, artifacts_dir: str, db: str | None, as_json: bool
) -> None:
    """Explain what runs A and B differ by: data, signal, timing, fill, size or cost.

    Each candidate of either run has the first of these causes that applies, and the difference of
    net P&L, B less A, is split over them. Nothing is written; exit 0 also where nothing differs.

    \b
    Examples:
      darwin runs compare btc-breakout btc-dear
      darwin runs compare btc-breakout btc-breakout --other-db backup/agent_state.sqlite --json
    """
    from darwin.cli.compared import comparison_tree, tell
    from darwin.cli.deployment import database_path
    from darwin.cli.tables import print_json, terminal
    from darwin.store.comparison import compare as hold_together
    from darwin.store.sides import side_of

    if other_db is not None and not database_path(artifacts_dir, other_db).exists():
        raise click.UsageError(f"--other-db: there is no file '{other_db}'; name that of run {b}")
    with (
        open_database(artifacts_dir, db) as one,
        open_database(artifacts_dir, other_db or db) as other,
    ):
        found = hold_together(side_of(one, a), side_of(other, b))
    if as_json:
        print_json(comparison_tree(found), indent=None)  # tens of thousands of candidates
    else:
        tell(terminal(), found)


@click.command()
@click.argument("any_id", metavar="ID")
@click.option("--run", "run_id", metavar="RUN_ID", help="Which run, if several hold it.")
@database_options
def why(any_id: str, run_id: str | None, artifacts_dir: str, db: str | None, as_json: bool) -> None:
    """Say what became of a candidate or a rebalance: each stage, its reason, its numbers.

    Ids stand in trades.csv and, of the rebalances of a book, in weights.csv. The first four or more
    digits are enough when no other begins so.

    \b
    Examples:
      darwin why 9f3c21ab --run btc-breakout
      darwin why 41d07be2 --run allocation --json
    """
    from darwin.cli.rebalance_told import tell_rebalance
    from darwin.cli.story import tell
    from darwin.cli.tables import print_json, terminal
    from darwin.rl.cli.whys import why_tree
    from darwin.store.rebalance_story import RebalanceStory, story_of

    with open_database(artifacts_dir, db) as database:
        story = story_of(database, any_id, run_id)
    if as_json:
        print_json(why_tree(story))
    elif isinstance(story, RebalanceStory):
        tell_rebalance(terminal(), why_tree(story))
    else:
        tell(terminal(), story)

"""`darwin jobs`: the work of the service, what became of it, and how to stop it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from darwin.cli.deployment import database_options
from darwin.cli.runs import ListByDefault

if TYPE_CHECKING:
    from darwin.service.place import Place
    from darwin.store.jobs import Job

a_job = click.argument("job_id", metavar="ID", type=click.IntRange(1, 2**62))


@click.group(cls=ListByDefault)
def jobs() -> None:
    """List the jobs of the service, show one, read its log, or stop it.

    \b
    Examples:
      darwin jobs
      darwin jobs show 7
      darwin jobs cancel 7
    """


@jobs.command("list")
@click.option("--agent", metavar="AGENT", help="Only jobs of this agent.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many."
)
@database_options
def list_(agent: str | None, limit: int, artifacts_dir: str, db: str | None, as_json: bool) -> None:
    """List the latest jobs, the newest first.

    \b
    Example:
      darwin jobs list --agent gate --json
    """
    from darwin.cli.tables import print_json, print_table, terminal
    from darwin.service.reading import job_tree
    from darwin.store.jobs import latest

    with _place(artifacts_dir, db).read() as database:
        found = latest(database, agent=agent, limit=limit)
    if as_json:
        print_json([job_tree(job) for job in found])
        return
    heads = ("job", "kind", "agent", "state", "progress", "queued UTC", "by", "what came of it")
    print_table(terminal(), heads, [_row(job) for job in found], numbers=(0, 4))


@jobs.command()
@a_job
@database_options
def show(job_id: int, artifacts_dir: str, db: str | None, as_json: bool) -> None:
    """Show one job: its command, who asked for it, how far it is, what came of it.

    \b
    Example:
      darwin jobs show 7 --json
    """
    from darwin.store.jobs import find

    with _place(artifacts_dir, db).read() as database:
        job = find(database, job_id)
    _print(job, as_json=as_json)


@jobs.command()
@a_job
@database_options
def cancel(job_id: int, artifacts_dir: str, db: str | None, as_json: bool) -> None:
    """Take a job back that waits, or stop one that runs; what serves goes on serving.

    One that runs is stopped within a second or two; `darwin jobs show` tells when it has.

    \b
    Example:
      darwin jobs cancel 7
    """
    from darwin.service.place import now
    from darwin.store.jobs import cancel as take_back

    with _place(artifacts_dir, db).write() as database:
        job = take_back(database, job_id, now())
    if as_json:
        _print(job, as_json=True)
    elif job.state.over:
        click.echo(f"job {job.id} is {job.state}")
    else:
        click.echo(f"job {job.id} is asked to stop")


@jobs.command()
@a_job
@database_options
def log(job_id: int, artifacts_dir: str, db: str | None, as_json: bool) -> None:
    """Print what the command of a job has said.

    \b
    Example:
      darwin jobs log 7
    """
    from darwin.cli.tables import print_json
    from darwin.service.jobs import log_of

    said = log_of(_place(artifacts_dir, db), job_id)
    if as_json:
        print_json({"id": job_id, "log": said})
    else:
        click.echo(said, nl=False)


@jobs.command(hidden=True)
@a_job
@click.option("--models-dir", metavar="DIR", help="The models, if elsewhere.")
@database_options
def work(
    job_id: int, models_dir: str | None, artifacts_dir: str, db: str | None, as_json: bool
) -> int:
    """Do a job that waits, in this process; the service starts this, people need not.

    \b
    Example:
      darwin jobs work 7
    """
    from darwin.service.place import Place
    from darwin.service.worker import work as do

    return do(Place(artifacts_dir, db, models_dir), job_id, _run)


def _run(words: Sequence[str], refused: Callable[[str], None]) -> int:
    from darwin.cli.main import darwin
    from darwin.rl.cli.door import come_through

    return come_through(darwin, words, refused)


def _place(artifacts_dir: str, db: str | None) -> Place:
    from darwin.service.place import Place

    return Place(artifacts_dir, db)


def _print(job: Job, *, as_json: bool) -> None:
    from darwin.cli.tables import print_json
    from darwin.service.reading import job_tree

    if as_json:
        print_json(job_tree(job))
        return
    for name, said in _lines(job):
        if said:
            click.echo(f"{name:<10}{said}")


def _lines(job: Job) -> list[tuple[str, Any]]:
    import shlex

    return [
        ("job", f"{job.id}, {job.kind}{f' of {job.agent}' if job.agent else ''}: {job.state}"),
        ("command", f"darwin {shlex.join(job.words)}" if job.words else ""),
        ("by", f"{job.by}: {job.reason}"),
        ("period", job.period),
        ("queued", job.queued_at),
        ("begun", f"{job.started_at} by {job.worker}" if job.started_at else ""),
        ("ended", job.ended_at),
        ("progress", f"{job.progress.percent:.0f} % {job.progress.message}"),
        ("exit code", None if job.exit_code is None else str(job.exit_code)),
        ("message", job.message),
    ]


def _row(job: Job) -> tuple[str, ...]:
    return (
        str(job.id), job.kind, job.agent or "", str(job.state), f"{job.progress.percent:.0f} %",
        job.queued_at[:16].replace("T", " "), job.by, job.message or job.progress.message,
    )  # fmt: skip

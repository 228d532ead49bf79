"""`darwin notify`: tell people outside what happened in a deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from darwin.cli.deployment import database_options

if TYPE_CHECKING:
    from darwin.service.notices.ways import Way


@click.group()
def notify() -> None:
    """Tell people outside what happened: alerts, promotions, the kill switch, failed jobs.

    Where to is told by DARWIN_WEBHOOK_URL, signed with DARWIN_WEBHOOK_SECRET, and by
    DARWIN_NOTIFY_URLS, addresses of apprise with a space between them. Each may be followed by
    _FILE, and then names a file that holds the value. DARWIN_NOTIFY_LEAST is what is told at
    least: info, warning (as it is) or critical.

    \b
    Examples:
      darwin notify test
      darwin notify run --once
      darwin notify list
    """


@notify.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def test(as_json: bool) -> None:
    """Send a trial notice by every way that is set up; exit 3 where one does not take it.

    \b
    Example:
      darwin notify test
    """
    from darwin.cli.tables import print_json
    from darwin.service.notices.happenings import Severity
    from darwin.service.notices.ways import Message
    from darwin.service.place import now

    ways = _ways()
    at = now()
    text = "a trial: whoever reads this is told what Darwin has to tell"
    message = Message(f"test-{at:%Y%m%dT%H%M%S}", "test", Severity.INFO, text, 1, at)
    answers = {way.name: way.tell(message, at) for way in ways}
    if as_json:
        print_json({name: answer._asdict() for name, answer in answers.items()})
    else:
        for name, answer in answers.items():
            click.echo(f"{name}: {'taken' if answer.took else 'NOT TAKEN'} ({answer.says})")
    if not all(answer.took for answer in answers.values()):
        raise click.exceptions.Exit(3)


@notify.command("run")
@click.option("--once", is_flag=True, help="Look once, tell what is due, and end: for cron.")
@database_options
def run(once: bool, artifacts_dir: str, db: str | None, as_json: bool) -> None:
    """Tell what happened since the last look, again and again until stopped, or --once.

    The service does the same by itself. The first look of a deployment tells nothing: from there
    on things are new. What no way takes is tried again for a day. The exit code is 0 either way.

    \b
    Example:
      darwin notify run --once --json
    """
    import os
    import threading

    from darwin.cli.tables import print_json
    from darwin.service.notices.notifier import notifier_of
    from darwin.service.place import Place, now

    _ways()
    place = Place(artifacts_dir, db)
    with place.read():
        pass  # it must be there: none is made here
    notifier = notifier_of(place, os.environ)
    if not once:
        notifier.go_on(threading.Event())
        return
    told = notifier.tick(now())
    if as_json:
        print_json(told._asdict())
    else:
        click.echo(f"{told.due:,} notices are new, {told.sent:,} sent, {told.pending:,} wait")
        if told.failed:
            click.echo(f"warning: {told.failed:,} ways take nothing now", err=True)


@notify.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
@database_options
def list_(limit: int, artifacts_dir: str, db: str | None, as_json: bool) -> None:
    """The notices of late, the newest first, each with what came of it.

    \b
    Example:
      darwin notify list --limit 5
    """
    from darwin.cli.tables import print_json
    from darwin.service.notices.told import notices_of_late
    from darwin.service.place import Place

    with Place(artifacts_dir, db).read() as database, database.read() as connection:
        found = notices_of_late(connection, limit)
    if as_json:
        print_json(found)
        return
    for one in found:
        ways = ", ".join(f"{name} {way['answer']}" for name, way in one["ways"].items())
        click.echo(f"{one['at']}  {one['severity']:<8}  {one['text']}  [{ways or 'no way'}]")
    if not found:
        click.echo("nothing was told yet")


def _ways() -> list[Way]:
    """Whom the environment names. Raises ConfigError where that is nobody."""
    import os

    from darwin.errors import ConfigError
    from darwin.service.notices.addresses import URLS, WEBHOOK, Addresses
    from darwin.service.notices.ways import ways_of

    ways = ways_of(Addresses.of(os.environ))
    if not ways:
        raise ConfigError(
            "nobody is to be told anything",
            where="the environment",
            mend=f"set {WEBHOOK} or {URLS}, or the variable of that name with _FILE",
        )
    return ways

"""`darwin token`: who may look and act through the service."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from darwin.rl.cli.options import database_options, login, said

if TYPE_CHECKING:
    from darwin.service.place import Place

_by = click.option(
    "--by", default=login, metavar="NAME", callback=said, help="Who says so; else the login name."
)
_name = click.argument("name", metavar="NAME")


@click.group()
def token() -> None:
    """Make tokens for people and programs that use the service, list them, take them back.

    \b
    Examples:
      darwin token create ada --role operator
      darwin token list
      darwin token revoke ada
    """


@token.command()
@_name
@click.option(
    "--role", type=click.Choice(["viewer", "operator"]), default="viewer", show_default=True,
    help="A viewer looks; an operator acts as well.",
)  # fmt: skip
@_by
@database_options
def create(
    name: str, role: str, by: str, artifacts_dir: str, db: str | None, as_json: bool
) -> None:
    """Make a token for NAME and print it. It is shown this once: the database keeps its digest.

    \b
    Example:
      darwin token create ada --role operator
    """
    from darwin.cli.tables import print_json
    from darwin.service.place import now
    from darwin.store.tokens import Role
    from darwin.store.tokens import create as make

    with _place(artifacts_dir, db).write() as database:
        secret = make(database, name, Role(role), by=by, at=now())
    if as_json:
        print_json({"name": name, "role": role, "token": secret})
    else:
        click.echo(f"token of {name}, {role}; it is not shown again:", err=True)
        click.echo(secret)


@token.command("list")
@database_options
def list_(artifacts_dir: str, db: str | None, as_json: bool) -> None:
    """List who holds a token, since when, and who gave it. The tokens themselves are nowhere.

    \b
    Example:
      darwin token list --json
    """
    from darwin.cli.tables import print_json, print_table, terminal
    from darwin.store.tokens import in_force

    with _place(artifacts_dir, db).read() as database, database.read() as connection:
        held = in_force(connection)
    if as_json:
        trees = [
            {"name": one.name, "role": str(one.role), "since": one.since, "by": one.by}
            for one in held
        ]
        print_json(trees)
    elif not held:
        click.echo("nobody holds a token; `darwin token create NAME --role operator` makes one")
    else:
        rows = [(one.name, str(one.role), one.since[:16].replace("T", " "), one.by) for one in held]
        print_table(terminal(), ("token of", "role", "since UTC", "given by"), rows)


@token.command()
@_name
@_by
@database_options
def revoke(name: str, by: str, artifacts_dir: str, db: str | None, as_json: bool) -> None:
    """Let the token of NAME hold no more, from the next request on.

    \b
    Example:
      darwin token revoke ada
    """
    from darwin.cli.tables import print_json
    from darwin.service.place import now
    from darwin.store.tokens import revoke as take_back

    with _place(artifacts_dir, db).write() as database:
        ended = take_back(database, name, by=by, at=now())
    if as_json:
        print_json({"name": ended.name, "role": str(ended.role), "revoked": True})
    else:
        click.echo(f"the token of {ended.name} holds no more")


def _place(artifacts_dir: str, db: str | None) -> Place:
    from darwin.service.place import Place

    return Place(artifacts_dir, db)

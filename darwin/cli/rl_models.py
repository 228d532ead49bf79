"""`darwin rl models`: which versions of a model there are, what became of them, what serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from darwin.cli.rl_import import import_
from darwin.cli.rl_model_acts import (
    an_agent,
    cleanup,
    deploy,
    perhaps_an_agent,
    pin,
    those,
    unpin,
)
from darwin.errors import IntegrityError
from darwin.rl.cli.options import Deployment, model_options, open_registry
from darwin.rl.cli.rollback_model import rollback

if TYPE_CHECKING:
    from darwin.rl.registry.registry import Registry
    from darwin.rl.registry.versions import Version


@click.group()
def models() -> None:
    """Deploy models, roll them back, see what serves.

    \b
    Examples:
      darwin rl models list
      darwin rl models deploy gate trained/gate --reason "weekly training"
    """


for command in (deploy, rollback, cleanup, pin, unpin):
    models.add_command(command)
models.add_command(import_)


@models.command("list")
@perhaps_an_agent
@model_options
def list_(agent: str | None, as_json: bool, **where: Any) -> None:
    """List all versions that are kept, and which of them serves.

    \b
    Example:
      darwin rl models list gate --json
    """
    from darwin.cli.tables import print_json, print_table, terminal
    from darwin.rl.cli.trees import version_trees

    with open_registry(Deployment.of(**where)) as registry:
        found = version_trees(registry, tuple(those(agent)))
    if as_json:
        print_json(found)
        return
    rows = [
        (
            one["agent"],
            one["version"],
            one["place"],
            one["since"][:16].replace("T", " "),
            "pinned" if one["pinned"] else "",
            one["held_by_run"] or "",
        )
        for one in found
    ]
    print_table(terminal(), ("agent", "version", "is", "since UTC", "", "held by run"), rows)


@models.command()
@an_agent
@click.argument("version", required=False)
@model_options
def show(agent: str, version: str | None, as_json: bool, **where: Any) -> None:
    """Show one version, else the one that serves: its digests, its spec, what became of it.

    \b
    Example:
      darwin rl models show gate 20260113_093000
    """
    from darwin.cli.tables import print_json, print_table, terminal
    from darwin.rl.cli.trees import version_tree, whole_version_tree

    with open_registry(Deployment.of(**where)) as registry:
        one = _picked(registry, agent, version)
        tree = whole_version_tree(registry, agent, one)
    if as_json:
        print_json(tree)
        return
    console, facts = terminal(), version_tree(agent, one)
    print_table(console, ("model", one.name), [(name, str(fact)) for name, fact in facts.items()])
    console.print()
    history = [tuple(row.values()) for row in tree["events"]]
    print_table(console, ("at", "", "by", "reason"), history)
    console.print()
    spec = tree["spec"]
    print_table(console, ("spec", ""), [(name, _short(spec[name])) for name in sorted(spec)])


@models.command()
@perhaps_an_agent
@click.argument("version", required=False)
@model_options
def verify(agent: str | None, version: str | None, as_json: bool, **where: Any) -> None:
    """Check versions as if they were to be deployed now: digests, layout, outputs.

    Without a version all that are kept are checked. Exit 3 names the first that is refused.

    \b
    Example:
      darwin rl models verify gate 20260113_093000
    """
    from darwin.cli.tables import print_json
    from darwin.rl.registry.fsck import require_whole
    from darwin.rl.serving.validation import validate_files

    checked = []
    with open_registry(Deployment.of(**where)) as registry:
        for name in those(agent):
            some = (registry.shelf(name).pick(version),) if version else registry.shelf(name).kept
            for one in some:
                validate_files(name, require_whole(registry, name, one))
                checked.append({"agent": name, "version": one.name})
    if as_json:
        print_json({"sound": True, "checked": checked})
    else:
        click.echo(f"{len(checked)} versions are as they were deployed")


@models.command()
@click.option("--repair", is_flag=True, help="Mend links, remove what a killed process left.")
@model_options
def fsck(repair: bool, as_json: bool, **where: Any) -> None:
    """Hold folders, links and digests against the events, and the events against their seals.

    Exit 4 if something is broken, or loose and not repaired. Nothing but links and left-overs is
    ever repaired.

    \b
    Example:
      darwin rl models fsck --repair
    """
    from darwin.cli.tables import print_json
    from darwin.rl.registry.fsck import Weight
    from darwin.rl.registry.fsck import fsck as check

    with open_registry(Deployment.of(**where), to_change=repair) as registry:
        found = check(registry, repair=repair)
    if as_json:
        print_json([one._asdict() for one in found])
    else:
        for one in found:
            click.echo(f"{one.weight}: {one.agent or 'all'}: {one.what}\n  at: {one.where}")
            click.echo(f"  mend: {one.mend}")
    bad = [one for one in found if one.weight is not Weight.NOTE]
    if bad:
        raise IntegrityError(
            f"{len(bad)} things are not as the record of the models says",
            where=bad[0].where,
            mend=bad[0].mend,
        )
    if not as_json:
        click.echo("the models are as their record says")


def _picked(registry: Registry, agent: str, version: str | None) -> Version:
    shelf = registry.shelf(agent)
    if version is None and shelf.serving is not None:
        version = shelf.serving.version
    return shelf.pick(version or "")


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 100 else f"{text[:100]}…"

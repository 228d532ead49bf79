"""`darwin rollback`: the rollback plan as one command, from the kill switch to its report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from darwin.core.rebalance import ALL_AGENTS
from darwin.errors import DarwinError, IntegrityError, StorageError
from darwin.rl.cli.options import Deployment, model_options
from darwin.rl.cli.signed import signed

if TYPE_CHECKING:
    from darwin.cli.rollback_phases import Asked, Plan

FOLDER = "rl_state/rollbacks"
"""Below the artifacts: one report for each."""


class Phase(NamedTuple):
    """One phase that has been gone through, or has failed."""

    name: str
    at: str  # ISO 8601 UTC
    seconds: float
    actions: tuple[str, ...]
    failed: str  # why; empty: it did not


@dataclass
class Story:
    """What was done so far, and the report that says so."""

    asked: Asked
    plan: Plan | None
    began: datetime
    phases: list[Phase] = field(default_factory=list)

    @property
    def report(self) -> Path:
        """Its file."""
        moment = f"{self.began:%Y%m%d_%H%M%S}_{self.began.microsecond // 1000:03d}"
        name = f"rollback-{self.asked.agent}-{moment}.md"
        return self.asked.artifacts / FOLDER / name

    @property
    def seconds(self) -> float:
        """That all phases took together."""
        return sum(one.seconds for one in self.phases)


@click.command()
@click.argument("agent", type=click.Choice(ALL_AGENTS))
@click.option("--to", metavar="VERSION", help="What is to serve; else the version before.")
@signed
@click.option("--dry-run", is_flag=True, help="Say what each phase would do; write nothing.")
@click.option("--no-backup", is_flag=True, help="Do not copy the deployment before.")
@click.option("--release", is_flag=True, help="Let agents go on once all is verified.")
@model_options
def rollback(
    agent: str,
    to: str | None,
    by: str,
    reason: str,
    dry_run: bool,
    no_backup: bool,
    release: bool,
    as_json: bool,
    **where: Any,
) -> None:
    """Stop, copy, roll AGENT back, verify, and write a report, in seconds.

    All agents are switched off first, trainings of AGENT are ended, a backup is made. Then AGENT
    loses promotion and capital, the version before serves, and everything is looked at again:
    record, files, links, a forward pass, the latest run. Agents stay switched off without
    --release. The first thing that fails ends it and says in which phase; doing it again is safe.

    \b
    Examples:
      darwin rollback gate --by Ada --reason "skips every winner" --dry-run
      darwin rollback gate --by Ada --reason "skips every winner"
      darwin rollback gate --to 20260113_093000 --by Ada --reason "unstable" --release
    """
    from darwin.cli.rollback_phases import Asked, plan

    asked = Asked(
        agent, to, by, reason, where["artifacts_dir"], Deployment.of(**where),
        dry=dry_run, backup=not no_backup, release=release,
    )  # fmt: skip
    fault: DarwinError | None = None
    story = Story(asked, None, datetime.now(UTC))
    try:
        story.plan = plan(asked)
    except (StorageError, IntegrityError) as found:
        fault = found  # agents can be switched off all the same
    failed = _through(story, fault, quiet=as_json)
    if as_json:
        from darwin.cli.tables import print_json

        print_json(_tree(story))
    elif failed is None:
        done = "nothing was written" if dry_run else f"report: {story.report}"
        click.echo(f"{'dry run' if dry_run else 'done'} in {story.seconds:.1f} s; {done}")
    if failed is not None:
        raise failed


def _through(story: Story, fault: DarwinError | None, *, quiet: bool) -> DarwinError | None:
    """Go through all phases up to the first that fails; gives why, for the person."""
    from darwin.cli.rollback_phases import prepare, roll_back
    from darwin.cli.rollback_proof import verify
    from darwin.cli.rollback_switch import release, stop

    def unread(asked: Asked, plan: Plan | None) -> Iterator[str]:
        if fault is not None:
            raise fault
        yield from prepare(asked, plan)

    phases: list[tuple[str, Callable[[Asked, Plan | None], Iterator[str]]]] = [
        ("stop", stop), ("prepare", unread), ("roll back", roll_back), ("verify", verify),
    ]  # fmt: skip
    if story.asked.release:
        phases.append(("release", release))
    for name, act in phases:
        failed = _one(story, name, act, quiet=quiet)
        unwritten = _document(story)
        if failed is not None:
            failed.what = f"rollback of {story.asked.agent}, phase '{name}': {failed.what}"
            failed.mend += "; then do it again, which is safe: phases before it are done"
            return failed
    if unwritten is not None:
        unwritten.what = f"all is done, but {unwritten.what}"
    return unwritten


def _one(
    story: Story,
    name: str,
    act: Callable[[Asked, Plan | None], Iterator[str]],
    *,
    quiet: bool,
) -> DarwinError | None:
    """Go through one phase; gives why it failed."""
    at, since, actions = datetime.now(UTC), time.monotonic(), []
    failed: DarwinError | None = None
    try:
        for action in act(story.asked, story.plan):
            actions.append(action)
            if not quiet:
                click.echo(f"{name}: {action}")
    except DarwinError as found:
        failed = found
    seconds = time.monotonic() - since
    why = "" if failed is None else failed.what
    story.phases.append(
        Phase(name, at.isoformat(timespec="seconds"), seconds, tuple(actions), why)
    )  # fmt: skip
    return failed


def _document(story: Story) -> StorageError | None:
    """Write the report as far as it goes; gives why it could not be."""
    from darwin.report.files import write_text

    if story.asked.dry:
        return None
    try:
        write_text(story.report, _page(story))
    except StorageError as fault:
        return fault
    return None


def _page(story: Story) -> str:
    """The report: who, why, from what to what, each action with its phase and time."""
    asked, plan = story.asked, story.plan
    ended = next((one for one in story.phases if one.failed), None)
    lines = [
        f"# Rollback of {asked.agent}, {story.began:%Y-%m-%d %H:%M:%S} UTC",
        "",
        f"By {asked.by}, because: {asked.reason}",
        "",
        f"From version {plan.serving if plan else 'unknown'} to"
        f" {plan.target if plan else 'unknown'}; {story.seconds:.1f} s."
        + (f" Failed in phase '{ended.name}': {ended.failed}" if ended else ""),
        "",
        "| phase | at | seconds | what was done |",
        "| --- | --- | --- | --- |",
    ]
    for one in story.phases:
        for action in (*one.actions, *([f"FAILED: {one.failed}"] if one.failed else [])):
            told = action.replace("|", "\\|")
            lines.append(f"| {one.name} | {one.at} | {one.seconds:.1f} | {told} |")
    return "\n".join([*lines, "", "Root cause and what follows, to be written by a person:", ""])


def _tree(story: Story) -> dict[str, Any]:
    return {
        "agent": story.asked.agent,
        "from": story.plan and story.plan.serving,
        "to": story.plan and story.plan.target,
        "dry_run": story.asked.dry,
        "done": not story.asked.dry and not any(one.failed for one in story.phases),
        "report": None if story.asked.dry else str(story.report),
        "seconds": round(story.seconds, 3),
        "phases": [one._asdict() for one in story.phases],
    }

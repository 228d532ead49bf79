"""What the canaries of a training found, for a machine and for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from darwin.rl.training.canaries.finding import CanaryError, Finding
    from darwin.rl.training.course import Plan
    from darwin.rl.training.rows import Rows


def findings_tree(findings: tuple[Finding, ...] | None) -> list[dict[str, Any]] | None:
    """All findings as report.json has them; None where canaries were left out."""
    return None if findings is None else [one.tree() for one in findings]


def alarm_tree(
    rows: Rows, plan: Plan, run_ids: tuple[str, ...], alarm: CanaryError
) -> dict[str, Any]:
    """The report of a training that an alarm ended; it has no figure of the test."""
    return {
        "agent": rows.page.name,
        "runs": list(run_ids),
        "verdict": f"Ended by a canary: {alarm.what}.",
        "learned": False,
        "version": None,
        "canaries": findings_tree(alarm.findings),
        "data_digest": rows.digest,
        "plan_digest": plan.digest(),
    }


def print_findings(findings: tuple[Finding, ...] | None) -> None:
    """Tell a person on one line what the canaries found."""
    if findings is None:
        click.echo("Canaries were left out (--skip-canaries): nobody looked for bugs of training.")
        return
    quiet = sum(one.passed is True for one in findings)
    open_ = "; ".join(f"{one.name} {one.said}" for one in findings if one.passed is None)
    click.echo(f"Canaries: {quiet} of {len(findings)} quiet{f'; {open_}' if open_ else ''}.")

"""The story of one candidate, printed for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from darwin.cli.tables import print_table

if TYPE_CHECKING:
    from darwin.store.story import Story


def tell(console: Console, story: Story) -> None:
    """Print the signal, what happened at each stage, and the outcome."""
    from darwin.store.story_words import about, outcome_line, stage_rows

    for line in about(story):
        console.print(line)
    console.print()
    print_table(console, ("stage", "", ""), stage_rows(story))
    console.print()
    console.print(outcome_line(story))
    if story.features:
        console.print(f"{len(story.features)} features at the signal: --json shows them")

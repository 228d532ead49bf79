"""Numbers on the command line: what is none, or without end, is refused before anything is done."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from darwin.cli.main import darwin as every_command

_SIGNED = ("--by", "Ada", "--reason", "to try")
_BARS = ("--data", "data", "--symbols", "BTC/USDT")
REST = {
    "allocation train": (), "allocation evaluate": ("--model", "model"),
    "allocation benchmark": _BARS,
    "market train": (), "market evaluate": ("--model", "model"), "market benchmark": _BARS,
    "rl evaluate": ("gate",), "rl plan": ("gate",), "rl train": ("gate", "--run-ids", "a"),
    "rl tune": ("gate", "--run-ids", "a"), "run": ("none.json", "--feed"),
    "lifecycle": ("none.json",), "data synth": ("-o", "made"),
    "rl models cleanup": ("gate",), "rl rollout set": ("gate", "5%", *_SIGNED),
    "rl schedule set": ("gate", *_SIGNED), "serve": (),
    "rl models import": ("gate", "a.zip", "--algo", "ppo", "--no-normaliser", "-o", "made"),
}  # fmt: skip
"""What the commands that take a number want beside it."""


def with_numbers(command: click.Command, words: str = "") -> Iterator[tuple[str, str]]:
    """Each option of each command that takes a real number."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from with_numbers(found, f"{words} {name}".strip())
    for option in command.params:
        if isinstance(option, click.Option) and isinstance(option.type, click.types.FloatParamType):
            yield from ((words, name) for name in option.opts)


@pytest.mark.parametrize("number", ["nan", "inf"])
@pytest.mark.parametrize(("words", "option"), sorted(set(with_numbers(every_command))))
def test_a_number_that_is_none_or_without_end_is_exit_2(words, option, number, desk, darwin):
    Path("a.zip").touch()
    code, out, err = darwin(*words.split(), *REST[words], option, number)
    assert (code, out) == (2, "")
    assert number in err.lower() or "above 0" in err
    assert len(err.splitlines()) <= 3


def test_the_options_that_are_looked_at_are_many():
    found = set(with_numbers(every_command))
    assert {words for words, _ in found} == set(REST)
    assert {("rl train", "--last-days"), ("rl tune", "--timeout")} <= found

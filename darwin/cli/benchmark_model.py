"""A model of a book agent, from a folder or by its version, ready to be judged."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from darwin.allocation.benchmark_agent import followed
from darwin.allocation.benchmark_settings import BenchmarkSettings, Judged
from darwin.core.panel import Panel
from darwin.core.rebalance import ALLOCATOR, BOOK_AGENTS
from darwin.errors import ModelError
from darwin.rl.cli.options import resolved
from darwin.rl.registry.files import MANIFEST, SPEC, WEIGHTS, ZIP, read, whole
from darwin.rl.registry.folders import Home
from darwin.rl.serving.book_policy import BookNumpyPolicy, book_policy_of
from darwin.rl.serving.spec_file import BookTerms


class BookModel(NamedTuple):
    """A model, what it was trained on, and what it is called."""

    policy: BookNumpyPolicy
    terms: BookTerms

    @property
    def trained_until(self) -> int | None:
        """The close of the last bar that it has seen, ms UTC; None where it does not say."""
        return self.policy.spec.training_end_ms

    def judged(self, panel: Panel, settings: BenchmarkSettings) -> Judged:
        """Ready for a benchmark on `panel`. Raises ModelError where it was trained for another."""
        every = settings.every
        spec, terms = self.policy.spec, self.terms
        same = panel.symbols == terms.symbols
        fits = same if spec.agent == ALLOCATOR else panel.symbols[0] in terms.symbols
        if not fits or panel.assets != self.policy.page.assets:
            raise ModelError(
                f"a model of {', '.join(terms.symbols)} was given {', '.join(panel.symbols)}",
                mend="name the symbols that it was trained on, in their order",
            )
        if (panel.timeframe.name, every) != (terms.timeframe, terms.every):
            raise ModelError(
                f"a model that decides every {terms.every} bars of {terms.timeframe} was asked"
                f" every {every} of {panel.timeframe.name}",
                mend=f"use --timeframe {terms.timeframe} --every {terms.every}",
            )
        if self.trained_until is None:
            raise ModelError(
                "the model does not say until when it was trained",
                mend="a model that may have seen the test cannot be judged; export it again",
            )
        strategy = followed(self.policy.page, self.policy, settings.cost_bps / 1e4)
        return Judged.fixed(spec.agent, strategy, self.trained_until)


def book_model(path: Path, version: str, models_dir: Path, agent: str | None = None) -> BookModel:
    """Read the folder at `path`, or the version of that name where there is none.

    Raises ModelError where it is no model of a book, or of another agent than `agent`.
    """
    agents = BOOK_AGENTS if agent is None else (agent,)
    folder = resolved(path) if path.is_dir() else _folder(version, models_dir, agents)
    files = whole(read(folder, (SPEC, WEIGHTS), (MANIFEST, ZIP)))
    policy = book_policy_of(files[SPEC], files[WEIGHTS])
    if policy.spec.book is None:
        raise ModelError(f"{version} is a model of no book", mend="train one of a book")
    if policy.spec.agent not in agents:
        raise ModelError(
            f"this is a model of {policy.spec.agent}", where=str(path), mend=f"name one of {agent}"
        )
    return BookModel(policy, policy.spec.book)


def _folder(version: str, models_dir: Path, agents: tuple[str, ...]) -> Path:
    homes = [Home.of(models_dir, agent) for agent in agents]
    found = [home.folder(version) for home in homes if version in home.names()]
    if len(found) != 1:
        what = "both agents of books have" if found else "no agent of books has"
        raise ModelError(
            f"{what} a version {version!r}",
            where=str(models_dir),
            mend="name the folder that holds its spec.json and weights.safetensors",
        )
    return found[0]

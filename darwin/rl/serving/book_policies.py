"""Where a run of a book gets its policies from: models of the deployment, or a rule in place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from darwin.core.agents import Model
from darwin.core.market import SYNTHETIC_VENUE
from darwin.core.rebalance import BookPage, BookPolicy
from darwin.errors import ModelError
from darwin.rl.registry import files, folders
from darwin.rl.serving.book_policy import BookNumpyPolicy, book_policy_for


@dataclass(frozen=True, slots=True)
class BookStandIn:
    """A rule that a config has put in the place of the model of a book."""

    model: Model  # what rebalances call it
    policy: BookPolicy


class BookPolicies:
    """Reads each model once, when it is first asked for. Implements `core.ports.AnyPolicies`."""

    def __init__(
        self,
        page: BookPage,
        models_dir: Path,
        stand_in: BookStandIn | None,
        symbols: tuple[str, ...],
        timeframe: str,
        every: int,
    ) -> None:
        """Symbols in order, `timeframe` and `every` (bars between rebalances): made for these."""
        self._page, self._models_dir, self.stand_in = page, models_dir, stand_in
        self._symbols, self._made_for = symbols, (timeframe, every)
        self._read: dict[Model, BookNumpyPolicy] = {}

    def policy(self, agent: str, model: Model) -> BookPolicy:
        """The model, checked against its digest. Raises ModelError where it is not to be had."""
        rule = self.stand_in
        if rule is None:
            return self.served(agent, model)
        if rule.model != model:
            raise ModelError(
                f"the {agent} agent was {model.version} ({model.sha256[:12]}) when this was"
                f" recorded; the config puts {rule.model.version} ({rule.model.sha256[:12]}) in"
                " its place",
                mend="bring back the rule and parameters of then",
            )
        return rule.policy

    def served(self, agent: str, model: Model) -> BookNumpyPolicy:
        """The same of a model that was deployed."""
        found = self._read.get(model)
        if found is None:
            folder = folders.Home.of(self._models_dir, agent).folder(model.version)
            content = files.load(folder, model)
            found = book_policy_for(self._page, content[files.SPEC], content[files.WEIGHTS])
            self._refuse_other_assets(found)
            self._refuse_another_pace(found)
            self._read[model] = found
        return found

    def _refuse_other_assets(self, policy: BookNumpyPolicy) -> None:
        book = policy.spec.book
        if book is None or _bare(book.symbols) == _bare(self._symbols):
            return
        raise ModelError(
            f"the model was trained on {', '.join(book.symbols)[:80]}, here are"
            f" {', '.join(self._symbols)[:80]}",
            mend="set market.symbols as in its training, in the same order",
        )

    def _refuse_another_pace(self, policy: BookNumpyPolicy) -> None:
        book = policy.spec.book
        if book is None or (book.timeframe, book.every) == self._made_for:
            return
        raise ModelError(
            f"the model was trained to decide every {book.every} bars of {book.timeframe}, here it"
            f" is every {self._made_for[1]} of {self._made_for[0]}",
            mend="set allocation.every and market.timeframe as in its training",
        )


def _bare(symbols: tuple[str, ...]) -> list[str]:
    """Without the mark of generated bars: a config names a market with or without it."""
    return [symbol.removesuffix(f":{SYNTHETIC_VENUE}") for symbol in symbols]

"""Promotion and demotion of agents of a book by evidence, while a run goes on."""

from __future__ import annotations

from collections.abc import Sequence

from darwin.core.agents import Model
from darwin.core.book_facts import Held, Rebalanced
from darwin.core.candidate import id_text
from darwin.rl.graduation.book_reading import outcome_of, told_of
from darwin.rl.graduation.promoter import Promoter


class BookPromoter(Promoter):
    """Implements `engine.book_run.BookWitness`, and is a source of inputs like `Promoter`."""

    def rebalanced(self, told: Sequence[Rebalanced]) -> None:
        """Add advice to the trials of those who gave it."""
        self._begin_anew()
        for one in told:
            entry = told_of(one)
            if entry is None or one.model is None:
                continue
            trial = self._trial(one.agent, one.model, one.at)
            self._learn(one.agent, one.model, trial, trial.hear(entry.key, entry))

    def held(self, told: Sequence[Held], models: Sequence[Model | None]) -> None:
        """Tell trials what became of a rebalance."""
        for one, model in zip(told, models, strict=True):
            trial = None if model is None else self._trials.get((one.agent, model))
            if trial is not None and model is not None:
                new = trial.hear(id_text(one.at.id), outcome_of(one))
                self._learn(one.agent, model, trial, new)

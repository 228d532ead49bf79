"""Search for a recipe: one process asks the sampler and keeps the study, engines try recipes out.

Whoever tries a recipe is given rows of training and validation, never the test, and needs no
storage. Each draw of the sampler has a seed of its own, so that a search which was stopped and
taken up again draws what it would have drawn.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple, Protocol, TypeAlias, cast

import numpy as np
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from darwin.rl.agents.pages import PAGES
from darwin.rl.agents.spec import AgentSpec
from darwin.rl.training.course import Plan, interquartile_mean, job_of, prepare
from darwin.rl.training.noted import validation_sharpe
from darwin.rl.training.recipes import Recipe
from darwin.rl.training.rows import Normaliser, Rows
from darwin.rl.training.search_space import Space, choices_of, recipe_with
from darwin.rl.training.trainer import Evaluation, train

TRIES = 2  # of a trial whose process or machine is lost
WAIT_S = 1.0  # for news, before looks at the clock


@dataclass(frozen=True)
class Task:
    """What every trial is measured on; `plan.recipe` stands for the one that is tried."""

    train: Rows
    validation: Rows
    normaliser: Normaliser
    plan: Plan

    @classmethod
    def of(cls, rows: Rows, plan: Plan) -> Task:
        """Cut as a course of training cuts. Raises ConfigError where rows are too few."""
        parts, normaliser = prepare(rows, plan)
        return cls(parts.train, parts.validation, normaliser, plan)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process without the page, which is code: it is found there by name."""
        bare = [
            replace(rows, page=cast("AgentSpec", None)) for rows in (self.train, self.validation)
        ]
        return _arrived, (self.train.page.name, *bare, self.normaliser, self.plan)


def _arrived(agent: str, train: Rows, validation: Rows, normaliser: Normaliser, plan: Plan) -> Task:
    page = PAGES[agent]
    return Task(replace(train, page=page), replace(validation, page=page), normaliser, plan)


class GivenUpError(Exception):
    """A trial was pruned: whoever looked said so."""


Look: TypeAlias = Callable[[int, float], bool]
"""(how many spans of `eval_freq` are done, learned gain so far in R) -> whether to go on."""


class Shown(NamedTuple):
    """What a network that was trained shows on validation."""

    gain: float  # learned, R per decision
    sharpe: float | None = None  # of that gain, per day; None: it cannot be said


def evaluate(task: Task, recipe: Recipe, look: Look = lambda span, gain: True) -> tuple[Shown, ...]:
    """What each seed's network shows on validation.

    A network counts as training keeps it, by its best look. Raises GivenUpError once `look` says
    so. The same task and recipe give the same figures.
    """
    plan = replace(task.plan, recipe=recipe)
    spans = -(-plan.timesteps // plan.eval_freq)
    shown: list[Shown] = []
    for at in range(plan.seeds):
        best = -math.inf

        def tell(steps: int, found: Evaluation | None, at: int = at) -> None:
            nonlocal best
            if found is None:
                return
            best = max(best, found.learned_gain)
            done = at * spans + min(found.steps // plan.eval_freq, spans)
            if not look(done, interquartile_mean((*(one.gain for one in shown), best))):
                raise GivenUpError

        job = job_of(task.train, task.validation, task.normaliser, plan, plan.seed + at)
        trained = train(job, tell)
        sharpe = validation_sharpe(job, trained.network)
        shown.append(Shown(trained.best.learned_gain, sharpe))
    return tuple(shown)


class Looked(NamedTuple):
    """A trial waits to be told whether it goes on."""

    number: int
    span: int
    gain: float


class Ended(NamedTuple):
    """A trial is over: what its seeds show; none where it was given up; `fault` where it broke."""

    number: int
    seeds: tuple[Shown, ...] = ()
    where: str = ""  # the process or the node that tried it
    fault: str = ""


class Lost(NamedTuple):
    """Whoever tried it is gone: its process was killed, or its machine."""

    number: int
    why: str


News: TypeAlias = Looked | Ended | Lost


class Engine(AbstractContextManager["Engine"], Protocol):
    """Tries recipes out, `slots` at a time; leaving it ends what is under way."""

    slots: int

    def give(self, number: int, recipe: Recipe) -> None:
        """Let somebody who is idle try it."""

    def wait(self, timeout_s: float) -> list[News]:
        """What there is to tell; nothing where the time runs out."""

    def answer(self, number: int, go_on: bool) -> None:
        """Answer whoever `Looked`."""


@dataclass
class _Out:
    """A trial that is being tried."""

    trial: Trial
    recipe: Recipe
    tries: int = 1
    seen: set[int] = field(default_factory=set)


@dataclass
class Search:
    """A search under way in a study."""

    study: Study
    space: Space
    plan: Plan
    tell: Callable[[FrozenTrial], None]
    beat: Callable[[list[Trial]], None]  # called every second with what is under way
    _out: dict[int, _Out] = field(default_factory=dict)

    def run(self, engine: Engine, trials: int, timeout_s: float | None = None) -> None:
        """Go on until `trials` are finished in all; after `timeout_s` none is begun any more.

        However it is left, none of its trials stays under way in the study.
        """
        self.study.pruner = MedianPruner(n_startup_trials=5, n_warmup_steps=2)
        until = math.inf if timeout_s is None else time.monotonic() + timeout_s
        try:
            with engine:
                while True:
                    while len(self._out) < engine.slots and time.monotonic() < until:
                        if self._taken() >= trials:
                            break
                        self._begin(engine)
                    if not self._out:
                        return
                    for news in engine.wait(WAIT_S):
                        self._hear(engine, news)
                    self.beat([one.trial for one in self._out.values()])
        finally:
            for one in self._out.values():
                self.study.tell(one.trial, state=TrialState.FAIL, skip_if_finished=True)

    def _taken(self) -> int:
        """Trials that are finished or under way, those of other processes too."""
        return sum(1 for _ in _standing(self.study))

    def _begin(self, engine: Engine) -> None:
        trial = _ask(self.study, self.space, self.plan)
        recipe = recipe_with(self.plan.recipe, trial.params)
        self._out[trial.number] = _Out(trial, recipe)
        self.beat([trial])
        trial.set_user_attr("recipe", asdict(recipe))
        engine.give(trial.number, recipe)

    def _hear(self, engine: Engine, news: News) -> None:
        one = self._out.get(news.number)
        if one is None:
            return
        if isinstance(news, Looked):
            if news.span not in one.seen:  # a second try looks where the first one did
                one.seen.add(news.span)
                one.trial.report(news.gain, news.span)
            engine.answer(news.number, not one.trial.should_prune())
        elif isinstance(news, Ended):
            self._end(one, news)
        elif one.tries < TRIES:
            one.tries += 1
            engine.give(news.number, one.recipe)
        else:
            self._end(one, Ended(news.number, fault=f"lost {TRIES} times: {news.why}"))

    def _end(self, one: _Out, news: Ended) -> None:
        gains = tuple(seed.gain for seed in news.seeds)
        fault, value = news.fault, interquartile_mean(gains) if gains else math.nan
        if gains and not math.isfinite(value):
            fault = "its gain is no number"
        one.trial.set_user_attr("gains", list(gains))
        one.trial.set_user_attr("sharpes", [seed.sharpe for seed in news.seeds])
        one.trial.set_user_attr("where", news.where)
        one.trial.set_user_attr("tries", one.tries)
        if fault:
            one.trial.set_user_attr("fault", fault)
            finished = self.study.tell(one.trial, state=TrialState.FAIL)
        elif gains:
            finished = self.study.tell(one.trial, value)
        else:
            finished = self.study.tell(one.trial, state=TrialState.PRUNED)
        del self._out[news.number]
        _finished(finished, self.tell)


def _finished(trial: FrozenTrial, tell: Callable[[FrozenTrial], None]) -> None:
    """Each finished trial passes here once: complete, given up or broken."""
    tell(trial)


def was_interrupted(trial: FrozenTrial) -> bool:
    """Whether the search was stopped while it was tried; such a one counts for nothing."""
    return trial.state is TrialState.FAIL and "fault" not in trial.user_attrs


def is_finished(trial: FrozenTrial) -> bool:
    """Whether it counts among the trials that were asked for."""
    return trial.state.is_finished() and not was_interrupted(trial)


def _standing(study: Study) -> Iterator[FrozenTrial]:
    for trial in study.get_trials(deepcopy=False):
        if trial.state is TrialState.RUNNING or is_finished(trial):
            yield trial


def _ask(study: Study, space: Space, plan: Plan) -> Trial:
    """Draw the next recipe; the first is the default one, so that no search ends below it.

    A trial that was interrupted gives its draw back.
    """
    used = {trial.user_attrs.get("draw") for trial in _standing(study)}
    draw = next(n for n in range(len(used) + 1) if n not in used)
    if draw == 0 and not study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        study.enqueue_trial(choices_of(space, plan.recipe))
    seed = int(np.random.SeedSequence([plan.seed, draw]).generate_state(1)[0])
    study.sampler = TPESampler(seed=seed)
    trial = study.ask(dict(space))
    trial.set_user_attr("draw", draw)
    return trial

"""Train one network: stable-baselines3 on a world of recorded candidates, seeded throughout."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import A2C, DQN, PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger, configure

from darwin.core.market import FloatArray
from darwin.rl.training import checkpoint, recipes
from darwin.rl.training.gains import departs, learned_gain
from darwin.rl.training.network import Network, averaged, become, network_of, scores
from darwin.rl.training.recipes import Recipe
from darwin.rl.training.rows import Normaliser, Rows
from darwin.rl.training.supervised import leave_at_rate
from darwin.rl.training.vec_env import ReplayVecEnv
from darwin.rl.training.worlds import AccountWorld, BudgetWorld, TableWorld, World


class Evaluation(NamedTuple):
    """How the averaged network did on validation, at the rate of departures that is aimed at."""

    steps: int
    learned_gain: float
    mean_reward: float  # of training since the evaluation before
    departures: float  # by the network's own odds, without a threshold


class Budget(NamedTuple):
    """How many calls the gate has for each stretch of candidates."""

    calls: int
    stretch: int


@dataclass(frozen=True)
class Job:
    """One training, all of it."""

    train: Rows
    validation: Rows
    normaliser: Normaliser
    recipe: Recipe
    seed: int
    timesteps: int
    eval_freq: int
    device: str = "cpu"
    tensorboard: Path | None = None
    folder: Path | None = None  # where checkpoints are kept
    patience: int | None = None  # evaluations without a better one, after which it stops
    budget: Budget | None = None
    baselines: dict[str, float] = field(default_factory=dict)  # gains beside it in TensorBoard
    start: Network | None = None  # to go on from; it is the first look at validation


class Trained(NamedTuple):
    """What came of a training."""

    network: Network  # of the best evaluation
    history: tuple[Evaluation, ...]
    best: Evaluation


Tell: TypeAlias = Callable[[int, Evaluation | None], None]
"""Told of every update how many steps are done, and of every evaluation."""


def train(job: Job, tell: Tell = lambda steps, evaluation: None) -> Trained:
    """Train, evaluating on validation as it goes; the best evaluation's averaged network wins.

    With a folder, what was done is kept at each evaluation, and a job that was begun there goes on
    from it to the same weights (PPO and A2C; the others begin anew). One torch thread: two are up
    to twenty times slower where the second core is busy.
    """
    torch.set_num_threads(1)
    env = env_of(job, world_of(job))
    model = model_of(job, env)
    model.set_logger(logger_of(job))
    watch = _Watch(job, env.world, tell)
    done = watch.take_up(model)
    if job.start is not None and not done:
        become(model, job.start)
        watch.begin_with(job.start)
    if done < job.timesteps:
        model.learn(job.timesteps - done, callback=watch, reset_num_timesteps=not done)
        watch.evaluate(last=True)
    assert watch.best is not None
    return Trained(watch.best[0], tuple(watch.history), watch.best[1])


def env_of(job: Job, world: World) -> ReplayVecEnv:
    """`world` as stable-baselines3 sees it in this job."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The `render_mode` attribute")
        return ReplayVecEnv(job.train.page, world, truncates=job.train.page.is_continuous)


def world_of(job: Job) -> World:
    """The world in which a job is trained."""
    size = job.recipe.environments
    rows, seed = job.train, job.seed
    if rows.page.is_continuous:
        return AccountWorld(rows, job.normaliser, size, seed=seed)
    if job.budget is not None:
        return BudgetWorld(rows, job.normaliser, size, *job.budget, seed=seed)
    return TableWorld(rows, job.normaliser, size, seed)


def model_of(job: Job, env: ReplayVecEnv) -> BaseAlgorithm:
    """The model of stable-baselines3 that learns in `env`, not trained yet.

    What it warns of is meant for its own environments: that a target network is renewed less
    often where several are asked at once.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="stable_baselines3")
        return _built(job, env)


def _built(job: Job, env: ReplayVecEnv) -> BaseAlgorithm:
    recipe, hidden = job.recipe, list(job.recipe.hidden)
    gamma = recipe.gamma if job.budget is None else 0.99

    def rate(left: float) -> float:
        return recipe.learning_rate * max(left, 0.02)

    common: dict[str, Any] = {
        "learning_rate": rate, "gamma": gamma, "seed": job.seed, "device": job.device, "verbose": 0,
    }  # fmt: skip
    if recipe.algo == recipes.PPO:
        return PPO(
            "MlpPolicy", env, n_steps=recipe.steps, batch_size=recipe.batch,
            n_epochs=recipe.epochs, clip_range=recipe.clip, ent_coef=recipe.entropy,
            policy_kwargs=_actor_critic(hidden), **common,
        )  # fmt: skip
    if recipe.algo == recipes.A2C:
        return A2C(
            "MlpPolicy", env, n_steps=recipe.steps, ent_coef=recipe.entropy, use_rms_prop=False,
            policy_kwargs=_actor_critic(hidden), **common,
        )  # fmt: skip
    off_policy: dict[str, Any] = {
        "buffer_size": 200_000, "learning_starts": 2 * recipe.batch, "batch_size": recipe.batch,
        "train_freq": 1, "gradient_steps": 4, "policy_kwargs": {"net_arch": hidden},
    }  # fmt: skip
    if recipe.algo == recipes.DQN:
        return DQN("MlpPolicy", env, target_update_interval=1000, **off_policy, **common)
    return SAC("MlpPolicy", env, **off_policy, **common)


def _actor_critic(hidden: list[int]) -> dict[str, Any]:
    """One network for the advice, a small one for the value, which nothing but training reads."""
    return {"net_arch": {"pi": hidden, "vf": [32]}, "activation_fn": torch.nn.Tanh}


def logger_of(job: Job) -> Logger:
    """Where a training writes its curves; without a folder nowhere."""
    if job.tensorboard is None:
        return Logger(None, [])  # `configure` would leave an empty folder among the temporary ones
    return configure(str(job.tensorboard), ["tensorboard"])


class _Watch(BaseCallback):
    """Averages weights, evaluates, keeps checkpoints."""

    def __init__(self, job: Job, world: World, tell: Tell) -> None:
        super().__init__()
        self.history: list[Evaluation] = []
        self.best: tuple[Network, Evaluation] | None = None
        self._job, self._world, self._tell = job, world, tell
        self._seen = job.normaliser(job.validation.observations)
        self._mean: Network | None = None
        self._due, self._rewards, self._count = job.eval_freq, 0.0, 0

    @property
    def _resumes(self) -> bool:
        return self._job.folder is not None and self._job.recipe.algo in (recipes.PPO, recipes.A2C)

    def take_up(self, model: BaseAlgorithm) -> int:
        """Go on from the checkpoint of this very job, if there is one; gives the steps done."""
        folder = self._job.folder
        if folder is None or not self._resumes:
            return 0
        kept = checkpoint.read(folder)
        if kept is None:
            return 0
        told = checkpoint.restore(model, self._world, kept)
        self._due, self._rewards, self._count = told["due"], told["rewards"], told["count"]
        self.history = [Evaluation(*one) for one in told["history"]]
        self._mean = checkpoint.network(kept, "mean", self._job.train.page, self._job.recipe.algo)
        best = checkpoint.network(kept, "best", self._job.train.page, self._job.recipe.algo)
        if best is not None:
            self.best = best, Evaluation(*told["best"])
        return model.num_timesteps

    def begin_with(self, network: Network) -> None:
        """Look at validation before anything is learned: only what does better is kept."""
        self._mean = network
        found, _ = self._look(network)
        self.history.append(found)
        self.best = network, found

    def _on_step(self) -> bool:
        rewards = self.locals.get("rewards")
        if rewards is not None:
            self._rewards += float(np.sum(rewards))
            self._count += len(rewards)
        return not self._is_hopeless()

    def _is_hopeless(self) -> bool:
        patience = self._job.patience
        if patience is None or self.best is None:
            return False
        since = sum(one.steps > self.best[1].steps for one in self.history)
        return since >= patience

    def _on_rollout_start(self) -> None:
        if self.num_timesteps == 0 or self._just_taken_up():
            return
        latest = network_of(self.model, self._job.train.page, self._job.recipe.algo)
        self._mean = averaged(self._mean, latest, self._job.recipe.averaging)
        self._tell(self.num_timesteps, None)
        if self.num_timesteps >= self._due:
            self._due += self._job.eval_freq
            self.evaluate()

    def _just_taken_up(self) -> bool:
        """The checkpoint was written after this update was seen."""
        return bool(self.history) and self.history[-1].steps == self.num_timesteps

    def evaluate(self, *, last: bool = False) -> None:
        """Look at validation; keep the network if it is the best so far."""
        page, algo = self._job.train.page, self._job.recipe.algo
        if last:
            if self._just_taken_up():
                return
            latest = network_of(self.model, page, algo)
            self._mean = averaged(self._mean, latest, self._job.recipe.averaging)
        assert self._mean is not None
        found, actions = self._look(self._mean)
        self._rewards, self._count = 0.0, 0
        self.history.append(found)
        if self.best is None or found.learned_gain > self.best[1].learned_gain:
            self.best = self._mean, found
        self._write_down(found, float(departs(self._job.validation, actions).mean()))
        self._keep()
        self._tell(self.num_timesteps, found)

    def _look(self, network: Network) -> tuple[Evaluation, FloatArray]:
        """How a network does on validation at the rate that is aimed at, and what it does."""
        rows, rate = self._job.validation, self._job.recipe.departure_rate or 0.0
        page = rows.page
        score = scores(page, network, self._seen)
        actions = at_rate(rows, network, self._seen, score, rate)
        own = score if page.is_continuous else (score >= 0.5).astype(float)
        found = Evaluation(
            self.num_timesteps,
            learned_gain(rows, actions),
            self._rewards / max(self._count, 1),
            float((1.0 - own).mean() if page.is_continuous else own.mean()),
        )
        return found, actions

    def _write_down(self, found: Evaluation, departures: float) -> None:
        record = self.model.logger.record
        record("eval/learned_gain_r", found.learned_gain)
        record("eval/departure_rate", departures)
        record("eval/own_departure_rate", found.departures)
        record("rollout/mean_reward_r", found.mean_reward)
        for name, gain in self._job.baselines.items():
            record(f"eval/{name}", gain)
        self.model.logger.dump(self.num_timesteps)

    def _keep(self) -> None:
        folder = self._job.folder
        if folder is None or not self._resumes or self.best is None:
            return
        told = {
            "due": self._due, "rewards": self._rewards, "count": self._count,
            "history": self.history, "best": self.best[1],
        }  # fmt: skip
        checkpoint.write(
            folder, self.model, self._world, json.dumps(told), self._mean, self.best[0]
        )


def at_rate(
    rows: Rows, network: Network, seen: NDArray[np.float32], score: FloatArray, rate: float
) -> FloatArray:
    """What a network advises where its threshold gives this rate of departures on these rows."""
    if rows.page.is_continuous:
        return score
    given = network.outputs(seen)
    advantage = given - given[:, [int(rows.page.baseline)]]
    ranked = advantage.copy()
    base = int(rows.page.baseline)
    others = [code for code in range(given.shape[1]) if code != base]
    best = ranked[:, others].argmax(axis=1)
    for at, code in enumerate(others):
        ranked[:, code] = np.where(best == at, score, -np.inf)
    return leave_at_rate(rows, ranked, rate)

"""Train one network: stable-baselines3 on a world of recorded candidates, seeded throughout."""

from __future__ import annotations

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

from darwin.core.market import FloatArray
from darwin.rl.training import recipes
from darwin.rl.training.gains import departs, learned_gain
from darwin.rl.training.network import Network, become, scores
from darwin.rl.training.pulse import Feel, unfelt
from darwin.rl.training.recipes import Recipe
from darwin.rl.training.rows import Normaliser, Rows
from darwin.rl.training.supervised import leave_at_rate
from darwin.rl.training.vec_env import ReplayVecEnv
from darwin.rl.training.watch import Watch, Watched, logger_at
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
    feel: Feel = unfelt  # told of each update


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
    model.set_logger(logger_at(job.tensorboard))
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


class _Watch(Watch[Evaluation]):
    """Looks at the learned gain on validation."""

    def __init__(self, job: Job, world: World, tell: Tell) -> None:
        recipe = job.recipe
        super().__init__(
            Watched(
                job.train.page, recipe.algo, recipe.averaging, job.eval_freq, job.patience,
                job.folder, job.feel,
            ),
            world, tell,
        )  # fmt: skip
        self._job = job
        self._seen = job.normaliser(job.validation.observations)
        self._departures = 0.0  # of the last look

    def look(self, network: Network) -> Evaluation:
        """How a network does on validation at the rate that is aimed at."""
        rows, rate = self._job.validation, self._job.recipe.departure_rate or 0.0
        page = rows.page
        score = scores(page, network, self._seen)
        actions = at_rate(rows, network, self._seen, score, rate)
        self._departures = float(departs(rows, actions).mean())
        own = score if page.is_continuous else (score >= 0.5).astype(float)
        return Evaluation(
            self.num_timesteps,
            learned_gain(rows, actions),
            self.mean_reward,
            float((1.0 - own).mean() if page.is_continuous else own.mean()),
        )

    def worth(self, found: Evaluation) -> float:
        """The learned gain."""
        return found.learned_gain

    def figures(self, found: Evaluation) -> dict[str, float]:
        """What TensorBoard shows of a look."""
        shown = {
            "eval/learned_gain_r": found.learned_gain,
            "eval/departure_rate": self._departures,
            "eval/own_departure_rate": found.departures,
            "rollout/mean_reward_r": found.mean_reward,
        }
        return shown | {f"eval/{name}": gain for name, gain in self._job.baselines.items()}

    def read(self, told: list[Any]) -> Evaluation:
        """A look as a checkpoint keeps it."""
        return Evaluation(*told)


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

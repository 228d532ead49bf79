"""Train one network for an agent of books: stable-baselines3 on a world of books, seeded."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from stable_baselines3 import DQN, PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm

from darwin.allocation.experiences import Experiences
from darwin.rl.training import recipes
from darwin.rl.training.book_env import book_env
from darwin.rl.training.book_ground import Ground, Stretches
from darwin.rl.training.book_recipes import LOG_STD, STEADY_STEPS
from darwin.rl.training.book_walk import decider, of_baseline, walked
from darwin.rl.training.book_world import LENGTH, Bent, BookWorld
from darwin.rl.training.network import Network
from darwin.rl.training.pulse import Feel, unfelt
from darwin.rl.training.recipes import Recipe
from darwin.rl.training.recorded_world import RecordedWorld
from darwin.rl.training.vec_env import WorldVecEnv
from darwin.rl.training.watch import Watch, Watched, logger_at
from darwin.rl.training.worlds import World

PARTS = 16
"""Parts of validation that are walked at once."""


class BookLook(NamedTuple):
    """How the averaged network did on validation."""

    steps: int
    reward: float  # per decision, beyond that of the baseline
    lead: float  # return per decision, beyond that of the baseline
    turnover: float  # per decision
    mean_reward: float  # of training since the look before


@dataclass(frozen=True)
class BookJob:
    """One training, all of it."""

    ground: Ground
    stretches: Stretches
    recipe: Recipe
    seed: int
    timesteps: int
    eval_freq: int
    length: int = LENGTH
    tensorboard: Path | None = None
    folder: Path | None = None  # where checkpoints are kept
    patience: int | None = None  # looks without a better one, after which it stops
    experiences: Experiences | None = None  # to learn from, in place of the stretch of training
    feel: Feel = unfelt  # told of each update


class BookTrained(NamedTuple):
    """What came of a training."""

    network: Network  # of the best look
    history: tuple[BookLook, ...]
    best: BookLook


Tell: TypeAlias = Callable[[int, BookLook | None], None]


def train(job: BookJob, tell: Tell = lambda steps, look: None) -> BookTrained:
    """Train, looking at validation as it goes; the averaged network of the best look wins.

    With a folder, what was done is kept at each look, and a job that was begun there goes on from
    it to the same weights (PPO; the others begin anew). One torch thread.
    """
    torch.set_num_threads(1)
    env = book_env(job.ground.page, world_of(job))
    model = model_of(job, env)
    model.set_logger(logger_at(job.tensorboard))
    watch = _Watch(job, env.world, tell)
    done = watch.take_up(model)
    if done < job.timesteps:
        model.learn(job.timesteps - done, callback=watch, reset_num_timesteps=not done)
        watch.evaluate(last=True)
    assert watch.best is not None
    return BookTrained(watch.best[0], tuple(watch.history), watch.best[1])


def world_of(job: BookJob) -> World:
    """The world in which a job is trained."""
    ground, size = job.ground, job.recipe.environments
    train, terms = job.stretches.train, ground.terms
    spread = float(np.std(ground.holding.body[train.start : train.stop]))
    scale = 1.0 / max(spread, 1e-9)
    if job.experiences is not None:
        return RecordedWorld(
            ground.page, job.experiences, ground.normaliser, terms.reward, terms.cost_rate, size,
            length=job.length, seed=job.seed, bent=Bent(False, scale),
        )  # fmt: skip
    bent = Bent(bool(ground.baseline.any()), scale)
    return BookWorld(ground, train, size, length=job.length, seed=job.seed, bent=bent)


def model_of(job: BookJob, env: WorldVecEnv) -> BaseAlgorithm:
    """The model of stable-baselines3 that learns in `env`, not trained yet."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="stable_baselines3")
        return _built(job, env)


def _built(job: BookJob, env: WorldVecEnv) -> BaseAlgorithm:
    recipe, hidden = job.recipe, list(job.recipe.hidden)
    common: dict[str, Any] = {
        "learning_rate": recipe.learning_rate, "gamma": recipe.gamma, "seed": job.seed,
        "device": "cpu", "verbose": 0,
    }  # fmt: skip
    if recipe.algo == recipes.PPO:
        shape: dict[str, Any] = {"net_arch": hidden, "activation_fn": torch.nn.Tanh}
        steady: dict[str, Any] = {}
        if job.ground.page.is_continuous:
            shape["log_std_init"] = LOG_STD
            steady = {"use_sde": True, "sde_sample_freq": STEADY_STEPS}
        return PPO(
            "MlpPolicy", env, n_steps=recipe.steps, batch_size=recipe.batch,
            n_epochs=recipe.epochs, clip_range=recipe.clip, ent_coef=recipe.entropy,
            gae_lambda=0.95, max_grad_norm=0.5, policy_kwargs=shape, **steady, **common,
        )  # fmt: skip
    off_policy: dict[str, Any] = {
        "buffer_size": 200_000, "learning_starts": 4 * recipe.batch, "batch_size": recipe.batch,
        "train_freq": 1, "gradient_steps": 2, "policy_kwargs": {"net_arch": hidden},
    }  # fmt: skip
    if recipe.algo == recipes.DQN:
        return DQN("MlpPolicy", env, target_update_interval=1000, **off_policy, **common)
    return SAC("MlpPolicy", env, **off_policy, **common)


class _Watch(Watch[BookLook]):
    """Looks at what a network earns on validation beyond the baseline."""

    def __init__(self, job: BookJob, world: World, tell: Tell) -> None:
        recipe, page = job.recipe, job.ground.page
        super().__init__(
            Watched(
                page, recipe.algo, recipe.averaging, job.eval_freq, job.patience, job.folder,
                job.feel,
            ),
            world, tell,
        )  # fmt: skip
        self._job = job
        self._base = walked(job.ground, job.stretches.validation, of_baseline(job.ground), PARTS)

    def look(self, network: Network) -> BookLook:
        """How a network does on validation."""
        job, base = self._job, self._base
        decide = decider(job.ground.page, network)
        done = walked(job.ground, job.stretches.validation, decide, PARTS)
        return BookLook(
            self.num_timesteps,
            float(done.rewards.mean() - base.rewards.mean()),
            float(done.growth.mean() - base.growth.mean()),
            float(done.turnover.mean()),
            self.mean_reward,
        )

    def worth(self, found: BookLook) -> float:
        """The reward beyond the baseline's."""
        return found.reward

    def figures(self, found: BookLook) -> dict[str, float]:
        """What TensorBoard shows of a look."""
        return {
            "eval/reward": found.reward,
            "eval/lead": found.lead,
            "eval/turnover": found.turnover,
            "rollout/mean_reward": found.mean_reward,
        }

    def read(self, told: list[Any]) -> BookLook:
        """A look as a checkpoint keeps it."""
        return BookLook(*told)

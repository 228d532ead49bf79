"""Watch a training: average its weights, look at validation, keep the best and what was done."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger, configure

from darwin.rl.training import checkpoint, recipes
from darwin.rl.training.network import Headed, Network, averaged, network_of
from darwin.rl.training.pulse import Feel, Pulse, losses, unfelt
from darwin.rl.training.worlds import World


def logger_at(folder: Path | None) -> Logger:
    """Where a training writes its curves; without a folder nowhere."""
    if folder is None:
        return Logger(None, [])  # `configure` would leave an empty folder among the temporary ones
    return configure(str(folder), ["tensorboard"])


class Look(Protocol):
    """What a look at validation found."""

    @property
    def steps(self) -> int:
        """How many steps of training were done."""
        ...


Found = TypeVar("Found", bound=Look)


class Watched(NamedTuple):
    """What is watched, and how."""

    page: Headed
    algo: str
    averaging: float  # weight of the running mean of weights, per update
    eval_freq: int  # steps between two looks
    patience: int | None  # looks without a better one, after which it stops
    folder: Path | None  # where checkpoints are kept
    feel: Feel = unfelt  # told of each update


class Watch(BaseCallback, Generic[Found]):
    """What trainings have in common; what a look is and what it is worth is for a subclass."""

    def __init__(
        self, watched: Watched, world: World, tell: Callable[[int, Found | None], None]
    ) -> None:
        super().__init__()
        self.history: list[Found] = []
        self.best: tuple[Network, Found] | None = None
        self.world, self._watched, self._tell = world, watched, tell
        self._mean: Network | None = None
        self._due, self._rewards, self._count = watched.eval_freq, 0.0, 0
        self._losses: tuple[float | None, float | None] = (None, None)

    @abstractmethod
    def look(self, network: Network) -> Found:
        """How a network does on validation."""

    @abstractmethod
    def worth(self, found: Found) -> float:
        """By what the best look is chosen; more is better."""

    @abstractmethod
    def figures(self, found: Found) -> dict[str, float]:
        """What TensorBoard shows of a look."""

    @abstractmethod
    def read(self, told: list[Any]) -> Found:
        """A look as a checkpoint keeps it."""

    @property
    def mean_reward(self) -> float:
        """Of training since the look before."""
        return self._rewards / max(self._count, 1)

    @property
    def _resumes(self) -> bool:
        return self._watched.folder is not None and self._watched.algo in (
            recipes.PPO, recipes.A2C
        )  # fmt: skip

    def take_up(self, model: BaseAlgorithm) -> int:
        """Go on from the checkpoint of this very job, if there is one; gives the steps done."""
        folder = self._watched.folder
        if folder is None or not self._resumes:
            return 0
        kept = checkpoint.read(folder)
        if kept is None:
            return 0
        told = checkpoint.restore(model, self.world, kept)
        self._due, self._rewards, self._count = told["due"], told["rewards"], told["count"]
        self.history = [self.read(one) for one in told["history"]]
        page, algo = self._watched.page, self._watched.algo
        self._mean = checkpoint.network(kept, "mean", page, algo)
        best = checkpoint.network(kept, "best", page, algo)
        if best is not None:
            self.best = best, self.read(told["best"])
        return model.num_timesteps

    def begin_with(self, network: Network) -> None:
        """Look at validation before anything is learned: only what does better is kept."""
        self._mean = network
        found = self.look(network)
        self.history.append(found)
        self.best = network, found

    def evaluate(self, *, last: bool = False) -> None:
        """Look at validation; keep the network if it is the best so far."""
        if last:
            if self._just_taken_up():
                return
            self._average()
        assert self._mean is not None
        found = self.look(self._mean)
        self._rewards, self._count = 0.0, 0
        self.history.append(found)
        if self.best is None or self.worth(found) > self.worth(self.best[1]):
            self.best = self._mean, found
        self._take_losses()
        for name, value in self.figures(found).items():
            self.model.logger.record(name, value)
        self.model.logger.dump(self.num_timesteps)
        self._keep()
        self._tell(self.num_timesteps, found)
        self._pulse()

    def _on_step(self) -> bool:
        rewards = self.locals.get("rewards")
        if rewards is not None:
            self._rewards += float(np.sum(rewards))
            self._count += len(rewards)
        return not self._is_hopeless()

    def _is_hopeless(self) -> bool:
        patience = self._watched.patience
        if patience is None or self.best is None:
            return False
        since = sum(one.steps > self.best[1].steps for one in self.history)
        return since >= patience

    def _on_rollout_start(self) -> None:
        if self.num_timesteps == 0 or self._just_taken_up():
            return
        self._average()
        self._take_losses()
        self._pulse()
        self._tell(self.num_timesteps, None)
        if self.num_timesteps >= self._due:
            self._due += self._watched.eval_freq
            self.evaluate()

    def _take_losses(self) -> None:
        """Keep those of the latest update, which are logged until the next look or update."""
        logged = losses(self.model.logger.name_to_value)
        if any(loss is not None for loss in logged):
            self._losses = logged

    def _pulse(self) -> None:
        """Say how it stands."""
        worth = [self.worth(found) for found in self.history]
        current, average = (worth[-1], sum(worth) / len(worth)) if worth else (None, None)
        self._watched.feel(Pulse(self.num_timesteps, current, average, *self._losses))

    def _just_taken_up(self) -> bool:
        """The checkpoint was written after this update was seen."""
        return bool(self.history) and self.history[-1].steps == self.num_timesteps

    def _average(self) -> None:
        latest = network_of(self.model, self._watched.page, self._watched.algo)
        self._mean = averaged(self._mean, latest, self._watched.averaging)

    def _keep(self) -> None:
        folder = self._watched.folder
        if folder is None or not self._resumes or self.best is None:
            return
        told = {
            "due": self._due, "rewards": self._rewards, "count": self._count,
            "history": self.history, "best": self.best[1],
        }  # fmt: skip
        checkpoint.write(folder, self.model, self.world, json.dumps(told), self._mean, self.best[0])

"""Keep a training that is under way, and take it up to the same weights.

Tensors and numbers alone: it is read with `weights_only`, so a file from elsewhere runs nothing.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from darwin.errors import IntegrityError
from darwin.rl.training.network import Headed, Network, flat, head_of
from darwin.rl.training.worlds import World

FILE = "checkpoint.pt"


def write(
    folder: Path, model: BaseAlgorithm, world: World, told: str, mean: Network | None, best: Network
) -> None:
    """Put all of a training into one file, in place of the one before; a kill leaves either."""
    policy: Any = model.policy
    shuffling: Any = np.random.get_state()  # noqa: NPY002  stable-baselines3 shuffles with it
    kept = {
        "policy": policy.state_dict(),
        "optimizer": policy.optimizer.state_dict(),
        "steps": model.num_timesteps,
        "updates": model._n_updates,
        "torch": torch.get_rng_state(),
        "numpy": torch.from_numpy(shuffling[1].astype(np.int64)),
        "numpy_at": int(shuffling[2]),
        "chance": json.dumps(world.chance().bit_generator.state),
        "world": {name: torch.from_numpy(one.copy()) for name, one in world.state().items()},
        "starts": torch.from_numpy(np.asarray(model._last_episode_starts).copy()),
        "told": told,
        "mean": [torch.from_numpy(one.copy()) for one in flat(mean)] if mean else [],
        "best": [torch.from_numpy(one.copy()) for one in flat(best)],
        "activation": best.activation,
    }
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f".{FILE}.tmp"
    with aside.open("wb") as file:
        torch.save(kept, file)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(folder / FILE)


def read(folder: Path) -> dict[str, Any] | None:
    """What was kept, or None. Raises IntegrityError for a damaged file."""
    path = folder / FILE
    if not path.exists():
        return None
    try:
        kept: dict[str, Any] = torch.load(path, weights_only=True)
    except (RuntimeError, EOFError, ValueError, KeyError, OSError) as fault:
        raise IntegrityError(
            "the checkpoint of this training is damaged",
            where=str(path),
            mend="remove it: the training begins anew",
        ) from fault
    return kept


def restore(model: BaseAlgorithm, world: World, kept: dict[str, Any]) -> dict[str, Any]:
    """Bring model, world and chance to where they were; gives what was told beside them."""
    policy: Any = model.policy
    policy.load_state_dict(kept["policy"])
    policy.optimizer.load_state_dict(kept["optimizer"])
    world.start()
    world.restore({name: one.numpy() for name, one in kept["world"].items()})
    world.chance().bit_generator.state = json.loads(kept["chance"])
    torch.set_rng_state(kept["torch"])
    state = ("MT19937", kept["numpy"].numpy().astype(np.uint32), kept["numpy_at"], 0, 0.0)
    np.random.set_state(state)  # noqa: NPY002  stable-baselines3 shuffles with it
    model.num_timesteps, model._n_updates = kept["steps"], kept["updates"]
    model._last_obs = world.look()
    model._last_episode_starts = kept["starts"].numpy()
    told: dict[str, Any] = json.loads(kept["told"])
    return told


def network(kept: dict[str, Any], name: str, page: Headed, algo: str) -> Network | None:
    """One of the networks that were kept."""
    arrays = [one.numpy() for one in kept[name]]
    if not arrays:
        return None
    layers = tuple(zip(arrays[::2], arrays[1::2], strict=True))
    return Network(layers, kept["activation"], head_of(page, algo))

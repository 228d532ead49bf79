"""Policies with the modules, and so the names of tensors, that stable-baselines3 gives them.

Torch is imported when a net is made; a test that makes one skips where there is none.
"""

from __future__ import annotations

import copy
import io
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from darwin.rl.agents.pages import PAGES
from tests.rl.training.zips import sb3_zip

HIDDEN = {"ppo": (64, 64), "a2c": (64, 64), "dqn": (64, 64), "sac": (256, 256)}
RELU_OF = {"ppo": False, "a2c": False, "dqn": True, "sac": True}


class Net:
    """A policy of one algorithm for one agent, with weights like those of a trained one."""

    def __init__(
        self, algo: str, agent: str, *, seed: int = 0, hidden: Sequence[int] | None = None,
        relu: bool | None = None, columns: int | None = None,
    ) -> None:  # fmt: skip
        torch = pytest.importorskip("torch")
        torch.set_num_threads(1)
        torch.manual_seed(seed)
        self.columns = len(PAGES[agent].names) if columns is None else columns
        self.hidden = HIDDEN[algo] if hidden is None else tuple(hidden)
        self.relu = RELU_OF[algo] if relu is None else relu
        self._torch, self._outputs = torch, PAGES[agent].outputs
        self.module, self._acting = getattr(self, f"_{algo}")()
        with torch.no_grad():  # centred, so that each action is the best somewhere
            last = self._acting[-1]
            rows = torch.randn(512, self.columns)
            given = self._acting(rows)
            last.weight /= 2 * given.std(dim=0, keepdim=True).T
            last.bias.zero_()
            last.bias -= self._acting(rows).mean(dim=0)

    def state(self) -> dict[str, Any]:
        return self.module.state_dict()

    def saved(self, state: Any = None, **how: Any) -> bytes:
        """What torch saves of it."""
        out = io.BytesIO()
        self._torch.save(self.state() if state is None else state, out, **how)
        return out.getvalue()

    def zip(self, **members: bytes) -> bytes:
        return sb3_zip(self.saved(), **members)

    def outputs(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """What torch gives for standardised rows."""
        with self._torch.no_grad():
            given = copy.deepcopy(self._acting).double()(self._torch.from_numpy(rows))
        return given.numpy()

    def _sequence(self, *widths: int) -> Any:
        """Linear layers with an activation after each."""
        nn, parts = self._torch.nn, []
        for inputs, outputs in pairwise(widths):
            parts += [nn.Linear(inputs, outputs), nn.ReLU() if self.relu else nn.Tanh()]
        return nn.Sequential(*parts)

    def _holding(self, **parts: Any) -> Any:
        module = self._torch.nn.Module()
        for name, part in parts.items():
            setattr(module, name, part)
        return module

    def _ppo(self) -> tuple[Any, Any]:
        nn, widths = self._torch.nn, (self.columns, *self.hidden)
        policy_net, value_net = self._sequence(*widths), self._sequence(*widths)
        action_net = nn.Linear(widths[-1], self._outputs)
        parts = {
            "mlp_extractor": self._holding(policy_net=policy_net, value_net=value_net),
            "action_net": action_net,
            "value_net": nn.Linear(widths[-1], 1),
        }
        if self._outputs == 1:
            parts["log_std"] = nn.Parameter(self._torch.zeros(1))
        return self._holding(**parts), nn.Sequential(*policy_net, action_net)

    _a2c = _ppo

    def _dqn(self) -> tuple[Any, Any]:
        nn, widths = self._torch.nn, (self.columns, *self.hidden)
        nets = [
            nn.Sequential(*self._sequence(*widths), nn.Linear(widths[-1], self._outputs))
            for _ in range(2)
        ]
        held = [self._holding(q_net=net) for net in nets]
        return self._holding(q_net=held[0], q_net_target=held[1]), nets[0]

    def _sac(self) -> tuple[Any, Any]:
        nn, widths = self._torch.nn, (self.columns, *self.hidden)
        latent_pi, mu = self._sequence(*widths), nn.Linear(widths[-1], 1)
        actor = self._holding(latent_pi=latent_pi, mu=mu, log_std=nn.Linear(widths[-1], 1))
        critics = [
            self._holding(
                **{
                    f"qf{i}": nn.Sequential(
                        *self._sequence(self.columns + 1, *self.hidden), nn.Linear(widths[-1], 1)
                    )
                    for i in range(2)
                }
            )
            for _ in range(2)
        ]
        module = self._holding(actor=actor, critic=critics[0], critic_target=critics[1])
        return module, nn.Sequential(*latent_pi, mu)

"""The models of the demonstration: trained on synthetic bars, shipped with the package.

They stand in for models of a deployment, in the place of rules: `"policy": "demo-gate"`. How they
were made, and what they gained where they had not been, is in `docs/demo-policies.md`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from darwin.core.agents import GATE, META_LEARNER, PORTFOLIO, Advice, Model
from darwin.rl.agents.pages import PAGES
from darwin.rl.serving import spec_file, weights_file
from darwin.rl.serving.policy import NumpyPolicy, policy_for

FOLDER = Path(__file__).parent / "demo"
"""One folder per agent, each with spec.json and weights.safetensors."""


@dataclass(frozen=True)
class DemoModel:
    """A shipped model. Implements `core.ports.Policy`; raises ModelError where it does not fit."""

    AGENT: ClassVar[str]

    model: Model = field(init=False)
    _policy: NumpyPolicy = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Read it."""
        folder = FOLDER / self.AGENT
        content = [(folder / name).read_bytes() for name in (spec_file.FILE, weights_file.FILE)]
        digest = hashlib.sha256(b"\0".join(content)).hexdigest()
        name = f"demo.{self.AGENT.replace('_', '-')}"
        object.__setattr__(self, "model", Model(name, digest))
        object.__setattr__(self, "_policy", policy_for(PAGES[self.AGENT], *content))

    def strangeness(self, observation: NDArray[np.float32]) -> float:
        """The largest |x − mean| / sd over the columns of a row; NaN where it is not finite."""
        return self._policy.strangeness(observation)

    def advise(self, observation: NDArray[np.float32]) -> Advice:
        """What the model says of a row. Raises ModelError for one of another page."""
        return self._policy.advise(observation)


class DemoGate(DemoModel):
    """Skips three in ten."""

    AGENT = GATE


class DemoMetaLearner(DemoModel):
    """Sets one verdict in ten aside."""

    AGENT = META_LEARNER


class DemoPortfolio(DemoModel):
    """Sizes orders."""

    AGENT = PORTFOLIO


DEMO_MODELS: tuple[type[DemoModel], ...] = (DemoGate, DemoMetaLearner, DemoPortfolio)

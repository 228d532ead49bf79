"""What an agent is trained on: one row per candidate, with what every action would have earned."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from darwin.core.agents import FURTHEST_SD
from darwin.core.market import BoolArray, FloatArray, IntArray
from darwin.rl.agents.spec import AgentSpec, Consequences


@dataclass(frozen=True)
class Rows:
    """Candidates in the order of decisions, each once; arrays of shape (n,) unless said otherwise.

    What is earned is in R, the risk of the trade at its stop.
    """

    page: AgentSpec
    ids: NDArray[np.bytes_]  # candidate ids
    observations: NDArray[np.float32]  # (n, k), as the door saw them
    decided: IntArray  # close of the candidate's bar, ms UTC: the decision
    settled: IntArray  # close of the bar by which it is known what became of it, ms UTC
    r: FloatArray  # net of all costs; 0 where the order was never filled
    take: BoolArray  # the expert's verdict
    call_cost_r: FloatArray  # of asking the expert
    symbol: IntArray  # index into `symbols`
    stop: FloatArray  # stop distance over the close
    symbols: tuple[str, ...]
    risk: float  # share of equity that a trade of full size risks
    most_exposure: float  # share of equity that one position may be worth
    left_out: Mapping[str, int] = field(default_factory=dict)  # why, and how many

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def consequences(self) -> Consequences:
        """As the page's reward reads them, without a running account."""
        return Consequences(self.r, self.take, self.call_cost_r)

    @cached_property
    def rewards(self) -> FloatArray:
        """What each action of a page with codes earns, shape (n, actions)."""
        page, n = self.page, len(self)
        columns = [
            page.reward(np.full(n, float(code)), self.consequences)
            for code in range(len(page.actions))
        ]
        return np.stack(columns, axis=1) if columns else np.empty((n, 0))

    @cached_property
    def digest(self) -> str:
        """SHA-256 over all that training reads, 64 hex digits."""
        digest = hashlib.sha256(self.page.schema.encode())
        for column in (
            self.ids, self.observations.astype("<f4"), self.decided.astype("<i8"),
            self.settled.astype("<i8"), self.r.astype("<f8"), self.take,
            np.broadcast_to(self.call_cost_r, self.r.shape).astype("<f8"), self.stop.astype("<f8"),
        ):  # fmt: skip
            digest.update(np.ascontiguousarray(column).tobytes())
        digest.update(repr((self.risk, self.most_exposure)).encode())
        return digest.hexdigest()

    def select(self, which: BoolArray | IntArray) -> Rows:
        """The rows at `which`, in that order."""
        columns = (
            "ids", "observations", "decided", "settled", "r", "take", "call_cost_r", "symbol",
            "stop",
        )  # fmt: skip
        return replace(self, **{name: getattr(self, name)[which] for name in columns})

    def but_for(self, why: str, kept: BoolArray) -> Rows:
        """Those that are `kept`, and a note of how many are not."""
        gone = int(len(kept) - np.count_nonzero(kept))
        told = {**self.left_out, why: self.left_out.get(why, 0) + gone} if gone else self.left_out
        return replace(self.select(kept), left_out=told)

    def with_outcomes(self, r: FloatArray) -> Rows:
        """The same candidates with other outcomes, shape (n,)."""
        return replace(self, r=r)

    def with_observations(self, observations: NDArray[np.float32]) -> Rows:
        """The same candidates, seen otherwise, shape (n, k)."""
        return replace(self, observations=observations)


@dataclass(frozen=True)
class Normaliser:
    """How observations are standardised: by the rows of training alone."""

    mean: FloatArray  # (k,)
    sd: FloatArray  # (k,), 1 where a column never changes, and never below the page's `least_sd`

    @classmethod
    def of(cls, rows: Rows) -> Normaliser:
        """Mean and standard deviation of each column."""
        wide = rows.observations.astype(np.float64)
        mean, sd = wide.mean(axis=0), wide.std(axis=0)
        sd = np.maximum(sd, rows.page.least_sd)
        still = ~(sd > 1e-6 * np.maximum(1.0, np.abs(mean)))
        return cls(mean, np.where(still, 1.0, sd))

    def __call__(self, observations: NDArray[np.float32]) -> NDArray[np.float32]:
        """Standardise rows of shape (n, k)."""
        scaled: NDArray[np.float32] = ((observations - self.mean) / self.sd).astype(np.float32)
        return scaled

    def is_strange(self, observations: NDArray[np.float32]) -> BoolArray:
        """Which rows the door would refuse to judge, shape (n,)."""
        away = np.abs((observations - self.mean) / self.sd)
        strange: BoolArray = ~(away.max(axis=1, initial=0.0) <= FURTHEST_SD)
        return strange


def without_strange(rows: Rows) -> tuple[Rows, Normaliser]:
    """Rows of training whose every column lies within ±10 sd of its mean, and that normaliser.

    Leaving rows out moves mean and sd, so it is done until none is left to go.
    """
    while True:
        normaliser = Normaliser.of(rows)
        strange = normaliser.is_strange(rows.observations)
        if not strange.any():
            return rows, normaliser
        rows = rows.but_for("beyond 10 sd", ~strange)

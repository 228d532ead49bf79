"""What the engine needs from outside, as protocols; bootstrap hands in the real things."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from darwin.core.account import Account
from darwin.core.candidate import Candidate, Scan
from darwin.core.decision import Verdict
from darwin.core.facts import Facts, Input
from darwin.core.features import FeatureFrame
from darwin.core.market import Bars, FloatArray
from darwin.core.trade import Cancel, Fill, Order


class Provider(Protocol):
    """A source of bars."""

    def bars(self, symbol: str) -> Bars:
        """All bars of `symbol` in the configured range, checked. Raises DataError."""
        ...

    def digest(self, symbol: str) -> str:
        """SHA-256 over all that `bars` returns."""
        ...

    def source(self, symbol: str) -> str:
        """Where they come from, in words for the manifest; no path."""
        ...


class Playbook(Protocol):
    """A rule that proposes candidates. Its parameters are its constructor's."""

    def scan(self, frame: FeatureFrame) -> Scan:
        """Say for every bar of `frame` whether a long or a short setup stands at its close.

        Works row by row on columns of `frame`: what it says of a bar may depend on that row
        alone, so that whole columns and single rows give the same answer.
        """
        ...


class Decider(Protocol):
    """The expert."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Feature keys whose values it wants to see, in this order."""
        ...

    @property
    def takes_everything(self) -> Verdict | None:
        """Its one verdict if it takes every candidate, whatever it sees; else None."""
        ...

    def decide(self, candidate: Candidate, features: FloatArray, account: Account) -> Verdict:
        """Judge one candidate. `features` holds the values of `needs` at its bar, shape (k,)."""
        ...


class Broker(Protocol):
    """Takes orders, gives back fills."""

    def submit(self, order: Order) -> None:
        """Place an entry order with its bracket."""
        ...

    def next_event(self, before_time: int, before_phase: int) -> Fill | Cancel | None:
        """The next thing that happened strictly before that point, or None; each once."""
        ...

    def finish(self) -> Iterable[Fill | Cancel]:
        """The end of the run: close what is open, take back what never filled."""
        ...


class Progress(Protocol):
    """Told how far a run has come."""

    def __call__(self, instant: int, total: int, trades: int) -> None:
        """`instant` of `total` instants of the run's clock are behind us, with `trades` closed."""
        ...


class Journal(Protocol):
    """Keeps facts for good."""

    def due(self) -> bool:
        """Whether what has happened since the last `append` should be handed over now."""
        ...

    def append(self, facts: Facts) -> None:
        """Keep the facts that follow those handed over before.

        When it returns they are acknowledged: no crash can lose them. Facts that an earlier
        attempt at the run has kept are compared instead of kept again. Raises StorageError when
        the disk or file refuses, IntegrityError when what was kept is not what comes out now.
        """
        ...


class Inputs(Protocol):
    """What comes from outside the bars and changes rulings."""

    def before(self, candidate: Candidate) -> Iterable[Input]:
        """What takes effect from the decision on this candidate on; each once, in order."""
        ...

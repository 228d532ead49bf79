"""What the engine needs from outside, as protocols; bootstrap hands in the real things."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from darwin.core.account import Account, SafetyEvent
from darwin.core.agents import Advice, Decision, Model
from darwin.core.book_facts import BookFacts
from darwin.core.candidate import Candidate, CandidateTable, Scan
from darwin.core.decision import Verdict
from darwin.core.expert import Record
from darwin.core.facts import Facts, Input, Subject
from darwin.core.features import FeatureFrame
from darwin.core.market import Bars, FloatArray, Timeframe
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


class Venue(Protocol):
    """Where bars appear as they close. Everything raises UnreachableError while it is away."""

    def now_ms(self) -> int:
        """What time it is there, ms UTC."""
        ...

    def closed(self, symbol: str, timeframe: Timeframe, since_ms: int, now_ms: int) -> Bars:
        """Its bars that open at or after `since_ms` and have closed by `now_ms`, checked.

        Raises DataError for bars that no careful person would trade on.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
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
    """The expert.

    One that answers from what `decide` is shown alone, and whom asking costs nothing real, says so
    by an attribute `asks_nobody = True`. Without it nobody is asked about the same candidate twice.
    """

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


@runtime_checkable
class Remembering(Protocol):
    """A decider that wants to know what became of its verdicts. It is asked so, not by `decide`."""

    def decide_knowing(
        self, candidate: Candidate, features: FloatArray, account: Account, record: Record
    ) -> Verdict:
        """Judge one candidate, knowing how earlier verdicts of the same run went."""
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


class BookJournal(Protocol):
    """Keeps facts of a book for good."""

    def due(self) -> bool:
        """See `Journal`."""
        ...

    def append(self, facts: BookFacts) -> None:
        """See `Journal`."""
        ...


class Inputs(Protocol):
    """What comes from outside the bars and changes rulings."""

    def before(self, candidate: Subject) -> Iterable[Input]:
        """What takes effect from the decision on this candidate on; each once, in order.

        A book has rebalances in the place of candidates.
        """
        ...


class Witness(Protocol):
    """Sees what agents decide and what comes of it; nothing it does changes that decision."""

    def heard(self, one: Input) -> None:
        """Something from outside takes effect, before the next decision."""
        ...

    def decided(
        self, candidate: Candidate, decisions: Sequence[Decision], take: bool | None
    ) -> None:
        """Agents were asked about `candidate`, and the expert said `take`; None: it was not."""
        ...

    def noted(self, event: SafetyEvent) -> None:
        """Safety has spoken: of the account, or of an agent."""
        ...

    def settled(self, row: int, r: float, known_ms: int) -> None:
        """The bracket of candidate `row` has ended with `r`; NaN: it was never entered.

        That is known since the bar that opened at `known_ms`.
        """
        ...


class Moment(NamedTuple):
    """What an agent may see beside the candidate itself: the account, and what the expert said.

    Verdict and accuracies mean something only after the expert was asked.
    """

    account: Account
    starting_equity_usd: float
    verdict: Verdict | None = None
    accuracy_by_playbook: float = 0.5  # of the expert's recent verdicts whose outcome is known
    accuracy_by_symbol: float = 0.5


class Page(Protocol):
    """One agent's page, as far as a run reads it (`darwin.rl.agents`)."""

    @property
    def name(self) -> str:
        """One of `core.agents.AGENTS`."""
        ...

    @property
    def schema(self) -> str:
        """Hash of the observation's names, their order and their meaning, 64 hex digits."""
        ...

    @property
    def needs(self) -> tuple[str, ...]:
        """Feature keys that a candidate must carry to be observed."""
        ...

    @property
    def baseline(self) -> float:
        """The action that stands without the agent."""
        ...

    def columns(self, table: CandidateTable, playbooks: Sequence[str]) -> NDArray[np.float32]:
        """What is known of candidates before they are judged, shape (m, k).

        Works row by row: a table of one candidate gives the bits of its row in a larger one.
        """
        ...

    def moment(self, moment: Moment) -> tuple[float, ...]:
        """The rest of the observation, which follows the columns."""
        ...

    def is_legal(self, action: float) -> bool:
        """Whether the agent may do that; False for NaN."""
        ...

    def share(self, action: float, take: bool) -> float:
        """The fraction of the order that `action` leaves, 0..1, where the expert said `take`."""
        ...

    def overrides(self, action: float, take: bool) -> bool:
        """Whether `action` sets the expert's verdict aside."""
        ...


class Policy(Protocol):
    """A model, ready to be asked. The same observation gives the same advice at every call."""

    def strangeness(self, observation: NDArray[np.float32]) -> float:
        """How far a row lies from those of training: the largest |x − mean| / sd over its columns.

        NaN where the row is not finite; 0 for a finite row where nothing is known of training.
        """
        ...

    def advise(self, observation: NDArray[np.float32]) -> Advice:
        """What the agent would do, seeing `observation`, shape (k,). May raise anything."""
        ...


class AnyPolicy(Protocol):
    """A model of any agent: of candidates, or of a book (`core.rebalance.BookPolicy`)."""

    def strangeness(self, observation: NDArray[np.float32]) -> float:
        """How far a row lies from those of training."""
        ...

    def advise(self, observation: NDArray[np.float32]) -> object:
        """What the agent would do. May raise anything."""
        ...


class AnyPolicies(Protocol):
    """Where models of any agents come from."""

    def policy(self, agent: str, model: Model) -> AnyPolicy:
        """The model, checked against its digest. Raises ModelError where it is not to be had."""
        ...


class Policies(Protocol):
    """Where models of agents of candidates come from."""

    def policy(self, agent: str, model: Model) -> Policy:
        """The model, checked against its digest. Raises ModelError where it is not to be had."""
        ...

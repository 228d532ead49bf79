"""What models have cost: the accounts that follow from `llm_calls`, by run and by day."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from darwin.core.expert import Expense
from darwin.store.schema import llm_calls

CHARGED, ANSWERED, FAILED = "charged", "answered", "failed"

STOPPED = "stopped the run: "
"""How the text of a row `failed` begins that settles charges and leaves its question open."""

About = tuple[str, str]
"""A run, and a candidate as the outside writes it."""


class Budget(NamedTuple):
    """What may be spent on models; None: without bound. A day is one of UTC, over all runs."""

    usd: float | None = None  # of one run, like the next
    calls: int | None = None  # requests that leave, failed ones included
    usd_per_day: float | None = None
    calls_per_day: int | None = None


class _Day(NamedTuple):
    calls: int = 0
    usd: float = 0.0


class _Open(NamedTuple):
    """Requests that left about one candidate of one run, and of which nothing is known yet."""

    usd: float  # what they cost at most
    day: str  # of the last of them


class Accounts:
    """The fold of charges and ends. What is charged counts in full until its end says what it was.

    A crash leaves charges without an end: nobody knows what became of those requests.
    """

    def __init__(self) -> None:
        """Nothing was spent."""
        self._open: dict[About, _Open] = {}
        self._runs: defaultdict[str, Expense] = defaultdict(Expense)
        self._days: defaultdict[str, _Day] = defaultdict(_Day)

    def fold(self, about: About, kind: str, usd: float, day: str, *, stops: bool = False) -> bool:
        """Take the next row; says of one that ends a question whether a request had left for it.

        One that `stops` the run settles what was charged, and its question counts as not put.
        """
        left = self._open.get(about)
        if kind == CHARGED:
            self._open[about] = _Open(usd + (left.usd if left else 0.0), day)
            self._spend(about[0], day, 1, usd)
            return True
        self._open.pop(about, None)
        self._spend(about[0], left.day if left else day, 0, usd - (left.usd if left else 0.0))
        if stops:
            return left is not None
        how = "failed" if kind == FAILED else "answered" if left else "from_record"
        run = self._runs[about[0]]
        self._runs[about[0]] = run._replace(**{how: getattr(run, how) + 1})
        return left is not None

    def of(self, run_id: str) -> Expense:
        """What a run has spent."""
        return self._runs[run_id]

    def left_open_usd(self, about: About) -> float | None:
        """What requests cost at most of which nothing is known; None where there are none."""
        return self._open[about].usd if about in self._open else None

    def allow(self, run_id: str, day: str, usd: float, budget: Budget) -> bool:
        """Whether one more request, of `usd` at most, fits; written so that NaN does not."""
        run, today = self._runs[run_id], self._days[day]
        return (
            (budget.calls is None or run.sent + 1 <= budget.calls)
            and (budget.calls_per_day is None or today.calls + 1 <= budget.calls_per_day)
            and (budget.usd is None or run.usd + usd <= budget.usd)
            and (budget.usd_per_day is None or today.usd + usd <= budget.usd_per_day)
        )

    def _spend(self, run_id: str, day: str, calls: int, usd: float) -> None:
        run, that_day = self._runs[run_id], self._days[day]
        self._runs[run_id] = run._replace(sent=run.sent + calls, usd=run.usd + usd)
        self._days[day] = _Day(that_day.calls + calls, that_day.usd + usd)


def expense_of(connection: Connection, run_id: str) -> Expense | None:
    """What a run has spent, as the log says; None where it asked nobody. No seal is looked at."""
    c = llm_calls.c
    stops = (c.kind == FAILED) & (func.substr(c.text, 1, len(STOPPED)) == STOPPED)
    rows = connection.execute(
        select(c.candidate_id, c.kind, c.usd, c.at, stops.label("stops"))
        .where(c.run_id == run_id)
        .order_by(c.id)
    ).all()
    accounts = Accounts()
    for row in rows:
        about = (run_id, row.candidate_id)
        accounts.fold(about, row.kind, row.usd, row.at[:10], stops=bool(row.stops))
    return accounts.of(run_id) if rows else None

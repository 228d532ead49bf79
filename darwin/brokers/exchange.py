"""The exchange broker: orders leave for a venue, whose statement is compared bar by bar."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from darwin.brokers.exchange_answers import VenueOrder
from darwin.brokers.exchange_case import Case, Stage
from darwin.brokers.exchange_clerk import Patience
from darwin.brokers.exchange_client import ExchangeClient
from darwin.brokers.exchange_desk import Desk
from darwin.brokers.exchange_kept import Kept
from darwin.brokers.exchange_names import Names
from darwin.brokers.exchange_statement import Statement
from darwin.core.account import Finding
from darwin.core.candidate import CandidateTable
from darwin.core.decision import Reason
from darwin.core.market import Bars
from darwin.core.trade import Cancel, Exit, Fill, Order, Phase
from darwin.errors import UnreachableError
from darwin.trading.tracked import Ended, Opened

_ENTRY, _EXIT = 1, 0  # exits come before entries of the same phase
_UNKNOWN = Ended(-1, int(Phase.INTRABAR), math.nan, -1, 0.0)


class ExchangeBroker:
    """Trades at an exchange that `ExchangeClient` speaks to, one position per symbol.

    Implements `engine.venue.VenueBroker`. An entry goes out as a market order at once, and its stop
    and target as soon as it is filled. Each bar, fills, orders and positions of the venue are
    compared with what is held. Of a run taken up again it tells what was `kept`, and asks the venue
    by client order id what became of the rest. Costs are the venue's; of funding it knows nothing.
    """

    def __init__(
        self,
        client: ExchangeClient,
        run_id: str,
        symbols: Sequence[str],
        bar_ms: int,
        *,
        ticks: Sequence[float | None] = (),
        collar: float | None = None,
        patience: Patience | None = None,
        kept: Kept | None = None,
    ) -> None:
        """Open without orders. `collar` as for the simulated broker, `ticks` per symbol."""
        self._symbols, self._bar_ms, self._client = tuple(symbols), bar_ms, client
        self._ticks = tuple(ticks) or (None,) * len(self._symbols)
        self._kept = Kept() if kept is None else kept
        self._found: list[Finding] = []
        self._desk = Desk(
            client, Names(run_id), self._symbols, bar_ms, collar, patience or Patience(),
            self._found.append,
        )  # fmt: skip
        self._statement = Statement(self._desk, self._symbols)
        self._cases: dict[int, Case] = {}  # by candidate id
        self._plans: dict[int, CandidateTable] = {}
        self._bars: Sequence[Bars] = ()
        self._active: dict[int, Case] = {}  # those of which not all is told
        self._opened: dict[int, Opened] = {}
        self._ended: dict[int, Ended] = {}  # at this instant
        self._now = (-1, -1)  # time and instant of what was shown last
        self._listed: dict[str, VenueOrder] = {}  # open orders at this instant
        self._doubts: list[str] = []  # since findings were last told
        self._away = False  # the venue did not answer at this instant
        self._queue: list[tuple[int, int, int, int, int, int, int, Fill | Cancel]] = []

    def watch(self, bars: Sequence[Bars]) -> None:
        """Be shown the bars of the instant that `see` tells of next."""
        self._bars = bars

    def plan(self, order: Order, candidate: CandidateTable) -> None:
        """Learn the bracket of `order` from its candidate, one row."""
        self._plans[order.candidate_id] = candidate

    def submit(self, order: Order) -> None:
        """Send an entry whose decision is kept, unless it may have been sent before."""
        plan = self._plans.pop(order.candidate_id)
        again = order.bar_time <= self._kept.reached
        case = Case(order, plan, self._ticks[order.symbol], asks_first=again)
        busy = any(
            other.order.symbol == order.symbol and other.stage is not Stage.OVER
            for other in self._active.values()
        )
        self._cases[order.candidate_id] = self._active[order.candidate_id] = case
        if order.bar_time < self._kept.reached or order.candidate_id in self._kept.ends:
            return  # told from what was kept, or asked for when that is over
        if busy or self._away:
            why = "its symbol is not free" if busy else "the venue did not answer at this bar"
            self._desk.never_entered(case, Reason.NOT_SENT, f"the entry is not sent: {why}")
            return
        self._attempt(partial(self._desk.enter, case))

    def see(
        self, time: int, instant: int, opened: Sequence[Opened], ended: Sequence[Ended]
    ) -> None:
        """Learn what brackets met at the bars of `instant`, and what happened at the venue."""
        self._now, self._away = (time, instant), False
        self._opened |= {m.candidate_id: m for m in opened if m.candidate_id in self._active}
        self._ended = {end.candidate_id: end for end in ended}
        bars, self._bars = self._bars, ()
        if not bars:
            return  # the end of the run, of which `finish` tells
        self._pass_bars(bars)
        if time <= self._kept.reached:
            self._tell_kept(time)
            return
        self._round(bars, time)
        self._tell()

    def next_event(self, before_time: int, before_phase: int) -> Fill | Cancel | None:
        """The next fill or cancellation strictly before that point, in total order, or None."""
        if not self._queue or self._queue[0][:2] >= (before_time, before_phase):
            return None
        return heapq.heappop(self._queue)[-1]

    def findings(self) -> Sequence[Finding]:
        """Where the statement of the venue differed from the ledger since the last time."""
        found = self._found[:]
        self._found.clear()
        return found

    def finish(self) -> Iterator[Fill | Cancel]:
        """Close what is open at the market, and tell of it. Raises UnreachableError, resumably."""
        for case in list(self._active.values()):
            self._client.begin()
            if case.stage is Stage.ENTERING:
                self._desk.enter(case)
            if case.filled:
                self._desk.collect(case)
            if case.stage is Stage.HELD and case.left:
                case.leaving = int(Exit.END_OF_RUN)
                self._desk.guard(case, {})
            if case.stage is Stage.HELD and case.left:
                self._desk.leave(case, Exit.END_OF_RUN)
            if case.left:
                raise UnreachableError(
                    f"the venue did not close {case.left:g} units of"
                    f" {self._symbols[case.order.symbol]}",
                    mend="take the run up again, or close them at the venue",
                )
        self._client.begin()
        self._end_cases(self._client.open_orders())
        self._tell(to_the_end=True)
        while self._queue:
            yield heapq.heappop(self._queue)[-1]

    def _living(self) -> list[Case]:
        return [case for case in self._active.values() if case.stage is not Stage.OVER]

    def _pass_bars(self, bars: Sequence[Bars]) -> None:
        for case in self._living():
            if len(bars[case.order.symbol]):
                case.pass_bar(bars[case.order.symbol])

    def _attempt(self, act: Callable[[], object]) -> None:
        """Act within one deadline; what stays unclear is a doubt."""
        self._client.begin()
        try:
            act()
        except UnreachableError as why:
            self._away = True
            self._doubts.append(why.what)

    def _round(self, bars: Sequence[Bars], time: int) -> None:
        """Compare with the venue, and do for each case what is due."""
        self._statement.begin(time)
        for case in list(self._active.values()):
            if case.stage is Stage.ENTERING:
                self._attempt(partial(self._desk.enter, case))
            elif case.filled and case.entered is None:
                self._attempt(partial(self._desk.collect, case))
        self._attempt(self._look)
        for case in self._living():
            self._attempt(partial(self._tend, case, bars))
        self._attempt(self._compare)
        doubts, self._doubts = self._doubts, []
        self._statement.tell(doubts)

    def _look(self) -> None:
        self._listed = {}
        self._statement.take_fills(self._cases, self._doubts)
        self._listed = self._client.open_orders()

    def _compare(self) -> None:
        self._end_cases(self._listed)
        self._statement.cancel_strays(self._cases, self._listed)
        self._statement.compare(self._cases, self._doubts)
        self._end_cases(self._listed)

    def _tend(self, case: Case, bars: Sequence[Bars]) -> None:
        """Guard what is held, move its stop, and close it where that is due."""
        if case.stage is not Stage.HELD or not case.left:
            return
        self._desk.guard(case, self._listed)
        if not case.left:
            return
        here = bars[case.order.symbol]
        stale = here.stale is not None and bool(here.stale.any())
        if case.leaving is not None:
            self._desk.leave(case, Exit(case.leaving))
        elif case.time_is_up() and not stale:
            self._desk.leave(case, Exit.TIME_STOP)
        else:
            self._desk.ratchet(case)

    def _end_cases(self, opened: dict[str, VenueOrder]) -> None:
        for case in self._living():
            if case.stage is Stage.HELD and not case.left:
                case.stage = Stage.OVER
                self._desk.tidy(case, opened)

    def _tell_kept(self, time: int) -> None:
        """Tell what was kept of this bar."""
        for event in self._kept.events:
            if event.time != time:
                continue
            who = event.order if isinstance(event, Cancel) else event
            case = self._cases[who.candidate_id]
            if isinstance(event, Cancel):
                case.stage, case.why_not = Stage.OVER, Reason(event.reason)
                del self._active[who.candidate_id]
            elif event.is_entry:
                case.stage, case.entry, case.recovered = Stage.HELD, event, False
                case.place_levels(event.mid_price)
                case.first_stop = case.stop = event.stop_price
            else:
                case.stage = Stage.OVER
                del self._active[who.candidate_id]
            is_exit = isinstance(event, Fill) and not event.is_entry
            phase = Phase.OPEN if isinstance(event, Cancel) else event.phase
            self._push(phase, case.order, _EXIT if is_exit else _ENTRY, event)
        self._found += [finding for at, finding in self._kept.found if at == time]

    def _tell(self, *, to_the_end: bool = False) -> None:
        """Tell of fills and cancellations, each at the bar it happened in."""
        time, instant = self._now
        until = math.inf if to_the_end else time + self._bar_ms
        for case in list(self._active.values()):
            order, got = case.order, case.entered
            if case.why_not is not None:
                cancel = Cancel(order, time, instant, case.why_not)
                self._push(Phase.OPEN, order, _ENTRY, cancel)
                del self._active[order.candidate_id]
                continue
            if case.entry is None and got is not None and got.first < until:
                met = self._opened.pop(order.candidate_id, None)
                opened_at = math.nan if met is None else met.price
                case.entry = case.entry_fill(got, time, instant, opened_at)
                self._push(Phase.OPEN, order, _ENTRY, case.entry)
            if case.stage is Stage.OVER and case.entry is not None:
                self._tell_exit(case, case.entry, until)

    def _tell_exit(self, case: Case, entry: Fill, until: float) -> None:
        last = case.out[max(case.out)]
        if last.time >= until:
            return
        name = self._desk.names.read(last.client_id)
        why = case.why_left("" if name is None else name.purpose)
        end = self._ended.get(case.order.candidate_id)
        if end is None or end.reason != why:
            end = _UNKNOWN
        phase = int(Phase.OPEN) if why is Exit.TIME_STOP else end.phase
        if math.isinf(until):
            phase = int(Phase.MARK)
        elif entry.time == self._now[0]:
            phase = max(phase, int(Phase.INTRABAR))
        fill = case.exit_fill(entry, why, *self._now, phase, end.price)
        self._push(phase, case.order, _EXIT, fill)
        del self._active[case.order.candidate_id]

    def _push(self, phase: int, order: Order, kind: int, event: Fill | Cancel) -> None:
        place = (self._now[0], phase, order.symbol, order.playbook, -order.side, kind, order.row)
        heapq.heappush(self._queue, (*place, event))

"""Killed between any two acts at a venue, a run goes on without a second order."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from darwin.testing.exchange_api import Exchange, Request
from tests.brokers.test_exchange_broker import a_session
from tests.brokers.test_exchange_faults import a_misfortune
from tests.brokers.venue_child import BARS, FileJournal
from tests.brokers.venue_runs import (
    Run,
    Venue,
    Watchmaker,
    an_exchange,
    assert_books_agree,
    assert_guarded,
    assert_never_blind,
    assert_once,
    serving,
)
from tests.conftest import ROOT
from tests.engine.live_runs import Collected, fed


class Killed(BaseException):
    """What nobody catches."""


class Doomed(Watchmaker):
    """A clock whose reader dies the next time but so many that he looks at it."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    def now(self) -> float:
        self.looks -= 1
        if self.looks < 0:
            raise Killed
        return super().now()


def strict() -> Exchange:
    return an_exchange(refuses_duplicates=False)


def killed_after(venue: Venue, looks: int, journal: Collected | None = None) -> Run:
    """An attempt that dies after so many looks at the clock, or ends; its journal stays."""
    run = venue.run(a_session(2, bars=20, rate=0.6), journal, watch=Doomed(looks))
    at = max((b.reached for b in run.journal.batches), default=-1)
    try:
        run.take_up(at).whole()
    except Killed:
        return run
    return run


def looks_of_a_whole_run() -> int:
    with serving(strict()) as venue:
        run = killed_after(venue, 1_000_000)
        assert isinstance(run.watch, Doomed)
        return 1_000_000 - run.watch.looks


@pytest.mark.parametrize("share", [i / 16 for i in range(16)])
@pytest.mark.parametrize("acknowledged", [True, False])
def test_killed_between_two_acts_it_goes_on_without_a_second_order(share, acknowledged):
    session = a_session(2, bars=20, rate=0.6)
    exchange = strict()
    if not acknowledged:
        for of in ("entry", "stop", "target", "close"):
            exchange.fault("lost", on="POST", of=of, times=1_000)
    with serving(exchange) as venue:
        first = killed_after(venue, int(share * 180) + 1)
        if share % 0.25 == 0.0:
            first = killed_after(venue, 40, first.journal)
        run = killed_after(venue, 1_000_000, first.journal)
    _, paper = fed(session)
    assert len(run.fills) > 15
    for fill, other in zip(run.fills, paper.of("fills"), strict=True):
        assert tuple(fill) == pytest.approx(tuple(other), rel=1e-9)
    assert run.halts == []
    assert_once(run)
    assert_books_agree(run)


@pytest.mark.parametrize(
    "seed", [1, 2, 3, *(pytest.param(one, marks=pytest.mark.sweep) for one in range(4, 9))]
)
def test_faults_strangers_and_kills_together_leave_books_that_agree(seed):
    """A stranger who trades halts the account; what he closes is booked."""
    chance = random.Random(seed)
    traded: list[int] = []

    def act(run: Run, bar: int) -> None:
        while chance.random() < 0.4:
            a_misfortune(chance, run.exchange)
        held = run.exchange.market.positions.get("S0A/USDT", 0.0)
        if held and bar > 10 and seed % 2 and not traded:
            run.exchange.by_hand("S0A/USDT", -held * chance.choice([1.0, 0.5]))
            traded.append(bar)
        if bar == 28:
            run.exchange.faults.clear()

    def look(run: Run, bar: int) -> None:
        assert_guarded(run, but_new=True)

    session, journal = a_session(seed, bars=30, rate=0.5), Collected()
    with serving(strict()) as venue:
        for life in (chance.randint(30, 200), chance.randint(30, 200), 1_000_000):
            run = venue.run(session, journal, each=act, then=look, watch=Doomed(life))
            with suppress(Killed):
                run.take_up(max((b.reached for b in journal.batches), default=-1)).whole()
                break
    assert bool(traded) <= bool(run.halts)
    assert_once(run)
    assert_books_agree(run)


MOMENTS = {
    "between commit and send": ("heard", "GET /v1/price", "", 3),
    "before it is taken": ("heard", "POST /v1/orders", "entry", 3),
    "between send and acknowledgement": ("did", "POST /v1/orders", "entry", 3),
    "after a part of it was filled": ("did", "GET /v1/fills", "entry", 4),
    "before its stop is taken": ("heard", "POST /v1/orders", "stop", 3),
    "when its stop is taken": ("did", "POST /v1/orders", "stop", 4),
    "when its target is taken": ("did", "POST /v1/orders", "target", 2),
    "when it is closed": ("did", "POST /v1/orders", "close", 1),
}


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_process_killed_at_that_moment_goes_on_without_a_second_order(moment, tmp_path: Path):
    exchange = strict()
    exchange.fault("partial", of="entry", times=1_000, pieces=(0.25, 0.5))
    with serving(exchange) as venue:
        words = [sys.executable, "-m", "tests.brokers.venue_child", venue.server.url]
        words += [str(tmp_path / "journal"), "2"]
        assassin = Assassin(exchange, *MOMENTS[moment])
        with subprocess.Popen(words, cwd=ROOT) as child:
            assassin.victim = child.pid
            assassin.ready.set()
            assert child.wait(120) == -signal.SIGKILL
        assert FileJournal(tmp_path / "journal").lines
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    _, paper = fed(a_session(2, bars=BARS, rate=0.6))
    fills = FileJournal(tmp_path / "journal").fills
    for fill, other in zip(fills, paper.of("fills"), strict=True):
        assert tuple(fill) == pytest.approx(tuple(other), rel=1e-9)
    taken = [order.client_id for order in exchange.market.taken]
    assert len(taken) == len(set(taken)) > 10
    assert_never_blind(exchange)


class Assassin:
    """Kills a process as the exchange hears a request, or has done it, for the nth time."""

    def __init__(self, exchange: Exchange, when: str, line: str, of: str, nth: int) -> None:
        self.victim, self.ready = 0, threading.Event()
        self._line, self._of, self._left = line, of, nth
        setattr(exchange, when, self)

    def __call__(self, request: Request) -> None:
        if request.line != self._line or self._of not in request.client_id:
            return
        self._left -= 1
        if self._left == 0:
            self.ready.wait()
            os.kill(self.victim, signal.SIGKILL)

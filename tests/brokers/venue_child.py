"""A process that feeds a session to an exchange.

`python -m tests.brokers.venue_child URL FILE SEED`: what it acknowledges stands in FILE, a line for
each batch; started again it takes the run up. It moves the bars of the exchange itself, but for
those that were played already.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import httpx2

from darwin.brokers.exchange import ExchangeBroker
from darwin.brokers.exchange_clerk import Patience
from darwin.brokers.exchange_client import ExchangeClient
from darwin.brokers.exchange_kept import Kept
from darwin.core.account import SafetyEvent
from darwin.core.facts import Facts
from darwin.core.market import HOUR_MS, Bars
from darwin.core.trade import Cancel, Fill, Order
from darwin.engine.live import Live
from tests.brokers.test_exchange_broker import a_session
from tests.brokers.venue_runs import RUN_ID
from tests.engine.live_runs import FlatStream, facts_of

BARS = 16
FAST = Patience(listed_s=0.2, filled_s=0.1, look_every_s=0.02)


class FileJournal:
    """Batches as lines of JSON; what is there already is compared."""

    def __init__(self, path: Path) -> None:
        text = path.read_text() if path.exists() else ""
        whole = text[: text.rfind("\n") + 1]  # a line that was cut was never acknowledged
        path.write_text(whole)
        self.lines = [json.loads(line) for line in whole.splitlines()]
        self._path, self._at = path, 0

    def due(self) -> bool:
        return True

    def append(self, facts: Facts) -> None:
        told = [list(fact) for fact in facts_of(facts)]
        if self._at < len(self.lines):
            assert self.lines[self._at]["told"] == told, (self.lines[self._at]["told"], told)
        else:
            kept = {"fills": facts.fills, "cancels": facts.cancels, "safety": facts.safety_events}
            line = {"reached": facts.reached, "told": told} | {k: [*v] for k, v in kept.items()}
            with self._path.open("a") as file:
                file.write(json.dumps(line) + "\n")
                file.flush()
                os.fsync(file.fileno())
        self._at += 1

    @property
    def fills(self) -> list[Fill]:
        return [Fill(*fill) for line in self.lines for fill in line["fills"]]

    def kept(self) -> Kept:
        events: list[Fill | Cancel] = []
        for line in self.lines:
            events += [Cancel(Order(*order), *rest) for order, *rest in line["cancels"]]
            events += [Fill(*fill) for fill in line["fills"]]
        safety = [SafetyEvent(*event) for line in self.lines for event in line["safety"]]
        return Kept.of(max((line["reached"] for line in self.lines), default=-1), events, safety)


def play(http: httpx2.Client, markets: Sequence[Bars], i: int, now_ms: int) -> None:
    """Play bar `i` unless later ones have begun, and let the next one open."""
    if markets[0].time[i] + HOUR_MS < now_ms:
        return
    for bars in markets:
        body = {"symbol": bars.symbol, "length_ms": HOUR_MS, **bars.row(i)._asdict()}
        http.post("/v1/admin/bar", json=body).raise_for_status()
    for bars in markets:
        last = i + 1 == len(bars)
        price = float(bars.close[i] if last else bars.open[i + 1])
        http.post("/v1/admin/open", json={"symbol": bars.symbol, "price": price}).raise_for_status()


def main(url: str, path: str, seed: str) -> None:
    session = a_session(int(seed), bars=BARS, rate=0.6)
    journal = FileJournal(Path(path))
    client = ExchangeClient(url)
    symbols = [bars.symbol for bars in session.markets]
    broker = ExchangeBroker(client, RUN_ID, symbols, HOUR_MS, patience=FAST, kept=journal.kept())
    blind = replace(session, markets=tuple(bars.slice(0, 0) for bars in session.markets))
    live = Live(blind, FlatStream, broker, journal)
    now_ms = client.now_ms()
    with httpx2.Client(base_url=url) as http:
        for i in range(BARS):
            play(http, session.markets, i, now_ms)
            live.feed([bars.slice(i, i + 1) for bars in session.markets])
    live.finish()


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Bars of the exchanges that ccxt knows, with the same checks; no keys are needed."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Iterator
from typing import Any

from darwin.core.market import Bars, Timeframe
from darwin.data.candles import MOST_CANDLES, Request, closed_pages, joined
from darwin.data.names import plain_name
from darwin.data.patience import Patience, library, printable
from darwin.data.venue import VenueProvider
from darwin.errors import ConfigError, DataError, RefusedError


class CcxtClient:
    """Closed bars over an exchange object of ccxt, which keeps the exchange's own pace.

    The clock is the exchange's; where it tells none, this machine's. Network faults are tried
    again until `deadline_s` after the first try. Raises DataError for what is refused on either
    side, UnreachableError when time is up, ConfigError for what the exchange does not offer.
    """

    def __init__(
        self,
        exchange: Any,
        *,
        deadline_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._ccxt: Any = library("ccxt")
        self._exchange = exchange
        self._patience = Patience(deadline_s, clock, sleep)

    @property
    def name(self) -> str:
        """The exchange's id."""
        return str(self._exchange.id)

    def server_time_ms(self) -> int:
        """What the exchange's clock says, or ours."""
        if not self._exchange.has.get("fetchTime"):
            return int(self._exchange.milliseconds())
        told = self._asked("fetch_time")
        if not isinstance(told, int):
            raise DataError(f"{self.name} does not tell its time", mend="try again later")
        return told

    def closed(
        self,
        symbol: str,
        timeframe: Timeframe,
        since_ms: int,
        until_ms: int | None = None,
        now_ms: int | None = None,
    ) -> Bars:
        """All closed bars that open in [since, until), or until now; there may be none."""
        pages = list(self.pages(symbol, timeframe, since_ms, until_ms, now_ms))
        return joined(symbol, timeframe, pages)

    def pages(
        self,
        symbol: str,
        timeframe: Timeframe,
        since_ms: int,
        until_ms: int | None = None,
        now_ms: int | None = None,
    ) -> Iterator[Bars]:
        """The same, as they come; no part is empty."""
        plain_name(symbol)  # which refuses what is no symbol
        offered = self._exchange.timeframes or {}
        if not self._exchange.has.get("fetchOHLCV") or timeframe.name not in offered:
            raise ConfigError(
                f"{self.name} has no bars of {timeframe.name}",
                mend=f"choose among {', '.join(offered) or 'the other exchanges'}",
            )
        now = self.server_time_ms() if now_ms is None else now_ms
        wanted = Request(self.name, symbol, timeframe, since_ms, until_ms, now)

        def page(first_ms: int, last_ms: int) -> object:
            """Exchanges know no end of a range in common, so later rows are left out here."""
            rows = self._asked("fetch_ohlcv", symbol, timeframe.name, first_ms, MOST_CANDLES)
            return [row for row in rows if not _opens_after(row, last_ms)]

        return closed_pages(wanted, page)

    def close(self) -> None:
        """Let go of the connections."""
        session = getattr(self._exchange, "session", None)
        if session is not None:
            session.close()

    def _asked(self, method: str, *words: object) -> Any:
        ask = getattr(self._exchange, method)
        try:
            return self._patience.answer(
                lambda _: ask(*words), (self._ccxt.NetworkError,), self.name
            )
        except self._ccxt.BaseError as fault:
            refusal = RefusedError(
                f"{self.name} refused: {type(fault).__name__}: {printable(str(fault))}",
                where=" ".join(map(str, words)),
                mend="write the symbol as ccxt does, for example BTC/USDT, and one that is traded",
            )
            refusal.of_symbol = isinstance(fault, (self._ccxt.BadSymbol, self._ccxt.BadRequest))
            raise refusal from fault


class CcxtProvider(VenueProvider):
    """Bars of `market.start` to `market.end`, or to the moment when the first are asked for."""

    def __init__(
        self,
        exchange: str,
        timeframe: Timeframe,
        start_ms: int | None = None,
        end_ms: int | None = None,
    ) -> None:
        client = CcxtClient(exchange_called(exchange))
        super().__init__(client, f"{exchange} by ccxt", timeframe, start_ms, end_ms)


def exchange_called(name: str) -> Any:
    """An exchange object of ccxt, without keys. Raises ConfigError with a suggestion."""
    ccxt: Any = library("ccxt")
    if name not in ccxt.exchanges:
        near = difflib.get_close_matches(name, ccxt.exchanges, n=1)
        raise ConfigError(
            f"ccxt knows no exchange called '{name}'",
            mend=f"did you mean '{near[0]}'?" if near else "write for example binance or kraken",
        )
    return getattr(ccxt, name)({"enableRateLimit": True})


def _opens_after(row: object, last_ms: int) -> bool:
    return isinstance(row, list) and bool(row) and isinstance(row[0], int) and row[0] > last_ms

"""Klines over HTTP, as Binance and its kin serve them: a client for closed bars, and a provider."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

from darwin.core.market import YEAR_2200_MS, Bars, Timeframe
from darwin.data.candles import MOST_CANDLES, Request, closed_pages, joined
from darwin.data.names import labelled, plain_name
from darwin.data.venue import VenueProvider
from darwin.data.venue_http import VenueHttp
from darwin.errors import ConfigError, DataError

INTERVALS = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "1w")
TIME, KLINES = "/api/v3/time", "/api/v3/klines"


class KlinesClient:
    """Closed bars of one venue; all symbols share its pace of requests.

    The clock that decides whether a bar has closed is the venue's. Times are ms UTC. Every answer
    is checked before a bar of it is handed out. Raises DataError for what is refused on either
    side, UnreachableError when `deadline_s` has passed without an answer, ConfigError for what the
    venue cannot be asked.
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeout_s: float = 10.0,
        deadline_s: float = 60.0,
        requests_per_minute: int = 1200,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._http = VenueHttp(
            base_url,
            timeout_s=timeout_s,
            deadline_s=deadline_s,
            requests_per_minute=requests_per_minute,
            clock=clock,
            sleep=sleep,
        )

    @property
    def host(self) -> str:
        """Whom it asks."""
        return self._http.host

    def server_time_ms(self) -> int:
        """What the venue's clock says."""
        answer = self._http.get(TIME, {})
        told = answer.get("serverTime") if isinstance(answer, dict) else None
        if isinstance(told, bool) or not isinstance(told, int) or not (0 < told < YEAR_2200_MS):
            raise DataError(
                f"{self.host} does not tell its time",
                where=f"{TIME}, 'serverTime'",
                mend="check that the base URL is that of a venue",
            )
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
        return joined(labelled(symbol), timeframe, pages)

    def pages(
        self,
        symbol: str,
        timeframe: Timeframe,
        since_ms: int,
        until_ms: int | None = None,
        now_ms: int | None = None,
    ) -> Iterator[Bars]:
        """The same, at most 1,000 bars at a time, as they come; no part is empty."""
        name = plain_name(symbol)
        if timeframe.name not in INTERVALS:
            raise ConfigError(
                f"klines are not served in bars of {timeframe.name}",
                mend=f"choose among {', '.join(INTERVALS)}",
            )
        now = self.server_time_ms() if now_ms is None else now_ms
        wanted = Request(self.host, labelled(symbol), timeframe, since_ms, until_ms, now)
        return closed_pages(wanted, partial(self._page, name, timeframe.name))

    def close(self) -> None:
        """Let go of the connections; asking again opens new ones."""
        self._http.close()

    def _page(self, name: str, interval: str, first_ms: int, last_ms: int) -> object:
        params: dict[str, str | int] = {"symbol": name, "interval": interval}
        span = {"startTime": first_ms, "endTime": last_ms, "limit": MOST_CANDLES}
        return self._http.get(KLINES, params | span)


class KlinesProvider(VenueProvider):
    """Bars of `market.start` to `market.end`, or to the moment when the first are asked for."""

    def __init__(
        self,
        base_url: str,
        timeframe: Timeframe,
        start_ms: int | None = None,
        end_ms: int | None = None,
    ) -> None:
        client = KlinesClient(base_url)
        super().__init__(client, f"klines of {client.host}", timeframe, start_ms, end_ms)

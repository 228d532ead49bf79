"""A venue as a provider: the whole range of the config, for a replay."""

from __future__ import annotations

from darwin.core.market import Bars, Timeframe
from darwin.data.candles import CandleClient, joined
from darwin.data.files import digest
from darwin.data.utc import utc_text
from darwin.errors import DataError


class OpenVenue:
    """Bars as they close. Implements `core.ports.Venue`."""

    def __init__(self, client: CandleClient) -> None:
        self._client = client

    def now_ms(self) -> int:
        """What the venue's clock says."""
        return self._client.server_time_ms()

    def closed(self, symbol: str, timeframe: Timeframe, since_ms: int, now_ms: int) -> Bars:
        """All closed bars that open at or after `since_ms`; there may be none."""
        return self._client.closed(symbol, timeframe, since_ms, None, now_ms)

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()


class VenueProvider:
    """Bars that a venue had closed when it was first asked; each symbol is asked for once.

    `start_ms` (inclusive) and `end_ms` (exclusive) cut by open time; without an end the range ends
    with the last bar that has closed, at the same instant for every symbol.
    """

    def __init__(
        self,
        client: CandleClient,
        name: str,
        timeframe: Timeframe,
        start_ms: int | None = None,
        end_ms: int | None = None,
    ) -> None:
        self._client, self._name, self._timeframe = client, name, timeframe
        self._start_ms, self._end_ms = start_ms, end_ms
        self._now_ms: int | None = None
        self._had: dict[str, Bars] = {}

    def bars(self, symbol: str) -> Bars:
        """All closed bars of `symbol` in the range, at least one."""
        if symbol not in self._had:
            self._had[symbol] = self._fetch(symbol)
        return self._had[symbol]

    def digest(self, symbol: str) -> str:
        """SHA-256 of the numbers, the same as of a file that holds them."""
        return digest(self.bars(symbol))

    def source(self, symbol: str) -> str:
        """Whom the bars were had from."""
        return f"{self._name}, {symbol} {self._timeframe.name}"

    def venue(self) -> OpenVenue:
        """The same for a run on paper, which asks for bars as they close."""
        return OpenVenue(self._client)

    def _fetch(self, symbol: str) -> Bars:
        client, frame = self._client, self._timeframe
        try:
            if self._now_ms is None:
                self._now_ms = client.server_time_ms()
            pages = list(
                client.pages(symbol, frame, self._start_ms or 0, self._end_ms, self._now_ms)
            )
        finally:
            client.close()
        if not pages:
            raise DataError(
                f"there is no closed bar of {symbol} {self._range()}",
                where=self.source(symbol),
                mend="choose market.start and market.end within what the venue has",
            )
        return joined(pages[0].symbol, frame, pages)

    def _range(self) -> str:
        start = "" if self._start_ms is None else f"from {utc_text(self._start_ms)} on "
        end = self._now_ms if self._end_ms is None else self._end_ms
        return f"{start}before {utc_text(end or 0)}"

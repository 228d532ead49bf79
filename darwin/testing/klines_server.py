"""A venue on this machine: serves bars as Binance does, by a virtual clock, with faults on demand.

In a test or a script:

    with KlinesServer([bars], start_bar=400) as server:
        server.faults += ["429:2", "reset"]
        client = KlinesClient(server.url)

Or as a process of its own, over the bars of a config: `python -m darwin.testing.klines_server`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import click

from darwin.core.market import Bars
from darwin.data.names import plain_name
from darwin.errors import ConfigError
from darwin.testing.klines_answers import FAULTS, Listener, Request
from darwin.testing.virtual_clock import VirtualClock


@dataclass(frozen=True, slots=True)
class Outage:
    """Virtual time in which each request gets 503."""

    from_ms: int
    until_ms: int


class KlinesServer:
    """Serves `markets`, all of one timeframe, at `url`; a context manager.

    The virtual clock begins when bar `start_bar` of the first market opens (None: when its last
    one has closed) and runs `speed` times as fast as time; 0: it stands until `now_ms` is set. One
    that is faster than time stands when the last bar has closed: there is no market beyond.
    Each request takes the first word of `faults`, if there is one; "" is a proper answer. Each
    answer about the time takes the first of `clock_errors_ms` and is so far off. Of a symbol in
    `silent_from_ms` no bar that opens then or later is shown.
    """

    def __init__(
        self,
        markets: Sequence[Bars],
        *,
        start_bar: int | None = None,
        speed: float = 0.0,
        port: int = 0,
    ) -> None:
        self.markets: Mapping[str, Bars] = {plain_name(bars.symbol): bars for bars in markets}
        first = markets[0]
        start_ms = int(first.time[-1] if start_bar is None else first.time[start_bar])
        self._clock = VirtualClock(
            start_ms + (first.timeframe.ms if start_bar is None else 0), speed,
            None if speed <= 1.0 else int(first.time[-1]) + first.timeframe.ms,
        )  # fmt: skip
        self.faults: list[str] = []
        self.clock_errors_ms: list[int] = []
        self.silent_from_ms: dict[str, int] = {}
        self.outages: list[Outage] = []
        self.requests: list[Request] = []
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        try:
            self._http = Listener(self, port)
        except OSError as fault:
            raise ConfigError(f"port {port} cannot be had: {fault.strerror}") from fault

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def now_ms(self) -> int:
        """The virtual time; set it to move it."""
        return self._clock.now_ms

    @now_ms.setter
    def now_ms(self, value: int) -> None:
        self._clock.now_ms = value

    def outage(self, from_ms: int, until_ms: int) -> None:
        """Answer 503 from one instant of virtual time until another."""
        self.outages.append(Outage(from_ms, until_ms))

    def asked(self, word: str) -> list[Request]:
        """The requests whose path ends in `word`: "klines", "time"."""
        return [each for each in self.requests if each.path.endswith(f"/{word}")]

    def __enter__(self) -> Self:
        """Serve in the background."""
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, also for those whom a fault lets wait."""
        self.stopping.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def told_ms(self, request: Request) -> int:
        """What time it says it is."""
        with self._lock:
            return request.now_ms + (self.clock_errors_ms.pop(0) if self.clock_errors_ms else 0)

    def shown(self, name: str) -> Bars | None:
        """The bars of a symbol, by the name it is asked for, that may be shown; None: no such."""
        bars, until = self.markets.get(name), None
        for symbol, from_ms in self.silent_from_ms.items():
            until = from_ms if plain_name(symbol) == name else until
        if bars is None or until is None:
            return bars
        return bars.slice(0, int(bars.time.searchsorted(until)))

    def take(self, path: str, query: dict[str, str]) -> Request:
        """Note a request, with the instant at which it is answered and its fault."""
        with self._lock:
            now = self.now_ms
            word = self.faults.pop(0) if self.faults else ""
            if any(out.from_ms <= now < out.until_ms for out in self.outages):
                word = "503"
            request = Request(path, query, now, time.monotonic(), word)
            self.requests.append(request)
            return request


@click.command()
@click.option("--config", "path", required=True, type=click.Path(path_type=Path), help="A config.")
@click.option("--set", "overrides", multiple=True, metavar="a.b=VALUE", help="Override one key.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0: any that is free.")
@click.option(
    "--speed", type=click.FloatRange(min=0), default=1.0, show_default=True, help="Of the clock."
)
@click.option("--start-bar", type=click.IntRange(min=0), help="Where the clock begins (the end).")
@click.option("--faults", default="", metavar="A,B", help="Of the first requests: 500, reset, …")
def serve(
    path: Path,
    overrides: tuple[str, ...],
    port: int,
    speed: float,
    start_bar: int | None,
    faults: str,
) -> None:
    """Serve the bars of a config as a venue does, until it is stopped; prints its base URL.

    Synthetic bars keep their label: BTC/USDT:SYNTH is asked for as BTCUSDT_SYNTH.

    \b
    Example:
      python -m darwin.testing.klines_server --config configs/demo.json --start-bar 500 --speed 3600
    """
    from darwin import plugins  # noqa: PLC0415
    from darwin.config.load import load_config  # noqa: PLC0415

    market = load_config(path, overrides).config.market
    provider = plugins.factory("provider", market.provider)(market)
    bars = [provider.bars(symbol) for symbol in market.symbols]
    if start_bar is not None and start_bar >= len(bars[0]):
        raise ConfigError(
            f"there is no bar {start_bar}", where="--start-bar", mend="name an earlier"
        )
    with KlinesServer(bars, start_bar=start_bar, speed=speed, port=port) as server:
        server.faults += [_known(word.strip()) for word in faults.split(",") if word.strip()]
        click.echo(server.url)
        threading.Event().wait()


def _known(word: str) -> str:
    if word not in FAULTS and not word.partition(":")[0].isdigit():
        raise ConfigError(
            f"'{word}' is no fault",
            where="--faults",
            mend=f"known: 500, 429:2, {', '.join(FAULTS)}",
        )
    return word


if __name__ == "__main__":
    from darwin.rl.cli.door import leave_through

    leave_through(serve)

"""`darwin data fetch`: bars of a venue into files that `market.provider: "files"` reads."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from darwin.cli.instants import instant
from darwin.cli.synth import make_folder
from darwin.config.values import BASE_URL
from darwin.errors import ConfigError

if TYPE_CHECKING:
    from darwin.data.candles import CandleClient
    from darwin.data.fetch import Fetched


@click.command()
@click.argument("symbols", metavar="SYMBOL...", nargs=-1, required=True)
@click.option("--timeframe", default="1h", show_default=True, help="Length of a bar.")
@click.option("--since", required=True, metavar="DATE", help="First open, ISO, UTC.")
@click.option("--until", metavar="DATE", help="Bars open before it; now, if left out.")
@click.option(
    "--source",
    type=click.Choice(["klines", "ccxt"]),
    default="klines",
    show_default=True,
    help="How the venue is asked.",
)
@click.option("--base-url", metavar="URL", help=f"For klines: whom to ask ({BASE_URL}).")
@click.option("--exchange", metavar="ID", help="For ccxt: the exchange, as ccxt calls it.")
@click.option(
    "--output",
    "-o",
    "folder",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the files.",
)
@click.option(
    "--format", "form", type=click.Choice(["parquet", "csv"]), help="Of new files (parquet)."
)
@click.option("--json", "as_json", is_flag=True, help="Machine output.")
def fetch(
    symbols: tuple[str, ...],
    timeframe: str,
    since: str,
    until: str | None,
    source: str,
    base_url: str | None,
    exchange: str | None,
    folder: Path,
    form: str | None,
    as_json: bool,
) -> None:
    """Fetch closed bars of each SYMBOL from a venue.

    They go to SYMBOL-TIMEFRAME.parquet or .csv in the folder. Where that file exists, it goes on
    after its last bar. Stopped at any moment, it leaves a whole file; run it again to go on.

    \b
    Example:
      darwin data fetch BTC/USDT ETH/USDT --timeframe 1h --since 2023-01-01 -o data/
      darwin data fetch BTC/USD --source ccxt --exchange kraken --since 2024-01-01 -o data/
    """
    from darwin.cli.tables import print_json
    from darwin.core.market import Timeframe
    from darwin.data.fetch import fetch as fetch_bars
    from darwin.data.fetch import target_of

    frame = Timeframe.parse(timeframe)
    since_ms = instant(since, "--since")
    until_ms = None if until is None else instant(until, "--until")
    if until_ms is not None and not since_ms < until_ms:
        raise ConfigError("--until is not later than --since", mend="swap them or move one")
    suffix = None if form is None else f".{form}"
    targets = {symbol: target_of(folder, symbol, frame, suffix) for symbol in symbols}
    if len(set(targets.values())) < len(symbols):
        raise ConfigError(
            "two symbols name the same file", where=" ".join(symbols), mend="name each once"
        )
    client = _client(source, base_url, exchange)
    make_folder(folder)
    done = []
    try:
        for symbol, target in targets.items():
            got = fetch_bars(client, symbol, frame, since_ms, until_ms, target)
            done.append(_as_json(symbol, got))
            click.echo(f"{symbol} {frame.name}: {_said(got)}", err=as_json)
    finally:
        client.close()
    if as_json:
        print_json({"source": source, "timeframe": frame.name, "files": done})


def _client(source: str, base_url: str | None, exchange: str | None) -> CandleClient:
    if source == "klines":
        from darwin.data.klines import KlinesClient

        if exchange is not None:
            raise ConfigError("--exchange is read with --source ccxt alone", mend="add that")
        return KlinesClient(BASE_URL if base_url is None else base_url)
    from darwin.data.ccxt_bars import CcxtClient, exchange_called

    if base_url is not None:
        raise ConfigError("--base-url is read with --source klines alone", mend="leave it out")
    if exchange is None:
        raise ConfigError(
            "--source ccxt needs an exchange", mend="add for example --exchange kraken"
        )
    return CcxtClient(exchange_called(exchange))


def _as_json(symbol: str, got: Fetched) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "file": None if got.report is None else str(got.path),
        "bars_added": got.bars_added,
        "report": None if got.report is None else asdict(got.report),
    }


def _said(got: Fetched) -> str:
    from darwin.data.utc import utc_text

    report = got.report
    if report is None:
        return "the venue has no closed bar in that range; nothing is written"
    gaps = f"{report.gaps:,} gaps"
    if report.gaps:
        gaps += f" ({report.missing_bars:,} bars missing, at most {report.longest_gap_bars:,})"
    return (
        f"{got.bars_added:,} bars came, {report.rows:,} in {got.path}, "
        f"{utc_text(report.first)} to {utc_text(report.last)}, {gaps}"
    )

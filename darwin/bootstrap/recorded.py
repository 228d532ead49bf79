"""A recorded run wired again, with the bars that it saw and no others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from darwin.bootstrap import Wired, wire
from darwin.config.load import Loaded, load_resolved
from darwin.core.market import Bars, Timeframe
from darwin.data.names import labelled
from darwin.engine.digest import data_digest
from darwin.errors import ConfigError, DataError
from darwin.store.db import Database
from darwin.store.fed import FedBars
from darwin.store.runs import Begun, Standing


def wire_here(loaded: Loaded, database: Database) -> Wired:
    """The session of a run that this database holds or is to hold.

    A run on paper has the bars that it was fed so far; any other those of its provider.
    """
    config = loaded.config
    if not config.on_paper:
        return wire(loaded)
    timeframe = Timeframe.parse(config.market.timeframe)
    return wire(loaded, provider=FedBars(database, config.run_id, timeframe, labelled))


def rewire(run: Begun, artifacts_dir: str, database: Database) -> tuple[Loaded, Wired]:
    """A recorded run's config and session. Raises DataError when its bars are not what they were.

    Raises ConfigError for a run that is not finished.
    """
    if run.standing is not Standing.FINISHED:
        raise ConfigError(
            f"run '{run.run_id}' is not finished",
            where=f"{run.place.facts:,} facts are kept",
            mend="finish it: `darwin run CONFIG --resume`",
        )
    tree = json.loads(run.identity.config_json) | {"artifacts_dir": artifacts_dir}
    loaded = load_resolved(tree, f"the recorded config of run '{run.run_id}'")
    wired = wire_here(loaded, database)
    if run.identity.mode == "feed":
        return loaded, as_far_as_fed(wired, run)
    if wired.data_digest != run.identity.data_digest:
        raise DataError(
            f"the bars of run '{run.run_id}' are not the ones it saw",
            where=", ".join(wired.data_digests),
            mend="bring the old files back, or run again under another run_id",
        )
    return loaded, wired


def as_it_saw(wired: Wired, run: Begun) -> Wired:
    """`wired` with the bars that `run` has seen. Raises ConfigError where they are others now.

    Bars that came after the last one of a feed do not matter to it.
    """
    if run.identity.mode != "feed":
        return wired  # `begin_run` has compared the digests
    require_the_same_bars(wired.session.markets, run)
    return as_far_as_fed(wired, run)


def as_far_as_fed(wired: Wired, run: Begun) -> Wired:
    """`wired` with the bars that a feed has seen, and no later ones. Raises DataError otherwise."""
    markets, place = wired.session.markets, run.place
    reached = -1 if place.reached is None else place.reached
    if (now := _digest_then(markets, run)) != place.data_digest:
        raise DataError(
            f"the bars of run '{run.run_id}' are not the ones it saw: digest"
            f" {(place.data_digest or '')[:12]} then, {(now or '')[:12]} now",
            where=", ".join(wired.data_digests),
            mend="bring the old files back, or run again under another run_id",
        )
    seen = tuple(bars.slice(0, upto(bars, reached)) for bars in markets)
    return replace(wired, session=replace(wired.session, markets=seen))


def require_the_same_bars(markets: Sequence[Bars], run: Begun) -> None:
    """Raise ConfigError where the bars that `run` has seen are not what they were."""
    now, then = _digest_then(markets, run), run.place.data_digest
    if now != then:
        finished = run.standing is Standing.FINISHED
        raise ConfigError(
            f"run '{run.run_id}' was {'finished' if finished else 'begun'} with another data"
            f" (digest {(then or '')[:12]} of the bars it has seen, {(now or '')[:12]} now)",
            where=", ".join(bars.symbol for bars in markets),
            mend="bring the old bars back, or give this one another run_id",
        )


def upto(bars: Bars, reached: int) -> int:
    """How many bars had opened by `reached`, ms UTC."""
    return int(bars.time.searchsorted(reached, side="right"))


def _digest_then(markets: Sequence[Bars], run: Begun) -> str | None:
    """The digest of the bars up to where `run` has come; None if it has seen none."""
    reached = run.place.reached
    return None if reached is None else data_digest(markets, reached)

"""Experts that are models: what they are handed, who they may ask, and what a reader must know."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from darwin.config.model import RunConfig
from darwin.core.candidate import id_text
from darwin.core.expert import Asked
from darwin.core.market import Bars
from darwin.deciders.llm.brief import Scene
from darwin.deciders.llm.decider import LlmDecider
from darwin.deciders.llm.desk import Closed
from darwin.deciders.llm.prices import knowledge_cutoff
from darwin.deciders.llm.prompt import PROMPT_VERSION, Prompt
from darwin.engine.proposals import Setup
from darwin.engine.report_words import iso
from darwin.engine.step import Rules
from darwin.errors import ConfigError, DataError
from darwin.store.calls import Calls
from darwin.store.db import Database
from darwin.store.runs import Begun

if TYPE_CHECKING:
    from darwin.bootstrap import Wired


_SHORTEST_KEY = 8  # a shorter one may stand in any text by chance
_NO_BARS = 1 << 62  # ms: a run on paper begins without any


def handed(config: RunConfig, setups: Sequence[Setup], rules: Rules) -> dict[str, object]:
    """What an `LlmDecider` is given by the program. Raises ConfigError for an odd symbol."""
    return {"scene": _scene(config, setups, rules), "desk": Closed()}


def _scene(config: RunConfig, setups: Sequence[Setup], rules: Rules) -> Scene:
    """What all candidates of a run have in common."""
    costs = rules.costs
    paid_bps = 1e4 * 2.0 * (costs.taker + costs.slip)
    return Scene(
        symbols=tuple(config.market.symbols),
        playbooks=tuple(setup.name for setup in setups),
        rules=tuple(setup.said() for setup in setups),
        exits=tuple(setup.exits for setup in setups),
        timeframe=config.market.timeframe,
        round_trip_bps=paid_bps,
        starting_equity_usd=rules.starting_equity_usd,
        max_positions=rules.limits.max_positions,
        max_exposure_fraction=rules.limits.max_exposure_fraction,
    )


class Recorded:
    """What a run was told, told again; nobody is asked. Implements `deciders.llm.desk.Desk`."""

    def __init__(self, database: Database, run_id: str) -> None:
        """Read nothing yet."""
        self._calls, self._run_id = Calls(database), run_id
        self._where = str(database.path)

    def told(self, candidate_id: int, prompt: Prompt) -> Asked:
        """What came of it then. Raises DataError where nothing is on record."""
        about = (self._run_id, id_text(candidate_id))
        known = self._calls.ended(about)
        if known is None:
            self._calls.refresh()
            known = self._calls.ended(about)
        if known is None:
            raise DataError(
                f"run '{self._run_id}' has no answer on record about candidate {about[1]}",
                where=self._where,
                mend="go on with `darwin run CONFIG --resume`, or give it another run_id",
            )
        return known


def by_record(wired: Wired, database: Database, run_id: str) -> Wired:
    """`wired` with an expert that repeats what `run_id` was told; any other expert stays."""
    decider = wired.session.decider
    if not isinstance(decider, LlmDecider):
        return wired
    return with_desk(wired, decider, Recorded(database, run_id))


def asking(
    wired: Wired,
    database: Database,
    run: Begun,
    warn: Callable[[str], None],
    *,
    on_paper: bool = False,
) -> Wired:
    """`wired` with an expert that asks its model; any other expert stays.

    `warn` hears why there was no answer; `on_paper` the run may hold positions.
    Raises ConfigError where there is no key for it.
    """
    decider = wired.session.decider
    if not isinstance(decider, LlmDecider):
        return wired
    from darwin.bootstrap.asking import Asking

    return with_desk(
        wired, decider, Asking(decider, Calls(database), run.run_id, warn, on_paper=on_paper)
    )


def require_key(wired: Wired, config_text: str) -> None:
    """Raise ConfigError where the expert is a model that cannot be asked: without key or SDK.

    And where the config, which is kept and shown, holds that very key.
    """
    decider = wired.session.decider
    if not isinstance(decider, LlmDecider):
        return
    from darwin.bootstrap.asking import model_of
    from darwin.deciders.llm.keys import find_key
    from darwin.deciders.llm.server import KEY_VARIABLE

    model_of(decider)
    key = find_key(KEY_VARIABLE[decider.kind], os.environ, required=False)
    if key is None or len(key.reveal()) < _SHORTEST_KEY:
        return
    if key.reveal() in config_text:
        raise ConfigError(
            "the config holds the key of the model, and a config is kept and shown",
            where="one of its values",
            mend="take it out, and have a new key made: this one was written down",
        )


def with_desk(wired: Wired, decider: LlmDecider, desk: Any) -> Wired:
    """`wired` whose expert goes to `desk` with its questions."""
    return replace(wired, session=replace(wired.session, decider=replace(decider, desk=desk)))


def about_expert(wired: Wired) -> dict[str, Any] | None:
    """What a report says of a model that is the expert; None where it is none."""
    decider = wired.session.decider
    if not isinstance(decider, LlmDecider):
        return None
    cutoff = knowledge_cutoff(decider.model)
    return {
        "kind": decider.kind,
        "model": decider.model,
        "prompt_version": PROMPT_VERSION,
        "symbols_masked": decider.mask_symbols,
        "knowledge_cutoff": None if cutoff is None else cutoff.isoformat(),
    }


def memory_notes(decider: object, markets: Sequence[Bars]) -> tuple[str, ...]:
    """Say which bars a model may remember: its skill on them may be memory."""
    if not isinstance(decider, LlmDecider):
        return ()
    if all(bars.synthetic for bars in markets):
        return ()
    cutoff = knowledge_cutoff(decider.model)
    shown = "names and dates are masked" if decider.mask_symbols else "names and dates are shown"
    first = min((int(bars.time[0]) for bars in markets if len(bars)), default=_NO_BARS)
    if cutoff is None:
        return (f"What '{decider.model}' remembers of these bars is not known; {shown}.",)
    ends_ms = datetime(cutoff.year, cutoff.month, cutoff.day, tzinfo=UTC).timestamp() * 1000
    if first >= ends_ms:
        return ()
    return (
        f"Bars from {iso(first)} on precede the knowledge cutoff of '{decider.model}'"
        f" ({cutoff.isoformat()}): it may remember what followed, which is look-ahead by memory;"
        f" {shown}.",
    )

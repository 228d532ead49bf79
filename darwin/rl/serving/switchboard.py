"""What reaches a run from its deployment: the kill switch, and how its agents stand.

All of it is journaled as inputs, the state at the beginning included, so that a replay is told the
same at the same places and no ruling hangs on anything that is not on record.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from darwin.core.agents import Standing
from darwin.core.facts import ALLOWED, KILLED, STANDING, Input, Subject
from darwin.errors import IntegrityError, RecordError
from darwin.rl.serving import kill_file
from darwin.safety.switch import OFF, KillSwitch, Reading, changed, unreadable
from darwin.store.watch import UNREADABLE, LogWatch

log = logging.getLogger("darwin")

Resolve = Callable[[bool], Mapping[str, Standing]]
"""How all agents stand on record now; True: the models that serve are read and checked."""

Recheck = Callable[[Mapping[str, Standing], bool], Mapping[str, Standing]]
"""Of standings that are journaled those that hold no more; True: models are read that may be."""


class Sources:
    """The sources of the kill switch, as a running process sees them."""

    def __init__(self, environment: Reading, artifacts: Path, watch: LogWatch) -> None:
        """`environment` is what the variable said when the process started."""
        self._environment, self._artifacts, self._watch = environment, artifacts, watch
        self._record = OFF
        self._stale = True

    def look(self, *, grown: bool) -> KillSwitch:
        """Look again; the record only where a log has `grown`, or where it failed before."""
        if grown or self._stale:
            self._record, self._stale = self._read_record()
        return KillSwitch(self._environment, self._read_file(), self._record)

    def _read_file(self) -> Reading:
        try:
            there = kill_file.stands(self._artifacts)
        except OSError as fault:
            why = fault.strerror or type(fault).__name__
            return unreadable(f"the file {kill_file.KILL_FILE}", why)
        return Reading(True, f"the file {kill_file.KILL_FILE} is there") if there else OFF

    def _read_record(self) -> tuple[Reading, bool]:
        try:
            last = self._watch.last_kill()
        except RecordError as fault:
            return changed("the log of kills", fault.what), True
        except UNREADABLE as fault:
            return unreadable("the log of kills", type(fault).__name__), True
        if last is None or not last.on:
            return OFF, False
        return Reading(True, f"switched on by {last.by}: {last.reason}"), False


class Switchboard:
    """A source of inputs for one run (`store.acts.Source`)."""

    def __init__(
        self,
        sources: Sources,
        watch: LogWatch,
        resolve: Resolve,
        journaled: Iterable[Input],
        *,
        follows: bool,
        recheck: Recheck = lambda standings, check: {},
    ) -> None:
        """Go on from what is `journaled`.

        A run that `follows` hears of models, promotions and stages as they change; any other keeps
        to those it began with. Both hear the kill switch, and where the record of them turns out to
        be damaged nobody acts until it is sound again.
        """
        self._sources, self._watch, self._resolve, self._follows = sources, watch, resolve, follows
        self._recheck: Recheck | None = recheck
        self._killed = False
        self._damage = OFF  # of the record of models, promotions and stages
        self._found: Mapping[str, Standing] | None = None  # and not told yet
        self._standings: dict[str, Standing] = {}
        self._fell: Mapping[str, Standing] = {}  # since it was journaled, not told yet
        for one in journaled:
            if one.kind in (KILLED, ALLOWED):
                self._killed = one.kind == KILLED
            elif one.kind == STANDING:
                self._standings[one.agent] = Standing.read(one.detail)
        self._begun = bool(self._standings)
        self._unchecked = self._killed  # models that serve were not read while killed

    @property
    def warnings(self) -> tuple[str, ...]:
        """What somebody should mend about the switch itself."""
        return self._sources.look(grown=self._changed()).warnings

    def begin(self) -> Mapping[str, Standing]:
        """See how the agents stand before the first candidate; what it finds takes effect there.

        A run that was begun before goes on with what it has on record, but for models that are
        refused by now; one that follows hears what was said meanwhile. While the switch kills, no
        model is read that nothing was decided with. Raises what `resolve` and `recheck` raise.
        """
        if self._begun and self._recheck is not None:
            killed = self._sources.look(grown=self._changed()).killed
            fell, self._recheck = self._recheck(self._standings, not killed), None
            self._fell = {} if self._follows else fell  # who follows finds them below
        if self._found is None and (self._follows or not self._begun):
            killed = self._sources.look(grown=self._changed()).killed
            self._found, self._unchecked = self._resolve(not killed), killed
        return {**self._standings, **self._fell} if self._found is None else self._found

    def close(self) -> None:
        """Let go of the database."""
        self._watch.close()

    def look(self, candidate: Subject) -> Sequence[Input]:
        """What changed since the last time, in the order in which it must take effect."""
        grown = self._changed()
        news = grown and self._follows
        if news:
            self._found = None  # it was seen before the change
        switch = self._sources.look(grown=grown)
        at = (candidate.row, candidate.id, candidate.bar_time)
        told = self._tell(at, self._fell)
        self._fell = {}
        due = news or not self._begun or self._found is not None or self._damage.killed
        if switch.killed == self._killed and not due:
            return told
        if due := due or (self._killed and self._unchecked):
            self._damage = self._find(check=not switch.killed)
            if self._damage.killed and not switch.record.killed:
                switch = replace(switch, record=self._damage)
        if switch.killed and not self._killed:
            told.append(Input(*at, KILLED, " and ".join(switch.sources), switch.why))
        if due and not self._damage.killed:
            told += self._standing_now(at)
        if self._killed and not switch.killed:
            told.append(Input(*at, ALLOWED, "kill switch", "no source of it is on any more"))
        self._killed = switch.killed
        return told

    def _changed(self) -> bool:
        try:
            return self._watch.changed()
        except UNREADABLE:
            return True

    def _find(self, *, check: bool) -> Reading:
        """See how the agents stand now. A record that was changed under a running run kills."""
        if self._found is None or (self._unchecked and check):
            try:
                self._found, self._unchecked = self._resolve(check), not check
            except IntegrityError as fault:
                if not self._damage.killed:
                    log.warning("RL no agent acts: the record of agents was changed: %s", fault)
                return changed("the record of agents", fault.what)
        return OFF

    def _standing_now(self, at: tuple[int, int, int]) -> list[Input]:
        found, self._found = self._found or {}, None
        self._begun = True
        return self._tell(at, found)

    def _tell(self, at: tuple[int, int, int], found: Mapping[str, Standing]) -> list[Input]:
        told = []
        for agent, standing in found.items():
            if self._standings.get(agent) != standing:
                self._standings[agent] = standing
                said = words(standing)
                told.append(Input(*at, STANDING, "registry", said, agent, standing.text()))
        return told


def words(standing: Standing) -> str:
    """A standing in a sentence."""
    if standing.serving is None:
        return f"no model serves: {standing.fault or 'none was deployed'}"
    basis = f" {standing.basis}" if standing.basis else ""
    may = "not promoted"
    if standing.promoted:
        may = f"promoted{basis}, {standing.stage:.0%} of capital"
        if standing.max_position_usd is not None:
            may += f", no position above {standing.max_position_usd:,.2f} USD"
    beside = f"; {standing.challenger.version} challenges" if standing.challenger else ""
    return f"version {standing.serving.version} serves, {may}{beside}"

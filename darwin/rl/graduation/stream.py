"""The evidence stream of one version: its advice in the order of market time, block by block.

A decision is scored when the whole block of market time that it lies in is known: what became of
each bracket, and that the stream has moved on. Blocks are scored in the order of time, each once;
what comes after that for a scored block is late and counts for nothing, and a candidate counts
once, so that feeding the same bars again earns nothing. What is scored hangs on the record alone,
never on how often anybody looked at it.

Outcomes are held against what was known when each decision was made: the running means `s`, `m`
and `w` are over earlier decisions and outcomes that had been settled by then, with the weight of 20
decisions of no knowledge.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from darwin.core.rebalance import BOOK_AGENTS
from darwin.rl.graduation.book_increments import BookMeans
from darwin.rl.graduation.contract import Contract
from darwin.rl.graduation.increments import Block, Entry, Means, Outcome, means_of


class Stream:
    """Told decisions and outcomes in the order of the record; `take_blocks` gives what is scored.

    Telling it again what it was told changes nothing.
    """

    def __init__(self, contract: Contract) -> None:
        """Begin with nothing on record."""
        terms = contract.terms
        self._terms, self._since = terms, contract.since_ms
        self._open: dict[int, list[Entry]] = {}  # by block
        self._waiting: dict[int, int] = {}  # by block: how many have no outcome yet
        self._block_of: dict[str, int] = {}
        self._outcomes: dict[str, Outcome] = {}  # of what is not scored yet
        self._scored = -(1 << 62)  # index of the last block that was
        self._frontier = -(1 << 62)  # the newest bar of which a decision was told
        self._means: Means | BookMeans = (
            BookMeans(terms.agent)
            if terms.agent in BOOK_AGENTS
            else means_of(terms.agent, terms.call_cost_r)
        )
        self.scored: list[tuple[Entry, Outcome | None]] = []  # in the order of time
        self.late = self.twice = self.too_early = 0

    @property
    def decisions(self) -> int:
        """How many it holds, each candidate once."""
        return len(self._block_of)

    @property
    def open_blocks(self) -> int:
        """How many blocks have decisions and are not scored."""
        return len(self._open)

    def rows(self) -> list[tuple[Entry, Outcome | None]]:
        """All decisions in the order of time, each with what became of it, as far as is known."""
        some = [entry for block in sorted(self._open) for entry in self._open[block]]
        some.sort(key=lambda entry: (entry.bar_time, entry.key))
        return self.scored + [(entry, self._outcomes.get(entry.key)) for entry in some]

    def decide(self, entry: Entry) -> None:
        """Hear of a decision with advice."""
        if entry.bar_time < self._since:
            self.too_early += 1
            return
        if entry.key in self._block_of:
            self.twice += 1
            return
        block = entry.bar_time // self._terms.block_ms
        if block <= self._scored:
            self.late += 1
            return
        self._block_of[entry.key] = block
        self._open.setdefault(block, []).append(entry)
        self._waiting[block] = self._waiting.get(block, 0) + 1
        self._frontier = max(self._frontier, entry.bar_time)

    def settle(self, key: str, outcome: Outcome) -> None:
        """Hear what became of a candidate; of one that is not in the stream, nothing is kept."""
        block = self._block_of.get(key)
        if block is None or block <= self._scored or key in self._outcomes:
            return
        self._outcomes[key] = outcome
        self._waiting[block] -= 1

    def take_blocks(self) -> Iterator[Block]:
        """Score the blocks that are whole by now, in the order of time; each is given once."""
        while self._open:
            block = min(self._open)
            end = (block + 1) * self._terms.block_ms
            if self._frontier < end or not self._is_known(block):
                return
            self._scored = block
            del self._waiting[block]
            yield self._score(block, self._open.pop(block))

    def _is_known(self, block: int) -> bool:
        """Whether all of a block is settled, or will not be any more.

        Once the stream is two lives of a bracket beyond a decision, whoever held it has lost it.
        """
        if self._waiting[block] == 0:
            return True
        life = self._terms.life_ms
        if life is None:
            return False
        newest = max(e.bar_time for e in self._open[block] if e.key not in self._outcomes)
        return self._frontier > newest + 2 * life + self._terms.bar_ms

    def _score(self, block: int, entries: list[Entry]) -> Block:
        entries.sort(key=lambda entry: (entry.bar_time, entry.key))
        means, size = self._means, self._terms.block_ms
        means.begin(entries[0].bar_time)
        resolved = lost = 0
        for entry in entries:
            outcome = self._outcomes.pop(entry.key, None)
            if outcome is None:
                lost += 1
            elif not math.isnan(outcome.r):
                resolved += 1
            means.decide(entry, outcome)
            self.scored.append((entry, outcome))
        count = (len(entries), resolved, lost)
        return Block(block, block * size, (block + 1) * size, *count, means.sd, means.end())

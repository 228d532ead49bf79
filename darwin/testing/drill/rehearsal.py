"""What every family of faults works with: the piece of the run, and what it does without agents."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from darwin.errors import StorageError
from darwin.testing.drill.children import Children
from darwin.testing.drill.held import Held
from darwin.testing.drill.piece import Part, Piece
from darwin.testing.drill.room import AS_IS, RUN, TRADED, Room, Seat


@dataclass(frozen=True)
class Rehearsal:
    """The scene of a drill."""

    folder: Path
    piece: Piece
    children: Children
    bare: bytes  # orders, fills and outcomes of the run without agents, as lines

    def room(
        self, name: str, *seats: Seat, promoted: bool = True, changes: Mapping[str, object] = AS_IS
    ) -> Room:
        """A fresh room with these agents, which may act as far as their config lets them.

        `changes` are top-level keys of the config.
        """
        return self._furnished(name, self.piece.whole, seats, promoted, changes)

    def feed_room(self, name: str, *seats: Seat) -> Room:
        """The same for a run that is fed its bars, of which there are fewer."""
        return self._furnished(name, self.piece.feed, seats, True, AS_IS)

    def _furnished(
        self, name: str, part: Part, seats: tuple[Seat, ...], promoted: bool,
        changes: Mapping[str, object],
    ) -> Room:  # fmt: skip
        room = _empty_room(self.folder, name, part, self.children)
        room.lay(*seats, changes=changes)
        if promoted:
            room.promote()
        return room


Family: TypeAlias = Callable[[Rehearsal], Iterator[Held]]
"""Puts the invariants of one family of faults to the test."""


def set_up(folder: Path, piece: Piece, children: Children) -> Rehearsal:
    """Make the run without agents, which all others are compared with.

    Raises StorageError where not even that goes well.
    """
    room = _empty_room(folder, "without-agents", piece.whole, children)
    room.lay()
    flaw = room.run().ends()
    bare = room.export(RUN, "--only", TRADED)
    if flaw or not bare:
        raise StorageError(
            f"the run without agents does not go well: {flaw or 'it exports nothing'}",
            where=str(room.folder),
            mend="`darwin run CONFIG` must go well before a drill says anything",
        )
    return Rehearsal(folder, piece, children, bare)


def _empty_room(folder: Path, name: str, part: Part, children: Children) -> Room:
    own = folder / name
    own.mkdir(parents=True)
    return Room(own, part.tree, children)

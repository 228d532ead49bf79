"""Every error Darwin raises on purpose: what is wrong, where, and how to mend it."""

from __future__ import annotations


class DarwinError(Exception):
    """Root of them all. `exit_code` is what the command line returns for it."""

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", mend: str = "") -> None:
        """State the fault in one sentence; `where` is a file, key or row; `mend` is the way out."""
        super().__init__(what)
        self.what = what
        self.where = where
        self.mend = mend

    def lines(self) -> list[str]:
        """Say it on at most three lines of plain text."""
        parts = (("error: ", self.what), ("  at: ", self.where), ("  mend: ", self.mend))
        return [label + " ".join(text.split()) for label, text in parts if text]

    def __str__(self) -> str:
        return "; ".join(part for part in (self.what, self.where, self.mend) if part)


class ConfigError(DarwinError):
    """The command line or the configuration says something that cannot be meant."""

    exit_code = 2


class ExpertError(DarwinError):
    """The expert cannot be asked as config and environment stand."""

    exit_code = 2


class ExpertAwayError(ExpertError):
    """Nobody is there who could be the expert; somebody may be later."""

    exit_code = 3


class DataError(DarwinError):
    """Market data that no careful person would trade on."""

    exit_code = 3
    wait_s: float | None = None  # for how long the source asks to be left alone, if it does


class UnreachableError(DataError):
    """A source of data that gave no answer in time; it may give one later."""


class RefusedError(DataError):
    """A source of data that answers, and serves nothing: waiting alone does not mend that."""

    of_symbol = False  # it serves others: what was asked of one symbol is refused


class ModelError(DarwinError):
    """A model that is missing, damaged or not the one its events name."""

    exit_code = 3


class StorageError(DarwinError):
    """The database or the disk refused; nothing acknowledged is lost."""

    exit_code = 4


class IntegrityError(DarwinError):
    """Stored facts contradict each other or their digests."""

    exit_code = 4


class DamagedError(StorageError):
    """The file does not hold what was once written to it."""


class RecordError(IntegrityError):
    """A row of a run is not what was recorded."""

    def __init__(
        self, what: str, *, table: str = "", seq: int | None = None, candidate_id: str = ""
    ) -> None:
        """Say of a row `what` is wrong; `seq` is its place among the facts or rows of the run.

        Without a `table` it is a fact of which nothing else is known.
        """
        if seq is None:
            row = f"the row of the run in {table}"
        else:
            row = f"row {seq:,} of {table}" if table else f"fact {seq:,}"
        super().__init__(f"{row}{f', candidate {candidate_id},' if candidate_id else ''} {what}")
        self.table, self.seq, self.candidate_id = table, seq, candidate_id


class LedgerError(IntegrityError):
    """A fill that does not balance against the positions it claims to change."""


class LockedError(DarwinError):
    """Another process holds this run."""

    exit_code = 5


class LostJobError(LockedError):
    """The job that this process works on was given up: another may hold it now."""

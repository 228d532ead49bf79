"""`darwin`, but for much smaller transactions: a short run that has many checkpoints to be hit at.

Run as a script in place of `-m darwin.cli.main`.
"""

from __future__ import annotations

from itertools import count

from darwin.cli import main
from darwin.engine import timeline
from darwin.store import journal

if __name__ == "__main__":
    asked = count(1)
    journal.BATCH_FACTS = 80
    journal.Journal.due = lambda self: next(asked) % 10 == 0  # by events: the same in every run
    timeline._LOOK_EVERY = 4
    main.main()

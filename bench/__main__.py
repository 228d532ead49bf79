"""`python -m bench [backtest|features|run|agents|recording|soak]`: print the tables.

All but the soak, which takes minutes, by default.
"""

from __future__ import annotations

import sys

from bench import backtest, door, end_to_end, features, recording

PARTS = {
    "backtest": backtest.main,
    "features": features.main,
    "run": end_to_end.main,
    "agents": door.main,
    "recording": recording.main,
    "soak": recording.soak,
}


def main() -> None:
    wanted = sys.argv[1:] or [name for name in PARTS if name != "soak"]
    unknown = set(wanted) - set(PARTS)
    if unknown:
        raise SystemExit(f"no bench called {', '.join(sorted(unknown))}; known: {', '.join(PARTS)}")
    for name in wanted:
        PARTS[name]()


if __name__ == "__main__":
    main()

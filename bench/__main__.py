"""`python -m bench [backtest|features|run]`: print the tables; all of them by default."""

from __future__ import annotations

import sys

from bench import backtest, end_to_end, features

PARTS = {"backtest": backtest.main, "features": features.main, "run": end_to_end.main}


def main() -> None:
    wanted = sys.argv[1:] or list(PARTS)
    unknown = set(wanted) - set(PARTS)
    if unknown:
        raise SystemExit(f"no bench called {', '.join(sorted(unknown))}; known: {', '.join(PARTS)}")
    for name in wanted:
        PARTS[name]()


if __name__ == "__main__":
    main()

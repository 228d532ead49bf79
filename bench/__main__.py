"""`python -m bench [PART...]`: print the tables; the parts are the names in `PARTS`.

All but `graduation`, `planted`, `lives`, `soak` and `service`, which take minutes, by default.
`training`, `planted` and `lives` need torch.
"""

from __future__ import annotations

import sys

from bench import backtest, door, end_to_end, features, graduation, recording, risk


def _training() -> None:
    from bench import training

    training.main()


def _planted() -> None:
    from bench import planted

    planted.main()


def _lives() -> None:
    from bench import lives

    lives.main()


def _service() -> None:
    from bench import service_readers

    service_readers.main()


PARTS = {
    "backtest": backtest.main,
    "features": features.main,
    "run": end_to_end.main,
    "agents": door.main,
    "recording": recording.main,
    "risk": risk.main,
    "training": _training,
    "planted": _planted,
    "graduation": graduation.main,
    "lives": _lives,
    "soak": recording.soak,
    "service": _service,
}
_MINUTES = ("graduation", "planted", "lives", "soak", "service")


def main() -> None:
    wanted = sys.argv[1:] or [name for name in PARTS if name not in _MINUTES]
    unknown = set(wanted) - set(PARTS)
    if unknown:
        raise SystemExit(f"no bench called {', '.join(sorted(unknown))}; known: {', '.join(PARTS)}")
    for name in wanted:
        PARTS[name]()


if __name__ == "__main__":
    main()

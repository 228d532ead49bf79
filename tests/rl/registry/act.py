"""One act on the models of a folder, or many at random, as a process of its own.

Run as a script: FOLDER ACT, or FOLDER crowd SEED COUNT. Ends as a command of Darwin's would.
"""

from __future__ import annotations

import random
import sys
from datetime import timedelta
from pathlib import Path

from darwin.errors import ConfigError, DarwinError, ModelError
from tests.rl.registry.shop import NOW, Shop

OLD = ("20260113_093000", "20260113_093001", "20260113_093002", "20260113_093003")
NEW = "20260314_093000"
SERVES_AFTER = {"deploy": NEW, "challenge": OLD[3], "rollback": OLD[1], "cleanup": OLD[3]}


def lay(folder: Path) -> None:
    """Four versions, the last of which serves."""
    shop = Shop(folder)
    for number in range(4):
        shop.deploy(number)
    shop.database.close()


def act(shop: Shop, what: str) -> None:
    """Sixty days later."""
    shop.now = NOW + timedelta(days=60)
    if what == "deploy":
        shop.deploy(9)
    elif what == "challenge":
        shop.deploy(9, active=True)
    elif what == "rollback":
        shop.rollback(OLD[1])
    elif what == "cleanup":
        assert set(shop.cleanup(1)) <= set(OLD[:2])


def crowd(shop: Shop, seed: int, count: int) -> None:
    """Whatever comes to mind, while others do the same; being too late for something is allowed."""
    chance = random.Random(seed)
    for number in range(count):
        try:
            _something(shop, chance, f"{seed}-{number}")
        except (ConfigError, ModelError) as late:
            if not late.what.endswith("has no challenger") and "was removed" not in late.what:
                raise


def _something(shop: Shop, chance: random.Random, model: str) -> None:
    name = chance.choice([one.name for one in shop.shelf.kept])
    acts = (
        lambda: shop.deploy(model),
        lambda: shop.deploy(model, active=True),
        lambda: shop.rollback(name),
        lambda: shop.pin(name, pinned=chance.random() < 0.3),
        lambda: shop.cleanup(1, 0),
        shop.start,
        shop.take_over,
        shop.withdraw,
    )
    chance.choice(acts)()


def main(folder: str, what: str, *more: str) -> int:
    shop = Shop(Path(folder))
    try:
        if what == "crowd":
            crowd(shop, *map(int, more))
        else:
            act(shop, what)
    except DarwinError as error:
        print(*error.lines(), sep="\n", file=sys.stderr)
        return error.exit_code
    finally:
        shop.database.close()
    print("done", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

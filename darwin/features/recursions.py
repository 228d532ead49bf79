"""First-order recursions, y = keep · y' + gain · x, with the same bits however the bars arrive.

The recursion is cut into blocks of 64 steps, counted from the seed and not from the chunk. Within
a block a partial sum starts from zero; the value is that sum plus keep^(k+1) times the value at
which the block started. Long chunks do this for all their blocks at once, one array operation per
position; short ones and the ragged ends do the same arithmetic, in the same order, on floats.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from darwin.core.market import FloatArray

_BLOCK = 64
_FEW_BLOCKS = 4  # below that many whole blocks plain floats are faster


class Scan(NamedTuple):
    """What a recursion remembers: its seed while it gathers it, then its place in the block."""

    gathered: int  # finite inputs that have gone into the seed
    seed_sum: float
    position: int  # steps done in the current block
    partial: float  # that block's sum, started from zero
    start: float  # value at which that block started


BEGINNING = Scan(0, 0.0, 0, 0.0, np.nan)


def ema(x: FloatArray, carry: Scan | None, bars: int) -> tuple[FloatArray, Scan]:
    """Exponential mean with alpha 2/(bars + 1), seeded by the mean of the first `bars` values.

    x: (n,), NaN while it warms up itself. Returns (n,), NaN before the seed is complete.
    """
    gain = 2.0 / (bars + 1.0)
    return recursion(x, carry, bars, 1.0 - gain, gain)


def wilder(x: FloatArray, carry: Scan | None, bars: int) -> tuple[FloatArray, Scan]:
    """Wilder's mean (1978), alpha 1/bars, seeded by the mean of the first `bars` values.

    x: (n,), NaN while it warms up itself. Returns (n,), NaN before the seed is complete.
    """
    return recursion(x, carry, bars, (bars - 1.0) / bars, 1.0 / bars)


def recursion(
    x: FloatArray, carry: Scan | None, seed_bars: int, keep: float, gain: float
) -> tuple[FloatArray, Scan]:
    """Run y = keep · y' + gain · x over a chunk. Once seeded, a NaN in x makes NaN of the rest."""
    scan = BEGINNING if carry is None else carry
    y = np.empty(len(x))
    done = 0
    if scan.gathered < seed_bars:
        done, scan = _gather_seed(x, y, scan, seed_bars)
    whole = (len(x) - done - (-scan.position) % _BLOCK) // _BLOCK
    if whole >= _FEW_BLOCKS:
        head = done + (-scan.position) % _BLOCK
        scan = _step(x, y, done, head, scan, keep, gain)
        done = head + whole * _BLOCK
        scan = _leap(x[head:done], y[head:done], scan, keep, gain)
    return y, _step(x, y, done, len(x), scan, keep, gain)


def _gather_seed(x: FloatArray, y: FloatArray, scan: Scan, seed_bars: int) -> tuple[int, Scan]:
    """Add up the seed from the first finite input on. Returns how many inputs that used up."""
    done = 0
    if scan.gathered == 0:
        missing = np.isnan(x)
        done = len(x) if missing.all() else int(missing.argmin())
    seed = x[done : done + seed_bars - scan.gathered].tolist()
    y[: done + len(seed)] = np.nan
    done += len(seed)
    total = scan.seed_sum
    for value in seed:
        total += value
    gathered = scan.gathered + len(seed)
    if gathered < seed_bars:
        return done, scan._replace(gathered=gathered, seed_sum=total)
    y[done - 1] = total / seed_bars
    return done, Scan(gathered, total, 0, 0.0, total / seed_bars)


def _step(
    x: FloatArray, y: FloatArray, begin: int, end: int, scan: Scan, keep: float, gain: float
) -> Scan:
    """Do steps [begin, end) one by one."""
    if begin == end:
        return scan
    powers = _powers(keep)
    gathered, seed_sum, position, partial, start = scan
    values = []
    for value in x[begin:end].tolist():
        partial = keep * partial + gain * value if position else gain * value
        now = partial + powers[position] * start
        values.append(now)
        position += 1
        if position == _BLOCK:
            position, start = 0, now
    y[begin:end] = values
    return Scan(gathered, seed_sum, position, partial, start)


def _leap(x: FloatArray, y: FloatArray, scan: Scan, keep: float, gain: float) -> Scan:
    """Do whole blocks at once: position k of every block in one operation."""
    powers = _powers(keep)
    sums = np.ascontiguousarray((x * gain).reshape(-1, _BLOCK).T)
    decayed = np.empty(sums.shape[1])
    for k in range(1, _BLOCK):
        np.multiply(sums[k - 1], keep, out=decayed)
        sums[k] += decayed
    start, starts = scan.start, []
    for block in sums[-1].tolist():
        starts.append(start)
        start = block + powers[-1] * start
    values = y.reshape(-1, _BLOCK)
    np.multiply(np.array(starts)[:, None], np.array(powers), out=values)
    values += sums.T
    return scan._replace(position=0, start=start)


@lru_cache(maxsize=1024)
def _powers(keep: float) -> tuple[float, ...]:
    """keep, keep², … keep^64, by repeated multiplication."""
    powers = [keep]
    while len(powers) < _BLOCK:
        powers.append(powers[-1] * keep)
    return tuple(powers)

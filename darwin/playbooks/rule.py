"""What playbooks share: bounds of their parameters, and the filters any rule may add."""

from __future__ import annotations

import math

import numpy as np

from darwin.core.candidate import Scan
from darwin.core.features import FeatureFrame


def require(rule: object, **bounds: tuple[float, float]) -> None:
    """Check parameters of `rule` against (least, most); None is always allowed where typed so.

    Raises ValueError naming the parameter. Also checks `sides` if the rule has them.
    """
    for name, (least, most) in bounds.items():
        value = getattr(rule, name)
        if value is not None and not (least <= value <= most and math.isfinite(value)):
            raise ValueError(f"{name} must lie between {least} and {most}, not {value}")
    sides = getattr(rule, "sides", ("long",))
    if not sides or len(set(sides)) != len(sides) or set(sides) - {"long", "short"}:
        raise ValueError(f"sides must be 'long', 'short' or both, not {list(sides)}")


def keep_sides(scan: Scan, sides: tuple[str, ...]) -> Scan:
    """Silence the sides that are not wanted."""
    nothing = np.zeros(len(scan.long), dtype=np.bool_)
    return Scan(
        scan.long if "long" in sides else nothing, scan.short if "short" in sides else nothing
    )


def trend_filter(scan: Scan, frame: FeatureFrame, span: int | None) -> Scan:
    """Longs only above EMA(`span`), shorts only below; None switches it off."""
    if not span:
        return scan
    close, trend = frame["close"], frame[f"ema_{span}"]
    return Scan(scan.long & (close > trend), scan.short & (close < trend))


def volume_filter(scan: Scan, frame: FeatureFrame, least: float | None) -> Scan:
    """Keep bars whose volume is at least `least` × its mean of 20; zero or None: off."""
    if not least:
        return scan
    busy = frame["volume_ratio_20"] >= least
    return Scan(scan.long & busy, scan.short & busy)

"""The features that agents and the expert see: names in a fixed order, and the version of it all.

Every one is scale-free: multiplying prices or volumes by a power of two changes no bit of it. After
WARMUP bars all are finite on any checked bars, dead markets and absent volume included.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from darwin.features import indicators, measures
from darwin.features.formula import describe, expand

REVISION = 1
"""Raise it when arithmetic changes that names and formulas do not show."""

NAMES: tuple[str, ...] = (
    *(f"return_in_vol_{bars}" for bars in (1, 2, 4, 8, 24, 72, 168)),
    "vol_ratio_8_72",
    "vol_ratio_24_168",
    "vol_z_24_168",
    "atr_ratio_14_168",
    "range_in_atr",
    "gap_in_atr",
    "close_location",
    "ema_distance_8",
    "ema_distance_21",
    "ema_distance_50",
    "ema_distance_200",
    "ema_slope_21_4",
    "ema_slope_50_12",
    "macd_in_atr_12_26_9",
    "trend_strength_14",
    "di_balance_14",
    "rsi_balance_14",
    "channel_place_20",
    "channel_place_55",
    "bollinger_z_20",
    "bollinger_z_50",
    "volume_level_5_20",
    "volume_level_20_168",
    "volume_trend_24",
    "log_volume_z_24",
    "log_volume_z_48",
    "log_volume_z_168",
    "volume_surprise_16_336",
    "steady_move_32",
    "backed_move_32_16",
    "x4_ema_distance_14",
    "x4_ema_slope_14_4",
    "x4_rsi_balance_14",
    "x24_ema_distance_10",
    "x24_ema_slope_10_3",
    "x24_rsi_balance_14",
    "hour_sin",
    "hour_cos",
    "weekday_sin",
    "weekday_cos",
)

WARMUP = 360
"""Bars until every feature is finite; gaps in the data only shorten it."""

FAMILIES = (indicators, measures)
"""The modules whose definitions keys are made of."""


def version_of(names: Sequence[str], revision: int) -> str:
    """Revision and a digest of names, order and what each name means, for example `1-3fa9c2d1`."""
    text = "\n".join(f"{name}={expand(name)}" for name in names)
    return f"{revision}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


DESCRIPTIONS: dict[str, str] = {name: describe(name) for name in NAMES}
"""One line for each name, for documents and reports."""

VERSION = version_of(NAMES, REVISION)

"""Feature values as bytes: float64, little-endian, nothing lost."""

from __future__ import annotations

import numpy as np

from darwin.core.market import FloatArray


def pack(features: FloatArray) -> list[bytes]:
    """Write each row of `features`, shape (m, k), as 8 k bytes; NaN and -0.0 keep their bits."""
    raw = np.ascontiguousarray(features, dtype="<f8").tobytes()
    width = 8 * features.shape[1]
    return [raw[row * width : (row + 1) * width] for row in range(len(features))]


def unpack(raw: bytes) -> FloatArray:
    """Read the features of one candidate back, shape (k,), bit for bit."""
    return np.frombuffer(raw, dtype="<f8").astype(np.float64)

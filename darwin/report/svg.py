"""Plots as inline SVG: histograms, and the curves where no script runs or paper is the screen."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from darwin.engine.report_words import number

WIDTH, HEIGHT = 760.0, 280.0
LEFT, RIGHT, TOP, BOTTOM = 64.0, 10.0, 10.0, 26.0


def curve_svg(plot: dict[str, Any], *, log: bool, unit: str, label: str) -> str:
    """Draw the series of `plot` as `engine.report_curves.curves` gives them.

    Across lies time in seconds, or steps where the plot says so under `across`. Classes of the
    paths are `line line-NAME` and `band`, with the `look` of a series instead of its name where it
    has one; the page's style sheet colours them. What is None or NaN is left out of its line.
    """
    x = np.array(plot["x"], dtype=np.float64)
    if len(x) < 2:
        return ""
    band = [np.array(edge) for edge in plot.get("band", [])]
    lines = [
        (one.get("look", one["name"]), np.array(one["values"], dtype=np.float64))
        for one in plot["series"]
    ]
    if log:  # what falls to zero and below leaves a log scale at its bottom
        floor = min(float(np.nanmin(values)) for _, values in lines) / 2
        band = [np.maximum(edge, floor) for edge in band]
    every = np.concatenate([values for _, values in lines] + band)
    low, high = float(np.nanmin(every)), float(np.nanmax(every))
    scale = _Scale(low, high, log)
    across = LEFT + (x - x[0]) / (x[-1] - x[0]) * (WIDTH - LEFT - RIGHT)
    parts = [_open(WIDTH, HEIGHT, label)]
    for tick in scale.ticks():
        y = scale(np.array([tick]))[0]
        parts.append(f'<path class="grid" d="M{LEFT:.0f} {y:.1f}H{WIDTH - RIGHT:.0f}"/>')
        text = number(tick, _digits(tick)) + unit
        parts.append(f'<text x="{LEFT - 8:.0f}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    named = _step_label if plot.get("across") == "steps" else _date_label
    parts += [_label(x, across, at, named) for at in (0.0, 0.25, 0.5, 0.75, 1.0)]
    if len(band) == 2:
        there = _points(across, scale(band[1]))
        back = _points(across[::-1], scale(band[0])[::-1])
        parts.append(f'<path class="band" d="M{there}L{back}Z"/>')
    for name, values in reversed(lines):
        known = np.isfinite(values)
        drawn = _points(across[known], scale(values[known]))
        parts.append(f'<path class="line line-{name}" d="M{drawn}"/>')
    return "".join([*parts, "</svg>"])


def histogram_svg(histogram: dict[str, Any], *, unit: str, label: str) -> str:
    """Draw counts as bars; those below zero carry the class `loss`."""
    counts, edges = histogram["counts"], histogram["edges"]
    width, height, base, top = 400.0, 200.0, 172.0, 18.0
    most = max(counts, default=0)
    if not most:
        return ""
    step = (width - 16) / len(counts)
    parts = [_open(width, height, label)]
    for n, size in enumerate(counts):
        if not size:
            continue
        tall = max((base - top) * size / most, 1.0)
        below = edges[n] + edges[n + 1] < 0
        says = f"{number(edges[n], 2)} to {number(edges[n + 1], 2)}{unit}: {size:,}"
        parts.append(
            f'<rect class="bar{" loss" if below else ""}" x="{8 + n * step + 0.5:.1f}" '
            f'y="{base - tall:.1f}" width="{step - 1:.1f}" height="{tall:.1f}">'
            f"<title>{says}</title></rect>"
        )
    parts.append(f'<path class="axis" d="M8 {base:.1f}H{width - 8:.0f}"/>')
    for edge in _nice_ticks(edges[0], edges[-1], 6):
        x = 8 + (edge - edges[0]) / (edges[-1] - edges[0]) * (width - 16)
        digits = 0 if edge == int(edge) else 1 if round(edge, 1) == edge else 2
        parts.append(
            f'<text x="{x:.1f}" y="{base + 18:.0f}" text-anchor="{_anchor(x, width)}">'
            f"{number(edge, digits)}{unit}</text>"
        )
    parts.append(f'<text x="8" y="{top - 5:.0f}">highest bar: {most:,}</text>')
    return "".join([*parts, "</svg>"])


def errors_svg(points: Sequence[dict[str, Any]], *, ends: tuple[str, str], label: str) -> str:
    """Draw figures one beside the other, each with its error up and down, around zero.

    A point has `value`, `error` (None where it is not known), `on` (whether it is set off from the
    others) and `says`. `ends` are the words below the first and the last one.
    """
    width, height, left, top, base = 400.0, 220.0, 44.0, 12.0, 190.0
    if not points:
        return ""
    reach: list[tuple[float, float]] = [(one["value"], one["error"] or 0.0) for one in points]
    low = min(0.0, *(value - error for value, error in reach))
    high = max(0.0, *(value + error for value, error in reach))
    room = (high - low) * 0.06 or 1.0
    low, high = float(low - room), float(high + room)

    def y(value: float) -> float:
        return base - (value - low) / (high - low) * (base - top)

    parts = [_open(width, height, label)]
    for tick in _nice_ticks(low, high, 4):
        parts.append(f'<path class="grid" d="M{left:.0f} {y(tick):.1f}H{width:.0f}"/>')
        parts.append(
            f'<text x="{left - 6:.0f}" y="{y(tick) + 4:.1f}" text-anchor="end">'
            f"{number(tick, _digits(tick))}</text>"
        )
    parts.append(f'<path class="axis" d="M{left:.0f} {y(0.0):.1f}H{width:.0f}"/>')
    step = (width - left) / len(points)
    for at, one in enumerate(points):
        x, looks = left + (at + 0.5) * step, "point on" if one["on"] else "point"
        parts.append(f'<g class="{looks}"><title>{one["says"]}</title>')
        if one["error"] is not None:
            ends_at = y(one["value"] - one["error"]), y(one["value"] + one["error"])
            parts.append(f'<path d="M{x:.1f} {ends_at[0]:.1f}V{ends_at[1]:.1f}"/>')
        parts.append(f'<circle cx="{x:.1f}" cy="{y(one["value"]):.1f}" r="4.5"/></g>')
    for x, anchor, text in ((left, "start", ends[0]), (width, "end", ends[1])):
        parts.append(f'<text x="{x:.0f}" y="{height - 8:.0f}" text-anchor="{anchor}">{text}</text>')
    return "".join([*parts, "</svg>"])


def shares_svg(shares: np.ndarray[Any, np.dtype[np.float64]], label: str) -> str:
    """Draw shares of one whole, (k, t), stacked from below; the last one is left blank."""
    k, t = shares.shape
    if t < 2:
        return ""
    across = LEFT + np.arange(t) / (t - 1) * (WIDTH - LEFT - RIGHT)
    edges = np.vstack([np.zeros((1, t)), np.cumsum(shares, axis=0)])
    down = HEIGHT - BOTTOM - edges * (HEIGHT - TOP - BOTTOM)
    parts = [_open(WIDTH, HEIGHT, label)]
    for at in range(k - 1):
        there, back = _points(across, down[at + 1]), _points(across[::-1], down[at][::-1])
        faint = 0.9 - 0.8 * at / max(k - 2, 1)
        parts.append(
            f'<path style="fill:var(--accent);fill-opacity:{faint:.2f}" d="M{there}L{back}Z"/>'
        )
    for share in (0.0, 0.5, 1.0):
        y = HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
        parts.append(f'<path class="grid" d="M{LEFT:.0f} {y:.1f}H{WIDTH - RIGHT:.0f}"/>')
        parts.append(
            f'<text x="{LEFT - 8:.0f}" y="{y + 4:.1f}" text-anchor="end">{100 * share:.0f} %</text>'
        )
    return "".join([*parts, "</svg>"])


class _Scale:
    """Values to pixels, downwards; linear or logarithmic."""

    def __init__(self, low: float, high: float, log: bool) -> None:
        self.log = log
        room = (high - low) * 0.04 or 1.0
        self.low, self.high = (low, high) if log else (low - room, high + room)

    def __call__(self, values: np.ndarray[Any, np.dtype[np.float64]]) -> Any:
        low, high, at = self.low, self.high, values
        if self.log:
            low, high, at = math.log(low * 0.97), math.log(high * 1.03), np.log(values)
        return HEIGHT - BOTTOM - (at - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    def ticks(self) -> Sequence[float]:
        if not self.log:
            return _nice_ticks(self.low, self.high, 5)
        tens = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        ticks = [m * 10.0**ten for ten in tens for m in (1, 2, 5)]
        inside = [tick for tick in ticks if self.low <= tick <= self.high]
        return inside if 1 < len(inside) <= 8 else [t for t in inside if str(t)[0] == "1"] or inside


def _nice_ticks(low: float, high: float, wanted: int) -> list[float]:
    raw = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw)
    first = math.ceil(low / step - 1e-9)
    return [round(n * step, 12) for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _points(x: Any, y: Any) -> str:
    return "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x.tolist(), y.tolist(), strict=True))


def _label(x: Any, across: Any, at: float, named: Callable[[Any, float], str]) -> str:
    pixel = across[0] + at * (across[-1] - across[0])
    anchor = "start" if at == 0 else "end" if at == 1 else "middle"
    text = named(x, x[0] + at * (x[-1] - x[0]))
    return f'<text x="{pixel:.1f}" y="{HEIGHT - 7:.0f}" text-anchor="{anchor}">{text}</text>'


def _date_label(x: Any, seconds: float) -> str:
    when = np.datetime64(int(seconds), "s")
    short = x[-1] - x[0] < 120 * 86_400
    return str(when.astype("datetime64[D]" if short else "datetime64[M]"))


def _step_label(x: Any, steps: float) -> str:
    return number(steps, 0)


def _digits(tick: float) -> int:
    """As many decimals as tell this tick from its neighbours, two at least unless it is whole."""
    if abs(tick) >= 10 or tick == int(tick):
        return 0
    return next((digits for digits in (2, 3, 4) if round(tick, digits) == tick), 5)


def _anchor(x: float, width: float) -> str:
    return "start" if x < 24 else "end" if x > width - 24 else "middle"


def _open(width: float, height: float, label: str) -> str:
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{label}" '
        'xmlns="http://www.w3.org/2000/svg">'
    )

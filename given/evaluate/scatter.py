"""scatter: points of a plane as an SVG, coloured by a column."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence

import numpy as np

from given.variables import UserError

__all__ = ["scatter"]

# After Okabe, Ito, Color universal design, 2008: told apart whatever cones an eye has.
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c8c00", "#000000", "#882255", "#44aa99")
_OTHER = "#b0b0b0"
_RAMP = ("#440154", "#3b528b", "#21918c", "#5ec962", "#fde725")  # dark to light: read without hue too
_W, _H, _LEGEND = 640, 520, 150


def scatter(x: np.ndarray, y: np.ndarray, axes: tuple[str, str], title: str, colour: np.ndarray | None = None,
            name: str = "") -> str:
    """A drawing with a legend: of numbers a ramp from the least to the greatest, of others the ten most frequent values.

    Args:
        x, y: (n,) finite numbers.
        axes: what they are.
        title: of the drawing.
        colour: (n,) values of a column, None or NaN where one is missing, which is grey.
        name: of that column.

    Raises:
        UserError: numbers that are not finite, or none.
    """
    if not len(x) or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise UserError("scatter: expected at least one point, and finite numbers")
    left, top, width, height = 50, 40, _W - _LEGEND - 62, _H - 90

    def along(v: np.ndarray) -> tuple[np.ndarray, float, float]:
        low, high = float(v.min()), float(v.max())
        pad = 0.04 * (high - low) or 1.0
        return (v - low + pad) / (high - low + 2 * pad), low, high

    (across, x0, x1), (up, y0, y1) = along(x), along(y)
    fills, legend = _fills(len(x), colour, name)
    size = 3.2 if len(x) < 2000 else 2.2
    order = np.random.default_rng(0).permutation(len(x))  # no colour lies on top of all others
    points = "".join(f'<circle cx="{left + across[i] * width:.1f}" cy="{top + (1 - up[i]) * height:.1f}" r="{size}" '
                     f'fill="{fills[i]}"/>' for i in order)
    ticks = (f'<text x="{left}" y="{top + height + 18}">{x0:.3g}</text>'
             f'<text x="{left + width}" y="{top + height + 18}" text-anchor="end">{x1:.3g}</text>'
             f'<text x="{left - 6}" y="{top + height}" text-anchor="end">{y0:.3g}</text>'
             f'<text x="{left - 6}" y="{top + 10}" text-anchor="end">{y1:.3g}</text>')
    middle = top + height / 2
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_W} {_H}" width="{_W}" height="{_H}" role="img" '
            f'aria-label="{html.escape(title)}" font-family="system-ui, sans-serif" font-size="12">'
            f'<rect width="{_W}" height="{_H}" fill="#fff"/>'
            f'<text x="{left}" y="24" font-size="15">{html.escape(_short(title, 60))}</text>'
            f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="none" stroke="#bbb"/>'
            f'<g fill-opacity="0.75">{points}</g>{ticks}'
            f'<text x="{left + width / 2}" y="{top + height + 36}" text-anchor="middle">{html.escape(axes[0])}</text>'
            f'<text x="16" y="{middle}" text-anchor="middle" transform="rotate(-90 16 {middle})">{html.escape(axes[1])}</text>'
            f'<g transform="translate({left + width + 16} {top + 10})">{legend}</g></svg>\n')


def _fills(n: int, colour: np.ndarray | None, name: str) -> tuple[list[str], str]:
    """The colour of every point, and the legend."""
    if colour is None:
        return [_COLOURS[0]] * n, ""
    head = f'<text font-weight="600">{html.escape(_short(name))}</text>'
    if colour.dtype.kind == "M":
        seconds = np.where(np.isnat(colour), np.nan, colour.astype("datetime64[s]").astype(float))
        return _ramp(seconds, head, lambda v: str(np.datetime64(round(v), "s").astype("datetime64[D]")))
    numbers = colour.dtype.kind in "iuf" and len(np.unique(colour[~np.isnan(colour.astype(float))])) > len(_COLOURS)
    return _ramp(colour.astype(float), head) if numbers else _listed(colour.tolist(), head)


def _ramp(values: np.ndarray, head: str, said: Callable[[float], str] = "{:.4g}".format) -> tuple[list[str], str]:
    there = ~np.isnan(values)
    low, high = float(values[there].min()), float(values[there].max())
    stops = np.array([[int(c[i:i + 2], 16) for i in (1, 3, 5)] for c in _RAMP], dtype=float)
    share = np.where(there, (values - low) / ((high - low) or 1.0), 0.0) * (len(stops) - 1)
    rgb = np.stack([np.interp(share, np.arange(len(stops)), channel) for channel in stops.T], 1).round().astype(int)
    fills = ["#{:02x}{:02x}{:02x}".format(*c) if t else _OTHER for c, t in zip(rgb.tolist(), there.tolist(), strict=True)]
    bars = "".join(f'<stop offset="{i / (len(_RAMP) - 1):.2f}" stop-color="{c}"/>' for i, c in enumerate(_RAMP))
    legend = (f'{head}<defs><linearGradient id="ramp" x1="0" y1="1" x2="0" y2="0">{bars}</linearGradient></defs>'
              f'<rect y="12" width="14" height="120" fill="url(#ramp)"/><text x="20" y="22">{said(high)}</text>'
              f'<text x="20" y="132">{said(low)}</text>')
    return fills, legend + ("" if there.all() else _entry(9, _OTHER, "missing"))


def _listed(values: Sequence[object], head: str) -> tuple[list[str], str]:
    missing = [v is None or v != v for v in values]
    counts: dict[object, int] = {}
    for value, gone in zip(values, missing, strict=True):
        if not gone:
            counts[value] = counts.get(value, 0) + 1
    frequent = sorted(counts, key=lambda v: (-counts[v], str(v)))
    room = len(_COLOURS) if len(frequent) <= len(_COLOURS) else len(_COLOURS) - 1
    shown = sorted(frequent[:room], key=lambda v: (isinstance(v, str), v if not isinstance(v, str) else 0, str(v)))
    palette = {value: _COLOURS[i] for i, value in enumerate(shown)}
    fills = [_OTHER if gone else palette.get(value, _OTHER) for value, gone in zip(values, missing, strict=True)]
    lines = [(palette[value], str(value)) for value in shown]
    if rest := len(frequent) - len(shown):
        lines.append((_OTHER, f"{rest} others"))
    if any(missing):
        lines.append((_OTHER, "missing"))
    return fills, head + "".join(_entry(i, c, text) for i, (c, text) in enumerate(lines))


def _entry(place: int, colour: str, text: str) -> str:
    y = 20 + 18 * place
    return f'<circle cx="5" cy="{y - 4}" r="5" fill="{colour}"/><text x="16" y="{y}">{html.escape(_short(text))}</text>'


def _short(text: str, most: int = 18) -> str:
    return text if len(text) <= most else text[:most - 1] + "…"

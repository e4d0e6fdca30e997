"""charts: small drawings of numbers as SVG: contours of a density, lines, calibration."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np

__all__ = ["contour_levels", "contours", "density_contours", "fans", "intervals", "lines", "reliability_diagram"]

_BLUE, _GREY = "#2a7ae2", "#999"
_GRID = 48  # cells a side
_MASSES = 0.9, 0.6, 0.3  # of the density, within each contour


def density_contours(data: np.ndarray, drawn: np.ndarray, across: str, up: str) -> str:
    """Contours that hold 30, 60 and 90 % of a smoothed density: of the data in grey, of draws in blue. Both are (n, 2)."""
    data, drawn = (v[np.isfinite(v).all(1)] for v in (data, drawn))
    if min(len(data), len(drawn)) < 5:
        return "<p>Too few draws.</p>"
    low, high = np.quantile(data, [0.005, 0.995], axis=0)
    margin = 0.12 * np.where(high > low, high - low, 1.0)
    low, high = low - margin, high + margin
    W, H, L, B = 260, 210, 44, 30
    parts = []
    for values, colour in ((data, _GREY), (drawn, _BLUE)):
        field = _smoothed(values, low, high)
        for level, width in zip(contour_levels(field), (0.9, 1.3, 1.8), strict=True):
            path = "".join(f"M{L + a:.1f} {b:.1f}L{L + c:.1f} {d:.1f}" for (a, b), (c, d) in
                           (_placed(s, W - L - 6, H - B) for s in contours(field, level)))
            parts.append(f'<path d="{path}" stroke="{colour}" stroke-width="{width}" fill="none" stroke-linecap="round"/>')
    marks = "".join(f'<text x="{x}" y="{H - B + 14}" text-anchor="{a}">{_short(v)}</text>' for x, a, v in
                    ((L, "start", low[0]), (W - 6, "end", high[0])))
    marks += "".join(f'<text x="{L - 4}" y="{y}" text-anchor="end">{_short(v)}</text>'
                     for y, v in ((H - B, low[1]), (10, high[1])))
    names = (f'<text x="{(L + W) / 2}" y="{H - 3}" text-anchor="middle">{html.escape(across[:32])}</text>'
             f'<text transform="translate(10 {(H - B) / 2}) rotate(-90)" text-anchor="middle">{html.escape(up[:26])}</text>')
    frame = f'<rect x="{L}" y="0.5" width="{W - L - 6}" height="{H - B}" fill="none" stroke="#8884"/>'
    return _svg(W, H, f"density of {across} and {up}", frame + "".join(parts) + marks + names)


def contour_levels(field: np.ndarray, masses: Sequence[float] = _MASSES) -> list[float]:
    """The heights above which a field, whose sum is one, holds these masses: rising where the masses fall."""
    order = np.sort(field, axis=None)[::-1]
    held = np.cumsum(order)
    return [float(order[min(int(np.searchsorted(held, mass)), len(order) - 1)]) for mass in masses]


def contours(field: np.ndarray, level: float) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Pieces of the lines where a field (rows, columns) has a height, in columns and rows: marching squares.

    Source: Lorensen and Cline, Marching cubes, 1987 / https://doi.org/10.1145/37402.37422
    """
    out = []
    above = field > level
    some = above[:-1, :-1].astype(int) + above[:-1, 1:] + above[1:, :-1] + above[1:, 1:]
    for i, j in zip(*np.nonzero((some > 0) & (some < 4)), strict=True):
        corners = [(i, j), (i, j + 1), (i + 1, j + 1), (i + 1, j)]
        met = []
        for (a, b), (c, d) in zip(corners, [*corners[1:], corners[0]], strict=True):
            if above[a, b] != above[c, d]:
                share = (level - field[a, b]) / (field[c, d] - field[a, b])
                met.append((float(b + share * (d - b)), float(a + share * (c - a))))
        out += [(met[k], met[k + 1]) for k in range(0, len(met), 2)]
    return out


def lines(curves: Sequence[Sequence[tuple[float, float]]], title: str, across: str, caption: str) -> str:
    """Curves through (x, y) points in one small drawing, a shade each."""
    points = [p for curve in curves for p in curve if np.isfinite(p[1])]
    if len(points) < 2:
        return ""
    W, H, L, B = 260, 150, 56, 30
    (x0, y0), (x1, y1) = np.min(points, 0), np.max(points, 0)
    y0 = max(y0, float(np.quantile([y for _, y in points], 0.1)) - (y1 - float(np.median([y for _, y in points])) + 1e-9))
    def at(x: float, y: float) -> str:
        return (f"{L + (x - x0) / max(x1 - x0, 1e-12) * (W - L - 6):.1f},"
                f"{H - B - (max(y, y0) - y0) / max(y1 - y0, 1e-12) * (H - B - 8):.1f}")
    drawn = "".join(f'<polyline points="{" ".join(at(*p) for p in curve if np.isfinite(p[1]))}" fill="none" stroke="{_BLUE}" '
                    f'stroke-width="1.8" opacity="{1 if k == 0 else 0.45}"/>' for k, curve in enumerate(curves))
    marks = "".join(f'<text x="{L - 4}" y="{y}" text-anchor="end">{v:.4g}</text>' for y, v in ((H - B, y0), (12, y1)))
    marks += (f'<text x="{L}" y="{H - B + 14}">{x0:.4g}</text>'
              f'<text x="{W - 6}" y="{H - B + 14}" text-anchor="end">{x1:.4g}</text>'
              f'<text x="{(L + W) / 2}" y="{H - 3}" text-anchor="middle">{html.escape(across)}</text>')
    frame = f'<path d="M{L} 4V{H - B}H{W - 6}" fill="none" stroke="#8884"/>'
    return _captioned(title, _svg(W, H, title, frame + drawn + marks), caption)


def fans(charts: Sequence[tuple[np.ndarray, np.ndarray, str]]) -> str:
    """Fan charts one below the other, as a file .svg: a series (P,), after it five quantiles of what is to come (5, H), which
    are the outer ones, the inner and the median, and a title, each."""
    H = 214
    each = "".join(f'<g transform="translate(0,{H * i + 18})"><text x="56" y="-5" font-weight="bold">'
                   f'{html.escape(title)}</text>{_fan(past, bands)}</g>' for i, (past, bands, title) in enumerate(charts))
    height = H * len(charts) + 16
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 520 {height}" width="520" height="{height}" role="img" '
            f'fill="currentColor" font-size="11" font-family="system-ui, sans-serif">{each}'
            f'<text x="56" y="{height - 6}">median, and intervals of 50 and 90 %</text></svg>')


def _fan(past: np.ndarray, bands: np.ndarray) -> str:
    W, H, L, B = 520, 190, 56, 22
    low, high = (float(end) for end in (min(np.nanmin(past), bands.min()), max(np.nanmax(past), bands.max())))
    count = len(past) + bands.shape[1]
    def at(x: int, y: float) -> str:
        return (f"{L + x / max(count - 1, 1) * (W - L - 6):.1f},"
                f"{H - B - (y - low) / max(high - low, 1e-12) * (H - B - 8):.1f}")
    whole = np.concatenate([np.full((5, 1), past[-1]), bands], 1)
    first = len(past) - 1
    edges = [[at(first + i, v) for i, v in enumerate(row)] for row in whole]
    areas = "".join(f'<polygon points="{" ".join(edges[a] + edges[b][::-1])}" fill="{_BLUE}" opacity="0.25"/>'
                    for a, b in ((0, 4), (1, 3)))
    curves = "".join(f'<polyline points="{" ".join(at(x0 + i, v) for i, v in enumerate(values) if v == v)}" fill="none" '
                     f'stroke="{color}" stroke-width="1.6"/>'
                     for x0, values, color in ((0, past, "currentColor"), (first, whole[2], _BLUE)))
    marks = "".join(f'<text x="{L - 4}" y="{y}" text-anchor="end">{_short(v)}</text>' for y, v in ((H - B, low), (12, high)))
    frame = f'<path d="M{L} 4V{H - B}H{W - 6}" fill="none" stroke="#8884"/>'
    return frame + areas + curves + marks


def reliability_diagram(predicted: Sequence[float], observed: Sequence[float], low: Sequence[float], high: Sequence[float],
                        title: str, caption: str) -> str:
    """What was predicted across, what was observed up, with intervals; the diagonal is what should be."""
    S, L = 260, 30
    def at(v: float) -> float:
        return v * (S - L - 6)
    bars = "".join(f'<line x1="{L + at(p):.1f}" x2="{L + at(p):.1f}" y1="{S - L - at(a):.1f}" y2="{S - L - at(b):.1f}" '
                   f'stroke="{_BLUE}" stroke-width="1.5" opacity="0.6"/>'
                   f'<circle cx="{L + at(p):.1f}" cy="{S - L - at(h):.1f}" r="3" '
                   f'fill="{_BLUE}"/>' for p, h, a, b in zip(predicted, observed, low, high, strict=True))
    frame = (f'<path d="M{L} 6V{S - L}H{S - 6}" fill="none" stroke="#8884"/><line x1="{L}" y1="{S - L}" x2="{L + at(1)}" '
             f'y2="{S - L - at(1)}" stroke="{_GREY}" stroke-dasharray="4 3"/>')
    marks = "".join(f'<text x="{L + at(v)}" y="{S - L + 14}" text-anchor="middle">{v:g}</text>'
                    f'<text x="{L - 4}" y="{S - L - at(v) + 4}" text-anchor="end">{v:g}</text>' for v in (0, 0.5, 1))
    names = f'<text x="{L + at(0.5)}" y="{S - 3}" text-anchor="middle">predicted; up: observed</text>'
    return _captioned(title, _svg(S, S, title, frame + bars + marks + names), caption)


def intervals(rows: Sequence[tuple[str, float, float, float]], low: float, high: float, marks: Sequence[tuple[float, str]],
              title: str) -> str:
    """Figures with their intervals, a line each: (name, value, low, high) on an axis from `low` to `high`, in which `marks` are
    values that have a name."""
    W, L, S, T = 416, 134, 24, 22
    H = T + S * len(rows) + 8
    def at(v: float) -> float:
        return L + (min(max(v, low), high) - low) / max(high - low, 1e-12) * (W - L - 66)
    lines_of = "".join(f'<line x1="{at(v):.1f}" x2="{at(v):.1f}" y1="{T - 4}" y2="{H - 4}" stroke="{_GREY}" '
                       f'stroke-dasharray="4 3"/><text x="{at(v):.1f}" y="{T - 9}" '
                       f'text-anchor="middle">{html.escape(name)}</text>'
                       for v, name in marks)
    each = "".join(f'<text x="{L - 10}" y="{y + 4}" text-anchor="end">{html.escape(name)}</text>'
                   f'<line x1="{at(a):.1f}" x2="{at(b):.1f}" y1="{y}" y2="{y}" stroke="{_BLUE}" stroke-width="3" '
                   f'opacity="0.45"/>'
                   f'<circle cx="{at(v):.1f}" cy="{y}" r="4.5" fill="{_BLUE}"/><text x="{W}" y="{y + 4}" '
                   f'text-anchor="end">{v:.3f}</text>'
                   for (name, v, a, b), y in zip(rows, range(T + 12, H, S), strict=True))
    return f"<figure>{_svg(W, H, title, lines_of + each)}<figcaption>{html.escape(title)}</figcaption></figure>"


def _svg(W: int, H: int, label: str, inside: str) -> str:
    return (f'<svg viewBox="0 0 {W} {H}" width="{W}" role="img" aria-label="{html.escape(label)}" fill="currentColor" '
            f'font-size="11" font-family="system-ui, sans-serif">{inside}</svg>')


def _short(v: float) -> str:
    """A number in some six letters."""
    return f"{v:.0f}" if 1000 <= abs(v) < 100_000 else f"{v:.3g}"


def _captioned(title: str, drawing: str, caption: str) -> str:
    return f"<figure><strong>{html.escape(title)}</strong>{drawing}<figcaption>{html.escape(caption)}</figcaption></figure>"


def _placed(piece: tuple[tuple[float, float], tuple[float, float]], W: float, H: float) -> list[tuple[float, float]]:
    return [((x + 0.5) / _GRID * W, H - (y + 0.5) / _GRID * H) for x, y in piece]


def _smoothed(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """A histogram (rows upwards) smoothed by a Gaussian of Silverman's width, its sum one of what lies within."""
    inside = values[((values >= low) & (values <= high)).all(1)]
    counts = np.histogram2d(inside[:, 1], inside[:, 0], _GRID, [(low[1], high[1]), (low[0], high[0])])[0]
    for axis in (0, 1):
        cells = (inside[:, 1 - axis].std() if len(inside) else 0) / (high - low)[1 - axis] * _GRID
        width = max(0.8, cells * max(len(inside), 1) ** (-1 / 6))
        at = np.arange(_GRID)
        kernel = np.exp(-0.5 * ((at[:, None] - at) / width) ** 2)
        counts = np.tensordot(kernel / kernel.sum(0), counts, (1, axis)) if axis == 0 else counts @ (kernel / kernel.sum(0)).T
    return counts / max(counts.sum(), 1e-300)

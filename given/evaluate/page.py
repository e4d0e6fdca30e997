"""page: one self-contained HTML page, no script, nothing fetched."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence

__all__ = ["bars", "curve", "excerpt", "figure", "page", "paragraph", "table"]

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #888; }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 66rem; margin: 2.5rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.5rem; margin: 0 0 .3rem; overflow-wrap: anywhere; } h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; }
p.lead { color: var(--soft); margin: 0; } code { font-family: ui-monospace, monospace; font-size: .92em; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; }
th, td { text-align: left; padding: .35rem .9rem .35rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { font-weight: 600; } td:first-child { white-space: normal; }
img { max-width: 100%; image-rendering: pixelated; border-radius: 3px; }
figure { margin: 0 0 .8rem; } figcaption { color: var(--soft); font-size: .92rem; margin-top: .4rem; }
tbody.group { border-top: 2px solid var(--line); }
svg { display: block; max-width: 100%; height: auto; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 1.2rem; }
@media (max-width: 30rem) { th, td { font-size: .8rem; padding-right: .5rem; } }
.reasons td { white-space: normal; overflow-wrap: anywhere; } .reasons td:first-child { white-space: nowrap; }
details { border-bottom: 1px solid var(--line); padding: .35rem 0; } summary { cursor: pointer; }
.board th, .board td { font-size: .82rem; padding-right: .6rem; } .grid.pictures { grid-template-columns:
repeat(auto-fill, minmax(9.5rem, 1fr)); gap: .8rem; } .grid.pictures figure { margin: 0; overflow-wrap: anywhere; }
.grid strong { overflow-wrap: anywhere; }
.grid img { width: 100%; max-width: 16rem; } .grid svg { width: 100%; max-width: 20rem; }
@media (max-width: 45rem) { .wide { overflow-x: visible; } thead { display: none; } table, tbody, tr, td { display: block; }
tr { display: flex; flex-wrap: wrap; gap: 0 1rem; padding: .5rem 0; border-bottom: 1px solid var(--line); }
td, .reasons td:first-child { border: 0; padding: 0; white-space: normal; overflow-wrap: anywhere; }
td::before { content: attr(data-of) " "; color: var(--soft); } .board td:nth-child(2) { font-weight: 600; flex-basis: 75%; }
.board td:nth-child(-n+2)::before, .reasons td::before { content: none; } .reasons td:first-child { font-weight: 600; } }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: .85rem; margin: 0; }
"""


def page(title: str, lead: str, sections: Sequence[tuple[str, str]]) -> str:
    """A page.

    Args:
        title: its heading.
        lead: one sentence under it.
        sections: (heading, HTML of the section), from `table`, `figure`, `curve`, `bars` and `paragraph`.
    """
    body = "".join(f"<section><h2>{html.escape(head)}</h2>{content}</section>" for head, content in sections)
    return (f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{html.escape(title)}</title>'
            f"<style>{_STYLE}</style></head><body><h1>{html.escape(title)}</h1>"
            f'<p class="lead">{html.escape(lead)}</p>{body}</body></html>\n')


def paragraph(text: str) -> str:
    """A paragraph of plain text."""
    return f"<p>{html.escape(text)}</p>"


def excerpt(text: str, caption: str) -> str:
    """A piece of text, line by line."""
    return f"<figure><pre>{html.escape(text)}</pre><figcaption>{html.escape(caption)}</figcaption></figure>"


def table(rows: Sequence[Sequence[str]], groups: Sequence[int] = ()) -> str:
    """A table, its header first; `groups` are the sizes of the blocks of rows set apart."""
    names = [html.escape(cell) for cell in rows[0]]
    head, out, at = "".join(f"<th>{name}</th>" for name in names), [], 1
    for size in groups or [len(rows) - 1]:
        lines = "".join("<tr>" + "".join(f'<td data-of="{name}">{html.escape(c)}</td>'
                                         for name, c in zip(names, row, strict=True)) + "</tr>" for row in rows[at:at + size])
        out.append(f'<tbody class="group">{lines}</tbody>')
        at += size
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead>{"".join(out)}</table></div>'


def figure(png: bytes, caption: str) -> str:
    """A picture held in the page itself."""
    data = base64.b64encode(png).decode()
    return (f'<figure><img alt="{html.escape(caption)}" src="data:image/png;base64,{data}">'
            f"<figcaption>{html.escape(caption)}</figcaption></figure>")


def curve(points: Sequence[tuple[float, float]], across: str, up: str) -> str:
    """A line through (x, y) points as a drawing, with its first and last value in words."""
    if len(points) < 2:
        return paragraph(f"{up}: too few points to draw.")
    W, H, L, B, R, T = 640, 240, 88, 40, 12, 12
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    low, high = min(ys), max(ys)
    high = high if high > low else low + 1
    def x(v: float) -> float:
        return L + (v - min(xs)) / max(max(xs) - min(xs), 1e-12) * (W - L - R)
    def y(v: float) -> float:
        return H - B - (v - low) / (high - low) * (H - B - T)
    path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in points)
    marks = "".join(f'<text x="{L - 8}" y="{y(v) + 4:.1f}" text-anchor="end">{v:.4g}</text>'
                    f'<line x1="{L}" x2="{W - R}" y1="{y(v):.1f}" y2="{y(v):.1f}" stroke="#8884"/>' for v in (low, high))
    ends = "".join(f'<text x="{x(v):.1f}" y="{H - B + 18}" text-anchor="{a}">{v:.4g}</text>'
                   for v, a in ((xs[0], "start"), (xs[-1], "end")))
    return (f'<figure><svg viewBox="0 0 {W} {H}" width="{W}" role="img" aria-label="{html.escape(up)}" fill="currentColor" '
            f'font-size="13" font-family="system-ui, sans-serif">{marks}{ends}'
            f'<polyline points="{path}" fill="none" stroke="#2a7ae2" stroke-width="2"/>'
            f'<text x="{(W + L) / 2}" y="{H - 4}" text-anchor="middle">{html.escape(across)}</text></svg>'
            f"<figcaption>{html.escape(up)}: {ys[0]:.4g} at first, {ys[-1]:.4g} at the end</figcaption></figure>")


def bars(names: Sequence[str], data: Sequence[float], drawn: Sequence[float], title: str, caption: str) -> str:
    """Pairs of bars of shares: of the data, and beside it of what was drawn."""
    W, H, B = 260, 110, 18
    top, step = max([*data, *drawn, 1e-12]), W / max(len(names), 1)
    def bar(at: float, share: float, colour: str) -> str:
        height = share / top * (H - B)
        return f'<rect x="{at:.1f}" y="{H - B - height:.1f}" width="{step * .44:.1f}" height="{height:.1f}" fill="{colour}"/>'
    drawing = "".join(bar(i * step, a, "#888") + bar((i + 0.46) * step, b, "#2a7ae2")
                      for i, (a, b) in enumerate(zip(data, drawn, strict=True)))
    ends = "".join(f'<text x="{x}" y="{H - 4}" text-anchor="{anchor}">{html.escape(name[:18])}</text>'
                   for x, anchor, name in ((0, "start", names[0]), (W, "end", names[-1])))
    return (f'<figure><strong>{html.escape(title)}</strong><svg viewBox="0 0 {W} {H}" width="{W}" role="img" '
            f'aria-label="{html.escape(title)}" fill="currentColor" font-size="11" font-family="system-ui, sans-serif">'
            f"{drawing}{ends}</svg><figcaption>{html.escape(caption)}</figcaption></figure>")

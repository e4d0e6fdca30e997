"""leaderboard_page: a leaderboard as one self-contained HTML page, for wide and narrow screens."""

from __future__ import annotations

import html

import numpy as np

from given.evaluate.charts import density_contours, lines, reliability_diagram
from given.evaluate.leaderboard import Entrant, Leaderboard
from given.evaluate.page import bars, figure, page, paragraph, table
from given.evaluate.picture import picture
from given.sources import Columns

__all__ = ["leaderboard_page"]

_PICTURES, _ACROSS, _ROWS, _BINS, _COLUMNS, _WIDE, _TITLE = 16, 4, 4, 12, 4, 24, 90


def leaderboard_page(found: Leaderboard) -> str:
    """The page of a leaderboard."""
    top = [name for name in found.order if found.rank(name).rstrip("=-") == "1"]
    first = "tie for the first place" if len(top) > 1 else "ranks first"
    lead = (f"{', '.join(top)} {first} of {len(found.entrants)} on the same {found.facts['split']}; "
            f"{found.facts['budget']}.") if top else "No entrant has a score that ranks it."
    sections = [("Leaderboard", _board(found)), ("Diagnosis", _verdicts(found)), ("Draws side by side", _draws(found)),
                ("Density of two columns", _density(found)), ("Calibration", _calibration(found)),
                ("Learning curves", _curves(found)), ("Marginals", _marginals(found)),
                ("Families that do not apply", _refused(found))]
    formula = found.formula if len(found.formula) <= _TITLE else found.formula[:_TITLE] + "..."
    return page(f"compare: {formula}", lead, [(head, body) for head, body in sections if body])


def _board(found: Leaderboard) -> str:
    rows = found.rows()
    scored = [row for row in rows[1:] if row[0] != "-"]
    sizes = [*(len(g) for g in found.groups), *([len(rows) - 1 - len(scored)] if len(scored) < len(rows) - 1 else [])]
    measures = {e.score.measure for e in found.entrants.values() if e.score is not None}
    return f'<div class="board">{table(rows, sizes)}</div>' + paragraph(
        f"{rows[0][2].capitalize()} on rows no model learned from, higher is better; one block is one measure. Models with = "
        "are tied: the 95 % interval of their difference, item by item, over rows and seeds, holds 0. A bound (rank with -) is "
        "at most the truth. Classifier: its accuracy at telling draws from held-out rows, chance .5. Coverage: the share of "
        "the data near which a draw lies. Copies: the share of draws that are rows learned from. Seconds: to learn one "
        f"model. Seeds: {found.facts['seeds']}. Measure: {'; '.join(sorted(measures)) or 'none'}.")


def _verdicts(found: Leaderboard) -> str:
    out = []
    for name in found.order:
        a = found.entrants[name].assessment
        facts = "".join(f"<li>{html.escape(k)}: {html.escape(v)}</li>" for k, v in a.shown().items() if k != "held-out log p")
        gone = "".join(f"<li>{html.escape(k)}: {html.escape(v)}</li>" for k, v in a.left_out.items())
        said = a.diagnosis.sentence.partition(": ")[2]
        out.append(f"<details><summary><strong>{html.escape(name)}</strong> {html.escape(a.diagnosis.verdict)}</summary>"
                   f"<p>{html.escape(said)}</p><ul>{facts}{gone}</ul></details>")
    return "".join(out)


def _grid(cells: list[str], size: str = "") -> str:
    return f'<div class="grid{size}">{"".join(cells)}</div>' if any(cells) else ""


def _drawn(found: Leaderboard) -> list[tuple[str, Columns]]:
    """The test rows and every entrant's draws, by name."""
    entrants = [(name, found.entrants[name].assessment.drawn) for name in found.order]
    return [("data", found.test), *((name, drawn) for name, drawn in entrants if drawn is not None)]


def _draws(found: Leaderboard) -> str:
    out = []
    for column, levels in found.images.items():
        for name, rows in _drawn(found):
            some = rows[column][:_PICTURES]
            some = np.concatenate([some, np.zeros((-len(some) % _ACROSS, *some.shape[1:]), some.dtype)])
            sheet = picture(some.reshape(-1, _ACROSS, *some.shape[1:]), levels=levels, ink=levels < 256)
            out.append(figure(sheet, f"{column}: {name}"))
    if out:
        return _grid(out, " pictures")
    modelled = {k for _, rows in _drawn(found)[1:] for k in rows}
    columns = [k for k in found.test.names if found.test[k].ndim == 1 and k in modelled][:8]
    for name, rows in _drawn(found) if columns else ():
        cells = [[_cell(v) for v in rows[k][:_ROWS]] for k in columns if k in rows]
        out.append(paragraph(f"{name}:") + table([[k for k in columns if k in rows], *map(list, zip(*cells, strict=True))]))
    return "".join(out)


def _cell(value: object) -> str:
    text = f"{value:.4g}" if isinstance(value, float | np.floating) else str("" if value is None else value)
    return text if len(text) <= _WIDE else text[:_WIDE] + "..."


def _density(found: Leaderboard) -> str:
    cells = []
    for name in found.order:
        if name in found.numeric:
            drawing = density_contours(found.numeric[""], found.numeric[name], *found.axes)
            cells.append(f"<figure><strong>{html.escape(name)}</strong>{drawing}</figure>")
    if not cells:
        return ""
    return paragraph("Contours that hold 30, 60 and 90 % of the density: grey of the data, blue of draws.") + _grid(cells)


def _calibration(found: Leaderboard) -> str:
    cells, what, column = [], "", ""
    for name in found.order:
        if (c := found.entrants[name].assessment.calibration) is not None:
            accuracy = "" if np.isnan(c.accuracy) else f", accuracy {c.accuracy:.3f}"
            what, column = c.what, c.column
            cells.append(reliability_diagram(c.predicted, c.observed, c.low, c.high, f"{name}: {c.column}",
                                             f"off by {c.error:.3f} on average{accuracy}"))
    if not cells:
        return ""
    return paragraph(f"Predicted: the {what}, of {column}. Observed: how often it came true, with 95 % intervals.") + _grid(
        cells)


def _curves(found: Leaderboard) -> str:
    def drawn(name: str, e: Entrant) -> str:
        caption = f"{e.parameters:,} parameters; ended by: {e.stopped}"
        return lines([h for h in e.histories if len(h) > 1], name, "step", caption)

    cells = [drawn(name, found.entrants[name]) for name in found.order]
    if not any(cells):
        return ""
    return paragraph("What each learned by, of rows held out of its own learning, in the units it learns in: higher is better "
                     "within a drawing, and no drawing compares with another. A line a seed.") + _grid(cells)


def _marginals(found: Leaderboard) -> str:
    out = []
    drawn = _drawn(found)
    columns = [k for k in found.test.names if found.test[k].ndim == 1 and len(drawn) > 1 and all(k in r for _, r in drawn)]
    for column in columns[:_COLUMNS]:
        cells = []
        for name, rows in drawn[1:]:
            names, a, b = _shares(found.test[column], rows[column])
            if names:
                apart = sum(abs(p - q) for p, q in zip(a, b, strict=True)) / 2
                cells.append(bars(names, a, b, f"{column}: {name}", f"total variation {apart:.3f}"))
        out.append(_grid(cells))
    return paragraph("Grey: data, blue: draws.") + "".join(out) if any(out) else ""


def _shares(a: np.ndarray, b: np.ndarray) -> tuple[list[str], list[float], list[float]]:
    """Names of bins and the shares of both in them."""
    if a.dtype.kind in "iuf" and len(np.unique(a)) > _BINS:
        x, y = (np.asarray(v, np.float64) for v in (a, b))
        low, high = np.nanquantile(x, [0.01, 0.99])
        edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
        shares = [np.histogram(np.clip(v[np.isfinite(v)], edges[0], edges[-1]), edges)[0] / max(len(v), 1) for v in (x, y)]
        return [f"{e:.3g}" for e in (edges[0], *edges[2:])], shares[0].tolist(), shares[1].tolist()
    seen, drawn = ([_cell(v) for v in side.tolist()] for side in (a, b))
    kinds = sorted(sorted(set(seen), key=lambda k: -seen.count(k))[:_BINS])
    if len(kinds) > 0.5 * len(seen):
        return [], [], []  # names of rows, or running text
    return kinds, [seen.count(k) / len(seen) for k in kinds], [drawn.count(k) / max(len(drawn), 1) for k in kinds]


def _refused(found: Leaderboard) -> str:
    return table([["family", "why"], *([k, v] for k, v in found.refused.items())]).replace(
        '<div class="wide">', '<div class="wide reasons">') if found.refused else ""

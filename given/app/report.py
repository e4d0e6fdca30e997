"""report: one page that says whether a model is any good, and where it is not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from given.app.output import shown
from given.codecs import Time
from given.distributions import Intractable
from given.evaluate import Comparison, page, picture
from given.evaluate.page import bars, curve, excerpt, figure, paragraph, table
from given.sources import Columns, Source, joined
from given.variables import Codec, Finite
from given.verbs import Model, reliance

__all__ = ["report"]

_ROWS = 2000  # as many rows are drawn and set beside the data
_BINS = 16
_WORST = 10
_LONG, _EXCERPT = 60, 900  # characters


def report(model: Model, test: Source, train: Source | None = None, *, name: str = "", seed: int = 0,
           numbers: np.ndarray | None = None) -> str:
    """An HTML page: the score beside the trivial baseline's, how it learned, draws beside data, columns, the worst items.

    Args:
        model: learned.
        test: rows it is scored on.
        train: rows the baseline is counted from; without them there is none.
        name: what the test rows are called.
        seed: of draws.
        numbers: (rows,) those of the test rows in their file, by default from 0.
    """
    try:
        comparison = model.evaluate(test, train=train, seed=seed)
        items, lead = model.log_prob(test, seed=seed), f"{comparison.scores['this model']} on {name or 'the data'}"
        good = _scores(comparison) + paragraph(
            f"{len(items):,} item{'s' * (len(items) > 1)} of {name or 'the data'}. Nats an item are better the higher, all "
            "else the lower. Rows of one block are conditioned on the same columns and have the same measure, so they may be "
            f"ranked; a bound is at most the truth.{_margin(comparison)}")
    except Intractable as error:
        items, lead, good = None, str(error), paragraph(f"It has no score: {error}.")
    some = next(test.batches(_ROWS))
    conditions = {k: some[k] for k in model.joint.conditions}
    drawn = model.given(conditions).sample(1 if conditions else some.n, seed=seed).flat()
    columns = [column for column in model.joint.columns if column in some and column in drawn and column not in conditions]
    sections = [
        ("How good is it?", good),
        ("What does it rely on?", _relied_on(model, test, seed) if items is not None and len(items) > 1 else ""),
        ("How did it learn?", _learning(model.facts.get("fit", {}))),
        ("What did held-out rows choose?", "".join(curve(points, name.partition(" of ")[0], (
            f"{name}, {max(points, key=lambda each: each[1])[0]:.4g} chosen by the mean log p of rows left out of learning, in "
            f"nats an item in the entries' units")) for name, points in model.curves.items())),
        ("What does it draw?", _beside(model, some, drawn, columns)),
        ("Column by column", _marginals(model, some, drawn, columns)),
        ("The least probable items", _worst(model, test, items, numbers) if items is not None and len(items) > 1 else ""),
        ("What is it?", table([["factor", "family"], *([str(f), type(f).__name__] for f in model.joint.declared)])
         + table([["column", "read as"], *([k, repr(v.codec)] for k, v in model.joint.columns.items())])),
    ]
    return page(str(model), lead, [(head, body) for head, body in sections if body])


def _scores(comparison: Comparison) -> str:
    """The table of scores, and under it the measures, which are long, once each."""
    rows = comparison.rows()
    at = rows[0].index("measure")
    measures: dict[str, list[str]] = {}
    for row in rows[1:]:
        measures.setdefault(row[at], []).append(row[0])
    whose = [f"Measure of {', '.join(names)}: {measure}." for measure, names in measures.items()]
    # What says nothing here: no condition, all items covered.
    out = {at, *(i for i, cells in enumerate(zip(*rows[1:], strict=True)) if {*cells} in ({"-"}, {"100%"}))}
    rows = [[cell for i, cell in enumerate(row) if i not in out] for row in rows]
    return table(rows, [len(g) for g in comparison.groups]) + paragraph(" ".join(whose))


def _margin(comparison: Comparison) -> str:
    """How far the model is from the baseline, where the two may be compared."""
    others = [other for group in comparison.groups if "this model" in group for other in group if other != "this model"]
    if not others:
        return ""
    difference, error = comparison.difference("this model", others[0])
    within = "" if math.isnan(error) else f" ± {error:.3f}"
    return f" This model minus {others[0]}, item by item: {difference:+.3f}{within} {comparison.scores['this model'].unit}."


def _relied_on(model: Model, test: Source, seed: int) -> str:
    """What every factor loses where one of its conditions is shuffled among the rows."""
    found = reliance(model, test, seed=seed)
    if not found:
        return ""
    rows = [[r.factor, r.parent, f"{r.value:.3f}", f"{r.error:.3f}", "yes" if r.used else "no use is seen"] for r in found]
    return table([["factor", "condition", "loss", "± s.e.", "used"], *rows]) + paragraph(
        f"Nats an item that log p loses where the condition's values are shuffled among {len(found[0].items):,} rows, paired "
        "item by item.")


def _learning(fit: dict[str, Any]) -> str:
    history = fit.get("history", ())
    if not history:
        return paragraph("In closed form: counted or solved, without steps.") if fit else ""
    return curve([(step, value) for step, value in history], "step",
                 "what it learned by, of held-out items, in the units it learns in: not comparable with the score above")


def _beside(model: Model, data: Columns, drawn: Columns, columns: Sequence[str]) -> str:
    """Images as two sheets, long texts as two excerpts, all else as two tables of rows."""
    out, plain = [], []
    for name in columns:
        if _levels(model, name):
            out += [figure(_sheet(model, name, values[name][:16]), f"{name}: {what}")
                    for values, what in ((data, "of the data"), (drawn, "drawn"))]
        elif data[name].ndim == 1 and max(map(len, map(str, data[name][:100]))) > _LONG:
            out += [excerpt("\n\n".join(map(str, values[name][:3]))[:_EXCERPT], f"{name}: {what}")
                    for values, what in ((data, "of the data"), (drawn, "drawn"))]
        elif data[name].ndim == 1:
            plain.append(name)
    for source, what in ((data, "of the data"), (drawn, "drawn")) if plain and not out else ():
        cells = [[shown(v) for v in source[name][:6]] for name in plain]
        out.append(paragraph(f"Rows {what}:") + table([plain, *map(list, zip(*cells, strict=True))]))
    return "".join(out)


def _levels(model: Model, name: str) -> int:
    """How many levels a column of images has; 0 for any other column."""
    space = model.joint.columns[name].space
    return space.size if isinstance(space, Finite) and len(space.axes) in (2, 3) else 0


def _sheet(model: Model, name: str, images: np.ndarray) -> bytes:
    levels, across = _levels(model, name), min(8, len(images))
    whole = len(images) // across * across
    return picture(images[:whole].reshape(-1, across, *images.shape[1:]), levels=levels, ink=levels < 256)


def _marginals(model: Model, data: Columns, drawn: Columns, columns: Sequence[str]) -> str:
    """Shares of values, of the data beside what was drawn, for every column of single values."""
    out = []
    for name in columns:
        a, b = data[name], drawn[name]
        if a.ndim > 1 or (a.dtype.kind in "OUS" and max(map(len, map(str, a[:100]))) > _LONG):
            continue
        codec = model.joint.columns[name].codec
        if isinstance(codec, Time) or (a.dtype.kind in "iuf" and len(np.unique(a)) > _BINS):
            names, shares = _numbers(codec, codec.numbers(a), codec.numbers(b))
        else:
            names, shares = _categories(a, b)
        apart = sum(abs(p - q) for p, q in zip(*shares, strict=True)) / 2
        out.append(bars(names, *shares, name, f"grey: data, blue: drawn; total variation {apart:.3f}"))
    return f'<div class="grid">{"".join(out)}</div>' if out else ""


def _numbers(codec: Codec, a: np.ndarray, b: np.ndarray) -> tuple[list[str], tuple[list[float], list[float]]]:
    """Shares between equally spaced edges over the data's middle 98 %, what lies beyond in the outer ones."""
    a, b = (v[~np.isnan(v)] for v in (a, b))
    if not len(a):
        return ["no value"], ([0.0], [0.0])
    low, high = np.quantile(a, [0.01, 0.99])
    edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    shares = [np.histogram(np.clip(v, edges[0], edges[-1]), edges)[0] / max(len(v), 1) for v in (a, b)]
    ends = codec.raw_of(edges).tolist()
    names = [f"{end:.4g}" if isinstance(end, float) else str(end) for end in (ends[0], *ends[2:])]
    return names, (shares[0].tolist(), shares[1].tolist())


def _categories(a: np.ndarray, b: np.ndarray) -> tuple[list[str], tuple[list[float], list[float]]]:
    """Shares of the most frequent values, those left over as one."""
    a, b = (np.array([shown(v) for v in values]) for values in (a, b))
    values, counts = np.unique(a, return_counts=True)
    top = values[np.argsort(-counts, kind="stable")][:_BINS].tolist()
    shares = [[float((v == value).mean()) for value in top] for v in (a, b)]
    rest = [max(0.0, 1 - sum(share)) for share in shares]
    if max(rest) > 1e-9:
        top, shares = [*top, "others"], [[*s, r] for s, r in zip(shares, rest, strict=True)]
    return top, (shares[0], shares[1])


def _worst(model: Model, test: Source, items: np.ndarray, numbers: np.ndarray | None) -> str:
    order = np.argsort(items)[:_WORST]
    found: dict[int, Columns] = {}
    first, names = 0, [name for name in test.names if name in model.joint.columns]
    for batch in test.batches(1 << 14):
        for i in order[(order >= first) & (order < first + batch.n)]:
            found[int(i)] = batch.rows(slice(i - first, i - first + 1))
        first += batch.n
    rows = joined([found[int(i)] for i in order])
    sheets = [figure(_sheet(model, name, rows[name]), f"{name}: the least probable first") for name in names
              if _levels(model, name)]
    places = np.arange(len(items)) if numbers is None else numbers
    cells = [["row", "log p, nats", *names], *([str(places[i]), f"{items[i]:.2f}", *(shown(rows[name][k]) for name in names)]
                                               for k, i in enumerate(order))]
    return "".join(sheets) + table(cells)

"""drift: which columns moved between two tables, and which of them given all others, with what chance makes of it.

A column's two-sample statistic (`marginals`) lies within its 95 % chance level of the truth, by the triangle inequality; its
p-value is Kolmogorov and Smirnov's, or that of the chi-square test. A conditional moved where log p(column | all others), under
one model, differs between the tables. Part of that the model expects, since the others may have moved to where the column is
less predictable: what it expects is the same of draws of the column in the same rows. What is left is the surprise.

Source: Stephens, Use of the Kolmogorov-Smirnov, Cramér-von Mises and related statistics without extensive tables, 1970 /
https://www.jstor.org/stable/2984408
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from given.evaluate.backtests import holm
from given.evaluate.discrimination import Estimate
from given.evaluate.marginals import Marginal
from given.evaluate.plain import plain

__all__ = ["Drift", "Moved", "change", "drifted", "marginal_p_value"]

_Z = 1.959964
_LEVEL = 0.05
_FEW = 5.0  # expected rows, below which categories are tested as one


@dataclass(frozen=True)
class Moved:
    """One column.

    Attributes:
        column: its name.
        marginal: its two-sample statistic with its 95 % interval.
        measure: `KS` or `total variation`.
        marginal_p: adjusted by Holm for all columns.
        log_p: the mean of log p(column | all others) of new rows minus that of held-out old ones, in nats; None where there is
            one column.
        log_p_p: adjusted likewise, that it is 0.
        surprise: the same beyond what the model expects of the new rows.
        surprise_p: adjusted likewise.
    """

    column: str
    marginal: Estimate
    measure: str
    marginal_p: float
    log_p: Estimate | None = None
    log_p_p: float = math.nan
    surprise: Estimate | None = None
    surprise_p: float = math.nan

    @property
    def marginal_moved(self) -> bool:
        """At 5 %, over all columns together."""
        return self.marginal_p <= _LEVEL

    @property
    def conditional_moved(self) -> bool:
        """At 5 %, over all columns together, beyond what the model expects."""
        return self.surprise_p <= _LEVEL


@dataclass(frozen=True)
class Drift:
    """What `given.drift` found.

    Attributes:
        columns: in their order.
        rows: how many of each kind: old, new, and of both those that conditionals are of.
        unlearned: column -> the share of new rows with a value that old rows lack, which conditionals leave out.
        left_out: column -> why it is not compared.
    """

    columns: tuple[Moved, ...]
    rows: Mapping[str, int]
    unlearned: Mapping[str, float] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        """All figures by name, as JSON has them: what is not finite is None."""
        found: dict[str, Any] = plain(self)
        for column, said in zip(self.columns, found["columns"], strict=True):
            said |= {"marginal_moved": column.marginal_moved, "conditional_moved": column.conditional_moved}
        return found

    def __str__(self) -> str:
        rows = [["column", "marginal", "p", "log p given others", "p", "beyond expected", "p", "moved"]]
        for c in self.columns:
            moved = [what for what, did in (("marginal", c.marginal_moved), ("conditional", c.conditional_moved)) if did]
            rows.append([c.column, f"{'KS' if c.measure == 'KS' else 'TV'} {c.marginal}", _p(c.marginal_p), _signed(c.log_p),
                         _p(c.log_p_p), _signed(c.surprise), _p(c.surprise_p), " and ".join(moved) or "-"])
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        n = self.rows
        lines.append(f"new minus old, nats; p adjusted by Holm; {n['old']:,} old rows, {n['new']:,} new ones, conditionals of "
                     f"{n['held-out old']:,} and {n['scored new']:,} rows that no model learned from")
        lines += [f"{name}: {share:.1%} of new rows hold a value that was never learned; conditionals leave them out"
                  for name, share in self.unlearned.items()]
        return "\n".join([*lines, *(f"{name}: left out, {why}" for name, why in self.left_out.items())])

    __repr__ = __str__


def _p(value: float) -> str:
    return "-" if math.isnan(value) else "<.001" if value < 0.001 else f"{value:.3f}"


def _signed(figure: Estimate | None) -> str:
    return "-" if figure is None else f"{figure.value:+.3f} [{figure.low:+.3f}, {figure.high:+.3f}]"


def marginal_p_value(x: np.ndarray, y: np.ndarray, categorical: bool, statistic: float) -> float:
    """The probability of a statistic as large where both columns (n,), (m,) are of one distribution.

    Args:
        statistic: KS of numbers; of categories the chi-square statistic is taken, the rarest as one.
    """
    n, m = len(x), len(y)
    if not categorical:
        root = math.sqrt(n * m / (n + m))
        scaled = (root + 0.12 + 0.11 / root) * statistic
        terms = [(-1) ** (k - 1) * math.exp(-2 * (k * scaled) ** 2) for k in range(1, 101)]
        return 1.0 if scaled < 0.2 else min(1.0, max(0.0, 2 * math.fsum(terms)))
    from scipy.special import gammaincc

    counts = np.stack([np.bincount(v.astype(np.int64), minlength=int(max(x.max(), y.max())) + 1) for v in (x, y)])
    counts = counts[:, np.argsort(-counts.sum(0), kind="stable")]
    expected = np.array([n, m])[:, None] * counts.sum(0) / (n + m)
    whole = max(1, int((expected.min(0) >= _FEW).sum()))
    if whole < counts.shape[1]:
        counts, expected = (np.concatenate([v[:, :whole], v[:, whole:].sum(1, keepdims=True)], 1) for v in (counts, expected))
    there = expected.min(0) > 0
    squared = float(((counts - expected)[:, there] ** 2 / expected[:, there]).sum())
    return float(gammaincc((there.sum() - 1) / 2, squared / 2)) if there.sum() > 1 else 1.0


def change(new: np.ndarray, old: np.ndarray) -> tuple[Estimate, float]:
    """The mean of new values (n,) minus that of old ones (m,), with its 95 % interval, and the probability of one as far from 0
    by the normal law.

    >>> change(np.array([1.0, 3.0]), np.array([2.0, 2.0]))[1]
    1.0
    """
    value = float(new.mean() - old.mean())
    error = math.sqrt(sum(float(v.var(ddof=1)) / len(v) for v in (new, old)))
    if not math.isfinite(error):
        return Estimate(value, -math.inf, math.inf), 0.0 if value == -math.inf else 1.0
    p = math.erfc(abs(value) / error / math.sqrt(2)) if error > 0 else float(value == 0)
    return Estimate(value, value - _Z * error, value + _Z * error), p


def drifted(each: Mapping[str, tuple[Marginal, float]], conditionals: Mapping[str, Mapping[str, np.ndarray]]) -> list[Moved]:
    """Columns with p-values adjusted for their number.

    Args:
        each: column -> its statistic and p-value.
        conditionals: column -> `new`, `old`: (n,), (m,) log p given all others, and `new expected`, `old expected`: the same of
            draws; empty of a single column.
    """
    log_p = {name: change(found["new"], found["old"]) for name, found in conditionals.items()}
    surprise = {name: change(found["new"] - found["new expected"], found["old"] - found["old expected"])
                for name, found in conditionals.items()}
    adjusted = [holm({name: p for name, (_, p) in figures.items()}) for figures in (each, log_p, surprise)]
    out = list[Moved]()
    for name, (m, _) in each.items():
        whole = Estimate(m.value, max(0.0, m.value - m.chance), min(1.0, m.value + m.chance))
        more = {} if name not in log_p else {"log_p": log_p[name][0], "log_p_p": adjusted[1][name],
                                             "surprise": surprise[name][0], "surprise_p": adjusted[2][name]}
        out.append(Moved(name, whole, m.measure, adjusted[0][name], **more))  # type: ignore[arg-type]
    return out

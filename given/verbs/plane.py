"""plane: rows of any data laid on a plane, so that rows that are alike lie side by side.

Columns become numbers first: numbers by their codecs, standardised; one number a symbol of a category; of a text, how often it
holds each symbol. The plane is that of the first two principal components, of two factors, of the latent of a VAE, or one on
which each row keeps its neighbours (t-SNE, by scikit-learn).

Source: van der Maaten, Hinton, Visualizing data using t-SNE, 2008
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from given.codecs import IdentityCodec, infer_table
from given.families import VAE, FactorAnalysis
from given.sources import Columns, Source, read
from given.variables import Axis, Entries, Finite, Product, Real, UserError, Variable
from given.verbs.checks import check_known, whole_seed
from given.verbs.models import Model

__all__ = ["PLANES", "features", "plane"]

PLANES = ("pca", "factors", "vae", "neighbours")
_LEAST = 3


def plane(data: Any, *, method: str = "pca", columns: Sequence[str] | None = None, minutes: float = 0.5,
          seed: int | None = 0) -> Columns:
    """Two numbers a row, columns `x` and `y`.

    Args:
        data: anything `read` takes, of at least three rows that fit in memory.
        method: "pca", principal components; "factors", factor analysis; "vae", the latent's mean; or "neighbours", t-SNE, whose
            distances mean something among neighbours only.
        columns: that rows are laid by; by default all that do not only name their row.
        minutes: that the VAE learns for at most.
        seed: of the VAE and of t-SNE.

    Raises:
        UserError: too few rows, a column that is not there, another method, or nothing to lay rows by.
    """
    if method not in PLANES:
        raise UserError(f"plane: method={method!r}; expected one of {', '.join(PLANES)}")
    seed, rows = whole_seed(seed), features(read(data), columns)
    if len(rows) < _LEAST:
        raise UserError(f"plane: expected at least {_LEAST} rows, got {len(rows)}")
    if method == "neighbours":
        from sklearn.manifold import TSNE

        found = TSNE(2, init="pca", perplexity=min(30.0, (len(rows) - 1) / 3), random_state=seed).fit_transform(rows)
    elif method == "pca":
        u, s, _ = np.linalg.svd(rows, full_matrices=False)
        found = np.pad((u * s)[:, :2], ((0, 0), (0, max(0, 2 - len(s)))))
    else:
        found = _encoded(rows, method, minutes, seed)
    return Columns({"x": found[:, 0].astype(np.float64), "y": found[:, 1].astype(np.float64)})


def _encoded(rows: np.ndarray, method: str, minutes: float, seed: int) -> np.ndarray:
    """(n, 2) the latent of a model of two of them."""
    if rows.shape[1] < 3:
        raise UserError(f"plane: method={method!r} finds two numbers behind three or more, got {rows.shape[1]}; use 'pca'")
    variable = Variable("rows", IdentityCodec(Real(axes=(Axis("column", rows.shape[1]),))))
    family: Any = partial(FactorAnalysis, factors=2) if method == "factors" else partial(VAE, latent=2)
    model, data = Model(family(variable)), {"rows": rows}
    model.fit(data, minutes=minutes, seed=seed, held_out=0.1 if method == "vae" else 0, progress=False)
    codes = model.encode(data)
    return np.stack([codes["rows.z1"], codes["rows.z2"]], 1)


def features(source: Source, columns: Sequence[str] | None = None) -> np.ndarray:
    """Rows as vectors (n, F) of mean 0, whose distance means something: a column of numbers has variance 1, and so has one of
    categories or of text over all its numbers together.

    Raises:
        UserError: a column that is not there, or nothing that varies.
    """
    if columns is not None:
        check_known(columns, source.names, "columns")
    inferred, _ = infer_table(source, {}, None if columns is None else list(columns))
    variables = [Variable(name, codec) for name, codec in inferred.items()]
    first = 0
    for batch in source.runs():
        for variable in variables:
            variable.learn(batch, first)
        first += batch.n
    parts, first = list[np.ndarray](), 0
    for batch in source.runs():
        parts.append(np.concatenate([_scaled(v, v.encode(batch, first)) for v in variables], 1))
        first += batch.n
    rows = np.concatenate(parts) if parts else np.zeros((0, 0))
    rows = rows - rows.mean(0)
    at, found = 0, list[np.ndarray]()
    for variable in variables:
        width = _width(variable)
        block = rows[:, at:at + width]
        spread = float((block**2).sum(1).mean()) ** 0.5
        if spread > 0:
            block = block[:, (block != 0).any(0)]
            found.append(block / spread * block.shape[1] ** 0.5 if len(variable.space.axes) > 1 else block / spread)
        at += width
    if not found:
        raise UserError("plane: no column varies, so there is nothing to lay rows by")
    return np.concatenate(found, 1)


def _width(variable: Variable) -> int:
    space = variable.space
    if isinstance(space, Finite) and not space.ordered:
        return space.size
    return space.dimensions


def _scaled(variable: Variable, x: Entries) -> np.ndarray:
    """(n, F): numbers and ordered symbols as they are, of other symbols how often each stands there."""
    space, n = variable.space, len(x)
    if isinstance(space, Product):
        raise UserError(f"{variable.name}: expected a column of its own, got a block of {len(space.parts)}")
    there, values = x.scored.reshape(n, -1).numpy(), x.tensor.reshape(n, -1).double().numpy()
    if isinstance(space, Finite) and not space.ordered:
        counts = np.zeros((n, space.size))
        np.add.at(counts, (np.repeat(np.arange(n), there.sum(1)), values[there].astype(int)), 1.0)
        return counts / np.maximum(counts.sum(1, keepdims=True), 1)
    mean = np.divide((values * there).sum(0), there.sum(0), out=np.zeros(values.shape[1]), where=there.any(0))
    full = np.where(there, values, mean)
    width = space.dimensions
    return np.pad(full, ((0, 0), (0, width - full.shape[1])))

"""plane: rows of any data laid on a plane, so that rows that are alike lie side by side.

Columns become numbers first, by `Features`, each column scaled to variance 1. The plane is that of the first two principal
components, of two factors, of the latent of a VAE, or one on which each row keeps its neighbours (t-SNE, by scikit-learn).

Source: van der Maaten, Hinton, Visualizing data using t-SNE, 2008
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from given.codecs import IdentityCodec, infer_table
from given.evaluate import Features
from given.families import VAE, FactorAnalysis
from given.sources import Columns, Source, joined, read
from given.variables import Axis, Real, UserError, Variable
from given.verbs.checks import check_known, whole_seed
from given.verbs.models import Model

__all__ = ["PLANES", "features", "plane"]

PLANES = ("pca", "factors", "vae", "neighbours")
_LEAST = 3
_ROUNDING = 1e-9


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
    data, found = joined(list(source.runs())), list[np.ndarray]()
    for name, codec in inferred.items():
        variable = Variable(name, codec)
        variable.learn(data, 0)
        block = Features({name: variable}, data)(data)
        block = block - block.mean(0)
        spread = float((block**2).sum(1).mean()) ** 0.5
        if spread > _ROUNDING:
            block = block[:, (block != 0).any(0)] / spread
            found.append(block * block.shape[1] ** 0.5 if len(variable.space.axes) > 1 else block)
    if not found:
        raise UserError("plane: no column varies, so there is nothing to lay rows by")
    return np.concatenate(found, 1)

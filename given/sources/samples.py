"""Samples: small real data sets by name, in their own units: four that come with scikit-learn, and a text in this folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from given.sources.columns import Columns
from given.sources.stream import File
from given.sources.text import Texts

__all__ = ["SAMPLES"]


def _digits() -> Columns:
    """1,797 handwritten digits, 8 x 8 with levels 0 to 16, and which digit it is (Alpaydin, Kaynak, 1998)."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return Columns({"image": bunch.images.astype(np.uint8), "label": bunch.target})


def _table(bunch: Any, target: str, values: np.ndarray) -> Columns:
    columns = {str(name).replace(" ", "_"): bunch.data[:, i] for i, name in enumerate(bunch.feature_names)}
    return Columns({**columns, target: values})


def _breast_cancer() -> Columns:
    """569 tumours: 30 measurements and the diagnosis (Street, Wolberg, Mangasarian, 1993)."""
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer()
    return _table(bunch, "diagnosis", bunch.target_names[bunch.target])


def _wine() -> Columns:
    """178 Italian wines: 13 measurements and the cultivar (Forina et al., 1988)."""
    from sklearn.datasets import load_wine

    bunch = load_wine()
    return _table(bunch, "cultivar", bunch.target_names[bunch.target])


def _diabetes() -> Columns:
    """442 patients: 10 measurements in raw units and the disease's progression after a year (Efron et al., 2004)."""
    from sklearn.datasets import load_diabetes

    bunch = load_diabetes(scaled=False)
    return _table(bunch, "progression", bunch.target)


def _shakespeare(by: str = "file", skip_bad: bool = False) -> Columns:
    """Plays of Shakespeare, 1,115,394 characters, in the public domain; as collected by Andrej Karpathy (char-rnn, 2015)."""
    file = File(os.path.join(os.path.dirname(__file__), "shakespeare.txt.xz"), "shakespeare")
    return Texts([file], by, skip_bad=skip_bad).held()


SAMPLES: dict[str, Callable[..., Columns]] = {
    "breast_cancer": _breast_cancer,
    "diabetes": _diabetes,
    "digits": _digits,
    "shakespeare": _shakespeare,
    "wine": _wine,
}

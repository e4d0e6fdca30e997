"""Samples: small real data sets that come with scikit-learn, by name, in their own units."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from given.sources.columns import Columns

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


SAMPLES: dict[str, Callable[[], Columns]] = {
    "breast_cancer": _breast_cancer,
    "diabetes": _diabetes,
    "digits": _digits,
    "wine": _wine,
}

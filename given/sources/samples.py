"""Samples: small data sets by name. Real ones, in their own units, are four that come with scikit-learn and a text in this
folder; linked tables are made up."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from given.sources.columns import Columns, Source
from given.sources.scene_rows import Scenes
from given.sources.stream import File
from given.sources.text import Texts

__all__ = ["LINKED_SAMPLES", "SAMPLES"]


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


SAMPLES: dict[str, Callable[..., Source]] = {
    "breast_cancer": _breast_cancer,
    "diabetes": _diabetes,
    "digits": _digits,
    "scenes": Scenes,
    "scenes-unseen": partial(Scenes, unseen=True, seed=1),
    "shakespeare": _shakespeare,
    "wine": _wine,
}


def _shop() -> dict[str, Columns]:
    """A shop that is made up: 300 customers, their orders, and the items of these. Customers of one region order more often,
    and spend more the older they are; a second order is like the one before."""
    rng = np.random.default_rng(0)
    n, region = 300, rng.choice(["north", "south", "east"], 300, p=[0.5, 0.3, 0.2])
    age = np.clip(np.rint(rng.normal(45, 14, n)), 18, 90).astype(np.int64)
    orders = rng.poisson(np.where(region == "north", 3.0, 1.0))
    of = np.repeat(np.arange(n), orders)
    first = np.flatnonzero(np.diff(of, prepend=-1))
    amount, express = np.exp(age[of] / 30 + rng.normal(0, 0.3, len(of))), rng.random(len(of)) < 0.3
    for i in range(1, len(of)):  # as the order before, most of the time
        if i not in first and rng.random() < 0.7:
            express[i] = express[i - 1]
    later = rng.integers(0, 365, len(of))
    day = np.datetime64("2024-01-01") + later[np.lexsort((later, of))]
    items = 1 + rng.binomial(3, np.where(express, 0.1, 0.5))
    in_order = np.repeat(np.arange(len(of)), items)
    goods = np.array(["bread", "tea", "honey"])[(rng.random(len(in_order)) * np.where(express[in_order], 2, 3)).astype(int)]
    return {"customers": Columns({"id": np.arange(1, n + 1), "age": age, "region": region}),
            "orders": Columns({"id": np.arange(1, len(of) + 1), "customer_id": of + 1, "day": day.astype(str),
                               "amount": amount.round(2), "express": np.where(express, "yes", "no")}),
            "items": Columns({"order_id": in_order + 1, "goods": goods, "pieces": rng.integers(1, 5, len(in_order))})}


LINKED_SAMPLES: dict[str, Callable[[], dict[str, Columns]]] = {"shop": _shop}

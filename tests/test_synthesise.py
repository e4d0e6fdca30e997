"""The task of synthetic rows: judged by trees, beside independent columns and real rows."""

import numpy as np

import given
from given.tasks import synthesise


def test_independent_columns_are_told_apart_and_real_rows_are_not():
    """Rows of a sorted file too: those set beside are chosen at random."""
    rng = np.random.default_rng(0)
    a = np.sort(rng.normal(size=300))
    rows = given.read(a=a, b=a + 0.1 * rng.normal(size=300), c=np.where(a > 0, "x", "y"))
    held = np.arange(300) % 2 == 0
    beside = synthesise.baselines(rows.rows(~held), rows.rows(held))
    area = "AUC of trees that tell rows from real ones"
    assert beside["independent columns"][area] > 0.8 > 0.62 > beside["real rows"][area]


def test_draws_of_the_task_are_judged():
    wine = given.read("wine")
    train, test = wine.split(0.5)
    model = synthesise.model(train)
    model.fit(train, steps=20, progress=False)
    found = synthesise.measure(model, test)
    assert 0.3 < found["AUC of trees that tell rows from real ones"] < 1 and np.isfinite(found["nats/row"])

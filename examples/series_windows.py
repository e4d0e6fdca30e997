"""A long series with two covariates, cut in windows together, and paths of what may come."""

from functools import partial

import numpy as np

import given
from given.codecs import Label, Number, Series
from given.families import Autoregressive
from given.nn import MinGRU

rng = np.random.default_rng(0)
shop, week = np.repeat(["north", "south", "east"], (150, 260, 90)), np.concatenate([np.arange(n) for n in (150, 260, 90)])
promo, price = rng.integers(0, 2, 500), rng.uniform(1, 2, 500)
table = {"shop": shop, "week": week, "promo": promo, "price": price,
         "sales": 50 + 20 * promo - 10 * price + rng.normal(size=500)}
data = given.read(table, by="shop", time="week")  # one row a shop; weeks are even, so no column is needed
print(data.described())
cut = {"window": 32, "stride": 16}  # the axis is one for all three, so they are cut alike
codecs = {"sales": Series(Number(), **cut), "price": Series(Number(), **cut), "promo": Series(Label(), **cut)}
net = partial(MinGRU, width=32, layers=1)
model = given.model("sales | promo, price", data, codecs=codecs, families={"sales": partial(Autoregressive, net=net)})
model.fit(data, steps=200, held_out=0, lr=1e-2)
paths = model.given(promo=[0] * 40 + [1] * 40, price=[1.5] * 80).sample(50, seed=0)["sales"]
before, after = paths[:, :40].mean(), paths[:, 40:].mean()
print(f"a promotion adds {after - before:.1f} to sales of {before:.1f}")
assert 12 < after - before < 28

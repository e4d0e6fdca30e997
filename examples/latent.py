"""A latent nobody observed: summed out exactly while learning, asked about afterwards."""

from functools import partial

import numpy as np

import given
from given.codecs import Label
from given.families import Gaussian

rng = np.random.default_rng(0)
truth = rng.integers(0, 3, 600)
x = np.array([[0, 0], [6, 3], [0, 7]])[truth] + rng.normal(size=(600, 2))
data = given.read(x=x)
model = given.model("p(group) p(x | group)", data, latents={"group": Label(["a", "b", "c"])},
                    families={"x": partial(Gaussian, pooled=0.0)})
model.fit(data, held_out=0)
group = model.given(x=x).mode()["group"]
print(model.score(data), {g: int((group == g).sum()) for g in "abc"})
assert all(len(set(group[truth == k])) <= 3 and (group[truth == k] == group[truth == k][0]).mean() > 0.9 for k in range(3))

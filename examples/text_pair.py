"""A pair of sequences: the target is the source backwards; attention finds it, and the end is modelled."""

from functools import partial

import torch

from given import Model, Variable, prefix
from given.codecs import Text
from given.families import Autoregressive
from given.nn import Transformer
from given.sources import Columns

words = ["".join("abcd"[int(i)] for i in torch.randint(4, (int(n),), generator=torch.Generator().manual_seed(k)))
         for k, n in enumerate(torch.randint(1, 5, (1500,), generator=torch.Generator().manual_seed(0)))]
data = Columns({"source": words, "target": [w[::-1] for w in words]})
source, target = (Variable(name, Text()).learn(data) for name in ("source", "target"))
model = Model(Autoregressive(target, source, net=partial(Transformer, width=32, dropout=0.0)))
model.fit(data, steps=120, batch=64, lr=1e-2)
drawn = model.given(source=["abc", "dda", "b", "abcd"]).sample(1, seed=0)["target"][0]
begun = model.given(source="abcd", target=prefix("dc")).sample(1, seed=0)["target"]
print(drawn.tolist(), begun, model.score(data))
assert (drawn == ["cba", "add", "b", "dcba"]).mean() >= 0.75 and begun[0] == "dcba"

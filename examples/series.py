"""A series given covariates: joint paths, not one number a step."""

from functools import partial

import numpy as np

import given
from given.codecs import IdentityCodec
from given.families import Autoregressive
from given.nn import Transformer
from given.variables import Axis, Real

rng = np.random.default_rng(0)
drive = rng.normal(size=(600, 8, 1))
load = drive[:, :, 0].cumsum(1) + 0.3 * rng.normal(size=(600, 8))
time = Axis("time", 8)
codecs = {"load": IdentityCodec(Real(axes=(time,))), "drive": IdentityCodec(Real(axes=(time, Axis("kind", 1))))}
data = given.read(load=load, drive=drive)
net = partial(Transformer, width=32, dropout=0.0)
model = given.model("load | drive", data, codecs=codecs, families={"load": partial(Autoregressive, net=net)})
model.fit(data, steps=150, batch=64, lr=1e-2)
paths = model.given(drive=np.ones((8, 1))).sample(200, seed=0)["load"]
print("mean path:", paths.mean(0).round(1), "spread:", paths.std(0).round(1))
assert np.abs(paths.mean(0) - np.arange(1, 9)).mean() < 1

"""A picture given a picture: p(image | small) of digits, learned; and the small picture as a view of the image, not learned."""

from functools import partial

import numpy as np

import given
from given.codecs import IdentityCodec
from given.distributions import Lower, View
from given.families import FlowMatching
from given.nn import MLP, FlatField
from given.solve import DPMSolver
from given.variables import Axis, Real

image = given.read("digits")["image"].astype(np.float32) / 8 - 1
small = image.reshape(-1, 4, 2, 4, 2).mean((2, 4))
codecs = {name: IdentityCodec(Real(axes=(Axis("", side), Axis("", side)))) for name, side in (("image", 8), ("small", 4))}
train = given.read(image=image[100:], small=small[100:])
net = partial(FlatField, net=partial(MLP, hidden=(256, 256)), waves=0)
model = given.model("p(image | small)", train, codecs=codecs, families={"image": partial(FlowMatching, net=net, width=64)})
model.fit(train, steps=500, batch=128, held_out=0)
asked, errors = model.given(small=small[:50]), []
for how in (DPMSolver(16), View(small[:50], Lower(2)) | DPMSolver(16)):
    drawn = asked.sample(1, seed=0, how=how)["image"]
    errors.append(np.abs(drawn.reshape(-1, 4, 2, 4, 2).mean((2, 4)) - small[:50]).mean())
another = np.abs(small[50:100] - small[:50]).mean()
print(f"error of the small picture: {errors[0]:.3f}, with the view {errors[1]:.3f}, of another picture {another:.3f}")
assert errors[0] < 0.7 * another and errors[1] < 1e-4

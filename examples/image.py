"""Images: which digit is it, and what does the rest look like?"""

import numpy as np

import given
from given import part

data = given.read("digits")
train, test = data.split(0.8, seed=0)
model = given.model("p(label) p(image | label)", data)
model.fit(train, steps=150)
told = model.given(image=test["image"][:100]).mode()["label"]
print("told right:", (told == test["label"][:100]).mean())
top = np.arange(64).reshape(8, 8) < 32
rest = model.given(image=part(test["image"][0], seen=top)).sample(4, seed=0)["image"]
print(rest.shape, model.given(label=test["label"][:100]).score(image=test["image"][:100]).bits_per_dim())
assert (told == test["label"][:100]).mean() > 0.8 and (rest[:, :4] == test["image"][0][:4]).all()

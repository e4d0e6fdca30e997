"""A table: one block, any column given any other."""

import numpy as np

import given

rng = np.random.default_rng(0)
age = rng.uniform(20, 80, 600)
income = 12000 + 700 * age + rng.normal(0, 4000, 600)
city = np.where(rng.random(600) < (age - 20) / 60, "Oslo", "Rome")
data = given.read(age=age, income=income, city=city)

model = given.model("p(city) p(age, income | city)", data)  # categories first, numbers given them: closed form
model.fit(data)
print(model.score(data))
print(model.given(age=30).probabilities("city"), model.given(age=30).mean()["income"])
near = model.given(age=30, city="Rome").sample(500, seed=0)["income"].mean()
print(f"income at 30 in Rome: {near:.0f}")
assert abs(near - 33000) < 2500

"""Formulas, products, and what follows from what is seen."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

import given
from given import part, prefix
from given.codecs import IdentityCodec, Label, Number
from given.distributions import Intractable, Noise
from given.families import Autoregressive, Categorical, Dequantised, Empirical, Gaussian, GaussianMixture, Independent
from given.formula import parse
from given.nn import Dropout, Reverse, Transformer, seed_dropout
from given.testing import perturb
from given.variables import Axis, Finite, UserError, Variable

torch.set_num_threads(1)
RNG = np.random.default_rng(0)


def toy(n=400):
    """A label, a small picture that depends on it, and a number that depends on both."""
    label = RNG.choice(["a", "b", "c"], n, p=[0.6, 0.3, 0.1])
    shift = (label == "b").astype(int) + 2 * (label == "c")
    image = ((RNG.integers(0, 2, (n, 2, 2)) + shift[:, None, None]) % 3).astype(np.uint8)
    size = image.sum((1, 2)) * 1.5 + shift + RNG.normal(0, 0.5, n)
    return given.read(label=label, image=image, size=size)


def toy_model(formula="p(label) p(image | label)", **families):
    data = toy()
    chosen = {"image": partial(Autoregressive, net=partial(Transformer, width=16, layers=1, heads=2)), **families}
    model = given.model(formula, data, families={k: v for k, v in chosen.items() if k in formula})
    model.fit(data, steps=3, held_out=0)
    perturb(model.joint)
    return model, data


def check_bayes():
    """p(label | image) by a query is the ratio of enumerated joints, with the prior in it."""
    model, data = toy_model()
    few = data.rows(slice(0, 7))
    joint = np.stack([model.log_prob(image=few["image"], label=[v] * 7) for v in "abc"], 1)
    hoped = np.exp(joint) / np.exp(joint).sum(1, keepdims=True)
    query = model.given(image=few["image"])
    assert np.allclose(np.stack([query.probabilities("label")[v] for v in "abc"], 1), hoped, atol=1e-5)
    asked = np.stack([query.log_prob(label=[v] * 7) for v in "abc"], 1)
    assert np.allclose(np.exp(asked), hoped, atol=1e-5)
    assert np.allclose(model.given().log_prob(image=few["image"]), np.log(np.exp(joint).sum(1)), atol=1e-5)


def check_raw_density():
    """The density of a number integrates to 1 in the data's own units."""
    size = RNG.normal(1000, 250, 300)
    model = given.model("size", given.read(size=size), codecs={"size": Number()})
    model.fit(given.read(size=size))
    grid = np.linspace(-1500, 3500, 4001)
    assert math.isclose(np.exp(model.log_prob(size=grid)).sum() * (grid[1] - grid[0]), 1, abs_tol=1e-3)


def test_bayes_is_enumeration():
    check_bayes()


def test_the_density_of_a_number_is_in_raw_units():
    check_raw_density()


def test_posterior_draws_follow_the_posterior():
    model, data = toy_model()
    image = data["image"][3]
    p = model.given(image=image).probabilities("label")
    drawn = model.given(image=image).sample(4000, seed=1)["label"]
    for v in "abc":
        error = math.sqrt(p[v][0] * (1 - p[v][0]) / 4000) + 1e-9
        assert abs((drawn == v).mean() - p[v][0]) < 5 * error
    assert model.given(image=image).mode()["label"] == max("abc", key=lambda v: p[v][0])
    entropy = -sum(p[v][0] * math.log(p[v][0]) for v in "abc")
    assert math.isclose(model.given(image=image).entropy()[0], entropy, abs_tol=1e-6)


def test_a_label_is_summed_out():
    """p(label | size), and the mean of a size whose label is not known."""
    data = toy()
    model = given.model("p(label) p(size | label)", data)
    model.fit(data)
    joint = np.stack([model.log_prob(size=data["size"][:5], label=[v] * 5) for v in "abc"], 1)
    hoped = np.exp(joint) / np.exp(joint).sum(1, keepdims=True)
    got = model.given(size=data["size"][:5]).probabilities("label")
    assert np.allclose(np.stack([got[v] for v in "abc"], 1), hoped, atol=1e-9)
    mean = model.given().mean()["size"]
    prior = model.given().probabilities("label")
    by_label = sum(prior[v][0] * model.given(label=v).mean()["size"] for v in "abc")
    assert math.isclose(float(mean), float(by_label), rel_tol=1e-9)


def test_grandparents():
    """a -> b -> c, all finite: p(a | c) sums out b."""
    a = RNG.integers(0, 2, 500)
    b = (a + (RNG.random(500) < 0.2)) % 2
    c = (b + (RNG.random(500) < 0.3)) % 2
    data = given.read(a=a.astype(str), b=b.astype(str), c=c.astype(str))
    model = given.model("p(a) p(b | a) p(c | b)", data, families={"b": Independent, "c": Independent})
    model.fit(data)
    every = [(i, j, k) for i in "01" for j in "01" for k in "01"]
    p = np.exp(model.log_prob(a=[e[0] for e in every], b=[e[1] for e in every], c=[e[2] for e in every]))
    assert math.isclose(p.sum(), 1, abs_tol=1e-9)
    hoped = sum(v for e, v in zip(every, p, strict=True) if e[0] == "1" and e[2] == "1") / sum(
        v for e, v in zip(every, p, strict=True) if e[2] == "1")
    assert math.isclose(model.given(c="1").probabilities("a")["1"][0], hoped, abs_tol=1e-9)
    assert math.isclose(math.exp(model.given(c="1").log_prob(a="1")[0]), hoped, abs_tol=1e-9)


def test_completion_keeps_what_is_seen_and_knows_the_label():
    model, data = toy_model()
    image = data["image"][:3]
    top = np.array([[True, True], [False, False]])
    drawn = model.given(image=part(image, seen=top)).sample(50, seed=2)
    assert drawn["image"].shape == (50, 3, 2, 2) and drawn["label"].shape == (50, 3)
    assert (drawn["image"][:, :, 0] == image[:, 0]).all()
    assert len(np.unique(drawn["image"][:, 0, 1].reshape(50, -1), axis=0)) > 1
    same = model.given(image=prefix(image[:, :1])).sample(50, seed=2)
    assert (same["image"] == drawn["image"]).all()


def test_completion_follows_the_conditional():
    """Draws of the lower half given the upper follow p(lower | upper), summed over labels."""
    model, data = toy_model()
    image = data["image"][0]
    top = np.array([[True, True], [False, False]])
    drawn = model.given(image=part(image, seen=top)).sample(4000, seed=3)["image"][:, 1]
    every = np.array([[[*image[0]], [i, j]] for i in range(3) for j in range(3)])
    log_p = model.given().log_prob(image=every)
    p = np.exp(log_p) / np.exp(log_p).sum()
    for value, hoped in zip(every[:, 1], p, strict=True):
        share = (drawn == value).all(1).mean()
        assert abs(share - hoped) < 5 * math.sqrt(hoped * (1 - hoped) / 4000) + 1e-6


def test_completion_against_the_order_is_refused():
    model, data = toy_model()
    bottom = np.array([[False, False], [True, True]])
    with pytest.raises(Intractable, match="Reverse"):
        model.given(image=part(data["image"][0], seen=bottom)).sample(1)
    reverse, _ = toy_model(image=partial(Autoregressive, order=Reverse(), net=partial(Transformer, width=16, layers=1)))
    drawn = reverse.given(image=part(data["image"][0], seen=bottom)).sample(5)["image"]
    assert (drawn[:, 1] == data["image"][0][1]).all()


def test_a_block_fills_any_column_given_any():
    n = 500
    height = RNG.normal(170, 10, n)
    weight = 0.9 * height - 90 + RNG.normal(0, 5, n)
    age = RNG.normal(40, 12, n)
    data = given.read(height=height, weight=weight, age=age)
    model = given.model(None, data)
    assert str(model) == "p(height, weight, age)"
    model.fit(data)
    tall, short = (model.given(height=h).mean()["weight"] for h in (190.0, 150.0))
    assert abs((tall - short) - 36) < 4
    drawn = model.given(weight=80.0).sample(3000, seed=1)
    assert (drawn["weight"] == 80.0).all() and abs(drawn["height"].mean() - model.given(weight=80.0).mean()["height"]) < 1
    both = model.given(weight=[80.0, 60.0], age=[30.0, 50.0]).mean()["height"]
    assert both.shape == (2,) and both[0] > both[1]
    one = model.log_prob(data)
    parts = model.given().log_prob(weight=data["weight"]) + model.given(weight=data["weight"]).log_prob(
        height=data["height"], age=data["age"])
    assert np.allclose(one, parts)


def rows_at_once(monkeypatch, n):
    for name in ("scoring.rows_at_once", "query.rows_at_once", "draws.draws_at_once"):
        monkeypatch.setattr(f"given.verbs.{name}", lambda joint: n)


def test_rows_do_not_depend_on_their_batch(monkeypatch):
    model, data = toy_model()
    model_rows, few = data["image"], data["image"][:5]
    with monkeypatch.context() as patched:
        rows_at_once(patched, 3)
        small = model.given(image=few).sample(4, seed=9)["label"], model.log_prob(image=few, label=data["label"][:5])
    whole = model.given(image=few).sample(4, seed=9)["label"], model.log_prob(image=few, label=data["label"][:5])
    assert (small[0] == whole[0]).all() and np.allclose(small[1], whole[1], atol=1e-5)
    assert (model.given(image=model_rows[:40]).sample(4, seed=9)["label"][:, :5] == whole[0]).all()


def test_an_estimate_of_a_row_does_not_depend_on_its_batch(monkeypatch):
    model, data = toy_model(image=partial(Dequantised, family=Gaussian))
    whole = model.given(image=data["image"][:20]).probabilities("label")["a"]
    rows_at_once(monkeypatch, 7)
    assert np.allclose(model.given(image=data["image"][:20]).probabilities("label")["a"], whole, atol=1e-12)


def test_draws_of_one_column_tell_nothing_of_another_whatever_its_name():
    data = given.read(c=RNG.choice(["u", "v"], 300), posterior=RNG.choice(["s", "t"], 300), e=RNG.choice(["i", "j"], 300))
    model = given.model("p(c) p(e | c) p(posterior)", data)
    model.fit(data, steps=1, held_out=0)
    drawn = model.given(e="i").sample(2000)
    both = (drawn["c"] == "u").astype(float), (drawn["posterior"] == "s").astype(float)
    assert abs(np.corrcoef(*both)[0, 1]) < 0.12


def test_log_prob_is_that_of_the_printed_formula():
    model, data = toy_model()
    few = data.rows(slice(0, 4))
    whole = model.log_prob(image=few["image"], label=few["label"])
    prior, below = model.log_prob(label=few["label"]), model.given(label=few["label"]).log_prob(image=few["image"])
    assert np.allclose(whole, prior + below, atol=1e-6)
    with pytest.raises(UserError, match="label is not given"):
        model.log_prob(image=few["image"])


def test_a_prior_stands_in_for_a_missing_factor():
    model, data = toy_model("p(image | label)")
    with pytest.raises(UserError, match=r'declare it.*prior=.*"uniform"'):
        model.given(image=data["image"][0]).sample()
    flat = model.given(image=data["image"][:5], prior={"label": "uniform"}).probabilities("label")
    each = np.stack([model.log_prob(image=data["image"][:5], label=[v] * 5) for v in "abc"], 1)
    hoped = np.exp(each) / np.exp(each).sum(1, keepdims=True)
    assert np.allclose(np.stack([flat[v] for v in "abc"], 1), hoped, atol=1e-5)
    query = model.given(image=data["image"][:5], prior={"label": {"a": 0.5, "b": 0.3, "c": 0.2}})
    asked = np.exp(np.stack([query.log_prob(label=[v] * 5) for v in "abc"], 1))
    assert np.allclose(asked, np.stack([query.probabilities("label")[v] for v in "abc"], 1), atol=1e-5)
    with pytest.raises(UserError, match="nothing says"):
        model.given().log_prob(image=data["image"][:5], label=["a"] * 5)
    drawn = model.given(prior={"label": {"a": 0.0, "b": 0.5, "c": 0.5}}).sample(50)
    assert set(drawn["label"]) == {"b", "c"} and drawn["image"].shape == (50, 2, 2)
    told = model.given(image=data["image"][:5], prior={"label": {"a": 1.0, "b": 0.0, "c": 0.0}}).mode()["label"]
    assert (told == "a").all()


def test_kinds_and_measures_are_said():
    model, data = toy_model("p(label) p(image | label) p(size | label)")
    score = model.score(data)
    assert score.kind == "exact" and score.measure == "counting of label, image; length in raw units of size"
    assert model.given(label=data["label"]).score(image=data["image"]).conditioned_on == ("label",)
    bits = model.given(label=data["label"]).score(image=data["image"]).bits_per_dim()
    assert bits.unit == "bits/dim" and bits.value > 0 and bits.error > 0


def test_comparison_refuses_to_rank_different_measures():
    model, data = toy_model("p(label) p(image | label) p(size | label)")
    scores = {"a": model.score(label=data["label"]), "b": model.given(label=data["label"]).score(size=data["size"])}
    table = given.Comparison(scores)
    assert len(table.groups) == 2
    with pytest.raises(UserError, match="no order"):
        table.difference("a", "b")


def test_bits_an_entry_are_of_seen_entries():
    x = RNG.normal(size=(300, 3))
    data, holes = given.read(x=x), np.where([True, False, False], x, np.nan)
    model = given.model("x", data, codecs={"x": Number(missing="unknown")})
    model.fit(data, held_out=0)
    assert model.score(x=holes).dimensions == 1 and model.given().score(x=holes).dimensions == 1
    assert abs(model.score(x=holes).bits_per_dim().value - model.score(data).bits_per_dim().value) < 0.1


def test_scores_of_different_columns_have_no_order():
    model, data = toy_model("p(label) p(image | label)", image=Independent)
    scores = {"label": model.score(label=data["label"]), "image": model.given().score(image=data["image"])}
    assert len(given.Comparison(scores).groups) == 2
    with pytest.raises(UserError, match="differ in columns"):
        given.Comparison(scores).difference("label", "image")


def test_a_single_item_is_scored_with_each_of_several():
    model, data = toy_model()
    few = data["image"][:4]
    hoped = model.log_prob(image=few, label=["a"] * 4)
    assert (model.log_prob(image=few, label="a") == hoped).all()
    assert (model.log_prob({"image": few, "label": "a"}) == hoped).all()
    assert np.allclose(model.log_prob({"image": few[0], "label": "a"}), hoped[:1], atol=1e-6)


def test_what_is_drawn_is_data():
    model, _ = toy_model("p(label) p(size | label)")
    drawn = model.given(label=["a", "b"]).sample(3)
    assert np.allclose(model.log_prob(drawn), model.log_prob(label=drawn["label"].ravel(), size=drawn["size"].ravel()))
    model.fit(drawn, held_out=0)
    best = model.given(label="a").mode()
    assert model.log_prob({"label": "a", **best}).shape == (1,) and len(best.to_pandas()) == 1


def test_a_part_is_scored_given_another():
    model, data = toy_model("p(label) p(image | label)", image=Independent)
    image, top = data["image"][:3], np.array([[True, True], [False, False]])
    parts = part(image, seen=top), part(image, seen=~top)
    whole = model.given(label="a").log_prob(image=image)
    assert np.allclose(model.given(label="a").log_prob(image=parts[0])
                       + model.given(label="a", image=parts[0]).log_prob(image=parts[1]), whole)


def test_the_mode_of_a_block_of_both_kinds():
    data = given.read(c=["x", "y", "y"] * 10, v=RNG.normal(size=30))
    model = given.model(None, data, families={"c,v": Independent})
    model.fit(data, held_out=0)
    assert model.given(v=0.0).mode()["c"] == "y"


def test_a_block_whose_law_has_no_mode_says_so():
    data = given.read(a=RNG.normal(size=60), b=RNG.normal(size=60), c=["s", "t"] * 30)
    model = given.model("p(a, b | c)", data, families={"a,b": GaussianMixture})
    model.fit(data)
    query = model.given(c="s", a=0.0)
    with pytest.raises(Intractable, match=r"p\(a, b \| c\): its mode has no closed form"):
        query.mode()
    assert np.isfinite(query.mean()["b"])


def test_a_classifier_is_evaluated_beside_its_baseline():
    data = given.read(label=toy()["label"], image=RNG.integers(0, 17, (400, 6, 6)))
    model = given.model("label | image", data)
    model.fit(data, steps=1)
    assert len(model.evaluate(data, train=data).scores) == 2


def test_numpy_numbers_are_numbers(tmp_path):
    data = given.read(digit=np.array([1, 2, 1, 2]))
    model = given.model("digit", data, codecs={"digit": Label(list(data["digit"][:2]))}, seed=np.int64(1))
    model.fit(data, held_out=0, seed=np.int64(2))
    model.save(tmp_path / "m")
    assert (given.load(tmp_path / "m").sample(n=5, seed=np.int64(3))["digit"] == model.sample(5, seed=3)["digit"]).all()


def test_in_full():
    label = Variable("label", Label(["a", "b", "c"]))
    image = Variable("image", IdentityCodec(Finite(3, ordered=True, axes=(Axis("height", 2), Axis("width", 2)))))
    model = given.Model(Categorical(label), Autoregressive(image, parents=label, net=partial(Transformer, width=16)))
    assert str(model) == "p(label) p(image | label)"
    assert model.sample(2, label="b")["image"].shape == (2, 2, 2)


def test_a_score_is_without_dropout():
    data = toy(40)
    model = given.model("image | label", data, families={"image": partial(Autoregressive, net=partial(Transformer, width=16))})
    model.fit(data, steps=1)
    perturb(model.joint.train())
    assert (model.log_prob(data) == model.log_prob(data)).all()


def test_formulas():
    assert [t.name for t in parse("p(a, `b c` | d) p(d)")] == ["a, `b c`", "d"]
    assert parse("image | label") == parse("p(image | label)")
    data = given.read(**{"house price": [1.5, 2.0, 3.5], "city": ["x", "y", "x"]})
    assert str(given.model("`house price` | city", data)) == "p(`house price` | city)"


def test_memory_answers_with_what_it_stored():
    data = toy(50)
    model = given.model("p(label) p(image | label)", data, families={"image": Empirical})
    model.fit(data, held_out=0)
    stored = {(row.tobytes(), label) for row, label in zip(data["image"], data["label"], strict=True)}
    drawn = model.sample(100, seed=1)
    assert all((row.tobytes(), label) in stored for row, label in zip(drawn["image"], drawn["label"], strict=True))
    assert np.isfinite(model.log_prob(data)).all()


def test_memory_rules_out_a_label_it_has_nothing_of():
    data = toy(60)
    model = given.model("p(label) p(image | label)", data, families={"image": Empirical})
    model.fit(data.rows(data["label"] != "c"), held_out=0)
    assert model.log_prob(image=data["image"][:1], label=["c"])[0] == -np.inf
    seen = data["image"][data["label"] == "a"][0]
    p = model.given(image=seen).probabilities("label")
    assert p["c"][0] == 0 and math.isclose(p["a"][0] + p["b"][0], 1)
    with pytest.raises(UserError, match="no stored item"):
        model.given(label="c").sample()


def test_noise_is_uniform_and_its_own():
    u = Noise.of(3, 50).uniform((40,), (5,)).flatten()
    ordered = u.sort().values
    steps = torch.arange(1, len(u) + 1) / len(u)
    assert float((ordered - steps).abs().max()) < 2.7 / math.sqrt(len(u))  # Kolmogorov and Smirnov, failing once in 1e6
    a, b = Noise.of(3, 4).uniform((), (1000,)), Noise.of(3, 4).fold("other").uniform((), (1000,))
    assert float(torch.corrcoef(torch.stack([a[0], a[1], b[0], b[1]])).triu(1).abs().max()) < 0.16
    z = Noise.of(1, 100).normal((), (100,)).flatten()
    assert abs(float(z.mean())) < 0.05 and abs(float(z.std()) - 1) < 0.04


def neighbours(numbers: Tensor) -> float:
    """By how many standard deviations pairs of numbers that follow one another leave the uniform law on 64 x 64 cells."""
    cell = (numbers * 64).long()
    counts = torch.bincount(cell[1:] * 64 + cell[:-1], minlength=4096).double()
    expected = (len(cell) - 1) / 4096
    return (float(((counts - expected) ** 2).sum()) / expected - 4095) / math.sqrt(2 * 4095)


@pytest.mark.parametrize("scale", [1, 2**8, 2**20])
def test_noise_of_neighbours_is_independent(scale: int):
    """Places of a row, rows, draws, folds, seeds: by their high digits, and by those after the eighth and the twentieth bit."""
    noise, n = Noise.of(2, 1), 1 << 16
    streams = {
        "places": noise.uniform((), (n,)), "rows": Noise.of(2, n).uniform(), "draws": Noise.of(2, 1, draws=n).uniform(),
        "repeated": noise.uniform((n,)), "rows of two places": Noise.of(2, n // 2).uniform((), (2,)),
        "two draws of rows": Noise.of(2, n // 2, draws=2).uniform().view(2, -1).T.reshape(-1),
        "folds": torch.cat([Noise.of(2, 64).fold(step).uniform() for step in range(n // 64)]),
    }
    for name, u in streams.items():
        assert abs(neighbours(u.flatten() * scale % 1)) < 5.5, name


def test_a_mask_of_dropout_is_uniform_and_of_its_call():
    drop, h = Dropout(0.25), torch.ones(256, 256)
    seed_dropout([drop], 3, 1)
    first, second = drop(h), drop(h)
    for mask in (first, second):
        assert abs(float(mask.mean()) - 1) < 5 * math.sqrt(0.25 / 0.75 / h.numel())
        near = torch.corrcoef(torch.stack([mask.flatten()[lag:-64 + lag or None] for lag in (0, 1, 2, 3, 4, 8, 63)])).triu(1)
        assert float(near.abs().max()) < 5.5 / math.sqrt(h.numel())
    assert abs(float(torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1])) < 5.5 / math.sqrt(h.numel())
    seed_dropout([drop], 3, 1)
    assert torch.equal(drop(h), first)


def test_a_constant_condition_teaches_nothing():
    data = given.read(x=RNG.normal(size=50), r=np.full(50, 2.0))
    with_r, without = given.model("x | r", data, codecs={"r": Number()}), given.model("x", data)
    for model in (with_r, without):
        model.fit(data, held_out=0)
    assert np.allclose(with_r.log_prob(data), without.log_prob(data))


def test_more_entries_than_rows_need_shrinkage():
    data = given.read(x=RNG.normal(size=(5, 10)))
    given.model("x", data).fit(data, held_out=0)
    with pytest.raises(UserError, match="singular"):
        given.model("x", data, families={"x": partial(Gaussian, shrinkage=0.0)}).fit(data, held_out=0)


def test_a_number_with_holes_is_learned_by_em():
    n = 3000
    x = RNG.multivariate_normal([1, -2], [[1, 0.8], [0.8, 1]], n)
    holes = x.copy()
    holes[RNG.random(n) < 0.4, 1] = np.nan
    data = given.read(x=holes)
    model = given.model("x", data, codecs={"x": Number(missing="unknown")}, families={"x": partial(Gaussian, shrinkage=0.0)})
    model.fit(data, held_out=0)
    slope = (model.given(x=part([3.0, 0.0], seen=[True, False])).mean()["x"][1]
             - model.given(x=part([1.0, 0.0], seen=[True, False])).mean()["x"][1]) / 2
    assert abs(slope - 0.8) < 0.08


def test_rows_may_be_given_different_columns():
    rng = np.random.default_rng(0)
    rome = rng.random(400) < 0.5
    age = np.where(rome, 60.0, 20.0) + rng.normal(0, 2, 400)
    data = {"city": np.where(rome, "Rome", "Oslo"), "age": age, "income": 3 * age + rng.normal(0, 1, 400)}
    model = given.model("p(city) p(age, income | city)", data)
    model.fit(data, held_out=0)
    city = given.part(["Rome", "", "Oslo", ""], seen=[True, False, True, False])
    query = model.given(city=city, age=[60.0, 20.0, 21.0, 61.0])
    assert query.sample(3)["city"].tolist() == [["Rome", "Oslo", "Oslo", "Rome"]] * 3
    assert query.mode()["city"].tolist() == ["Rome", "Oslo", "Oslo", "Rome"]
    alone = model.given(age=[20.0, 61.0])
    assert np.allclose(query.score(income=[180.0, 60.0, 63.0, 183.0]).items[[1, 3]], alone.score(income=[60.0, 183.0]).items)
    one = model.given(city=given.part(["Rome", ""], seen=[True, False]), age=[60.0, 20.0]).sample(2, seed=4)
    assert np.allclose(one["income"], query.sample(2, seed=4)["income"][:, :2]), "a row's draw depends on the rows beside it"


def test_scores_as_they_come_are_those_of_all_at_once():
    rng = np.random.default_rng(0)
    levels = {"level": rng.integers(0, 9, 300)}
    codecs = {"level": given.codecs.IdentityCodec(given.variables.Finite(9, ordered=True, axes=()))}
    model = given.model("p(level)", levels, codecs=codecs,
                        families={"level": partial(given.families.Dequantised, family=given.families.Gaussian)})
    model.fit(levels, held_out=0)

    class Parts(given.sources.Source):
        names = ("level",)

        def batches(self, size):
            for start in range(0, 300, 70):
                yield given.Columns(levels).rows(slice(start, start + 70))

    parts = np.concatenate([score.items for score in model.scores(Parts(), seed=3)])
    assert np.array_equal(parts, model.log_prob(levels, seed=3))


def test_the_baseline_counts_rows_by_their_weights():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, 1, 200), rng.normal(100, 1, 200)])
    data = {"x": x, "w": np.repeat([1.0, 0.0], 200)}
    model = given.model("p(x)", data)
    model.fit(data, weight="w", held_out=0)
    scores = model.evaluate({"x": x[:200]}, train=data).scores
    # The baseline's imagined row costs 1.2 nats here; counting the rows of weight 0 would cost 3.9.
    assert scores["this model"].value - scores["independent columns"].value < 2

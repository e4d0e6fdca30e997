"""What a person can ask: one column's mean, quantiles and mode, continuations, ranges, seeds, formulas."""


from functools import partial

import numpy as np
import pytest
import torch

import given
from given.app.cli import main
from given.codecs import Image, Integer, Number, Text
from given.families import Autoregressive, ChowLiuTree, Empirical, Gaussian, Independent, NGram
from given.formula import parse
from given.nn import MinGRU
from given.variables import UserError

RNG = np.random.default_rng(0)
N = 2000
CITY = RNG.choice(["Lima", "Oslo", "Rome"], N, p=[0.2, 0.3, 0.5])
AGE = RNG.normal(40, 10, N) + 10 * (CITY == "Oslo")
INCOME = 2 * AGE + RNG.normal(0, 5, N)
KIDS = np.minimum(RNG.poisson(1.5, N), 9)
DAY = np.datetime64("2020-01-01") + RNG.integers(0, 100, N)
TABLE = {"city": CITY, "age": AGE, "income": INCOME}


@pytest.fixture(scope="module")
def people():
    codecs = {"age": Number(), "income": Number()}
    model = given.model("p(city) p(age, income | city)", TABLE, codecs=codecs, families={"age, income": Gaussian})
    model.fit(TABLE)
    return model


@pytest.fixture(scope="module")
def defaults():
    """The default table, one block of an any-order net, of a few steps."""
    table = {"city": CITY, "kids": KIDS, "day": DAY, "age": AGE}
    model = given.model(None, table)
    model.fit({k: v[:400] for k, v in table.items()}, steps=3, progress=False)
    return model


def test_mean_and_quantiles_are_those_of_the_mixture_over_what_is_unknown(people):
    """By hand: every city's normal law of income given an age, weighed by Bayes' rule."""
    asked, factor = people.given(age=50.0), people.joint.declared[1]
    codecs = factor.x.codec.codecs
    weights = np.stack(list(asked.probabilities("city").values()), 1)[0]
    means, scales = [], []
    for city in range(3):
        z = float(codecs["age"].encode(np.array([50.0])).tensor[0])
        law = factor(given.variables.Observed({"city": given.variables.Entries(torch.tensor([city]))})).distribution
        (m_age, m), C = law.mean_BD[0].tolist(), law.covariance[0]
        line = codecs["income"].scale_of
        means.append((m + float(C[1, 0] / C[0, 0]) * (z - m_age)) * line.scale + line.mean)
        scales.append(float((C[1, 1] - C[1, 0] ** 2 / C[0, 0]) ** 0.5) * line.scale)
    assert asked.mean("income") == pytest.approx(float(weights @ means), rel=1e-9)
    levels = [0.05, 0.5, 0.9]
    for level, value in zip(levels, asked.quantile("income", levels), strict=True):
        z = torch.tensor((value - np.array(means)) / np.array(scales))
        assert float(torch.tensor(weights) @ torch.special.ndtr(z)) == pytest.approx(level, abs=1e-9)


def test_shapes_of_answers_follow_what_is_observed(people):
    one, two = people.given(city="Oslo"), people.given(city=["Oslo", "Rome", "Oslo"])
    assert isinstance(one.mean("age"), float) and isinstance(one.quantile("age", 0.5), float)
    assert one.quantile("age", [0.1, 0.9]).shape == (2,)
    assert two.mean("age").shape == two.quantile("age", 0.5).shape == (3,) and two.quantile("age", [0.1, 0.9]).shape == (3, 2)
    assert two.mean("age")[0] == two.mean("age")[2] == one.mean("age") != two.mean("age")[1]
    assert people.given().mode("city") == "Rome" and type(people.given().mode("city")) is str
    assert people.given(age=[20.0, 90.0]).mode("city").tolist() == ["Rome", "Oslo"]


def test_a_finite_column_is_answered_by_its_probabilities():
    data = {"kids": KIDS}
    model = given.model("kids", data, codecs={"kids": Integer()}, families={"kids": Independent})
    model.fit(data, held_out=0)
    p = np.ravel(
        list(model.given().probabilities("kids").values()))
    assert model.given().mean("kids") == pytest.approx(p @ np.arange(len(p)))
    levels = [0.001, 0.3, 0.5, 0.99]
    expected = [int(np.searchsorted(p.cumsum(), level)) for level in levels]
    assert model.given().quantile("kids", levels).tolist() == expected
    assert model.given().mode("kids") == int(p.argmax())


def test_the_default_table_answers_of_every_column(defaults):
    for asked in (defaults.given(age=[30.0, 50.0]), defaults.given(city=["Rome", "Oslo"])):
        draws = asked.sample(1000)
        assert asked.mean("kids") == pytest.approx(draws["kids"].mean(0), abs=0.4)  # three steps make no coherent orders
        assert asked.quantile("kids", [0.1, 0.5, 0.9]).dtype.kind == "i"
        day, middle = asked.mean("day"), np.median(draws["day"].astype(int), 0).astype("M8[D]")
        assert day.dtype.kind == "M" and (abs(day - middle).astype(int) < 12).all()
        assert asked.quantile("day", 0.5).dtype == day.dtype and np.isin(asked.quantile("day", 0.5), draws["day"]).all()
        for name in ("kids", "day"):
            least, most = asked.quantile(name, [0.1, 0.9]).T
            assert (least <= most).all()
    assert defaults.given(age=30.0).mode("city") in CITY


def test_missing_values_are_left_out_of_means_and_quantiles():
    x = np.where(np.arange(300) % 3 == 0, np.nan, np.arange(300) / 10)
    data = {"x": x}
    model = given.model("x", data, codecs={"x": Number(missing="symbol")}, families={"x": Independent})
    model.fit(data, held_out=0)
    assert model.given().mean("x") == pytest.approx(np.nanmean(x), abs=1.5)
    assert model.given().quantile("x", 0.5) == pytest.approx(np.nanmedian(x), abs=2)


@pytest.mark.parametrize(("ask", "message"), [
    (lambda q: q.mode("income"), r'a real column has no mode in closed form here; ask for its median, quantile\("income"'),
    (lambda q: q.mean("city"), "city: holds no numbers, so it has no mean; ask for its mode"),
    (lambda q: q.quantile("city", 0.5), "city: holds no numbers, so it has no quantile"),
    (lambda q: q.quantile("income", 50), r"quantile: levels=50; expected probabilities between 0 and 1"),
    (lambda q: q.quantile("income", []), r"quantile: levels=\[\]; expected probabilities"),
    (lambda q: q.mean("age"), "age: is given, or has no factor"),
    (lambda q: q.mean("wage"), r"column: unknown name 'wage'; did you mean 'age'\? there are city, age, income"),
])
def test_what_has_no_answer_names_what_has(people, ask, message):
    with pytest.raises(UserError, match=message) as error:
        ask(people.given(age=30.0))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", [(30, 40), {30, 40}, frozenset({30}), range(30, 40), slice(30, 40), (30,)])
def test_what_may_be_a_range_or_rows_is_refused_as_a_condition(people, value):
    with pytest.raises(UserError, match=r"^age: got .*, which may mean several rows or a range; pass one value, or a list for "
                                        r"a row each, as \[30, 40\]; "
                                        r"a range is between\(30, 40\), a set of values isin\(30, 40\)$"):
        people.given(age=value)


def test_lists_and_arrays_are_rows_and_a_tuple_is_a_grid(people):
    assert people.given(age=[30, 40]).n == people.given(age=np.array([30, 40])).n == 2
    points = {"point": RNG.normal(size=(50, 2)), "z": RNG.normal(size=50)}
    model = given.model("p(point, z)", points, families={"point, z": Gaussian})
    model.fit(points)
    assert np.shape(model.given(point=(0.5, 1.0)).sample(3)["z"]) == (3,)
    with pytest.raises(UserError, match=r"point: got .* which may mean several rows"):
        model.given(point=((0.5, 1.0), (0.0, 0.0)))


def test_the_same_seed_draws_the_same_rows_and_none_draws_fresh_ones(people, defaults):
    for model in (people, defaults):
        asked = model.given(city="Rome")
        assert asked.sample(4)["age"].tolist() == asked.sample(4, seed=0)["age"].tolist()
        assert asked.sample(4, seed=None)["age"].tolist() != asked.sample(4, seed=None)["age"].tolist()
    assert people.sample(4, seed=None)["age"].tolist() != people.sample(4, seed=None)["age"].tolist()
    assert defaults.given(city="Rome").mean("age", seed=None) != defaults.given(city="Rome").mean("age", seed=None)
    np.testing.assert_array_equal(people.log_prob(TABLE, seed=None), people.log_prob(TABLE))  # exact: there is no noise


def test_a_random_seed_on_the_command_line(people, tmp_path, capsys):
    people.save(tmp_path / "people.given")

    def ages(seed):
        assert main(["sample", str(tmp_path / "people.given"), "-n", "3", "--seed", seed]) == 0
        return capsys.readouterr().out

    assert ages("0") == ages("0") != ages("random") != ages("random")


@pytest.mark.parametrize(("formula", "way"), [
    ("y | age=30", "a value goes into given(age=30)"),
    ("p(y | city == Rome)", 'a value goes into given(city="Rome")'),
    ("y | `house price`=3", 'given({"house price": 3})'),
    ("y | age > 30", "a range of values goes into given(age=between(30))"),
    ("y ~ age", "write p(y | age)"),
    ("y ~ age + city - 1", "write p(y | age, city)"),
    ("y | a + b", "columns stand side by side with commas, as p(y | a, b)"),
    ("pm2.5 | x", "names that are not identifiers stand in backticks"),
])
def test_what_no_formula_has_is_refused_with_what_to_write(formula, way):
    with pytest.raises(UserError) as error:
        parse(formula)
    assert str(error.value).startswith(f"formula {formula!r}: unexpected ") and way in str(error.value)


def test_messages_show_plain_values(people):
    """A numpy scalar is printed as what it is."""
    asks = [lambda: people.given(city=np.array(["Paris"], dtype=object)[:1]), lambda: people.sample(1, seed=np.float64(1.5)),
            lambda: people.given(city=np.array([np.str_("Paris")], dtype=object)), lambda: people.sample(np.float64(2.5)),
            lambda: people.given(age=(np.float64(30), np.float64(40))), lambda: given.TopP(np.float64(7.0)),
            lambda: people.given({np.str_("wage"): 30})]
    for ask in asks:
        with pytest.raises(UserError) as error:
            ask()
        assert "np." not in str(error.value), str(error.value)


TEXTS = ["alpha beta", "beta gamma", "gamma alpha beta"] * 20


COUNTED = partial(NGram, order=3)


def texts_of(codec, family=COUNTED, texts=TEXTS):
    model = given.model("p(text)", {"text": texts}, codecs={"text": codec}, families={"text": family})
    model.fit({"text": texts}, steps=2, held_out=0, progress=False)
    return model


CODECS = {"characters": lambda: Text(), "bytes": lambda: Text("bytes"), "words": lambda: Text("words"),
          "windows": lambda: Text(window=12), "pieces": lambda: Text("pieces", size=270)}


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("family", [partial(NGram, order=3), partial(Autoregressive, net=partial(MinGRU, width=8)), Empirical])
def test_a_continuation_is_scored_by_what_comes_after_its_prefix(codec, family):
    if (codec, family) == ("windows", Empirical):
        pytest.skip("examples are whole windows: a text of another length is none of them")
    model = texts_of(CODECS[codec](), family)
    asked = model.given(text=given.prefix("alpha"))
    whole = ["alpha beta", "alpha alpha beta"[: 10 if codec == "windows" else 16], "alpha"]
    found = asked.log_prob(text=whole)
    if codec != "pieces":  # one way to cut a text is not all
        by_hand = model.log_prob(text=whole) - model.given().log_prob(text=given.prefix("alpha"))
        np.testing.assert_allclose(found, by_hand, atol=1e-6)
    assert asked.rank(text=whole)["text"][0] == whole[int(found.argmax())]
    assert asked.score(text=["alpha beta"]).dimensions < model.score(text=["alpha beta"]).dimensions
    with pytest.raises(UserError, match=r"text, row 1: got 'beta'; expected a text that begins with what is given, 'alpha'"):
        asked.log_prob(text=["alpha beta", "beta"])


def test_a_continuation_of_pieces_is_that_which_is_drawn():
    """Cut as it is drawn: the probabilities of what follows a prefix are the frequencies of draws, and at most one together."""
    model = texts_of(Text("pieces", size=262))
    asked = model.given(text=given.prefix("gamma al"))
    drawn, times = np.unique(asked.sample(4000)["text"], return_counts=True)
    likely = drawn[np.argsort(-times)[:3]]
    p = np.exp(asked.log_prob(text=likely.tolist()))
    assert p.sum() <= 1 + 1e-9
    assert (np.sort(times)[::-1][:3] / 4000 >= p - 5 * np.sqrt(p / 4000)).all() and p[0] > 0.5


def test_the_rest_of_a_picture_is_scored_given_its_part():
    images = (RNG.random((100, 3, 3)) < 0.3).astype(np.uint8)
    mask = np.arange(9).reshape(3, 3) < 4
    for family in (Independent, Autoregressive, ChowLiuTree):
        model = given.model("p(image)", {"image": images}, codecs={"image": Image(levels=2)}, families={"image": family})
        model.fit({"image": images}, steps=2, progress=False)
        asked = model.given(image=given.part(images[0], seen=mask))
        every = np.array([np.where(mask.ravel(), images[0].ravel(), np.r_[[0] * 4, [b >> k & 1 for k in range(5)]])
                          for b in range(32)]).reshape(-1, 3, 3)
        assert np.exp(asked.log_prob(image=every)).sum() == pytest.approx(1, abs=1e-5)
        assert asked.score(image=every).dimensions == 5
        with pytest.raises(UserError, match="image, row 0: is not what is given of it; expected a value that holds that"):
            asked.log_prob(image=1 - images[:1])
    points = {"point": RNG.normal(size=(200, 2)) @ np.array([[1.0, 0.7], [0.0, 0.5]])}
    model = given.model("point", points, families={"point": Gaussian})
    model.fit(points, held_out=0)
    asked = model.given(point=given.part([1.0, 0.0], seen=[True, False]))
    grid = np.linspace(-6, 8, 2001)
    p = np.exp(asked.log_prob(point=np.stack([np.ones_like(grid), grid], 1)))
    assert np.trapezoid(p, grid) == pytest.approx(1, abs=1e-6)  # in the units of what was unseen alone


def test_a_longer_text_than_any_learned_from_is_scored():
    model = texts_of(Text())
    assert np.isfinite(model.log_prob(text=["alpha", "gamma alpha beta gamma beta"])).all()
    with pytest.raises(UserError, match=r"text, row 0: 60 characters; expected at most 48; learn again with room for it, "
                                        r"Text\(longest=60\)"):
        model.given().log_prob(text=["alpha " * 10])
    assert np.isfinite(texts_of(Text(longest=60)).log_prob(text=["alpha " * 10])).all()
    with pytest.raises(UserError, match=r"300 characters; .* learn again with Text\(window=300, longest=300\)"):
        model.given().log_prob(text=["alpha " * 50])


def test_a_saved_text_keeps_its_room(tmp_path):
    model = texts_of(Text())
    model.save(tmp_path / "t.given")
    again = given.load(tmp_path / "t.given")
    assert again.joint.columns["text"].space == model.joint.columns["text"].space
    again.save(tmp_path / "u.given")
    assert given.load(tmp_path / "u.given").joint.columns["text"].space == model.joint.columns["text"].space


@pytest.mark.parametrize("unit", ["characters", "bytes", "pieces"])
def test_what_a_model_of_texts_draws_it_can_score(unit):
    model = texts_of(Text(unit, size=270, window=16 if unit == "pieces" else 256), partial(NGram, order=1))
    assert np.isfinite(model.log_prob(text=model.sample(500, seed=3)["text"].tolist())).all()


def test_a_text_that_was_drawn_in_fewer_pieces_than_it_is_cut_into_fits():
    codec = Text("pieces", size=280, longest=1)
    codec.learn(np.array(TEXTS))
    room = codec.space.dimensions - 1
    symbols = torch.from_numpy(np.random.default_rng(1).integers(256, codec.space.size - 1, (50, room)))
    texts = codec.decode(given.variables.Entries(symbols))
    longer = sum(len(codec.tokenizer.encode(text, 0)) > room for text in texts)
    assert longer and (codec.decode(codec.encode(texts)) == texts).all()


def test_a_gaussian_spreads_what_is_determined_by_the_shrinkage_that_it_states():
    x = RNG.normal(size=100)
    data = {"x": x, "y": 2 * x}
    for shrinkage, spread in ((None, 2 / np.sqrt(100)), (1e-6, np.sqrt(2e-6))):
        model = given.model("p(x, y)", data, codecs={"x": Number(), "y": Number()},
                            families={"x, y": partial(Gaussian, shrinkage=shrinkage)})
        model.fit(data, held_out=0)
        low, middle, high = model.given(x=1.0).quantile("y", [0.158655, 0.5, 0.841345])
        assert middle == pytest.approx(2, abs=0.05)
        assert (high - low) / 2 == pytest.approx(spread * np.std(2 * x), rel=0.02)

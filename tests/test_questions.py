"""One question has one answer: `log_prob`, `probabilities` and draws agree, wherever a column stands; and draws stream."""

import itertools
from functools import partial

import numpy as np
import pytest
import torch

import given
from given.app.cli import main
from given.codecs import BlockCodec, IdentityCodec, Text
from given.conditional import teach
from given.distributions import Noise
from given.families import Autoregressive, Categorical, Ensemble, Independent, NGram
from given.infer import Query, Temperature
from given.joint import Joint
from given.nn import AnyOrder, Transformer
from given.testing import perturb
from given.variables import Entries, Finite, Observed, Real, UserError, Variable

NET = partial(Transformer, width=16, layers=2, heads=2)
SIZES = {"b": 3, "d": 2, "a": 2, "c": 3}  # out of their order
SPACES = {name: Finite(size) for name, size in SIZES.items()}
ONE = partial(Autoregressive, net=NET)
SEVERAL = partial(Autoregressive, net=NET, order=AnyOrder(average=3))
_DRAWS = 4_000
TWO = partial(Ensemble, families=(ONE, Independent))


def block(spaces, family=ONE):
    """A block whose orders disagree."""
    names = ", ".join(spaces)
    factor = family(Variable(names, BlockCodec({name: IdentityCodec(space) for name, space in spaces.items()})))
    if family is TWO:
        teach(factor, [(Entries.block({k: Entries(torch.arange(6) % s.size) for k, s in spaces.items()}), Observed(n=6),
                          torch.ones(6))])
    perturb(factor, 1.0)
    return factor.eval()


def every(names, sizes=SIZES):
    """All values of some columns: (K,) each."""
    values = torch.tensor(list(itertools.product(*(range(sizes[name]) for name in names))))
    return {name: Entries(value) for name, value in zip(names, values.unbind(1), strict=True)}


def answers(joint, evidence, asked):
    """p of every value of the columns asked, given one item: by scores, and by 20,000 draws of those columns."""
    x = every(asked)
    n = len(x[asked[0]])
    many = {k: Entries(torch.full((n,), v)) for k, v in evidence.items()}
    one = {k: Entries(torch.tensor([v])) for k, v in evidence.items()}
    with torch.no_grad():
        scores = Query(joint, many, n).log_prob(x)[0].exp()
        drawn = Query(joint, one, 1).sample(_DRAWS, asked=set(asked), seed=1)
    number = torch.zeros(_DRAWS, dtype=torch.int64)
    for name in asked:
        number = number * SIZES[name] + drawn[name].tensor[:, 0]
    return scores, torch.bincount(number, minlength=n) / _DRAWS


def check(joint, evidence, asked):
    p, shares = answers(joint, evidence, asked)
    assert abs(float(p.sum()) - 1) < 1e-5, f"p({asked} | {evidence}) sums to {float(p.sum())}"
    assert bool(((p - shares).abs() < 5 * (p * (1 - p) / _DRAWS).sqrt() + 1e-4).all()), f"scores {p}, draws {shares}"
    if len(asked) == 1:
        with torch.no_grad():
            one = Query(joint, {k: Entries(torch.tensor([v])) for k, v in evidence.items()}, 1)
            assert torch.allclose(one.probabilities(asked[0])[0], p, atol=1e-6)


@pytest.mark.parametrize("family", [ONE, SEVERAL, TWO], ids=["one order", "several orders", "mixture"])
@pytest.mark.parametrize(("given_", "asked"), [
    ({"c": 1}, ["a"]), ({"a": 1}, ["c"]), ({"d": 0, "a": 1}, ["b"]), ({}, ["d"]), ({"b": 2}, ["c", "d"]),
    ({"b": 0}, ["d", "a", "c"])])
def test_scores_sum_to_one_and_draws_follow_them(family, given_, asked):
    check(Joint(block(SPACES, family)), given_, asked)


@pytest.mark.parametrize(("given_", "asked"), [
    ({"e": 1}, ["a"]), ({"e": 1}, ["b"]), ({"e": 0}, ["a", "b"]), ({"e": 1, "c": 2}, ["d", "b"]), ({"b": 1}, ["e"]),
    ({"c": 1}, ["e", "a"]), ({"f": 1}, ["c"]), ({"f": 0, "e": 1}, ["b"])])
def test_what_depends_on_a_block_turns_it_round(given_, asked, monkeypatch):
    """p(b, d, a, c) p(e | a) p(f | c): columns that weigh the evidence come before the others asked."""
    monkeypatch.setitem(SIZES, "e", 2)
    monkeypatch.setitem(SIZES, "f", 2)
    below = [Autoregressive(Variable(name, IdentityCodec(Finite(2))), Variable(of, IdentityCodec(SPACES[of])), net=NET).eval()
             for name, of in (("e", "a"), ("f", "c"))]
    for factor in below:
        perturb(factor, 1.0)
    check(Joint(block(SPACES), *below), given_, asked)


def test_an_answer_does_not_depend_on_where_columns_stand_or_are_named():
    """The order of a question is that of names: the net reads the same entries in it, however the file is ordered."""
    orders = {}
    for names in (["b", "d", "a", "c"], ["c", "b", "a", "d"]):
        law = block({name: SPACES[name] for name in names})(Observed(n=1))
        x = Entries.block({name: Entries(torch.tensor([1])) for name in names})
        seen = Entries.block({name: Entries(torch.tensor([1]), torch.tensor([name in "db"])) for name in names})
        for kind, some in {"whole": law, "given": law.condition(seen), "asked": law.condition(seen).asking({"c"})}.items():
            orders.setdefault(kind, []).append([names[i] for i in some.order.tolist()])
        assert law.condition(seen).asking({"c"}).upto == 3 and bool(torch.isfinite(law.log_prob(x)).all())
    assert orders == {"whole": [list("abcd")] * 2, "given": [list("bdac")] * 2, "asked": [list("bdca")] * 2}


def test_evidence_in_two_steps_is_evidence_in_one():
    law = block(SPACES)(Observed(n=2))
    x = law.sample(seed=3)

    def only(*names):
        return Entries.block({k: Entries(e.tensor, torch.full((2,), k in names)) for k, e in x.columns.items()})

    with torch.no_grad():
        once, twice = law.condition(only("c", "a")), law.condition(only("c")).condition(only("a"))
        assert torch.equal(once.order, twice.order) and torch.equal(once.log_prob(x), twice.log_prob(x))
        hot = law.condition(only("c")).by(Temperature(1.0)).condition(only("a"))  # keeps the order of what is steered
        assert torch.allclose(hot.log_prob(x), once.log_prob(x), atol=1e-5)


def test_rows_that_know_other_columns_are_answered_side_by_side():
    joint, n = Joint(block(SPACES)), 3
    seen = torch.tensor([True, False, True])
    evidence = {"c": Entries(torch.tensor([1, 0, 1]), seen), "d": Entries(torch.tensor([1, 1, 0]))}
    asked = {"a": Entries(torch.tensor([1, 1, 1]))}
    with torch.no_grad():
        together = Query(joint, evidence, n).log_prob(asked)[0]
        for row in range(n):
            mine = {k: e.rows(torch.tensor([row])) for k, e in evidence.items() if k != "c" or seen[row]}
            alone = Query(joint, mine, 1, first_row=row).log_prob({"a": asked["a"].rows(torch.tensor([row]))})[0]
            assert torch.allclose(alone, together[row], atol=1e-6)


@pytest.mark.parametrize("names", [["x", "g"], ["g", "x"]])
def test_a_density_given_a_category_integrates_to_one_either_way_round(names):
    spaces = {"x": Real(atoms=(0.5,)), "g": Finite(3)}
    joint = Joint(block({name: spaces[name] for name in names}))
    grid = torch.linspace(-40, 40, 8_001, dtype=torch.float64)
    with torch.no_grad():
        for g in (0, 2):
            n = len(grid)
            p = Query(joint, {"g": Entries(torch.full((n,), g))}, n).log_prob({"x": Entries(grid)})[0].exp()
            spike = {"x": Entries(torch.tensor([0.5]).double())}
            atom = Query(joint, {"g": Entries(torch.tensor([g]))}, 1).log_prob(spike)[0].exp()
            total = float(torch.trapezoid(torch.where(grid == 0.5, 0.0, p), grid) + atom)
            assert abs(total - 1) < 2e-3
        for x in (-1.0, 0.5, 2.0):
            p = Query(joint, {"x": Entries(torch.full((3,), x).double())}, 3).log_prob({"g": Entries(torch.arange(3))})[0].exp()
            assert abs(float(p.sum()) - 1) < 1e-5


@pytest.fixture
def model():
    rng = np.random.default_rng(0)
    g = rng.choice(list("abc"), 200)
    data = given.read(g=g, x=rng.normal(size=200) + (g == "a"), k=rng.choice(["u", "v"], 200))
    model = given.model("p(g, x, k)", data, families={"g, x, k": ONE})
    model.fit(data, steps=3, progress=False)
    return model


def test_draws_in_parts_are_the_draws_at_once(model, monkeypatch):
    """Those of one item and of several, of rows that know other columns; the first of many are those of few."""
    asked = [model.given(g="b"), model.given(), model.given(g=["a", "b", "c"], k=["u", "v", "u"]),
             model.given(x=given.part([1.0, 0.0, 2.0], seen=[True, False, True]))]
    whole = [query.sample(11, seed=4) for query in asked]
    monkeypatch.setattr("given.verbs.draws.draws_at_once", lambda joint: 4)
    for query, all_ in zip(asked, whole, strict=True):
        for n in (11, 3):
            cut = query.sample(n, seed=4)
            assert cut.shape == (n, *all_.shape[1:]) and set(cut) == set(all_)
            for name, values in cut.items():
                same = np.isclose(values, all_[name][:n], atol=1e-4) if values.dtype.kind == "f" else values == all_[name][:n]
                assert same.all(), name


def test_a_part_of_the_draws_holds_no_more_rows_than_fit(model, monkeypatch):
    monkeypatch.setattr("given.verbs.draws.draws_at_once", lambda joint: 8)
    sizes, sample = [], Query.sample
    monkeypatch.setattr(Query, "sample", lambda self, draws, **options: (
        sizes.append((draws, self.n)), sample(self, draws, **options))[1])
    model.sample(20)
    model.given(g=["a"] * 20).sample(3)
    model.given(g=["a"] * 3).sample(20)
    assert max(draws * n for draws, n in sizes) <= 8 and sum(draws * n for draws, n in sizes) == 140


def test_draws_of_some_columns_leave_the_others_out(model):
    drawn = model.given(g="a").sample(4000, columns=["k"], seed=2)
    p = model.given(g="a").probabilities("k")
    assert list(drawn) == ["k"]
    assert abs(float((drawn["k"] == "u").mean()) - float(p["u"][0])) < 5 * 0.5 / 4000**0.5
    assert list(model.given(g="a").sample(2, columns="x")) == ["x"]
    with pytest.raises(UserError, match="columns: unknown name 'y'"):
        model.given(g="a").sample(columns=["y"])


def test_the_noise_of_draws_is_that_of_their_numbers():
    whole = Noise.of(3, 2, draws=5).uniform()
    assert torch.equal(torch.cat([Noise.of(3, 2, draws=2).uniform(), Noise.of(3, 2, draws=3, first_draw=2).uniform()]), whole)


def test_the_coherence_gap_is_how_far_orders_are_apart():
    """By enumeration: the mean over questions of KL(p_o || p_r), one in four of which turns two columns round; none where one
    column leaves one order."""
    factor = block({"b": Finite(3), "a": Finite(2)})
    with torch.no_grad():
        chain, x = factor(Observed(n=6)), Entries.block(every(["b", "a"]))
        p = chain.log_prob(x)
        flat, row = x.flat(factor.x.space).tensor, torch.arange(6)
        apart = [(p.exp() * (p - chain.scores(flat, row, torch.tensor([order])).sum(-1))).sum() for order in ([0, 1], [1, 0])]
        found = factor.coherence_gap(Observed(n=20_000), seed=1)
        alone = block({"a": Finite(2)}).coherence_gap(Observed(n=5))
    assert float(apart[0]) > 0.01 and abs(float(apart[1])) < 1e-6, "names are the order of whole draws"
    assert abs(found / float(apart[0] / 4) - 1) < 0.1 and abs(alone) < 1e-6


def test_a_fit_knows_and_prints_its_coherence_gap(model, tmp_path, capsys):
    assert 0 < model.facts["fit"]["coherence_gap"] < 1
    path, out = tmp_path / "table.csv", tmp_path / "m.given"
    path.write_text("g,x,k\n" + "".join(f"{'abc'[i % 3]},{i % 7}.5,{'uv'[i % 2]}\n" for i in range(60)))
    assert main(["fit", str(path), "-o", str(out), "--steps", "2"]) == 0
    assert "coherence gap" in capsys.readouterr().out
    assert main(["fit", str(path), "p(g) p(k | g)", "-o", str(out), "--steps", "2"]) == 0
    assert "coherence gap" not in capsys.readouterr().out


def test_rows_are_printed_in_parts(monkeypatch, capsys):
    from given.app import output

    columns = given.read(a=["x", "y", "z"], b=[1.5, float("nan"), 2.0])
    whole = []
    for size in (100, 2):
        monkeypatch.setattr(output, "_ROWS", size)
        output.rows(columns, False)
        output.rows(columns, True)
        whole.append(capsys.readouterr().out)
    rows = '{"a": "x", "b": 1.5}\n{"a": "y", "b": null}\n{"a": "z", "b": 2.0}\n'
    assert whole == ["a,b\nx,1.5\ny,\nz,2.0\n" + rows] * 2


def test_what_follows_a_prefix_is_scored_together_with_what_depends_on_the_text():
    rows = {"text": np.array(["anna", "bob", "carla", "dana", "ed"] * 12, dtype=object), "kind": np.array(list("xyzxy") * 12)}
    model = given.model("p(text) p(kind | text)", rows, codecs={"text": Text()},
                        families={"text": NGram, "kind": Categorical})
    model.fit(rows, steps=3, progress=False)
    begun = model.given(text=given.prefix("an"))
    together = begun.log_prob(text=["anna"], kind=["x"])
    assert together == pytest.approx(begun.log_prob(text=["anna"]) + model.given(text="anna").log_prob(kind=["x"]))


def test_one_row_has_a_coherence_gap():
    rows = {"a": np.array(list("xyz") * 20), "b": np.array(list("xxy") * 20), "c": np.array(list("uv") * 30)}
    model = given.model("p(a, b | c)", rows)
    model.fit(rows, steps=2, held_out={name: values[:1] for name, values in rows.items()}, progress=False)
    assert np.isfinite(model.facts["fit"]["coherence_gap"])

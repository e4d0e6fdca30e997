"""What is known is not always a value: ranges, sets, holes. Answers equal enumeration and quadrature."""

import itertools
import time
from functools import partial

import numpy as np
import pytest
import torch

import given
from given import between, families, isin
from given.app.cli import main
from given.codecs import BlockCodec, IdentityCodec, Integer, Label, Number, Time
from given.families import Autoregressive, FlowMatching, Gaussian, GaussianMixture, Independent
from given.infer import Query, Within
from given.infer.events import Region
from given.joint import Joint
from given.nn import Transformer
from given.solve import Euler
from given.testing import DoesNotApply, prepared
from given.variables import Entries, Finite, Real, UserError, Variable

SMALL = partial(Autoregressive, net=partial(Transformer, width=16, layers=1, heads=2))
RNG = np.random.default_rng(0)
N = 2000
CITY = RNG.choice(["Lima", "Oslo", "Rome"], N, p=[0.2, 0.3, 0.5])
X = RNG.normal(0, 1, N)
Y = 0.8 * X + 0.6 * RNG.normal(size=N) + (CITY == "Oslo")
KIDS = np.minimum(RNG.poisson(1.5, N), 6)
PAIR = {"city": CITY, "x": X, "y": Y}


@pytest.fixture(scope="module")
def pair():
    codecs = {"x": Number(), "y": Number()}
    model = given.model("p(city) p(x, y | city)", PAIR, codecs=codecs, families={"x, y": Gaussian})
    model.fit(PAIR, progress=False)
    return model


@pytest.fixture(scope="module")
def table():
    """Whole numbers, a curve with a hole, days and categories, each by itself."""
    data = {"city": CITY, "kids": KIDS, "age": np.round(40 + 10 * X), "pay": np.where(X > 1.5, np.nan, np.exp(Y)),
            "day": np.datetime64("2020-01-01") + RNG.integers(0, 100, N)}
    codecs = {"kids": Integer(), "age": Number(), "pay": Number(missing="symbol", curve="quantile"),
              "day": Time(atoms=()), "city": Label()}
    model = given.model(None, data, codecs=codecs, families={", ".join(data): Independent})
    model.fit(data, held_out=0, progress=False)
    return data, model


def check_pair():
    """Two dependent columns, each in a range: moments and densities by a grid, of the joint and not column by column."""
    factor = Gaussian(Variable("x, y", BlockCodec({k: IdentityCodec(Real()) for k in "xy"})))
    factor = prepared(factor)
    law = factor(given.variables.Observed(n=1))
    with torch.no_grad():
        law.distribution.covariance[:] = torch.tensor([[1.0, 0.9], [0.9, 1.0]])
        law.distribution.mean_BD[:] = 0.0
        factor.forward = lambda y: law if y.n == 1 else type(law)(type(law.distribution)(
            law.distribution.mean_BD.expand(y.n, -1), law.distribution.covariance.expand(y.n, -1, -1), law.distribution.space),
            law.space)
        regions = {"x": Region(None, 0.0, 1.0), "y": Region(None, 0.5, float("inf"))}
        asked = Within(Query(Joint(factor), {}, 1), regions)
        g = torch.arange(-6, 6, 0.01, dtype=torch.float64) + 0.005
        x, y = (t.reshape(-1) for t in torch.meshgrid(g, g, indexing="ij"))
        p = law.log_prob(Entries.block({"x": Entries(x[:, None]), "y": Entries(y[:, None])}))[:, 0].exp()
        p = p * ((x > 0) & (x < 1) & (y > 0.5)) * 1e-4
        log_p = float(asked.weighing.log_prob(0))
        assert abs(log_p - float(p.sum().log())) < 0.05, f"log p(events) {log_p}, by a grid {float(p.sum().log())}"
        drawn = asked.sample(4000, seed=1)
        for name, column in (("x", x), ("y", y)):
            mean = float((p * column).sum() / p.sum())
            sd = float(((p * column**2).sum() / p.sum() - mean**2) ** 0.5)
            got = drawn[name].tensor.mean().item()
            assert abs(got - mean) < 5 * sd / 4000**0.5 + 1e-3, f"{name}: {got}, by a grid {mean}"


def test_two_dependent_ranges_are_a_condition_on_both():
    check_pair()


def test_a_range_of_a_real_is_its_quadrature(pair):
    asked = pair.given(x=between(0, 1))
    step = 0.004
    g = np.arange(-5, 7, step) + step / 2
    inside = np.arange(0, 1, step) + step / 2
    grid = {k: v.reshape(-1) for k, v in zip("xy", np.meshgrid(inside, g), strict=True)}
    p = np.exp(pair.given().log_prob(grid)).reshape(len(g), len(inside)).sum(1) * step
    p /= p.sum() * step
    got = asked.score(y=g)
    assert got.kind == "exact" and got.conditioned_on == ("x",)
    np.testing.assert_allclose(np.exp(got.items), p, atol=2e-3)
    assert asked.mean("y") == pytest.approx((p * g).sum() * step, abs=0.12)  # of 1,000 draws
    shares = np.exp([pair.given().log_prob(x=inside, city=[c] * len(inside)) for c in ("Lima", "Oslo", "Rome")]).sum(1)
    np.testing.assert_allclose(np.ravel(list(asked.probabilities("city").values())), shares / shares.sum(), atol=1e-4)
    low, middle, high = asked.quantile("x", [0.001, 0.5, 0.999])
    assert 0 < low < 0.01 and 0.4 < middle < 0.5 and 0.99 < high < 1
    x = np.exp(asked.log_prob(x=np.append(inside, [-1.0, 2.0])))
    assert x[:-2].sum() * step == pytest.approx(1, abs=1e-3) and (x[-2:] == 0).all()


def family(name, spaces, given_=()):
    """A family over a block of columns, taught and moved away from its start."""
    make = getattr(families, name)
    if name in ("Autoregressive", "Ensemble"):
        make = SMALL if name == "Autoregressive" else partial(make, families=(SMALL, Independent))
    try:
        columns = {k: IdentityCodec(space) for k, space in spaces.items()}
        return prepared(make(Variable(", ".join(spaces), BlockCodec(columns))))
    except (UserError, TypeError, NotImplementedError, AttributeError, AssertionError, ImportError) as error:
        raise DoesNotApply(str(error)) from None


def enumerated(name):
    """Ranges over two of three columns equal enumeration: p(events), scores given them, probabilities, draws."""
    sizes = {"a": 2, "b": 3, "c": 3}
    joint = Joint(family(name, {k: Finite(size, ordered=True) for k, size in sizes.items()}))
    every = torch.tensor(list(itertools.product(*map(range, sizes.values()))))
    whole, n = {k: Entries(every[:, i]) for i, k in enumerate(sizes)}, len(every)
    with torch.no_grad():
        log_p, kind = Query(joint, {}, n).log_prob(whole)
        if kind != "exact":
            raise DoesNotApply(f"its density is of kind {kind}")
        regions = {k: Region(torch.arange(sizes[k]) > 0) for k in "bc"}
        inside = torch.stack([r.holds(whole[k].tensor) for k, r in regions.items()]).all(0)
        total, one = log_p[inside].logsumexp(0), Within(Query(joint, {}, 1), regions)
        closed = one.weighing.kind == "exact"
        assert abs(float(one.weighing.log_prob(0)[0] - total)) < (1e-6 if closed else 0.3), "p(events) is no sum"
        p = torch.where(inside, (log_p - total).exp(), 0.0)
        score, _ = Within(Query(joint, {}, n), regions).log_prob(whole)
        assert torch.allclose(score.exp(), p, atol=1e-6 if closed else 0.2), "scores given events are no ratios"
        number = torch.zeros(2000, dtype=torch.int64)
        for i, k in enumerate(sizes):
            of = torch.zeros(sizes[k], dtype=torch.float64).index_add_(0, every[:, i], p)
            assert torch.allclose(one.probabilities(k)[0], of, atol=1e-6 if closed else 0.2), f"p({k} | events)"
            number = number * sizes[k] + one.sample(2000, seed=3)[k].tensor[:, 0]
        shares = torch.bincount(number, minlength=n) / 2000
        assert bool((shares[~inside] == 0).all()), "a value outside its range is drawn"
        if closed:
            assert bool(((shares - p).abs() < 5 * (p * (1 - p) / 2000).sqrt() + 1e-3).all()), f"draws {shares}, scores {p}"


def integrated(name):
    """A range on each of two reals equals quadrature on a grid: p(events), and the means of draws."""
    joint = Joint(family(name, {"a": Real(), "b": Real()}))
    regions, step = {"a": Region(None, -0.5, 1.0), "b": Region(None, 0.0, 1.5)}, 0.05
    g = torch.arange(0, 1.5, step, dtype=torch.float64) + step / 2
    a, b = (t.reshape(-1) for t in torch.meshgrid(g - 0.5, g, indexing="ij"))
    with torch.no_grad():
        log_p, kind = Query(joint, {}, len(a)).log_prob({"a": Entries(a), "b": Entries(b)})
        if kind != "exact":
            raise DoesNotApply(f"its density is of kind {kind}")
        p, asked = log_p.exp() * step**2, Within(Query(joint, {}, 1), regions)
        share = float(p.sum())
        if share < 0.01:
            raise DoesNotApply(f"the range has a share of {share:.4f} alone")
        got = float(asked.weighing.log_prob(0)[0].exp())
        assert abs(got - share) < 5 * (share / 1000) ** 0.5 + 2e-3, f"p(events) {got}, by quadrature {share}"
        drawn = asked.sample(1000, seed=1)
        for k, x in (("a", a), ("b", b)):
            mean = float((p * x).sum() / p.sum())
            sd = float(((p * x**2).sum() / p.sum() - mean**2).clamp(min=0) ** 0.5)
            assert abs(float(drawn[k].tensor.mean()) - mean) < 5 * sd / 1000**0.5 + 0.01, f"{k}: draws are not of the law"


@pytest.mark.parametrize("law", [enumerated, integrated])
@pytest.mark.parametrize("name", families.__all__)
def test_ranges_equal_enumeration_and_quadrature(name, law):
    try:
        law(name)
    except (DoesNotApply, given.Intractable) as reason:
        pytest.skip(str(reason))


def test_grids_have_cells_and_ends_are_open_or_closed(table):
    _, model = table

    def values(name, event, n=300):
        return model.given({name: event}).sample(n)[name]

    assert set(values("age", between(40, 42))) == {40, 41, 42}
    assert set(values("age", between(40, 42, closed="neither"))) == {41}
    assert set(values("age", between(39.5, 41.2, closed="left"))) == {40, 41}
    assert set(values("kids", between(2, 4, closed="right"))) == {3, 4}
    days = values("day", between(np.datetime64("2020-02-01"), np.datetime64("2020-02-03")))
    assert set(days.astype(str)) == {"2020-02-01", "2020-02-02", "2020-02-03"}
    pay = values("pay", between(1, 2))
    assert (pay >= 1).all() and (pay <= 2).all()
    assert np.isnan(values("pay", given.missing)).all() and not np.isnan(values("pay", given.present)).any()
    assert set(values("city", isin("Rome", "Lima"))) == {"Rome", "Lima"} == set(values("city", isin(["Rome", "Lima"])))
    p = model.given().log_prob(age=[40.0, 41.0, 42.0])
    assert model.given(age=between(40, 42)).log_prob(age=[41.0])[0] == pytest.approx(p[1] - np.log(np.exp(p).sum()), abs=2e-3)


def test_a_family_without_a_distribution_function_keeps_whole_draws():
    model = given.model("p(x, y)", {"x": X, "y": Y}, codecs={"x": Number(), "y": Number()},
                        families={"x, y": partial(FlowMatching, solver=Euler(8))})
    model.fit({"x": X, "y": Y}, steps=20, progress=False)
    asked = model.given(x=between(0, 1), y=between(0, None))
    drawn = asked.sample(40)
    assert ((drawn["x"] >= 0) & (drawn["x"] <= 1) & (drawn["y"] >= 0)).all()
    assert asked.sample(10)["x"].tolist() == pytest.approx(drawn["x"][:10].tolist())
    law = asked.distribution("y")
    assert law.draws == 1000 and law.effective[0] > 20 and 0 < law.interval(0.5)[0] < law.quantile(0.9)
    with pytest.raises(UserError, match="too few to tell; give a wider range"):
        model.given(x=between(30, 31)).sample(2)


def test_draws_stream_and_do_not_depend_on_their_number(pair):
    asked = pair.given(x=between(0, 1), y=between(1, None))
    many = asked.sample(300)["y"]
    assert pair.given(x=between(0, 1), y=between(1, None)).sample(7)["y"].tolist() == pytest.approx(many[:7].tolist())
    assert (many >= 1).all()
    rows = pair.given(city=["Rome", "Oslo"], x=between(0, 1)).sample(5)
    assert rows["x"].shape == (5, 2) and (rows["city"][0] == ["Rome", "Oslo"]).all()


def test_events_on_parents_and_on_evidence_of_one_value():
    data = {"x": X, "y": Y, "city": CITY}
    model = given.model("p(x | city) p(y | x)", data, codecs={"x": Number(), "y": Number()},
                        families={"x": Gaussian, "y": Gaussian})
    model.fit(data, progress=False)
    drawn = model.given(city="Rome", x=between(1, 2)).sample(500)
    assert (drawn["x"] >= 1).all() and drawn["y"].mean() == pytest.approx(Y[(X > 1) & (X < 2)].mean(), abs=0.3)
    with pytest.raises(UserError, match='nothing says p\\(city\\); declare it'):
        model.given(city=isin("Rome", "Oslo"), x=0.5).sample(2)
    asked = model.given(city=isin("Rome", "Oslo"), x=0.5, prior={"city": "uniform"})
    assert set(asked.sample(50)["city"]) == {"Rome", "Oslo"} and asked.probabilities("city")["Lima"][0] == 0
    assert model.given(city=isin("Rome")).sample(1).names == ("x", "y")


@pytest.mark.parametrize(("event", "message"), [
    ({"age": between(50, 40)}, "age: got 50 <= x <= 40, which is empty; expected a lower end"),
    ({"age": between(40, 40, closed="left")}, "which is empty"),
    ({"kids": between(20, 30)}, r"kids: got 20 <= x <= 30; its values are 0 to 6; no value of it is in that range"),
    ({"pay": between(-9, -5)}, r"pay: got -9 <= x <= -5; its values are above 0; no value of it is in that range"),
    ({"city": isin("Rome", "Roma")}, r"city, row 1: unseen category 'Roma'; expected one of"),
    ({"city": given.missing}, "city: no value of it was missing where it was learned; leave it out"),
    ({"city": between("A", "M")}, r"city: holds no numbers, dates or times .* isin\('Lima', 'Oslo', 'Rome'\)"),
    ({"age": isin(30, 40)}, "age: 30 alone has probability zero"),
    ({"age": [between(1, 2), between(2, 3)]}, "age: got several events; expected one"),
])
def test_what_cannot_be_meant_is_refused_in_one_line(table, event, message):
    with pytest.raises(UserError, match=message) as error:
        table[1].given(event).sample(2)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("call", [lambda: between(), lambda: isin(), lambda: between(1, 2, closed="open"),
                                  lambda: isin(given.missing),
                                  lambda: isin("Rome", between(1, 2)),
                                  lambda: between([1, 2], 3)])
def test_makers_refuse(call):
    with pytest.raises(UserError):
        call()


def test_a_how_that_concerns_nothing_raises(pair):
    with pytest.raises(UserError, match="concerns nothing that is drawn"):
        pair.given(city="Rome", x=0.5, y=0.5).sample(2, how=given.TopP(0.9))


def test_binding_once_makes_draws_cheap():
    data = {"x": X, "y": Y}
    model = given.model("p(y | x)", data, codecs={"x": Number(), "y": Number()}, families={"y": Gaussian})
    model.fit(data, progress=False)
    law = model.distribution(x=0.3)
    assert law.sample(3)["y"].tolist() == model.given(x=0.3).sample(3)["y"].tolist() and law.kind == "exact"
    assert law.mean() == model.given(x=0.3).mean("y") and law.log_prob([0.1])[0] == model.given(x=0.3).log_prob(y=0.1)[0]
    calls = []
    model.joint.declared[0].register_forward_hook(lambda *_: calls.append(1))
    law = model.distribution(x=0.3)
    start = time.process_time()
    for step in range(100):
        law.sample(1, seed=step)
    assert (time.process_time() - start) / 100 < 0.004  # some 0.6 ms on an idle machine
    assert len(calls) == 1, "what is given is read once"


def test_a_mixture_and_an_any_order_net_answer():
    data = {"x": X, "y": Y}
    model = given.model("p(x, y)", data, codecs={"x": Number(), "y": Number()}, families={"x, y": GaussianMixture})
    model.fit(data, progress=False)
    assert model.given(x=between(0, 1)).score(y=[0.5]).kind == "exact"
    net = given.model("p(x, y)", data, codecs={"x": Number(), "y": Number()}, families={"x, y": SMALL})
    net.fit(data, steps=10, progress=False)
    asked = net.given(x=between(1, 2))
    drawn = asked.sample(100)
    assert ((drawn["x"] >= 1) & (drawn["x"] <= 2)).all()
    g = np.arange(-8, 8, 0.5)
    assert (np.exp(asked.log_prob(y=g)) * 0.5).sum() == pytest.approx(1, abs=1e-2)


def check_step():
    """Probabilities under a range come from the step that draws the symbol: as by their scores, and not symbol by symbol."""
    data = {"x": X, "age": RNG.integers(0, 30, N), "y": Y}
    net = given.model("p(x, age, y)", data, codecs={"x": Number(), "y": Number(), "age": Integer()}, families={
        "x, age, y": SMALL})
    net.fit(data, steps=10, progress=False)
    rows, asked = [], net.given(x=between(0.5, 1), y=0.3)
    net.joint.declared[0].embed.register_forward_hook(lambda _, inputs, out: rows.append(len(inputs[0])))
    p = asked.probabilities("age")
    assert sum(rows) < 6_000, f"the net read {sum(rows):,} rows for 1,000 proposals and 30 symbols"
    for age in (0, 7, 29):
        assert p[str(age)][0] == pytest.approx(np.exp(asked.log_prob(age=[age])[0]), rel=1e-4)


def test_a_symbol_under_a_range_is_answered_by_the_step_that_draws_it():
    check_step()


def ask(capsys, *words):
    status = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return status, out.splitlines(), err


def test_a_shell_gives_ranges_too(pair, table, tmp_path, capsys):
    pair.save(tmp_path / "pair.given")
    table[1].save(tmp_path / "table.given")
    (tmp_path / "new.csv").write_text("city\nRome\nOslo\n")
    path = tmp_path / "pair.given"
    status, out, _ = ask(capsys, "query", path, "y | x", "--where", "0 <= x <= 1", "--interval", 0.8, "--mean")
    assert status == 0 and out[0] == "mean(y),q0.1(y),q0.9(y)"
    asked = pair.given(x=between(0, 1))
    assert [float(v) for v in out[1].split(",")] == pytest.approx([asked.mean("y"), *asked.interval("y", 0.8)], rel=1e-4)
    status, out, _ = ask(capsys, "query", path, "y | x, city", tmp_path / "new.csv", "--where", "x > 1", "--quantile", 0.5)
    rows = pair.given(city=["Rome", "Oslo"], x=between(1, None, closed="right")).quantile("y", 0.5)
    assert status == 0 and [float(v) for v in out[1:]] == pytest.approx(rows.tolist(), rel=1e-4)
    status, out, _ = ask(capsys, "query", path, "city | x", "--where", "1 < x")
    assert status == 0 and out[0].startswith("city,p(Lima)")
    path = tmp_path / "table.given"
    for event, value in (("city in {Rome, Oslo}", isin("Rome", "Oslo")), ("pay is missing", given.missing),
                         ("pay is not missing", given.present), ("2020-02-01 <= day < 2020-02-03", between(
                             np.datetime64("2020-02-01"), np.datetime64("2020-02-03"), closed="left")),
                         ("kids = 2", isin(2)), ("`kids` <= 2", between(None, 2))):
        name = event.split()[2] if event.startswith("2") else event.split()[0].strip("`")
        status, out, err = ask(capsys, "query", path, f"age | {name}", "--where", event, "--quantile", 0.5)
        assert status == 0, err
        assert float(out[1]) == table[1].given({name: value}).quantile("age", 0.5)


def check_answers(pair, table):
    """Answers say how they were found, and standard errors are those of draws."""
    answer = pair.given(city="Oslo").answer("y")
    assert answer.kind == "exact" and answer.error is None and answer.how == "exact"
    assert answer.value == pair.given(city="Oslo").mean("y")
    answer = pair.given(x=between(0, 1)).answer("y")
    assert answer.kind == "estimate" and answer.how.startswith("of 1,000 draws, standard error 0.0")
    several = [pair.given(x=between(0, 1)).answer("y", level, seed=k) for level in (None, 0.1) for k in range(16)]
    for some in (several[:16], several[16:]):
        spread, mean = np.std([each.value for each in some]), np.mean([each.error for each in some])
        assert 0.6 < spread / mean < 1.6, f"values of 16 seeds spread by {spread}, their standard error is {mean}"
    rows = pair.given(city=["Oslo", "Rome"], x=between(0, 1)).answer("y")
    assert rows.error.shape == (2,) and " to " in rows.how
    day = table[1].given(city="Oslo", age=between(30, 50)).answer("day")
    assert day.error.dtype.kind == "m" and ("exact" in day.how or day.how.endswith(("days", "hours")))


def test_answers_say_how_they_were_found(pair, table):
    check_answers(pair, table)


def test_a_shell_says_how_answers_were_found(pair, tmp_path, capsys):
    pair.save(tmp_path / "pair.given")
    (tmp_path / "new.csv").write_text("city\nRome\nOslo\n")
    status, out, err = ask(capsys, "query", tmp_path / "pair.given", "y | x", "--where", "0 <= x <= 1", "--mean")
    assert status == 0 and err.startswith("mean(y): of 1,000 draws, standard error 0.0")
    status, out, err = ask(capsys, "query", tmp_path / "pair.given", "y | city", tmp_path / "new.csv", "--mean")
    assert status == 0 and err == "mean(y): exact\n" and len(out) == 3


@pytest.mark.parametrize(("words", "message"), [
    (["y | x", "--where", "x between 3"], "--where: got 'x between 3'; expected \"30 <= age <= 40\""),
    (["y | x", "--where", "z > 3"], "--where: unknown name 'z'"),
    (["y | x", "--where", "x > 3", "--where", "x < 4"], "--where: x is said twice"),
    (["y | x", "--where", "y > 3"], "y is asked for and given by --where"),
    (["y | x, city", "--where", "x > 3"], "expected data with city, or what is known of it by --where"),
    (["y | x", "--where", "x > 3", "--interval", "90"], "--interval 90; expected a probability"),
    (["y | x", "--where", "3 <= x <= 2"], "which is empty"),
])
def test_a_shell_names_what_is_wrong(pair, tmp_path, capsys, words, message):
    pair.save(tmp_path / "pair.given")
    status, _, err = ask(capsys, "query", tmp_path / "pair.given", *words)
    assert status in (1, 2) and message in err and err.count("\n") == 1

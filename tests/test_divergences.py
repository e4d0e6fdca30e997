"""How far two distributions are apart: laws, closed forms against Monte Carlo, and models that cannot be compared."""

import numpy as np
import pytest

import given
from given.evaluate import divergence
from given.families import Gaussian, GaussianMixture
from given.variables import UserError


def pairs():
    """Pairs of normal distributions (mean, covariance) of one to four dimensions."""
    g = np.random.default_rng(0)
    for D in (1, 2, 4):
        side = []
        for _ in range(2):
            root = g.normal(size=(D, D)) + np.eye(D)
            side.append((g.normal(size=D), root @ root.T))
        yield side


def log_normal(x, mean, covariance):
    white = x - mean
    return -0.5 * ((white @ np.linalg.inv(covariance)) * white).sum(1) - 0.5 * np.linalg.slogdet(2 * np.pi * covariance)[1]


def check_normal():
    """KL >= 0, zero to itself, and in closed form what Monte Carlo finds within 4 standard errors; W2 likewise a distance."""
    for p, q in pairs():
        x = np.random.default_rng(1).multivariate_normal(*p, 4000)
        found, closed = divergence.kl(log_normal(x, *p), log_normal(x, *q)), divergence.normal_kl(*p, *q)
        assert closed.value > 0 and divergence.normal_kl(*p, *p).value < 1e-9
        assert abs(found.value - closed.value) < 4 * found.error
        entropy = divergence.kl(-log_normal(x, *p), np.zeros(1))
        assert abs(entropy.value - divergence.normal_entropy(p[1])) < 4 * entropy.error
        there, back = divergence.normal_wasserstein2(*p, *q).value, divergence.normal_wasserstein2(*q, *p).value
        assert there == pytest.approx(back) and divergence.normal_wasserstein2(*p, *p).value < 1e-5


def check_categorical():
    p, q = np.random.default_rng(0).dirichlet([1] * 5, 2)
    x, y = np.random.default_rng(1).choice(5, 9000, p=p), np.random.default_rng(2).choice(5, 9000, p=q)
    found, closed = divergence.kl(np.log(p)[x], np.log(q)[x]), divergence.categorical_kl(np.log(p), np.log(q))
    assert closed.value > 0 and abs(found.value - closed.value) < 4 * found.error
    assert divergence.categorical_kl(np.log(p), np.log(p)).value == 0
    both, exact = divergence.jensen_shannon(np.log(p)[x], np.log(q)[x], np.log(p)[y], np.log(q)[y]), divergence.categorical_js(
        np.log(p), np.log(q))
    assert abs(both.value - exact.value) < 4 * both.error and 0 < exact.value < np.log(2)
    with np.errstate(divide="ignore"):
        apart = divergence.categorical_js(np.log([1.0, 0.0]), np.log([0.0, 1.0]))
        assert divergence.categorical_kl(np.log([0.5, 0.5]), np.log([1.0, 0.0])).value == np.inf
    assert apart.value == pytest.approx(np.log(2))


def check_wasserstein():
    """By draws: a shift is found, sliced of one column is W2 itself, and equals are as far apart as draws of one are."""
    g = np.random.default_rng(0)
    x, y, again = g.normal(size=(2000, 1)), g.normal(3, 1, (2000, 1)), g.normal(size=(2000, 1))
    exact, sliced = divergence.wasserstein2(x, y, again), divergence.sliced_wasserstein2(x, y, again)
    assert abs(exact.value - 3) < 4 * exact.error + 0.05 and sliced.value == pytest.approx(exact.value)
    alike = divergence.wasserstein2(x, g.normal(size=(2000, 1)), again)
    assert abs(alike.value - alike.same) < 0.1 and alike.same < 0.2
    wide = divergence.sliced_wasserstein2(g.normal(size=(2000, 3)), g.normal(size=(2000, 3)) + [2.0, 0, 0])
    assert abs(wide.value - 2 / np.sqrt(3)) < 0.15


def check_gan():
    """The best critic reaches JS, others stay below: what a GAN plays for is a lower bound."""
    x, y = np.random.default_rng(0).normal(size=8000), np.random.default_rng(1).normal(1.5, 1, 8000)

    def critic(v, size=1.0):
        return size * (-0.5 * v**2 + 0.5 * (v - 1.5) ** 2)

    at = np.linspace(-8, 10, 20001)
    p, q = (np.exp(-0.5 * (at - mean) ** 2) / np.sqrt(2 * np.pi) for mean in (0, 1.5))
    m = (p + q) / 2
    truth = 0.5 * (p * np.log(p / m) + q * np.log(q / m)).sum() * (at[1] - at[0])
    best = divergence.gan_objective(critic(x), critic(y))
    assert abs(best.value - truth) < 4 * best.error and best.how == "lower bound"
    for size in (0.0, 0.4, 3.0):
        assert divergence.gan_objective(critic(x, size), critic(y, size)).value < truth
    assert divergence.gan_objective(critic(x, 0), critic(y, 0)).value == pytest.approx(0)


def check_squared_error():
    """A Gaussian's negative log-likelihood is squared error over 2 s^2 and a constant."""
    x = np.random.default_rng(0).normal(size=(50, 3))
    nll, error, constant = divergence.squared_error_and_constant(x, 0.3 * x, 0.7)
    assert np.allclose(nll, -log_normal(0.7 * x, np.zeros(3), 0.49 * np.eye(3)))
    assert np.allclose(nll, error + constant)


@pytest.mark.parametrize("check", [check_normal, check_categorical, check_wasserstein, check_gan, check_squared_error],
                         ids=lambda f: f.__name__)
def test_law(check):
    check()


def fitted(columns, formula, family=None, **options):
    left = formula[2:].partition(" |")[0].rstrip(")")
    model = given.model(formula, columns, families={left: family} if family else None, **options)
    model.fit(columns, held_out=0, steps=5, progress=False)
    return model


@pytest.fixture(scope="module")
def normals():
    g = np.random.default_rng(0)
    x = {"a": g.normal(30, 20, 500), "b": g.normal(size=500)}
    y = {"b": g.normal(0.5, 1.5, 500), "a": g.normal(30, 20, 500)}
    return fitted(x, "p(a, b)", Gaussian), fitted(y, "p(b, a)", Gaussian), x, y


def check_models(p, q, x, y):
    """Closed form between models is that of their draws in raw units, whatever the order of columns."""
    closed = given.divergences(p, q, n=4000)
    drawn = p.sample(4000, seed=7)
    by_draws = divergence.kl(p.log_prob(drawn), q.log_prob(drawn))
    assert closed.kl.how == "closed form" and abs(closed.kl.value - by_draws.value) < 4 * by_draws.error
    assert closed.cross_entropy.value == pytest.approx(closed.entropy.value + closed.kl.value)
    moved = p.sample(2000, seed=1), q.sample(2000, seed=2)
    apart = divergence.wasserstein2(*(np.stack([c["a"], c["b"]], 1) for c in moved))
    assert abs(closed.wasserstein2.value - apart.value) < 4 * apart.error + apart.same


def test_closed_form_between_models(normals):
    check_models(*normals)
    p = normals[0]
    itself = given.divergences(p, p)
    assert itself.kl.value < 1e-9 and itself.wasserstein2.value < 1e-5 and itself.kernel.p_value > 0.01


def test_monte_carlo_beside_data_and_conditions(normals):
    p, _, _, y = normals
    mixture = fitted(y, "p(a, b)", GaussianMixture)
    found = given.divergences(p, mixture)
    assert found.kl.how == "Monte Carlo" and found.kl.value > 3 * found.kl.error
    assert found.cross_entropy.value == pytest.approx(found.entropy.value + found.kl.value)
    assert " = entropy " in str(found)
    beside = given.divergences(y, p)
    assert beside.kl is None and beside.cross_entropy.value == pytest.approx(-p.log_prob(y).mean())
    assert beside.kernel.p_value < 0.05
    letters = list("ab") * 40
    one, two = (fitted({"l": letters, "x": np.random.default_rng(s).normal(2 * s, 1, 80)}, "p(x | l)", Gaussian)
                for s in (0, 1))
    assert given.divergences(one, two, given={"l": ["a", "b"]}).kl.value > 1


def test_categories_in_closed_form():
    one, two = (fitted({"l": list(s) * 20}, "p(l)") for s in ("abbc", "abcc"))
    found = given.divergences(one, two)
    assert found.jensen_shannon.how == "closed form" and 0 < found.jensen_shannon.value < found.kl.value


def test_the_same_in_a_shell(normals, tmp_path, capsys):
    import json

    from given.app.cli import main

    for name, model in zip("pq", normals, strict=False):
        model.save(tmp_path / name)
    given.Columns(normals[2]).save(tmp_path / "x.csv")
    assert main(["diverge", str(tmp_path / "p"), str(tmp_path / "q"), "--json"]) == 0
    closed, exact = json.loads(capsys.readouterr().out), given.divergences(*normals[:2])
    assert closed["kl"] == {"value": exact.kl.value, "error": 0.0, "how": "closed form", "same": None}
    assert main(["diverge", str(tmp_path / "x.csv"), str(tmp_path / "p"), "-n", "200"]) == 0
    assert "cross-entropy of the data under the model" in capsys.readouterr().out
    assert main(["diverge", str(tmp_path / "x.csv"), str(tmp_path / "x.csv")]) == 1
    assert "expected a model, P or Q, got data" in capsys.readouterr().err


def test_weights_of_rows_are_refused_where_tests_count_all_alike():
    x = {"a": np.random.default_rng(0).normal(size=60), "w": np.arange(1.0, 61)}
    model = given.model("p(a)", x, families={"a": "gaussian"})
    model.fit(x, weight="w", held_out=0)
    for ask in (lambda: given.assess(model, x, x), lambda: given.divergences(x, model)):
        with pytest.raises(UserError, match=r"w holds weights of rows, and .* counts every row alike; leave that column out"):
            ask()
    assert given.divergences({"a": x["a"]}, model).cross_entropy is not None
    with pytest.raises(UserError, match="the data has no column a"):
        given.divergences({"b": x["a"]}, model)


def test_what_cannot_be_compared_is_one_line(normals):
    p, _, x, y = normals
    letters = {"l": list("abbc") * 20}
    with pytest.raises(UserError, match="are of different columns: a, b; l"):
        given.divergences(p, fitted(letters, "p(l)"))
    counted = fitted({"a": [1, 2, 3] * 30}, "p(a)", codecs={"a": given.codecs.Label()})
    with pytest.raises(UserError, match=r"a has different measures, '.*'; nothing lies between them"):
        given.divergences(fitted({"a": x["a"]}, "p(a)", Gaussian), counted)
    with pytest.raises(UserError, match="expected at least one model, got dict and dict"):
        given.divergences(x, y)
    joined = fitted({**letters, "x": np.arange(80.0)}, "p(x | l)", Gaussian)
    with pytest.raises(UserError, match=r"l is a condition of .*; pass given="):
        given.divergences(joined, joined)

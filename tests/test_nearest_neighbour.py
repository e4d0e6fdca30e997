"""The nearest neighbours' x: frequencies, ties, scales, what is unseen, and how many neighbours rows left out ask for."""

from functools import partial

import numpy as np
import pytest
import torch

import given
from given.codecs import IdentityCodec, Label, Number
from given.conditional import teach
from given.families import KernelDensity, NearestNeighbour
from given.variables import Axis, Entries, Finite, Observed, Real, UserError, Variable

torch.set_num_threads(1)


def vector(name, D):
    return Variable(name, IdentityCodec(Real(axes=(Axis("entry", D),))))


def symbol(name, V):
    return Variable(name, IdentityCodec(Finite(V)))


def entries(v, values):
    t = torch.as_tensor(np.asarray(values))
    return Entries(t.nan_to_num(), ~t.isnan()) if isinstance(v.space, Real) else Entries(t.long())


def learned(family, x, y, weight=None):
    """A family from x and y, each a variable and its values, whose NaN are unseen."""
    model = family(x[0], [v for v, _ in y])
    n = len(x[1])
    amount = torch.ones(n, dtype=torch.float64) if weight is None else torch.as_tensor(weight).double()
    teach(model, [(entries(*x), Observed({v.name: entries(v, values) for v, values in y}, n), amount)])
    return model


def scores(model, x, y):
    with torch.no_grad():
        return model(Observed({v.name: entries(v, values) for v, values in y}, len(x[1]))).log_prob(entries(*x))


def bent(n, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.uniform(-3, 3, (n, 2))
    return (np.sin(2 * y[:, :1]) + 0.1 * rng.normal(size=(n, 1))), y


def check_frequencies():
    """Class probabilities are the shares among the k rows that scikit-learn finds, smoothed."""
    from sklearn.neighbors import NearestNeighbors

    rng = np.random.default_rng(0)
    y, label, at = rng.normal(size=(200, 3)), rng.integers(0, 4, 200), rng.normal(size=(40, 3))
    c, z = symbol("c", 4), vector("z", 3)
    model = learned(partial(NearestNeighbour, neighbours=7, anew=0.1), (c, label), [(z, y)])
    _, near = NearestNeighbors(n_neighbors=7).fit(y).kneighbors(at)
    for v in range(4):
        share = 0.9 * (label[near] == v).mean(1) + 0.1 / 4
        assert np.allclose(scores(model, (c, np.full(40, v)), [(z, at)]).exp(), share)


def test_probabilities_are_shares_of_neighbours():
    check_frequencies()


def check_ties_are_neighbours():
    """Given a label alone, all rows of the label are alike near: its x is the kernel density of that label's rows."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, 150)
    x, z, c = vector("x", 2), rng.normal(size=(150, 2)) + label[:, None], symbol("c", 3)
    near = learned(partial(NearestNeighbour, neighbours=5, bandwidth=0.4), (x, z), [(c, label)])
    kernels = learned(partial(KernelDensity, bandwidth=0.4), (x, z), [(c, label)])
    assert torch.allclose(scores(near, (x, z), [(c, label)]), scores(kernels, (x, z), [(c, label)]), atol=1e-9)


def test_rows_as_near_as_the_last_are_neighbours():
    check_ties_are_neighbours()


def check_scales():
    """A parent in other units, and a symbol under another number, change nothing."""
    rng = np.random.default_rng(0)
    x, y = bent(200)
    label = rng.integers(0, 3, 200)
    v, a, b, c = vector("x", 1), vector("a", 1), vector("b", 1), symbol("c", 3)
    family = partial(NearestNeighbour, neighbours=9, bandwidth=0.3)
    found = []
    for unit, turned in ((1, label), (1000, (label + 1) % 3)):
        parents = [(a, y[:, :1] * unit), (b, y[:, 1:]), (c, turned)]
        found.append(scores(learned(family, (v, x), parents), (v, x), parents))
    assert torch.allclose(*found, atol=1e-9)


def test_every_parent_counts_alike():
    check_scales()


def check_common():
    """What is unseen is left out of a distance, and what is seen counts for it: a row brings itself no nearer by a hole."""
    x, y = bent(300)
    v, a, b = vector("x", 1), vector("a", 1), vector("b", 1)
    family = partial(NearestNeighbour, neighbours=9, bandwidth=0.3)
    both = learned(family, (v, x), [(a, y[:, :1]), (b, y[:, 1:])])
    one = learned(family, (v, x), [(a, y[:, :1])])
    unseen = np.full_like(y[:, 1:], np.nan)
    assert torch.allclose(scores(both, (v, x), [(a, y[:, :1]), (b, unseen)]), scores(one, (v, x), [(a, y[:, :1])]), atol=1e-9)
    nothing = scores(both, (v, x), [(a, unseen), (b, unseen)])
    assert torch.allclose(nothing, scores(learned(partial(NearestNeighbour, neighbours=300, bandwidth=0.3), (v, x),
                                                  [(a, y[:, :1])]), (v, x), [(a, y[:, :1])]), atol=1e-9)
    rows = np.array([[-1.0, -1.0], [1.0, 1.0], [1.4, np.nan], [-1.4, np.nan]])  # the last two are farther from (0, 0)
    few = learned(partial(NearestNeighbour, neighbours=2, anew=0.1), (symbol("c", 2), [0, 0, 1, 1]),
                  [(a, rows[:, :1]), (b, rows[:, 1:])])
    share = scores(few, (symbol("c", 2), [0]), [(a, np.zeros((1, 1))), (b, np.zeros((1, 1)))]).exp()
    assert float(share) == pytest.approx(0.95)


def test_what_is_unseen_is_left_out_of_a_distance():
    check_common()


def check_chosen():
    """The number of neighbours that rows left out like best is near the best for new rows, and half weights are no rows."""
    (x, y), (new, at) = bent(300), bent(600, seed=1)
    v, z = vector("x", 1), vector("z", 2)
    model = learned(NearestNeighbour, (v, x), [(z, y)])
    tried = [float(scores(learned(partial(NearestNeighbour, neighbours=k), (v, x), [(z, y)]), (v, new), [(z, at)]).mean())
             for k in (2, 6, 18, 54, 162)]
    own = float(scores(model, (v, new), [(z, at)]).mean())
    assert own > max(tried) - 0.05 and own > tried[-1] + 0.2, (own, tried)
    best = max(model.curve, key=lambda each: each[3])
    assert torch.allclose(model.chosen[:2], torch.tensor(best[:2], dtype=torch.float64))
    ranged = learned(partial(NearestNeighbour, neighbours=given.select(20, 30), bandwidth=0.3), (v, x), [(z, y)])
    assert 20 <= float(ranged.chosen[0]) <= 30 and len(ranged.curve) == 10
    twice = learned(NearestNeighbour, (v, np.concatenate([x, x])), [(z, np.concatenate([y, y]))], np.full(600, 0.5))
    assert torch.allclose(scores(twice, (v, new), [(z, at)]), scores(model, (v, new), [(z, at)]), atol=1e-9)


def test_the_number_of_neighbours_is_chosen_by_rows_left_out():
    check_chosen()


def test_a_model_by_neighbours_answers_by_name():
    """Mixed parents with missing cells, from columns to draws and back by Bayes' rule, saved and loaded alike."""
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 2, 300)
    size = np.where(rng.random(300) < 0.2, np.nan, 10.0 * kind + rng.normal(size=300))
    data = given.read(price=5.0 * kind + rng.normal(size=300), size=size, kind=np.array(["a", "b"])[kind])
    model = given.model("p(price | size, kind)", data, families={"price": NearestNeighbour},
                        codecs={"kind": Label(), "size": Number(missing="unknown"), "price": Number(curve="linear")})
    model.fit(data, held_out=0, progress=False)
    drawn = model.sample(200, size=10.0, kind="b", seed=0)["price"]
    assert abs(drawn.mean() - 5) < 0.6
    assert model.given(size=0.0, kind="a").mean()["price"] == pytest.approx(0, abs=0.6)


@pytest.mark.parametrize("make, message", [
    (lambda: NearestNeighbour(vector("x", 2)), r"^NearestNeighbour: p\(x\) has no condition to be near to; use KernelDensity$"),
    (lambda: NearestNeighbour(vector("x", 2), Variable("t", IdentityCodec(Finite(3, end=2, axes=(
        Axis("time", 4, "modelled"),))))),
     "expected parents of one size, got t: .*; use Regression$"),
    (lambda: NearestNeighbour(vector("x", 2), symbol("c", 2), neighbours=0), "neighbours=0; expected a number above 0"),
    (lambda: NearestNeighbour(vector("x", 2), symbol("c", 2), bandwidth=-1), "NearestNeighbour x: bandwidth=-1; expected"),
    (lambda: learned(NearestNeighbour, (vector("x", 1), np.full((3, 1), np.nan)), [(symbol("c", 2), [0, 1, 0])]),
     "no row of weight above 0 with an entry that is known"),
], ids=["no parents", "an end", "no neighbours", "width", "nothing seen"])
def test_what_cannot_be_learned_says_so(make, message):
    with pytest.raises(UserError, match=message):
        make()


def test_one_row_is_its_own_density():
    model = learned(NearestNeighbour, (vector("x", 1), np.zeros((1, 1))), [(symbol("c", 2), [0])])
    assert torch.isfinite(scores(model, (vector("x", 1), np.zeros((1, 1))), [(symbol("c", 2), [0])])).all()

"""The field's oldest answers, against closed forms, brute force and scikit-learn."""

import itertools
from functools import partial

import numpy as np
import pytest
import torch

import given
from given.codecs import IdentityCodec, Label, Number
from given.conditional import teach
from given.distributions import Diagonal, Full, LowRank, Spherical, Tied, Varimax
from given.families import PCA, FactorAnalysis, Gaussian, GaussianMixture, KernelDensity, KMeans, ProbabilisticPCA
from given.variables import Axis, Entries, Observed, Real, UserError, Variable

torch.set_num_threads(1)


def vector(D):
    return Variable("x", IdentityCodec(Real(axes=(Axis("entry", D),))))


def learned(family, x, weight=None):
    """A family of a real vector, from rows (n, D) whose NaN are unseen."""
    x = torch.as_tensor(np.asarray(x), dtype=torch.float64)
    model = family(vector(x.shape[1]))
    batch = Entries(x.nan_to_num(), ~x.isnan()), Observed(n=len(x))
    teach(model, [(*batch, torch.ones(len(x), dtype=torch.float64) if weight is None else torch.as_tensor(weight).double())])
    return model


def scores(model, x):
    x = torch.as_tensor(np.asarray(x), dtype=torch.float64)
    with torch.no_grad():
        return model(Observed(n=len(x))).log_prob(Entries(x.nan_to_num(), ~x.isnan()))


def clusters(seed=0, n=4000, D=8, K=6):
    rng = np.random.default_rng(seed)
    centres, turn = rng.normal(size=(K, D)), rng.normal(size=(K, D, D)) / D**0.5
    k = rng.integers(0, K, n)
    return centres[k] + np.einsum("nij,nj->ni", turn[k], rng.normal(size=(n, D))) / 2 + 0.1 * rng.normal(size=(n, D))


def test_a_mixture_starts_where_k_means_ends():
    """From the start scikit-learn takes, k-means, held-out rows are as likely under ours as under its own mixture."""
    from sklearn.mixture import GaussianMixture as Peer

    margins = []
    for seed in range(3):
        x = clusters(seed)
        train, held = x[:3000], x[3000:]
        torch.manual_seed(seed)
        ours = scores(learned(partial(GaussianMixture, components=6), train), held).mean()
        margins.append(float(ours) - Peer(6, random_state=seed, n_init=3).fit(train).score(held))
    assert np.mean(margins) > -0.01, margins


def check_same_start(load, K, rows):
    """From scikit-learn's start, as many passes of ours find its parameters' likelihood to 1e-6 nats a row."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture as Peer

    x = load().data[:rows].astype(float)
    x = (x - x.mean(0)) / np.where(x.std(0) > 0, x.std(0), 1)
    rng = np.random.default_rng(0)
    start = dict(weights_init=np.full(K, 1 / K), means_init=x[rng.choice(len(x), K, replace=False)],
                 precisions_init=np.repeat(np.eye(x.shape[1])[None], K, 0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        peer = Peer(K, tol=0, max_iter=8, reg_covar=1e-3, **start).fit(x)
    model, entries = GaussianMixture(vector(x.shape[1]), components=K, ridge=1e-3), Entries(torch.from_numpy(x))
    for ours, theirs in zip((model.weights, model.means, model.covariances), start.values(), strict=True):
        ours.copy_(torch.from_numpy(theirs))
    for _ in range(8):
        moments, _ = model._expect([(entries, torch.zeros(len(x), dtype=torch.int64), torch.ones(len(x)))])
        model._maximise(moments, [0])
    assert float(scores(model, x).mean()) == pytest.approx(peer.score(x), abs=1e-6)


def test_from_the_same_start_a_mixture_is_scikit_learns():
    from sklearn.datasets import load_breast_cancer, load_digits

    check_same_start(load_breast_cancer, 3, 569)
    check_same_start(load_digits, 4, 800)


STRUCTURES = {"full": Full(), "tied": Tied(), "diag": Diagonal(), "spherical": Spherical()}


def check_structures(kinds=STRUCTURES):
    """From scikit-learn's optimum, a step of ours of the same structure moves nothing; and ours is as likely as its."""
    from sklearn.mixture import GaussianMixture as Peer

    x = np.concatenate([clusters(n=1200, D=4, K=2) * 4, 9 + 0.3 * np.random.default_rng(1).normal(size=(300, 4))])
    for kind in kinds:
        peer = Peer(3, covariance_type=kind, tol=1e-9, max_iter=2000, n_init=5, reg_covar=1e-6, random_state=0).fit(x)
        model = learned(partial(GaussianMixture, components=3, covariance=STRUCTURES[kind], tolerance=1e-9, most_passes=2000,
                                seed=0), x)
        assert float(scores(model, x).mean()) > peer.score(x) - 1e-3, kind
        assert all(b > a - 1e-9 for a, b in itertools.pairwise(model.likelihoods)), f"{kind}: EM lowered the likelihood"


def test_the_covariance_structures_are_scikit_learns():
    check_structures()


def check_kernel_density():
    """In 64 dimensions log p is that of brute force, to 1e-8 nats."""
    rng = np.random.default_rng(0)
    x = 1e3 + rng.normal(size=(300, 64))
    for h in (0.5, 1e-4):
        at = x[:50] + h * rng.normal(size=(50, 64))
        model, width = learned(partial(KernelDensity, bandwidth=h), x), h * x.std(0)
        check_brute_force(model, x, at, width)


def check_brute_force(model, x, at, width):
    each = -0.5 * (((at[:, None] - x) / width) ** 2) - np.log(width) - 0.5 * np.log(2 * np.pi)
    brute = np.logaddexp.reduce(each.sum(-1), 1) - np.log(len(x))
    assert np.abs(scores(model, at).numpy() - brute).max() < 1e-8


def test_a_kernel_density_is_brute_force():
    check_kernel_density()


def check_bandwidth():
    """The width that rows left out like best is near the best for new rows, and copies of rows do not narrow it."""
    rng = np.random.default_rng(1)
    x, new = rng.normal(size=(400, 2)), rng.normal(size=(2000, 2))
    model = learned(KernelDensity, x)
    tried = [float(scores(learned(partial(KernelDensity, bandwidth=h), x), new).mean()) for h in np.geomspace(0.05, 2, 25)]
    assert float(scores(model, new).mean()) > max(tried) - 0.01
    twice = learned(KernelDensity, np.concatenate([x, x]), np.full(800, 0.5))
    assert torch.allclose(scores(twice, new), scores(model, new), atol=1e-9)
    assert max(model.curve, key=lambda each: each[2])[0] == pytest.approx(float(model.chosen[0]))


def test_the_bandwidth_is_chosen_by_rows_left_out():
    check_bandwidth()


def check_few_rows():
    """However few rows there are, no kernel is broader than the data, and a row without another has Silverman's."""
    for rows in (2, 3, 5, 9):
        x = np.random.default_rng(rows).normal(100, 5, size=(rows, 1))
        model = learned(KernelDensity, x)
        assert 0.2 < float(model.chosen[0]) <= 1, f"{rows} rows: {float(model.chosen[0])} standard deviations"
        drawn = model(Observed(n=1)).sample((2000,), seed=0).tensor
        assert float(drawn.std()) < 1.5 * x.std()
    assert float(learned(KernelDensity, np.ones((1, 2))).chosen[0]) == pytest.approx(1)


def test_kernels_of_few_rows_are_no_broader_than_the_data():
    check_few_rows()


def test_a_kernel_density_of_mixed_columns_with_holes():
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 3, 300)
    size = np.where(rng.random(300) < 0.2, np.nan, 4.0 * kind + rng.normal(size=300))
    data = given.read(kind=kind, size=size)
    model = given.model("p(kind, size)", data, codecs={"kind": Label(), "size": Number(missing="unknown")},
                        families={"kind, size": KernelDensity})
    model.fit(data, held_out=0)
    at = model.given(size=[0.0, 4.0, 8.0])
    assert np.argmax([at.log_prob(kind=[k] * 3) for k in range(3)], 0).tolist() == [0, 1, 2]
    whole = sum(np.exp(model.log_prob(kind=[k], size=[4.0])[0]) for k in range(3))
    assert np.log(whole) == pytest.approx(model.given().log_prob(size=[4.0])[0], abs=1e-9)


@pytest.mark.parametrize("make, message", [
    (lambda: KernelDensity(vector(2), bandwidth=0), "expected a number above 0"),
    (lambda: learned(KernelDensity, np.full((3, 2), np.nan)), "no row of weight above 0 with an entry that is known"),
    (lambda: learned(partial(GaussianMixture, components=5), np.eye(3)), "components=5, but there are 3 rows"),
    (lambda: learned(partial(KMeans, components=3), np.zeros((9, 2))), "components=3, but there are 1 different rows"),
    (lambda: PCA(vector(2), components=3), "components=3; expected 1 to 2"),
], ids=["width", "nothing seen", "few rows", "rows alike", "directions"])
def test_what_cannot_be_learned_says_so(make, message):
    with pytest.raises(UserError, match=message):
        make()


def check_pca():
    """The mean squared error of what is decoded is the sum of the eigenvalues that are left out; the plane is scikit-learn's
    and that of probabilistic PCA."""
    from sklearn import decomposition

    x = 5 + clusters(D=6)
    model, peer = learned(partial(PCA, components=2), x), decomposition.PCA(2).fit(x)
    error = model.reconstruction_error(Entries(torch.from_numpy(x)))
    assert float(error.mean()) == pytest.approx(float(model.variances[2:].sum()), rel=1e-9)
    across = torch.from_numpy(peer.components_) @ model.directions[:, :2]
    assert torch.allclose(across.abs(), torch.eye(2, dtype=torch.float64), atol=1e-6)
    loading = learned(partial(ProbabilisticPCA, factors=2), x).loading
    assert torch.allclose(model.directions[:, 2:].T @ loading, torch.zeros(()).double(), atol=1e-6)


def test_pca_leaves_out_the_least_eigenvalues():
    check_pca()


def test_pca_of_rows_with_holes():
    """A tenth of the entries unseen hardly turns the plane, and they are encoded by their expectation."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 2)) @ rng.normal(size=(2, 6)) + 0.1 * rng.normal(size=(2000, 6))
    holes = np.where(rng.random(x.shape) < 0.1, np.nan, x)
    model, whole = learned(partial(PCA, components=2), holes), learned(partial(PCA, components=2), x)
    plane = model.directions[:, :2].T @ whole.directions[:, :2]
    assert float(torch.linalg.svdvals(plane).min()) > 0.999
    value = torch.from_numpy(holes)
    back = model.decode(model.encode(Entries(value.nan_to_num(), ~value.isnan())).mean()).tensor.numpy()
    assert np.sqrt(np.mean((back - x)[np.isnan(holes)] ** 2)) < 0.3


@pytest.mark.parametrize("family", [FactorAnalysis, ProbabilisticPCA])
@pytest.mark.parametrize("share", [0.0, 0.2], ids=["whole", "holes"])
def test_em_of_factors_never_lowers_the_likelihood(family, share):
    """Whole or with a fifth of the entries unseen; of PPCA and whole rows the first step is the maximum."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2)) @ rng.normal(size=(2, 6)) + rng.normal(size=(200, 6)) * rng.uniform(0.3, 1, 6)
    x = np.where(rng.random(x.shape) < share, np.nan, x)
    weight = rng.uniform(0.1, 3, 200)
    each = [float(np.average(scores(learned(partial(family, factors=2, most_passes=k), x, weight), x), weights=weight))
            for k in (1, 2, 3, 5, 9, 20)]
    assert np.diff(each).min() > -1e-9, each
    if family is FactorAnalysis or share:
        assert each[-1] > each[0] + 1e-3
    else:
        assert each[-1] == pytest.approx(each[0], abs=1e-9)


def check_kmeans():
    """The squares are scikit-learn's, a row is with its nearest centre, and the density is that of balls of one size."""
    from sklearn.cluster import KMeans as Peer

    x = clusters(K=4)
    peer = Peer(4, n_init=10, random_state=0).fit(x)
    model = learned(partial(KMeans, components=4, seed=0, tolerance=1e-9), x)
    found = model.encode(Entries(torch.from_numpy(x))).mode().tensor
    squares = float(((torch.from_numpy(x) - model.centres[found]) ** 2).sum())
    assert squares == pytest.approx(peer.inertia_, rel=1e-3)
    assert float(model.variance) == pytest.approx(squares / x.size, rel=1e-6)
    assert torch.allclose(model.weights, torch.bincount(found).double() / len(x))


def test_k_means():
    check_kmeans()


def check_kmeans_weights():
    """Two copies of half a row's weight learn what the row does, and a row of weight three what three copies do; with holes."""
    rng = np.random.default_rng(2)
    x, weight = clusters(n=300, D=3, K=2), rng.integers(1, 4, 300)
    x[::5, 1] = np.nan
    family = partial(KMeans, components=3, seed=0)
    model = learned(family, x)
    assert bool(scores(model, x).isfinite().all())
    halves = learned(family, np.repeat(x, 2, 0), np.full(600, 0.5))
    assert torch.allclose(scores(halves, x), scores(model, x), atol=1e-9)
    weighted, copied = learned(family, x, weight), learned(family, np.repeat(x, weight, 0))
    assert torch.allclose(scores(weighted, x), scores(copied, x), atol=1e-9)
    assert float((scores(weighted, x) - scores(model, x)).abs().max()) > 1e-3


def test_k_means_of_rows_with_holes_and_weights():
    check_kmeans_weights()


@pytest.mark.parametrize("family, columns", [(partial(PCA, components=2), 2), (partial(KMeans, components=2), 1)],
                         ids=["PCA", "KMeans"])
def test_rows_are_encoded(family, columns):
    data = given.read(x=clusters(n=200, D=3, K=2))
    model = given.model("p(x)", data, families={"x": family})
    model.fit(data, progress=False)
    codes = model.encode(data)
    assert len(codes.names) == columns and all(np.shape(codes[name]) == (200,) for name in codes.names)


def labelled(seed=0, n=400):
    """Rows (n, 5) of three states, all reals of unlike spread, with holes and weights."""
    rng = np.random.default_rng(seed)
    k = rng.integers(0, 3, n)
    x = rng.normal(size=(3, 5))[k] + rng.normal(size=(n, 5)) @ rng.normal(size=(5, 5)) * np.array([0.3, 1, 2, 1, 0.5])
    return k, x, rng.uniform(0.2, 2, n)


def gaussian_of(k, x, weight, **options):
    label, value = Variable("k", Label()), torch.as_tensor(x)
    label.codec.learn(np.arange(3))
    model = Gaussian(vector(x.shape[1]), label, pooled=0, shrinkage=0, **options)
    y = Observed({"k": Entries(torch.from_numpy(k))}, len(k))
    teach(model, [(Entries(value.nan_to_num(), ~value.isnan()), y, torch.as_tensor(weight))])
    return model, y


def check_gaussian_structures():
    """Every structure is the weighted maximum of its set: closed forms by numpy, and low rank plus diagonal by its stationary
    equation, diag(S) = diag(C)."""
    k, x, weight = labelled()
    each = [np.cov(x[k == s].T, aweights=weight[k == s], bias=True) for s in range(3)]
    share = np.bincount(k, weight) / weight.sum()
    wanted = {Full(): each, Tied(): [np.einsum("k,kde->de", share, each)] * 3, Diagonal(): [np.diag(np.diag(C)) for C in each],
              Spherical(): [np.trace(C) / 5 * np.eye(5) for C in each]}
    for structure, covariances in wanted.items():
        model, _ = gaussian_of(k, x, weight, covariance=structure)
        assert np.allclose(model.covariance.numpy(), covariances, atol=1e-9), structure
    model, _ = gaussian_of(k, x, weight, covariance=LowRank(2))
    for s in range(3):
        C = model.covariance[s].numpy()
        assert np.allclose(np.diag(C), np.diag(each[s]), rtol=1e-2)
    alone = scores(learned(partial(FactorAnalysis, factors=2), x[k == 0], weight[k == 0]), x[k == 0])
    own = model(Observed({"k": Entries(torch.zeros(len(alone), dtype=torch.int64))}, len(alone)))
    margin = own.log_prob(Entries(torch.from_numpy(x[k == 0]))) - alone
    assert np.average(margin.numpy(), weights=weight[k == 0]) == pytest.approx(0, abs=1e-2)


def test_a_gaussian_has_the_structure_asked_for():
    check_gaussian_structures()


@pytest.mark.parametrize("structure", [Full(), Tied(), Diagonal(), Spherical(), LowRank(1)], ids=str)
def test_a_structured_gaussian_marginalises_and_conditions(structure):
    """With holes EM never lowers the likelihood of what is seen, and p(rest | part) is the ratio of the joint and the part."""
    k, x, weight = labelled()
    holes = np.where(np.random.default_rng(1).random(x.shape) < 0.2, np.nan, x)
    value = torch.from_numpy(holes)
    rows, likelihoods = Entries(value.nan_to_num(), ~value.isnan()), []
    for passes in (1, 2, 4, 8):
        model, y = gaussian_of(k, holes, weight, covariance=structure, most_passes=passes)
        likelihoods.append(float(torch.as_tensor(weight) @ model(y).log_prob(rows)))
    assert np.diff(likelihoods).min() > -1e-6 * abs(likelihoods[-1]), likelihoods
    law, whole = model(y), torch.from_numpy(x)
    part = Entries(whole, torch.arange(5).expand(len(x), -1) < 2)
    after = law.condition(part).log_prob(Entries(whole))
    assert torch.allclose(after + law.log_prob(part), law.log_prob(Entries(whole)), atol=1e-9)


def test_a_mixture_of_factor_analysers():
    """Low rank serves mixtures too: more likely than diagonal ones, less than full ones, and EM never falls."""
    x = clusters(n=200, D=4, K=2)
    each = {}
    for name, structure in (("diagonal", Diagonal()), ("low", LowRank(1)), ("full", Full())):
        model = learned(partial(GaussianMixture, components=2, covariance=structure, seed=0, most_passes=20), x)
        assert all(b > a - 1e-6 for a, b in itertools.pairwise(model.likelihoods))
        each[name] = float(scores(model, x).mean())
    assert each["diagonal"] < each["low"] < each["full"] + 1e-6


@pytest.mark.parametrize("make", [lambda: Gaussian(vector(2), covariance=LowRank(2)),
                                  lambda: GaussianMixture(vector(2), covariance=LowRank(0))])
def test_a_rank_has_room_for_noise(make):
    with pytest.raises(UserError, match=r"LowRank\(rank=.\): expected a rank of 1 to 1 for 2 entries"):
        make()


def check_varimax():
    """A rotation moves neither the likelihood nor what is decoded, and finds the simple structure that was planted."""
    rng = np.random.default_rng(0)
    W = np.zeros((9, 2))
    W[:5, 0], W[5:, 1], W[4, 1] = [2, 1.6, 1.2, 1.4, 1], [1.8, 1.2, 1.4, 1.1], 0.9
    x = rng.normal(size=(3000, 2)) @ W.T + 0.5 * rng.normal(size=(3000, 9))
    plain = learned(partial(FactorAnalysis, factors=2), x)
    turned = learned(partial(FactorAnalysis, factors=2, rotation=Varimax()), x)
    rows = Entries(torch.from_numpy(x))
    assert torch.allclose(scores(plain, x), scores(turned, x), atol=1e-9)
    back = [m.decode(m.encode(rows).mean()).tensor for m in (plain, turned)]
    assert torch.allclose(*back, atol=1e-9)
    assert np.abs(turned.loading.numpy() - W).max() < 0.15 < 0.3 < np.abs(np.abs(plain.loading.numpy()) - W).max()


def test_varimax_turns_and_changes_no_likelihood():
    check_varimax()

"""The classics on degenerate rows: constants, nothing seen, copies, few rows. Each has a density at a stated floor, or
says in one line why it has none."""

from functools import partial

import numpy as np
import pytest
import torch
from test_classics import learned, scores

from given.distributions import Diagonal, Spherical, Tied
from given.families import PCA, FactorAnalysis, Gaussian, GaussianMixture, Independent, KernelDensity, KMeans, ProbabilisticPCA
from given.variables import Entries, Observed, UserError

_RNG = np.random.default_rng(0)
WHOLE = _RNG.normal(size=(40, 4))
HOLES = np.where(_RNG.random(WHOLE.shape) < 0.2, np.nan, WHOLE)
SECOND, FIRST = np.arange(4) == 1, np.arange(40)[:, None] < 3
ROWS = {
    "a constant": np.where(SECOND, 3.0, WHOLE),
    "a zero": np.where(SECOND, 0.0, WHOLE),
    "a constant with holes": np.where(SECOND & ~np.isnan(HOLES), 3.0, HOLES),
    "a constant far away": np.where(SECOND, 3.0, WHOLE) + 1e6,
    "constants": np.full((20, 4), 5.0),
    "a column unseen": np.where(SECOND, np.nan, HOLES),
    "rows unseen": np.where(FIRST, np.nan, HOLES),
    "nothing seen": np.full((10, 4), np.nan),
    "a copied column": WHOLE[:, [0, 1, 2, 0]],
    "a copied column with holes": np.where(np.isnan(HOLES), np.nan, WHOLE[:, [0, 1, 2, 0]]),
    "one row": WHOLE[:1],
    "two rows": WHOLE[:2],
    "a row twelve times": np.repeat(WHOLE[:1], 12, 0),
    "more columns than rows": _RNG.normal(size=(3, 9)),
    "too large to square": WHOLE * 1e160,
}
FAMILIES = {
    "Gaussian": Gaussian,
    "GaussianMixture": partial(GaussianMixture, components=3, seed=0),
    "GaussianMixture tied": partial(GaussianMixture, components=3, seed=0, covariance=Tied()),
    "GaussianMixture diagonal": partial(GaussianMixture, components=3, seed=0, covariance=Diagonal()),
    "GaussianMixture spherical": partial(GaussianMixture, components=3, seed=0, covariance=Spherical()),
    "GaussianMixture stacked": partial(GaussianMixture, components=None, seed=0, most_passes=3),
    "FactorAnalysis": partial(FactorAnalysis, factors=2, tolerance=1e-4),
    "ProbabilisticPCA": partial(ProbabilisticPCA, factors=2, tolerance=1e-4),
    "PCA": PCA,
    "KMeans": partial(KMeans, components=3, seed=0),
    "KernelDensity": KernelDensity,
    "Independent": Independent,
}
NOTHING = "no row of weight above 0 with an entry that is known"
ERRORS = {
    **{(name, "nothing seen"): NOTHING for name in FAMILIES if name != "Independent"},
    **{(name, "too large to square"): "squares of its numbers overflow; scale them, as Number\\(\\) does"
       for name in FAMILIES if name not in ("KernelDensity", "Independent")},
    **{("Gaussian", rows): "no entry varies, so there is no density"
       for rows in ("constants", "one row", "a row twelve times")},
    **{(name, rows): f"components=3, but there are {n} rows; pass fewer"
       for name in FAMILIES if name.startswith("GaussianMixture") and "stacked" not in name
       for rows, n in (("one row", 1), ("two rows", 2))},
    **{("KMeans", rows): f"components=3, but there are {n} different rows; pass fewer"
       for rows, n in (("one row", 1), ("constants", 1), ("a row twelve times", 1), ("two rows", 2))},
}


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("name", FAMILIES)
def test_degenerate_rows_have_a_floor_or_one_line(name, rows):
    x = ROWS[rows]
    if rows == "too large to square" and name in ("KernelDensity", "Independent"):
        pytest.skip("it squares nothing as a whole")
    if (name, rows) in ERRORS:
        with pytest.raises(UserError, match=rf"^p\(x\): .*{ERRORS[name, rows]}") as error:
            learned(FAMILIES[name], x)
        assert "\n" not in str(error.value)
        return
    model = learned(FAMILIES[name], x)
    law, value = model(Observed(n=5)), torch.from_numpy(x)
    entries = Entries(value.nan_to_num(), ~value.isnan())
    assert bool(law.sample((3,), seed=0).tensor.isfinite().all())
    if name == "PCA":
        assert bool(model.reconstruction_error(entries).isfinite().all())
    else:
        assert bool(scores(model, x).isfinite().all())
    if hasattr(model, "encode"):
        assert bool(model.encode(entries, Observed(n=len(x))).mode().tensor.isfinite().all())


@pytest.mark.parametrize("name", ["Gaussian", "GaussianMixture", "GaussianMixture diagonal", "FactorAnalysis",
                                  "ProbabilisticPCA"])
def test_a_far_origin_moves_nothing(name):
    """Rows a million of their standard deviations from zero are learned as they are about it."""
    near, far = learned(FAMILIES[name], WHOLE), learned(FAMILIES[name], WHOLE + 2.0**20)
    assert torch.allclose(scores(near, WHOLE), scores(far, WHOLE + 2.0**20), atol=1e-6)


def test_the_floors_are_those_stated():
    """A constant's noise is the floor in units of the mean variance; of nothing but constants, the floor itself; PPCA's noise
    is one number whatever the floor. What PCA never sees has no variance."""
    x = ROWS["a constant with holes"]
    mean = np.where(SECOND[0], 0.0, np.nanvar(x, 0)).mean()
    assert float(learned(FAMILIES["FactorAnalysis"], x).noise[1]) == pytest.approx(1e-6 * mean, rel=1e-3)
    for name in ("FactorAnalysis", "ProbabilisticPCA"):
        assert torch.allclose(learned(FAMILIES[name], ROWS["constants"]).noise, torch.tensor(1e-6, dtype=torch.float64))
    scaled = WHOLE @ _RNG.normal(size=(4, 4))[:, :2] @ _RNG.normal(size=(2, 4)) * 10.0 ** np.arange(4)
    assert len(learned(FAMILIES["ProbabilisticPCA"], scaled).noise.unique()) == 1
    model = learned(PCA, ROWS["a column unseen"])
    assert float(model.variances[3]) == pytest.approx(0, abs=1e-12) and float(model.directions[1, :3].abs().max()) < 1e-6


def test_digits_have_a_factor_analysis():
    """Three of the pixels are never inked."""
    from sklearn.datasets import load_digits

    x = load_digits().data
    model = learned(partial(FactorAnalysis, factors=8, most_passes=50), x)
    assert bool(scores(model, x).isfinite().all()) and int((model.noise < 1e-4).sum()) == int((x.var(0) == 0).sum()) == 3

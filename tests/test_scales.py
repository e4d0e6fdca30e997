"""Numbers on a line: safe tails over hostile columns, and draws that are spelled as the data are."""

import json

import numpy as np
import pytest
import torch

import given
from given.codecs import Number, Time, infer
from given.variables import Entries

RNG = np.random.default_rng(0)
N = 1500


def entries(*z):
    return Entries(torch.tensor(z, dtype=torch.float64))


def mixed(*parts):
    return np.concatenate(parts)[RNG.permutation(sum(map(len, parts)))]


HOSTILE = {
    "normal": RNG.normal(5, 2, N),
    "uniform": RNG.random(N),
    "lognormal": RNG.lognormal(0, 3, N),
    "Cauchy": RNG.standard_cauchy(N),
    "Pareto": RNG.pareto(0.5, N),
    "two scales": mixed(RNG.normal(0, 1e-6, N // 2), RNG.normal(0, 1e6, N // 2)),
    "two scales above zero": mixed(RNG.random(N // 2) * 1e-6, RNG.random(N // 2) * 1e6),
    "two heaps far apart": mixed(RNG.normal(0, 1, N // 2), RNG.normal(1e9, 1, N // 2)),
    "a few far out": mixed(RNG.normal(0, 1, N - 12), RNG.normal(1e7, 1, 12)),
    "a constant and one outlier": mixed(np.full(N - 1, 3.0), [1e6]),
    "a constant and two outliers": mixed(np.full(N - 2, 0.1), [1e6, -1e-6]),
    "near ties at the lower end": mixed([0.5, 1, 1.5, 2, 2.67], np.full(14, 3.0), np.round(3.01 + RNG.lognormal(6, 1.2, N), 2)),
    "near ties at the upper end": mixed(-RNG.lognormal(6, 1.2, N), -3 + 1e-12 * RNG.random(12), [-2.5, -1, 5]),
    "near ties within": mixed(RNG.normal(0, 1, N), 0.3 + 1e-13 * RNG.random(14)),
    "whole numbers as reals": RNG.poisson(300, N).astype(float),
    "mostly zero": np.where(RNG.random(N) < 0.9, 0, RNG.gamma(2, 30, N)),
    "some exact zeros": np.where(RNG.random(N) < 0.004, 0, RNG.gamma(2, 30, N)),
    "a heap at each end": np.clip(RNG.normal(50, 40, N), 0, 100),
    "far from zero": 1e9 + RNG.normal(0, 1e-2, N),
    "ten values": RNG.lognormal(0, 2, 10),
    "two near values": np.array([1.0, 1.001, 1.0005]),
}
for column in HOSTILE.values():
    column.flags.writeable = False


def learned(column, **options):
    """A codec that has learned a column; without options the one that is inferred, or a Number where that is none."""
    codec = infer(column) if not options else Number(**options)
    codec = codec if isinstance(codec, Number) else Number(atoms="auto", curve="quantile")
    codec.learn(column)
    return codec


def histogram(train, held):
    """log p of held-out values by a histogram of equal bins, atoms apart, one row in 1 + the number of bins spread evenly."""
    values, counts = np.unique(train, return_counts=True)
    atoms = values[counts >= max(10, 0.01 * len(train))]
    rest = train[~np.isin(train, atoms)]
    rest = rest if len(rest) > 1 else train
    edges = np.unique(np.quantile(rest, np.linspace(0, 1, 1 + max(1, round(len(rest) ** (1 / 3))))))
    edges = edges if len(edges) > 1 else np.array([edges[0] - 0.5, edges[0] + 0.5])
    mass = (np.histogram(rest, edges)[0] + 1) / (len(train) + len(edges))
    at = np.searchsorted(edges, held, side="right").clip(1, len(edges) - 1) - 1
    density = np.log(mass[at] / np.diff(edges)[at])
    atom = [np.log(counts[values == v][0] / len(train)) if v in atoms else np.nan for v in held]
    return np.where(np.isnan(atom), density, atom)


def under_a_normal(codec, train, held):
    """log p of held-out values under a normal fitted to the entries that are no atoms, and the atoms' shares."""
    x, y = codec.encode(train), codec.encode(held)
    atoms = torch.tensor(codec.space.atoms, dtype=torch.float64)
    rest = x.tensor[~torch.isin(x.tensor, atoms)]
    rest = rest if len(rest) else torch.zeros(1, dtype=torch.float64)
    normal = torch.distributions.Normal(rest.mean(), max(1.0, float(rest.std(correction=0))))
    share = torch.log((torch.tensor(len(rest)) + 1.0) / (len(x) + 1))
    weight = torch.tensor([float((x.tensor == a).sum() + 1) for a in atoms], dtype=torch.float64)
    each = share + normal.log_prob(y.tensor)
    for a, w in zip(atoms, weight, strict=True):
        each = torch.where(y.tensor == a, torch.log(w / len(x)), each)
    return (each + codec.log_volume(y)).numpy()


@pytest.mark.parametrize("case", HOSTILE)
def test_no_value_lies_far_out(case):
    """Of the rows learned from, whatever the column, and of any other value."""
    column = HOSTILE[case]
    for codec in (learned(column), learned(column, curve="quantile"), learned(column, curve="quantile", atoms="auto")):
        assert float(codec.encode(column).tensor.abs().max()) <= 8.5, codec
        if codec.arguments["curve"] == "quantile":
            far = np.array([-1e100, -1e12, 1e12, 1e100])
            assert (np.abs(codec.scale_of.z(far)) < np.log(np.abs(far)) ** 2).all()  # and not as far as it is


@pytest.mark.parametrize("case", HOSTILE)
def test_values_have_moments_under_tails_wider_than_a_normals(case):
    """By quadrature to |z| = 200: of a Laplace distribution and a normal of three times the entries' width, the second moment
    is finite, and the mean within ten times the range of the values."""
    column = HOSTILE[case]
    for codec in (learned(column), learned(column, curve="quantile", atoms="auto")):
        z = (np.arange(-20_000, 20_000) + 0.5) / 100
        r = codec.scale_of.r(z)
        for density in (np.exp(-np.abs(z)), np.exp(-0.5 * (z / 3) ** 2)):
            mean, square, far = ((density * x).sum() / density.sum() for x in (r, r**2, np.where(np.abs(z) > 150, r**2, 0)))
            width = 10 * np.ptp(column)
            assert column.min() - width < mean < column.max() + width and far < 1e-9 * square, (mean, square, far)


@pytest.mark.parametrize("case", HOSTILE)
def test_held_out_rows_score_as_by_a_histogram(case):
    """No row by 30 nats less (40 past an end, 350 where all that was learned is a constant), the mean by 0.7 (4 of ten)."""
    column = HOSTILE[case]
    train, held = column[::2], column[1::2]
    constant = case.startswith("a constant")
    for codec in (learned(train), learned(train, curve="quantile", atoms="auto")):
        beyond = (held > 0) & (train.max() <= 0) | (held < 0) & (train.min() >= 0)  # past the end of the curve
        more = under_a_normal(codec, train, held) - histogram(train, held)
        assert more.min() > (-350 if constant else -40 if beyond.any() else -30), more.min()
        assert more.mean() > (-0.7 if len(train) > 100 else -4), more.mean()


@pytest.mark.parametrize("case", ["two scales above zero", "near ties at the lower end", "mostly zero", "Cauchy"])
def test_a_model_of_a_hostile_column_scores_held_out_rows(case):
    """A default model of the column and a label, 40 steps: least and mean log p against the histogram's."""
    x = HOSTILE[case]
    g = np.where(np.arange(len(x)) % 3 == 0, "a", "b")
    train, held = x[::2], x[1::2]
    model = given.model(None, given.read(x=train, g=g[::2]))
    model.fit(given.read(x=train, g=g[::2]), steps=40, progress=False)
    ours = np.asarray(model.log_prob(given.read(x=held, g=g[1::2]))) - np.log(np.where(g[1::2] == "a", 1 / 3, 2 / 3))
    more = ours - histogram(train, held)
    assert more.min() > -80 and more.mean() > -2, (more.min(), more.mean())


@pytest.mark.parametrize("case", ["lognormal", "uniform", "near ties at the lower end", "near ties at the upper end",
                                  "two scales", "some exact zeros", "ten values", "mostly zero"])
def test_a_density_integrates_to_one_in_raw_units(case):
    """By midpoints, of what a standard normal over the entries becomes."""
    codec = learned(HOSTILE[case], curve="quantile", atoms="auto")
    scale = codec.scale_of
    scale.settle()
    breaks = np.concatenate([np.linspace(-8.5, 8.5, 3001), scale.heights, [tail.z for tail in scale.tails]])
    r = scale.r(np.setdiff1d(breaks, scale.atoms))
    assert (np.diff(r) >= 0).all()
    within = r[:-1] + (np.arange(64) + 0.5)[:, None] / 64 * np.diff(r)
    z = scale.z(within.ravel())
    z = np.where(np.isin(z, scale.atoms), np.nextafter(z, 9), z)
    density = np.exp(-0.5 * z**2 - 0.5 * np.log(2 * np.pi) + scale.log_slope(z)).reshape(within.shape)
    assert np.isclose((density.mean(0) * np.diff(r)).sum(), 1, atol=1e-4)


def test_a_curve_goes_on_without_steps():
    """z rises over the whole line, comes back, and keeps its values through JSON."""
    for column in HOSTILE.values():
        codec = learned(column, curve="quantile", whole=False)
        z = np.linspace(-12, 12, 4001)
        r = codec.scale_of.r(z)
        assert (np.diff(r) >= 0).all() and np.isfinite(codec.scale_of.log_slope(z)).all()
        back = codec.scale_of.r(codec.scale_of.z(r))
        assert np.allclose(back, r, rtol=1e-9, atol=1e-12 * np.abs(column).max())
        again = Number(curve="quantile", whole=False)
        again.restore(json.loads(json.dumps(codec.state())))
        assert (again.scale_of.z(r) == codec.scale_of.z(r)).all()


def check_slopes():
    """dz/dr of a tail is what its values change by, before it turns and after, and beyond an end."""
    for column in HOSTILE["Cauchy"], HOSTILE["lognormal"]:
        scale = learned(column, curve="quantile", whole=False).scale_of
        z = np.setdiff1d(np.linspace(-30, 30, 601), scale.heights) + 1e-3
        change = np.log((scale.r(z + 1e-6) - scale.r(z - 1e-6)) / 2e-6)
        inside = np.isfinite(change) & (np.abs(z) < 20)
        assert np.allclose(change[inside], -scale.log_slope(z)[inside], atol=1e-3)


def test_slopes_are_those_of_values():
    check_slopes()


def drawn(codec, n=4000):
    return codec.decode(Entries(torch.randn(n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)))


def test_draws_have_the_decimals_of_the_data():
    for places, column in enumerate(np.round(RNG.gamma(2, 20, 800), p) for p in range(4)):
        for options in ({}, {"curve": "quantile"}, {"curve": "linear", "missing": "symbol"}):
            codec = learned(column, **options)
            values = drawn(codec)
            assert (values == np.round(values, places)).all() and len(np.unique(values)) > 20
            assert np.isfinite(codec.log_volume(codec.encode(values)).numpy()).all()
            assert (codec.decode(codec.encode(column)) == column).all()
    assert learned(RNG.normal(size=300)).decimals is None
    assert learned(np.float32(np.round(RNG.normal(size=300), 2))).decimals == 2
    assert learned(np.array([0.1 + 0.2, 0.5]), atoms=()).decimals == 1


def test_a_finer_row_than_those_learned_is_scored():
    codec = learned(np.round(RNG.gamma(2, 20, 800), 2))
    assert np.isfinite(codec.log_volume(codec.encode(np.array([1.2345]))).numpy()).all()


def test_whole_numbers_beside_holes_are_drawn_whole():
    column = np.where(RNG.random(2000) < 0.2, np.nan, RNG.integers(0, 5000, 2000))
    values = drawn(learned(column))
    assert (values[~np.isnan(values)] == np.rint(values[~np.isnan(values)])).all()
    assert not np.signbit(values[values == 0]).any()


@pytest.mark.parametrize("column", [
    RNG.random(3000), np.round(RNG.random(3000) * 9, 1), RNG.integers(0, 400, 3000), RNG.lognormal(0, 2, 3000),
    np.abs(RNG.normal(0, 1, 3000)), RNG.normal(10, 2.8, 3000).clip(0.1), RNG.normal(10, 4, 3000).clip(1.5), -RNG.random(3000),
    np.where(RNG.random(3000) < 0.002, 0, RNG.random(3000))])
def test_no_draw_has_a_sign_that_no_value_had(column):
    codec = learned(column)
    values = drawn(codec, 100_000)
    assert (values * np.sign(column.sum()) >= 0).all()
    wrong = np.array([-1, -1000]) * int(np.sign(column.sum()))
    assert np.isfinite(codec.log_volume(codec.encode(wrong)).numpy()).all()


def test_times_are_drawn_on_the_grid_of_the_data():
    start, n = np.datetime64("2023-01-01", "us"), 500
    for step, number in {"D": 700, "h": 9000, "m": 10**6, "s": 10**8, "ms": 10**9}.items():
        for dtype in ("M8[us]", "M8[ns]", object):
            if dtype is object and step == "ms":
                continue
            raw = start + RNG.integers(0, number, n).astype(f"m8[{step}]").astype("m8[us]")
            raw = raw.astype(dtype) if dtype is not object else np.datetime_as_string(raw.astype("M8[s]")).astype(object)
            codec = Time()
            for part in np.array_split(raw, 3):
                codec.learn(part)
            values = np.array(drawn(codec).tolist() if dtype is object else drawn(codec), dtype="M8[us]")
            assert (values == values.astype(f"M8[{step}]")).all() and len(np.unique(values)) > 100
            assert (codec.decode(codec.encode(raw)) == raw).all()
    clock = Time(curve="linear")
    clock.learn(np.array(["12:00", "23:45", "00:15", "07:00"], dtype=object))
    assert all(len(v) == 5 for v in drawn(clock).tolist())
    far = Time()
    far.learn(np.array(["0001-01-01T00:00", "9999-12-31T00:00"], dtype="M8[us]"))
    assert far.grid == 86_400_000_000

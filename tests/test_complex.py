"""Complex numbers: read, written, and series of them that are linear in their past."""


import numpy as np
import pytest
import torch

import given
from given import prefix
from given.codecs import Complex, Number, Series, infer
from given.conditional import teach
from given.families import LinearAutoregressive
from given.sources import items
from given.variables import Observed, UserError, Variable

RNG = np.random.default_rng(5)

def channel(n, length, noise=RNG.normal):
    """h_t = (.6 + .6 i) h_{t-1} + e_t, circular."""
    e = noise(size=(n, length + 20, 2)) @ [1, 1j]
    h = np.zeros_like(e)
    for t in range(1, length + 20):
        h[:, t] = (0.6 + 0.6j) * h[:, t - 1] + e[:, t]
    return h[:, 20:]

def learned(h, **options):
    codec = Series(Complex())
    codec.learn(h)
    factor = LinearAutoregressive(Variable("h", codec), **options)
    teach(factor, [(codec.encode(h), Observed({}, len(h)), torch.ones(len(h), dtype=torch.float64))])
    return factor, codec

@pytest.fixture(scope="module")
def model():
    data = given.read(h=channel(12, 30))
    found = given.model("p(h)", data, codecs={"h": Series(Complex())}, families={"h": LinearAutoregressive})
    found.fit(data, progress=False)
    return found

def check_tied_scale():
    """Entries of rotated numbers are rotated entries, whatever the parts' own scales."""
    z, turn = RNG.normal(size=(50, 2)) @ [3, 1j], np.exp(0.25j * np.pi)
    found = [Complex(), Complex()]
    for codec, raw in zip(found, (z, turn * z), strict=True):
        codec.learn(raw)
    a, b = (codec.encode(raw).tensor.numpy() @ [1, 1j] for codec, raw in zip(found, (z, turn * z), strict=True))
    np.testing.assert_allclose(b, turn * a)


def test_both_parts_have_one_scale():
    check_tied_scale()


def check_rotations():
    """The regression of pairs is that of complex numbers."""
    h = channel(8, 20)
    factor, codec = learned(h, order=1, ridge=1e-6, circular=True)
    z = codec.encode(h).tensor.numpy() @ [1, 1j]
    w = (z[:, :-1].conj() * z[:, 1:]).sum() / (np.abs(z[:, :-1])**2).sum()
    np.testing.assert_allclose(factor.weights[1], [[0, 0], [w.real, w.imag], [-w.imag, w.real]], atol=1e-6)

def check_amplitude():
    """Both parts of an innovation are of one component: the density of a pair is a mixture of round normals."""
    heavy = channel(200, 1) * RNG.choice([0.2, 3.0], (200, 1))
    factor, codec = learned(heavy, order=0, circular=True)
    x = codec.encode(heavy[:20])
    weights, scales = factor.logits[0, 0].softmax(-1), factor.scales[0, 0]
    r = x.tensor.square().sum((1, 2))[:, None]
    true = (weights.log() - 2 * scales.log() - np.log(2 * np.pi) - 0.5 * r / scales**2).logsumexp(-1)
    assert scales.max() > 3 * scales.min()
    np.testing.assert_allclose(factor(Observed({}, 20)).log_prob(x), true)

def test_a_circular_regression_is_one_of_complex_numbers():
    check_rotations()

def test_parts_of_an_innovation_are_of_one_size():
    check_amplitude()

def test_whether_a_series_is_circular_is_chosen():
    h = channel(20, 30)
    assert learned(h)[0].chosen[2] == 1 and learned(h.real * (1 + 0j) + 0.1j * h.imag)[0].chosen[2] == 0
    with pytest.raises(UserError, match=r"circular=True, got .*; expected Series\(Complex\(\)\)$"):
        reals = Series(Number())
        reals.learn(h.real)
        LinearAutoregressive(Variable("h", reals), circular=True)

@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "npz"])
def test_draws_are_complex_and_files_hold_them(model, tmp_path, ending):
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    drawn = model.sample(3, length=30, seed=0)
    assert drawn["h"].dtype == complex and drawn["h"].shape == (3, 30)
    path = str(tmp_path / f"h.{ending}")
    drawn.save(path)
    again = given.read(path, by="item", time="index") if ending == "csv" else given.read(path)
    assert isinstance(infer(again["h"]) if ending == "npz" else infer(again["h"]).of, Complex)
    np.testing.assert_allclose(model.log_prob({"h": again["h"]}), model.log_prob(drawn), rtol=1e-9)

def test_series_of_text_are_gone_on_from(model):
    h = channel(2, 25)
    text = items(np.array([str(v).strip("()") for v in h.ravel()]), [25, 25])
    paths, same = model.forecast({"h": text}, 4, n=30).paths["h"], model.forecast({"h": h}, 4, n=30)
    assert paths.dtype == complex and paths.shape == (30, 2, 4)
    np.testing.assert_allclose(paths, same.paths["h"])
    assert [*same.summary(interval=0.9)][2:5] == ["mean(h.real)", "q0.05(h.real)", "q0.95(h.real)"]
    assert "h.imag" in same.chart()
    assert abs(model.given(h=prefix(h[0])).sample(200, length=26, seed=1)["h"][:, -1].mean() - (0.6 + 0.6j) * h[0, -1]) < 0.4

def test_how_complex_numbers_are_written():
    codec = Complex(missing="unknown")
    codec.learn(np.array(["1+2j", "3 - 1i", "-2.5", None, "1e2j"], dtype=object))
    np.testing.assert_allclose(codec.decode(codec.encode(np.array(["1+2i", "nan"]))), [1 + 2j, complex("nan+nanj")])
    assert isinstance(infer(np.array(["1+2j", "2"] * 9)), Complex) and not isinstance(infer(np.array(["1", "j"] * 9)), Complex)
    data = given.read(z=[1 + 2j, None, 3])
    assert data["z"].dtype == complex and np.isnan(data["z"][1])

@pytest.mark.parametrize(("raw", "words"), [
    (np.array(["1+2j", "q"]), "^z, row 1: got 'q'; expected a complex number such as 1[+]2j$"),
    (np.array([1, complex("nan")]), "^z, row 1: got nan; expected a finite number; drop the row"),
    (np.array([1, complex("inf")]), "^z, row 1: got inf; expected a finite number; drop the row$"),
    (np.zeros(2, "M8[D]"), r"^z: expected complex numbers, got datetime64\[D\]$"),
], ids=["word", "nan", "infinite", "dates"])
def test_what_is_no_complex_number_is_named(raw, words):
    codec = Complex()
    codec.learn(np.array([1 + 2j, 2]))
    with pytest.raises(UserError, match=words):
        Variable("z", codec).encode({"z": raw})
    with pytest.raises(UserError, match="missing='symbol'"):
        Complex(missing="symbol")

"""Codes that stand for one factor each, for all alike, and for none; of numbers and of categories."""

import numpy as np
import pytest

import given
from given.evaluate import disentanglement, recovery
from given.variables import UserError

N = 600


def known():
    rng = np.random.default_rng(0)
    return {"x": rng.uniform(-1, 1, N), "y": rng.normal(size=N), "shape": rng.choice(["disc", "square"], N)}


@pytest.fixture(scope="module")
def factors():
    return known()


def number(values):
    return np.unique(values, return_inverse=True)[1].astype(float)


def check_axes():
    """Each in its own code, scaled and in another order, beside one that is still and one of noise."""
    factors, rng = known(), np.random.default_rng(1)
    z = {"a": 5 * number(factors["shape"]), "still": np.full(N, 3.0), "b": -factors["x"], "c": 100 + factors["y"],
         "noise": rng.normal(size=N)}
    found = disentanglement(z, factors, draws=50)
    assert found.codes == tuple(z) and found.factors == ("x", "y", "shape") and found.measures == ("R2", "R2", "accuracy")
    assert found.importance.argmax(0).tolist() == [2, 3, 0] and (found.importance[1] == 0).all()
    assert found.disentanglement > 0.98 and (found.completeness > 0.95).all() and (found.informativeness > 0.99).all()
    assert found.interval[0] <= found.disentanglement <= found.interval[1]
    assert "disentanglement" in str(found) and "shape" in str(found)


def test_a_code_for_every_factor():
    check_axes()


def check_turned():
    """Codes turned by a rotation tell as much as before, and stand for nothing alone."""
    factors = known()
    q = np.linalg.qr(np.array([[1.0, 1, 1], [-1, 1, 0], [-1, -1, 2]]).T)[0]
    x = np.stack([(v - v.mean()) / v.std() for v in (factors["x"], factors["y"], number(factors["shape"]))], 1)
    straight, turned = (disentanglement(x @ m, factors, draws=20) for m in (np.eye(3), q))
    assert np.allclose(turned.informativeness, straight.informativeness, atol=0.01)
    assert straight.disentanglement > 0.98 and turned.disentanglement < 0.4
    # Weights of a number are the rotation's, in entropies to the base of how many there are.
    R = np.abs(q[:2]).T
    assert np.allclose(turned.importance[:, :2], R, atol=0.05)
    p = R / R.sum(0)
    assert np.allclose(turned.completeness[:2], 1 + (p * np.log(np.maximum(p, 1e-9))).sum(0) / np.log(3), atol=0.05)


def test_turned_codes_stand_for_all_alike():
    check_turned()


def test_codes_that_know_nothing_are_not_disentangled(factors):
    found = disentanglement(np.random.default_rng(2).normal(size=(N, 3)), factors, draws=50)
    assert found.disentanglement == 0 and (found.completeness == 0).all()
    assert (found.informativeness_intervals[:, 0] <= found.chance).all()
    half = disentanglement(np.stack([factors["x"], np.random.default_rng(3).normal(size=N)], 1), factors, draws=50)
    assert half.disentanglement > 0.95 and half.informativeness[0] > 0.99 and half.informativeness[1] < 0.1


def test_a_category_of_many_values_is_read_from_one_number():
    rng = np.random.default_rng(4)
    factors = {"colour": rng.integers(5, size=N), "light": rng.uniform(size=N)}
    items = np.stack([np.cos(factors["colour"]), np.sin(factors["colour"]), factors["light"], rng.normal(size=N)], 1)
    found = recovery(items[:, :2], factors, items.reshape(N, 2, 2), draws=10)
    assert list(found) == ["codes", "principal components", "random projections", "the factors themselves"]
    assert found["codes"].informativeness[0] > 0.99 and found["codes"].informativeness[1] < 0.1
    most = found["the factors themselves"]
    assert most.disentanglement > 0.97 and (most.informativeness > 0.99).all()
    assert given.evaluate.recovery is recovery


@pytest.mark.parametrize(("z", "factors", "said"), [
    (np.zeros((5, 2)), {"x": np.arange(4.0), "y": np.arange(5.0)}, r"factor x: expected \(5,\) values"),
    (np.zeros((50, 1)), {"x": np.arange(50.0), "y": np.arange(50.0)}, "got 1 codes and 2 factors"),
    (np.zeros((50, 2)), {"x": np.ones(50), "y": np.arange(50.0)}, "factor x: all values are 1"),
    (np.zeros((50, 2)), {"x": np.array(["a"] * 50), "y": np.arange(50.0)}, "factor x: got 1 categories"),
    (np.full((50, 2), np.nan), {"x": np.arange(50.0), "y": np.arange(50.0)}, "100 codes that are not finite"),
    (np.zeros((3, 2)), {"x": np.arange(3.0), "y": np.arange(3.0)}, "3 rows are too few for 2 codes"),
])
def test_what_cannot_be_measured_is_said(z, factors, said):
    with pytest.raises(UserError, match=said):
        disentanglement(z, factors)

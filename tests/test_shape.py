"""Shapes by their titles: what is read, what is drawn, what is refused."""

import numpy as np
import pytest
import torch

import given
from given.codecs import Text, Voxels
from given.distributions import Distinct
from given.families import Retrieval
from given.sources import Columns
from given.tasks import shape
from given.variables import UserError


def parts(n=60, seed=0):
    """Bars of some length along the axis that their title names."""
    rng = np.random.default_rng(seed)
    axes, lengths = rng.integers(0, 3, n), rng.integers(1, 9, n)
    grids = np.zeros((n, 8, 8, 8), np.uint8)
    for grid, axis, length in zip(grids, axes, lengths, strict=True):
        grid[tuple(slice(length) if k == axis else 4 for k in range(3))] = 1
    names = ("Plate", "Brick", "Tower")
    return {"voxels": grids, "title": np.array([f"{names[a]} 1 x {b} number {k}" for k, (a, b) in enumerate(zip(axes, lengths,
                                                                                                     strict=True))])}


@pytest.fixture(scope="module")
def model():
    data = shape.read(given.read(parts()))
    found = shape.model(data, trees=20)
    found.fit(data, progress=False, **shape.TRAINING)
    return found


def test_titles_bring_their_shapes(model):
    rows = Columns(parts(20, seed=1))
    own, beside = shape.measure(model, rows), shape.baselines(Columns(parts()), rows)
    assert own["one draw, temperature .5"] > max(beside["nearest title"]["one"], beside["mean of the class"]["one"])
    assert own["best of 8, distinct"] >= own["one draw"]


def test_draws_without_replacement_are_of_different_items(model):
    drawn = model.sample(5, title="Brick 1 x 3", how=given.Temperature(1) | Distinct(), seed=3)["voxels"]
    assert drawn.shape == (5, 8, 8, 8) and drawn.dtype == np.uint8
    law = model.joint.declared[0](model.joint.y(model.joint.declared[0], {
        "title": model.joint.columns["title"].encode({"title": np.array(["Brick 1 x 3"])})}, 1))
    items = law._but(log_kernel=torch.eye(2).double().log())
    one, again = (items.by(Distinct()).sample((k,), seed=0).tensor[:, 0] for k in (8, 4))
    assert torch.equal(one[:4], again) and items.sample((), seed=0).tensor.shape == (1, 8, 8, 8)
    with pytest.raises(UserError, match=r"\d\d draws of \d\d items; ask for fewer"):
        model.sample(99, title="Brick 1 x 3", how=Distinct())


def check_distinct():
    """Items by their weights: chi-square of the first, and no item twice."""
    from given.distributions import Empirical
    from given.variables import Finite

    w = torch.tensor([0.5, 0.3, 0.2]).double().log().expand(4000, 3)
    law = Empirical(w, torch.arange(3), torch.eye(3).double().log(), Finite(3))
    drawn = law.by(Distinct()).sample((3,), seed=1).tensor
    counts = torch.bincount(drawn[0], minlength=3).double()
    expected = 4000 * torch.tensor([0.5, 0.3, 0.2]).double()
    assert ((counts - expected) ** 2 / expected).sum() < 28  # 1e-6 at two degrees of freedom
    assert torch.equal(drawn.sort(0).values, torch.arange(3)[:, None].expand(3, 4000))


def test_the_first_of_distinct_draws_is_a_draw():
    check_distinct()


def test_scores_are_exact_and_survive_saving(model, tmp_path):
    rows = parts(4, seed=2)
    before = model.log_prob(rows)
    model.save(tmp_path / "a.given")
    assert np.allclose(given.load(tmp_path / "a.given").log_prob(rows), before)
    assert "exact; counting" in str(model.score(rows))
    sharp = model.sample(1, title=rows["title"][:1], how=given.Temperature(0), seed=0)["voxels"]
    assert (sharp.reshape(1, -1) == parts()["voxels"].reshape(60, -1)).all(1).any()


def test_bits_are_unpacked():
    raw = parts(6)
    bits = np.packbits(raw["voxels"].reshape(6, -1), axis=1)
    assert np.array_equal(shape.read(Columns({"vox8": bits, "title": raw["title"]}))["vox8"], raw["voxels"])
    assert isinstance(given.codecs.infer(np.tile(raw["voxels"], (4, 1, 1, 1))), Voxels)


@pytest.mark.parametrize("grid, said", [
    (np.full((1, 8, 8, 8), 2), "got 2; expected 0, empty, or 1, filled"),
    (np.full((1, 8, 8, 8), 0.5), "got 0.5; expected 0, empty, or 1, filled"),
    (np.zeros((1, 4, 8, 8)), r"expected grids \(B, 8, 8, 8\) of 0 and 1, got float64 \(1, 4, 8, 8\)"),
])
def test_what_is_no_voxels(grid, said):
    codec = Voxels(8, 8, 8)
    with pytest.raises(UserError, match=said) as caught:
        codec.encode(grid)
    assert "\n" not in str(caught.value)


def test_titles_without_a_word_that_was_learned(model):
    with pytest.raises(UserError, match=r"got 'Brik' as title, of which no word was learned; .*brick"):
        model.sample(1, title="Brik")
    assert model.sample(1, title="Brick Wombat 1 x 2")["voxels"].shape == (1, 8, 8, 8)  # read by the words that were
    with pytest.raises(UserError, match="shape: expected a column of titles and one of voxels"):
        shape.read(Columns({"a": np.zeros(3)}))
    with pytest.raises(UserError, match="Retrieval: expected one text as the condition"):
        given.model("p(voxels | n)", {"voxels": parts(8)["voxels"], "n": np.arange(8.0) / 7},
                    codecs={"voxels": Voxels()}, families={"voxels": Retrieval})
    assert Text("bytes")  # reads any title

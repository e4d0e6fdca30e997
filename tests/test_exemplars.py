"""A picture from the windows of one: what is drawn, what it scores, what is kept."""

import itertools
from functools import partial

import numpy as np
import PIL.Image
import pytest
import torch

import given
from given.app.cli import main
from given.codecs import IdentityCodec, Image
from given.conditional import teach
from given.distributions import quilting
from given.families import EfrosLeung, PatchMatch, Quilting
from given.infer import part
from given.nn import OnionPeel, Raster, Wavefront
from given.tasks import texture
from given.variables import Axis, Entries, Finite, Observed, UserError, Variable


def stripes(height, width, period=4):
    """Levels that fall and rise along the diagonals."""
    i, j = np.mgrid[:height, :width]
    return ((i + 2 * j) % period * 60).astype(np.uint8)


def learned(family, *pictures, **options):
    """A model of an image, that stores pictures in which NaN is unknown."""
    data = given.read(image=np.stack(pictures).astype(float))
    model = given.model("p(image)", data, codecs={"image": Image(levels=256, missing="unknown")},
                        families={"image": partial(family, **options)})
    model.fit(data, held_out=0, progress=False)
    return model


def picture(height, width, levels=2):
    return Variable("x", IdentityCodec(Finite(levels, ordered=True, axes=(Axis("height", height), Axis("width", width)))))


def check_by_hand():
    """Every place of an item scores the share, of the windows no further than 1 + eps times the nearest or among the nearest
    three tenths of all, whose middle it is."""
    rng = np.random.default_rng(0)
    stored, item = rng.integers(0, 3, (6, 4, 5)), rng.integers(0, 3, (4, 5))
    c = EfrosLeung(picture(4, 5, 3), size=3, tolerance=0.3, share=0.3, smoothing=0.1, order=Wavefront(2))
    teach(c, [(Entries(torch.tensor(stored)), Observed(n=len(stored)), torch.ones(len(stored)))])
    curve = np.exp(-0.5 * (np.arange(-1, 2) / (3 / 6.4)) ** 2)
    curve, turn = curve[:, None] * curve, 2 * np.arange(4)[:, None] + np.arange(5)
    windows = [w for s in stored for w in np.lib.stride_tricks.sliding_window_view(s / 2, (3, 3)).reshape(-1, 3, 3)]
    total = 0.0
    for i in range(4):
        for j in range(5):
            def apart(window, i=i, j=j):
                near = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if 0 <= i + a < 4 and 0 <= j + b < 5
                        and turn[i + a, j + b] < turn[i, j]]
                weight = sum(curve[a + 1, b + 1] for a, b in near)
                return sum(curve[a + 1, b + 1] * (window[a + 1, b + 1] - item[i + a, j + b] / 2) ** 2 for a, b in near
                           ) / max(weight, 1e-12)
            each = np.array([apart(window) for window in windows])
            near = each <= max(1.3 * each.min(), np.sort(each)[10]) + 1e-6
            middles = np.array([window[1, 1] * 2 for window in windows])[near]
            total += np.log(0.9 * (middles == item[i, j]).mean() + 0.1 / 3)
    score = c(Observed(n=1)).log_prob(Entries(torch.tensor(item)[None]))
    assert float(score) == pytest.approx(total, abs=1e-4)


def check_apart():
    """No two places of a step are neighbours, what is known comes first, and a layer comes after the one around it."""
    seen = np.ones((12, 13), bool)
    seen[3:10, 2:11] = False
    step = OnionPeel(2).steps(picture(12, 13).space, torch.from_numpy(seen).flatten()).reshape(12, 13).numpy()
    assert (step[seen] == 0).all() and (step[~seen] > 0).all() and set(step.flat) == set(range(step.max() + 1))
    for a, b in zip(*np.triu_indices(12 * 13, 1), strict=True):
        (i, j), (k, m) = divmod(a, 13), divmod(b, 13)
        if max(abs(i - k), abs(j - m)) <= 2 and not (seen[i, j] and seen[k, m]):
            assert step[i, j] != step[k, m]
    assert step.max() in step[6, 5:8] and step[3, 2] < step[4, 3] < step[5, 4]


def check_cut():
    """The path is that of least cost among all whose columns move by one at most."""
    cost = torch.tensor(np.random.default_rng(1).random((3, 4, 3)))
    new = quilting.cut(cost)
    for c, mine in zip(cost, new, strict=True):
        path = [int(row.nonzero()[0]) for row in mine]
        assert all(bool(row[start:].all()) for row, start in zip(mine, path, strict=True))
        every = [p for p in np.ndindex(3, 3, 3, 3) if all(abs(a - b) <= 1 for a, b in itertools.pairwise(p))]
        least = min(sum(float(c[i, k]) for i, k in enumerate(p)) for p in every)
        assert sum(float(c[i, k]) for i, k in enumerate(path)) == pytest.approx(least)


def check_fills(family, **options):
    """A hole in what repeats is filled by what was there, from a picture that never showed it; the rest stays."""
    true, hole = stripes(32, 32), np.zeros((32, 32), bool)
    hole[10:21, 9:20] = True
    model = learned(family, np.where(hole, np.nan, true), **options)
    drawn = model.given(image=part(true, seen=~hole)).sample(2, seed=0)["image"]
    assert (drawn[:, ~hole] == true[~hole]).all()
    assert (drawn[:, hole] == true[hole]).mean() > 0.95
    return model


def check_longest():
    """No larger square than is allowed comes about as it stands in the picture; draws score what they are drawn by."""
    example = np.random.default_rng(0).integers(0, 256, (20, 22))

    def side(model):
        drawn, k = model.sample(1, seed=0)["image"][0], 1
        while len({w.tobytes() for w in np.lib.stride_tricks.sliding_window_view(example.astype(drawn.dtype), (k, k)).reshape(
                -1, k, k)} & {w.tobytes() for w in np.lib.stride_tricks.sliding_window_view(drawn, (k, k)).reshape(-1, k, k)}):
            k += 1
        return drawn, k - 1

    assert side(learned(EfrosLeung, example, size=5))[1] > 8
    model = learned(EfrosLeung, example, size=5, longest=4)
    drawn, longest = side(model)
    assert longest in (4, 5)
    assert np.isfinite(model.log_prob(image=drawn[None])).all() and model.log_prob(image=example[None]) == -np.inf


def test_no_larger_square_is_copied():
    check_longest()


def test_a_score_is_that_by_hand():
    check_by_hand()


def test_places_of_a_step_are_apart():
    check_apart()


def test_a_cut_is_the_cheapest():
    check_cut()


@pytest.mark.parametrize("family, size", [(EfrosLeung, 5), (Quilting, 8), (PatchMatch, 5)])
def test_a_hole_is_filled_from_its_own_picture(family, size):
    model = check_fills(family, size=size)
    whole = model.sample(1, seed=3)["image"][0]
    assert whole.shape == (32, 32) and set(np.unique(whole)) <= {0, 60, 120, 180}


def test_colours_stay_together():
    """Of two colours no third is drawn, and a known channel decides the others."""
    colours = np.array([[250, 10, 30], [20, 200, 90]], np.uint8)
    which = np.random.default_rng(0).integers(0, 2, (12, 12))
    model = learned(EfrosLeung, colours[which], size=3)
    drawn = model.sample(1, seed=1)["image"][0]
    assert {tuple(c) for c in drawn.reshape(-1, 3)} <= {tuple(c) for c in colours.tolist()}
    seen = np.zeros((12, 12, 3), bool)
    seen[..., 0] = True
    assert (model.given(image=part(colours[which], seen=seen)).sample(1)["image"][0] == colours[which]).mean() > 0.95


def test_another_order_draws_as_well():
    true = stripes(12, 12)
    drawn = learned(EfrosLeung, true, size=5, order=Raster()).sample(1, seed=0)["image"][0]
    assert (np.diff(drawn[3:, 3:].astype(int) // 60, axis=0) % 4 == 1).mean() > 0.9


def test_pictures_count_under_their_own_condition():
    data = given.read(image=np.stack([stripes(9, 9), 255 - stripes(9, 9)]), label=["a", "b"])
    model = given.model("p(image | label)", data, families={"image": partial(PatchMatch, size=3)})
    model.fit(data, held_out=0, progress=False)
    for label, levels in (("a", {0, 60, 120, 180}), ("b", {255, 195, 135, 75})):
        assert set(np.unique(model.sample(1, label=label, seed=0)["image"])) <= levels


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A photograph, masks, and a texture in colour."""
    at = tmp_path_factory.mktemp("pictures")
    mask = np.zeros((32, 32), np.uint8)
    mask[10:21, 9:20] = 255
    colours = np.stack([stripes(30, 40), stripes(30, 40) // 2, 255 - stripes(30, 40)], -1)
    for name, pixels in {"photo": np.where(mask, 7, stripes(32, 32)).astype(np.uint8), "hole": mask, "nothing": mask * 0,
                         "everything": mask * 0 + 255, "small": mask[:9], "stripes": colours}.items():
        PIL.Image.fromarray(pixels).save(at / f"{name}.png")
    return at


def test_a_photograph_is_filled_from_itself(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert main(["fill", "photo.png", "--mask", "hole.png", "-o", "filled.png", "--json"]) == 0
    assert capsys.readouterr().out == '{"picture": "filled.png", "height": 32, "width": 32}\n'
    assert (np.asarray(PIL.Image.open("filled.png")) == stripes(32, 32)).mean() > 0.97
    assert main(["fill", "photo.png", "--mask", "hole.png", "-n", "2", "-o", "filled/"]) == 0
    assert sorted(path.name for path in (folder / "filled").iterdir()) == ["0.png", "1.png"]


@pytest.mark.parametrize("method, size", [("quilting", (36, 30)), ("efros-leung", (20, 21))])
def test_a_texture_of_another_size(folder, monkeypatch, method, size):
    """Larger than its example and smaller: its colours, whose stripes go on."""
    monkeypatch.chdir(folder)
    assert main(["texture", "stripes.png", "--size", "{}x{}".format(*size), "--method", method, "--patch", "9",
                 "-o", "texture.png"]) == 0
    drawn = np.asarray(PIL.Image.open("texture.png")).astype(int)
    assert drawn.shape == (*size, 3) and (drawn[..., 0] + drawn[..., 2] == 255).all()
    assert (np.diff(drawn[..., 0] // 60, axis=0) % 4 == 1).mean() > 0.9


def test_a_texture_copies_no_larger_square_across_tiles():
    rng = np.random.default_rng(3)
    example = rng.integers(0, 256, (30, 41)).astype(np.uint8)
    model = texture.model(example, 24, 24, method="efros-leung", patch=5, longest=4)
    (drawn,) = model.sample(1, seed=0)["image"]
    squares = [np.lib.stride_tricks.sliding_window_view(x, (6, 6)).reshape(-1, 36) for x in (example, drawn)]
    assert not {w.tobytes() for w in squares[0]} & {w.tobytes() for w in squares[1]}


def test_every_window_of_an_example_is_in_one_tile():
    example = np.arange(30 * 41).reshape(30, 41)
    tiles = texture._tiles(example, 16, 20, 7)
    windows = np.lib.stride_tricks.sliding_window_view(tiles, (7, 7), (1, 2)).reshape(-1, 49)
    first = windows[~np.isnan(windows).any(1), 0]
    assert sorted(first) == sorted(example[:24, :35].ravel())


@pytest.mark.parametrize("words, said", [
    (["fill", "photo.png", "--mask", "nothing.png", "-o", "x.png"], "mask: hides nothing of the picture; mark what is to be f"),
    (["fill", "photo.png", "--mask", "everything.png", "-o", "x.png"], "hides everything of the picture; leave some of it to "),
    (["fill", "photo.png", "--mask", "small.png", "-o", "x.png"], "mask: got 9 x 32; expected 32 x 32, as the picture"),
    (["fill", "photo.png", "--mask", "hole.png"], "of a photograph alone, expected what is to be filled, by --mask FILE or"),
    (["fill", "none.png", "--hide", "top", "-o", "x.png"], "none.png: no such file; expected a picture"),
    (["fill", "photo.png", "--hide", "top", "-o", "x.gif"], "x.gif: expected .png, .jpg, .jpeg, .npz or FOLDER/"),
    (["texture", "photo.png", "--size", "16", "-o", "x.png"], "size of 16 x 16 is smaller than a patch of 24 x 24; ask for"),
    (["texture", "small.png", "--size", "64", "-o", "x.png"], "example of 9 x 32 is smaller than a patch of 24 x 24; take"),
    (["texture", "photo.png", "--size", "64", "--method", "efros-leung", "--patch", "8", "-o", "x.png"], "expected an odd"),
    (["texture", "photo.png", "--size", "64", "--longest", "9", "-o", "x.png"], "--longest 9 is of efros-leung; copies in a")])
def test_what_a_command_cannot_do(folder, monkeypatch, capsys, words, said):
    monkeypatch.chdir(folder)
    assert main(words) == 1
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_what_is_wrong_is_said():
    with pytest.raises(UserError, match=r"^EfrosLeung: x of 4 x 5 places is smaller than its windows of 11 x 11; pass a small"):
        EfrosLeung(picture(4, 5))
    with pytest.raises(UserError, match=r"^EfrosLeung x: longest=0; expected a number of places from 1, or None$"):
        EfrosLeung(picture(9, 9), size=3, longest=0)
    with pytest.raises(UserError, match=r"^PatchMatch x: size=4; expected an odd number$"):
        PatchMatch(picture(9, 9), size=4)
    with pytest.raises(UserError, match=r"^Quilting x: overlap=5, tolerance=0.1, share=0.0002; expected an overlap from 1"):
        Quilting(picture(9, 9), size=6, overlap=5)
    holed = np.where(np.indices((9, 9)).sum(0) % 3 == 0, np.nan, stripes(9, 9))
    with pytest.raises(UserError, match="no window of 7 x 7 places is known as a whole; pass a smaller size"):
        learned(PatchMatch, holed).sample(1)

"""Pictures given smaller ones: curves between places, a mean of least squares, a task by its command."""

from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

import given
from given.app.cli import main
from given.codecs import IdentityCodec
from given.families import Regression
from given.nn import ConvolutionalMap, Interpolated, Tokens
from given.nn.readers.interpolated import cubic
from given.tasks import upscale
from given.variables import Axis, Entries, Observed, Real, UserError, Variable

RNG = np.random.default_rng(0)


def grid(name, *sizes, channels=0):
    axes = [Axis(axis, size) for axis, size in zip(("height", "width"), sizes, strict=True)]
    return Variable(name, IdentityCodec(Real(axes=(*axes, *[Axis("channel", channels, role="channel")] * bool(channels)))))


def picture(height, width):
    """Flat pieces with edges, as few things are drawn by curves."""
    i, j = np.mgrid[:height, :width]
    light = 120 + 50 * np.sign(np.sin(i / 3 + j / 9 + RNG.random()) * np.cos(j / 4 - i / 7)) + 50 * (i > j)
    return np.stack([light, light * 0.8, 255 - light], -1).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(("here", "there"), [(20, 40), (20, 10), (20, 60), (21, 7)])
def test_curves_are_those_of_pillow_but_at_edges(here, there):
    x = RNG.random((here, here)).astype(np.float32)
    theirs = np.asarray(Image.fromarray(x).resize((there, there), Image.Resampling.BICUBIC))
    ours = cubic(here, there).numpy() @ x @ cubic(here, there).numpy().T
    edge = max(2, 3 * there // here)
    assert np.abs(ours - theirs)[edge:-edge, edge:-edge].max() < 1e-4
    assert np.allclose(cubic(here, there).sum(1), 1)


def test_a_map_that_learned_nothing_more_is_a_straight_line_of_the_curve():
    check_straight()


def check_straight():
    """Whatever the blocks would add, at any place and at any size."""
    torch.manual_seed(0)
    high, low = grid("high", 6, 8, channels=3), grid("low", 3, 4, channels=3)
    family = Regression(high, low, net=partial(ConvolutionalMap, width=8, blocks=2), readers={"low": Interpolated(2)}, width=6)
    torch.nn.init.zeros_(family.net.leave.bias)
    reader, y = family.context.parts["0"], torch.randn(2, 3, 4, 3)
    curve = torch.einsum("hi,wj,nijc->nhwc", cubic(3, 6).float(), cubic(4, 8).float(), y)
    expected = torch.cat([curve[..., None], torch.ones_like(curve)[..., None]], -1).flatten(3) @ reader.layer.weight.T
    expected = family.net.straight(expected + reader.layer.bias)[:, :, :, None].expand(-1, -1, -1, 3, -1)
    p = family(Observed({"low": Entries(y)}, n=2))
    assert torch.allclose(p.mean().tensor, expected[..., 0], atol=1e-5)


def test_one_scale_is_the_root_of_the_mean_squared_error():
    check_one_scale()


def check_one_scale():
    z = RNG.normal(size=(400, 1)).astype(np.float32)
    x = z + (np.abs(z) * RNG.normal(size=z.shape)).astype(np.float32)
    variable = [Variable(name, IdentityCodec(Real(axes=(Axis("number", 1),)))) for name in "xz"]
    family = Regression(*variable, homoscedastic=True, width=8)
    model = given.Model(family)
    model.fit(given.read(x=x, z=z), steps=300, lr=2e-2, batch=200, held_out=0, progress=False)
    scales = family(Observed({"z": variable[1].encode({"z": z})}, n=400)).deviation().tensor.detach()
    assert scales.unique().numel() == 1
    left = x - model.given(z=z).mean("x")
    assert float(scales[0, 0]) == pytest.approx(left.std(), rel=0.1)


def test_a_draw_is_brought_back_to_the_small_picture():
    check_shown()


def check_shown():
    light = RNG.uniform(40, 220, (24, 36))
    small = upscale.smaller(upscale.luma(picture(24, 36)))
    shown = upscale._shown(light, small)
    assert upscale.psnr(small, upscale.smaller(np.round(shown))) > 45
    assert np.allclose(upscale._shown(shown, small), shown, atol=1)  # it is a projection, but for what is cut off


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    for k in range(4):
        Image.fromarray(picture(100 + k, 150)).save(folder / f"{k}.png")
    return folder


@pytest.fixture(scope="module")
def learned(folder):
    data = upscale.read(folder)
    model = upscale.model(data, width=16, blocks=1)
    model.fit(data, steps=300, held_out=0, progress=False, **upscale.TRAINING | {"lr": 1e-2, "batch": 8})
    return model


def test_a_learned_mean_is_above_the_curve_at_any_size(learned, tmp_path):
    check_above(learned, tmp_path)


def check_above(learned, path):
    light = upscale.luma(picture(60, 88))
    small = upscale.smaller(light).astype(np.uint8)
    learned.save(path / "m.given")
    mean = upscale.enlarge(given.load(path / "m.given"), small)
    assert mean.shape == light.shape and upscale.psnr(light, mean) > upscale.psnr(light, upscale.enlarged(small)) + 0.3
    drawn = [upscale.enlarge(learned, small, draw=True, seed=seed).astype(float) for seed in (0, 1)]
    assert np.abs(drawn[0] - drawn[1]).mean() > 0.5
    assert all(upscale.psnr(small, upscale.smaller(each)) > 45 for each in drawn)


def test_colours_are_enlarged_by_curves(learned):
    small = picture(20, 31)
    large = upscale.enlarge(learned, small)
    assert large.shape == (40, 62, 3) and np.abs(large[::2, ::2].astype(float) - small).mean() < 12


def test_tiles_are_of_pictures_and_their_small_ones(folder):
    data = upscale.read(folder)
    assert data["high"].shape == (4 * 2 * 3, 48, 48) and data["low"].shape == (4 * 2 * 3, 24, 24)
    small = np.stack([upscale.smaller(tile) for tile in (data["high"] + 1) * 127.5])
    assert np.abs(small - (data["low"] + 1) * 127.5)[:, 3:-3, 3:-3].max() <= 1e-3


@pytest.mark.parametrize(("act", "words"), [
    (lambda folder, model: upscale.read(folder / "none"), "expected a folder of pictures"),
    (lambda folder, model: upscale.read(folder, folder), "expected one folder of pictures, got 2"),
    (lambda folder, model: upscale.enlarge(model, np.zeros((4, 4))), r"got \(4, 4\) float64"),
    (lambda folder, model: upscale.enlarge(model, np.zeros((4, 4, 4), np.uint8)), r"got \(4, 4, 4\) uint8"),
    (lambda folder, model: model.given(low=np.zeros((3, 5))).mean("high"), "low: expected .*24, 24"),
])
def test_what_is_no_picture(folder, learned, act, words):
    with pytest.raises(UserError, match=words) as error:
        act(folder, learned)
    assert "\n" not in str(error.value)


def test_a_small_picture_and_a_folder_of_none_are_named(tmp_path):
    with pytest.raises(UserError, match="expected pictures, got none"):
        upscale.read(tmp_path)
    Image.fromarray(picture(40, 90)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"a\.png: 40 x 90 places; expected at least 48 x 48"):
        upscale.read(tmp_path)


@pytest.mark.parametrize(("parent", "readers", "words"), [
    (Variable("label", IdentityCodec(Real())), None, "no parent has a vector at the entries"),
    (grid("low", 3, 4), {"low": Tokens()}, "no parent has a vector"),
    (grid("low", 3, 4), {"low": Interpolated(2, role="tokens")}, "no parent has a vector"),
])
def test_a_map_asks_for_a_parent_on_its_grid(parent, readers, words):
    with pytest.raises(UserError, match=words):
        Regression(grid("high", 6, 8), parent, net=ConvolutionalMap, readers=readers)


def test_by_its_command(folder, learned, tmp_path, capsys):
    assert main(["fit", str(folder), "--task", "upscale", "--steps", "1", "-o", str(tmp_path / "m.given")]) == 0
    assert list(given.load(tmp_path / "m.given").facts["scores"]) == ["held out, this model", "held out, bicubic"]
    learned.save(tmp_path / "m2.given")
    for words in ([], ["--draw", "--seed", "1"]):
        out = tmp_path / "large.png"
        assert main(["upscale", str(tmp_path / "m2.given"), str(folder / "0.png"), *words, "-o", str(out)]) == 0
        assert np.asarray(Image.open(out)).shape == (200, 300, 3)
    capsys.readouterr()
    assert main(["upscale", str(tmp_path / "m2.given"), str(tmp_path / "no.png"), "-o", str(out)]) == 1
    assert "no.png: no such file" in capsys.readouterr().err

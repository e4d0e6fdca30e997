"""Pictures of every family asked wrongly, in Python and in a shell: one line each, in the words of who asked; and asked rightly
by the same commands."""

from functools import partial

import numpy as np
import pytest
from PIL import Image

import given
from given.app.cli import main
from given.codecs import IdentityCodec
from given.distributions import Guidance
from given.families import GAN, MAR, VAE, VQVAE, Dequantised, FlowMatching, Independent
from given.nn import FSQ, MLP
from given.tasks import fill, picture
from given.variables import Axis, Finite, UserError

ROWS = given.read("digits").rows(slice(0, 40))
DATA = given.read(image=ROWS["image"], label=np.array([f"d{v}" for v in ROWS["label"]]))
CODES = {"code": IdentityCodec(Finite(8, axes=(Axis("height", 2), Axis("width", 2))))}
FAMILIES = {"FlowMatching": partial(FlowMatching, net=partial(MLP, hidden=(16,))),
            "MAR": partial(MAR, patch=4, groups=2), "VAE": VAE, "GAN": GAN}
NAMES = [*FAMILIES, "VQVAE"]
LEARNED = {"steps": 1, "batch": 8, "held_out": 0, "progress": False}


def made(name, label=" | label", data=DATA):
    if name == "VQVAE":
        return given.model(f"p(code{label}) p(image | code)", data, latents=CODES, seed=0,
                           families={"image": partial(VQVAE, quantiser=FSQ), "code": Independent})
    return given.model(f"p(image{label})", data, families={"image": partial(Dequantised, family=FAMILIES[name])}, seed=0)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Each family with a label and without, and two pictures of digits."""
    folder = tmp_path_factory.mktemp("asked")
    for name in NAMES:
        for label, end in ((" | label", ""), ("", "-alone")):
            model = made(name, label)
            model.fit(DATA, **LEARNED)
            model.save(folder / f"{name}{end}.given")
    Image.fromarray(ROWS["image"][0]).save(folder / "digit.png")
    Image.fromarray(np.full((8, 9), 255, np.uint8)).save(folder / "wide.png")
    DATA.rows(slice(0, 2)).save(folder / "two.npz")
    return folder


def said_by(capsys, *words):
    """The one line that a command says where it fails."""
    assert main([str(word) for word in words]) == 1
    said = capsys.readouterr().err.strip().removeprefix("given: ")
    assert said and "\n" not in said
    return said


@pytest.mark.parametrize("name", NAMES)
def test_a_label_that_was_never_seen(models, capsys, name):
    line = "label, row 0: unseen category 'zz'; expected one of 'd0'"
    with pytest.raises(UserError, match=line):
        given.load(models / f"{name}.given").given(label="zz").sample(1)
    for words in (("sample", "-n", "1"), ("picture",), ("fill", models / "digit.png", "--hide", "top")):
        assert said_by(capsys, words[0], models / f"{name}.given", *words[1:], "label=zz", "-o", "x.png").startswith(line)


@pytest.mark.parametrize("name", NAMES)
def test_a_mask_of_another_size(models, capsys, name):
    line = "mask: got 8 x 9; expected 8 x 8, as the picture"
    with pytest.raises(UserError, match=line):
        fill.fill(given.load(models / f"{name}.given"), ROWS["image"][0], np.ones((8, 9), bool), label="d1")
    assert said_by(capsys, "fill", models / f"{name}.given", models / "digit.png", "label=d1", "--mask", models / "wide.png",
                   "-o", "x.png") == line


@pytest.mark.parametrize("name", NAMES)
def test_guidance_without_a_label(models, capsys, name):
    model = given.load(models / f"{name}-alone.given")
    with pytest.raises(UserError, match=r"Guidance\(weight=2.0\) concerns nothing that is drawn; .*; leave it out"):
        model.sample(1, how=Guidance(2.0))
    said = said_by(capsys, "picture", models / f"{name}-alone.given", "--guidance", "2", "-o", "x.png")
    assert said == f"--guidance: {model} has no label to weigh; leave it out"


@pytest.mark.parametrize("name", ["VAE", "GAN", "VQVAE"])
def test_guidance_of_a_family_without_a_field(models, capsys, name):
    model = given.load(models / f"{name}.given")
    line = " concerns nothing that is drawn; it is of fields given something, as those of FlowMatching or MAR with parents"
    with pytest.raises(UserError) as error:
        picture.draw(model, guidance=2.0, label="d1")
    said = said_by(capsys, "picture", models / f"{name}.given", "label=d1", "--guidance", "2", "-o", "x.png")
    assert str(error.value) == f"{model}: Guidance(weight=2.0){line}; leave it out"
    assert said == f"{model}: --guidance 2{line}; leave it out"


@pytest.mark.parametrize("name", NAMES)
def test_pictures_of_every_family_are_drawn_by_the_command(models, tmp_path, name):
    for end, words in (("", ["label=d1"]), ("-alone", [])):
        path = str(tmp_path / "x.npz")
        assert main(["picture", str(models / f"{name}{end}.given"), "-n", "1", *words, "-o", path]) == 0
        assert given.read(path)["image"].shape == (1, 8, 8)


def test_a_density_asked_of_a_gan(models, capsys):
    model = given.load(models / "GAN.given")
    line = r"p(image | label): what draws through a map alone has no density"
    for ask in (model.score, model.log_prob):
        with pytest.raises(UserError) as error:
            ask(DATA.rows(slice(0, 2)))
        assert str(error.value).startswith(line)
    for words in ((), ("--anomalies", "1")):
        assert said_by(capsys, "score", models / "GAN.given", models / "two.npz", *words).startswith(line)


def test_codes_that_no_data_has_are_scored_in_the_shell(models, capsys):
    assert main(["score", str(models / "VQVAE.given"), str(models / "two.npz")]) == 0
    value = given.load(models / "VQVAE.given").log_prob(DATA.rows(slice(0, 2)))
    assert f"0,{value[0]:.6f}" in capsys.readouterr().out


@pytest.mark.parametrize("name", NAMES)
def test_a_class_of_one_picture_is_learned_and_drawn(name):
    few = DATA.rows(np.array([0, 1, 2, 10, 11, 12, 20, 21]))
    few = given.read(image=few["image"], label=np.array(["a"] * 7 + ["b"]))
    model = made(name, data=few)
    model.fit(few, **LEARNED)
    assert model.given(label="b").sample(1, seed=0)["image"].shape == (1, 8, 8)

"""Holes of pictures: a task that learns parts, asked by a mask and by a half, and asked wrongly."""

import numpy as np
import pytest
from PIL import Image

import given
from given.app.cli import main
from given.evaluate import energy_score
from given.families import Dequantised
from given.nn import UNet
from given.tasks import fill
from given.variables import UserError
from given.verbs import choosing


def bars(n, side=4, seed=0):
    """Columns of one level each, so that a half tells the rest."""
    return np.repeat(np.random.default_rng(seed).choice([0, 200, 255], (n, 1, side)), side, 1).astype(np.uint8)


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bars")
    for i, image in enumerate(bars(60)):
        (folder / "photos" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / "photos" / "ab"[i % 2] / f"{i}.png")
    data = fill.read(folder / "photos")
    model = fill.model(data)
    model.fit(data, steps=400, held_out=0, progress=False, **fill.TRAINING | {"lr": 1e-2})
    model.facts["task"] = "fill"
    model.save(folder / "bars.given")
    return folder


def test_what_is_hidden_follows_what_is_seen(learned):
    model, images = given.load(learned / "bars.given"), bars(8, seed=1)
    hidden = fill.side_hidden("bottom", 4, 4)
    errors = []
    for image in images:
        drawn = fill.fill(model, image, hidden, n=4, label="a")
        assert drawn.shape == (4, 4, 4) and (drawn[:, :2] == image[:2]).all()
        errors.append(np.abs(drawn[:, 2:].astype(float) - image[2:]).mean())
    assert np.mean(errors) < 0.6 * np.abs(images[:, 2:].astype(float) - images[:, 2:].mean()).mean()


def test_halves():
    check_halves()


def check_halves():
    halves = [fill.side_hidden(side, 5, 6) for side in fill.SIDES]
    assert (halves[0] ^ halves[1]).all() and (halves[2] ^ halves[3]).all()
    assert halves[0][:2].all() and not halves[0][2:].any() and halves[3][:, 3:].all() and not halves[3][:, :3].any()


def test_baselines_know_the_mean_and_the_nearest():
    train = given.read(image=bars(40))
    figures = fill.baselines(train, train)
    assert figures["nearest picture"]["error"] == 0 < figures["mean picture"]["error"]


def test_a_family_by_what_it_is_given():
    labelled = fill.model(given.read(image=bars(8, 20), label=list("ab") * 4))
    assert str(labelled) == "p(image | label)" and isinstance(labelled.joint.declared[0], Dequantised)
    assert isinstance(labelled.joint.declared[0].inner.net, UNet)
    small = fill.model(given.read(image=bars(8)))
    assert str(small) == "p(image)" and not isinstance(small.joint.declared[0].inner.net, UNet)


def test_by_its_command(learned, tmp_path, capsys):
    picture, model = learned / "photos" / "a" / "0.png", learned / "bars.given"
    mask = np.zeros((4, 4, 3), np.uint8)
    mask[3, 3] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    assert main(["fill", str(model), str(picture), "label=a", "--mask", str(tmp_path / "mask.png"), "-n", "3",
                 "-o", f"{tmp_path}/out/"]) == 0
    drawn = [np.asarray(Image.open(path)) for path in sorted((tmp_path / "out").rglob("*.png"))]
    there = np.asarray(Image.open(picture))
    assert len(drawn) == 3 and all((each != there).sum() <= 1 for each in drawn)
    capsys.readouterr()
    assert main(["fit", str(learned / "photos"), "--task", "fill", "--steps", "1", "-o", str(tmp_path / "m.given")]) == 0
    facts = given.load(tmp_path / "m.given").facts
    assert list(facts["scores"]) == ["held out, this model", "held out, mean picture", "held out, nearest picture"]
    assert set(facts["chosen"]) == {"FlowMatching", "Autoregressive"}
    assert f"family: {min(facts['chosen'], key=facts['chosen'].get)}, by the least loss" in capsys.readouterr().err


def test_an_energy_score_is_least_for_draws_of_the_truth():
    check_energy()


def check_energy():
    """Beside draws of another mean, of a smaller and of a larger spread; and it is that of its formula."""
    rng = np.random.default_rng(0)
    true = rng.normal(size=(2000, 2))
    scores = [energy_score.energy(true, mean + spread * rng.normal(size=(4, 2000, 2))) for mean, spread in (
        (0, 1), (0.7, 1), (0, 0.3), (0, 2))]
    assert min(scores) == scores[0]
    assert energy_score.energy(np.zeros((1, 2)), np.array([[[3.0, 4.0]], [[0.0, 0.0]]])) == pytest.approx(2.5 - 2.5)


def test_the_least_loss_goes_on_with_what_is_left():
    check_chosen()


def check_chosen():
    data = given.read(image=bars(20))
    models = {name: fill.model(data) for name in "ab"}
    losses = dict(zip(map(id, models.values()), (2.0, 1.0), strict=True))
    budget = {"steps": 10, "minutes": None}
    choice = choosing.choose(models, data, lambda model, held: losses[id(model)], budget=budget, batch=8)
    assert choice.name == "b" and choice.model is models["b"] and choice.left == {"steps": 7}
    assert [model.facts["fit"]["steps"] for model in models.values()] == [1, 1]
    assert str(choice) == "b, by the least loss of held-out rows, 1; a 2"


def test_one_family_of_large_pictures_is_not_tried():
    data = given.read(image=bars(8, 20))
    choice = choosing.choose(fill.models(data), data, lambda model, held: 1 / 0, budget={"steps": 5})
    assert choice.name == "FlowMatching" and choice.left == {"steps": 5} and "fit" not in choice.model.facts


@pytest.mark.parametrize(("picture", "hidden", "words"), [
    ((4, 5), (4, 4), "image: got 4 x 5; expected 4 x 4, as what was learned"),
    ((4, 4), (2, 4), "mask: got 2 x 4; expected 4 x 4, as the picture"),
    ((4, 4), 1.0, "mask: hides everything of the picture; draw whole ones by model.sample"),
    ((4, 4), 0.0, "mask: hides nothing of the picture; mark what is to be filled")])
def test_what_cannot_be_filled(learned, picture, hidden, words):
    mask = np.ones(hidden, bool) if isinstance(hidden, tuple) else np.full((4, 4), bool(hidden))
    with pytest.raises(UserError) as error:
        fill.fill(given.load(learned / "bars.given"), np.zeros(picture, np.uint8), mask, label="a")
    assert str(error.value) == words


@pytest.mark.parametrize(("words", "message"), [
    (["label=a"], "expected its FILE and what is to be filled"),
    (["label=a", "--hide", "top", "--temperature", "1"], "without --temperature"),
    (["label=a", "--mask", "no.png"], "no.png: no such file; expected a picture"),
    (["--hide", "top"], "label"), (["label=c", "--hide", "top"], "label")])
def test_what_is_asked_wrongly(learned, capsys, words, message):
    assert main(["fill", str(learned / "bars.given"), str(learned / "photos" / "a" / "0.png"), *words]) == 1
    said = capsys.readouterr().err.strip()
    assert message in said and "\n" not in said


def test_a_table_has_no_picture_to_fill(tmp_path, capsys):
    model = given.model("p(a)", given.read(a=[1.0, 2.0, 4.0]))
    model.save(tmp_path / "t.given")
    assert main(["fill", str(tmp_path / "t.given"), "x.png", "--hide", "top"]) == 1
    assert "given complete fills holes of tables" in capsys.readouterr().err
    with pytest.raises(UserError, match="expected pictures, with a label or without, got columns a"):
        given.read(a=[1.0, 2.0]).save(tmp_path / "t.csv")
        fill.read(tmp_path / "t.csv")

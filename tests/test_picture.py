"""Whole pictures of a label: a task beside independent pixels, asked by its command, and asked wrongly."""

from contextlib import nullcontext

import numpy as np
import pytest
from PIL import Image

import given
from given.app.cli import main
from given.tasks import picture
from given.variables import UserError


def bars(n, seed=0):
    """Upright bars, and those that lie, each of a level of its own."""
    x = np.repeat(np.random.default_rng(seed).choice([0, 200, 255], (n, 1, 4)), 4, 1).astype(np.uint8)
    x[1::2] = x[1::2].transpose(0, 2, 1)
    return x, np.array(["lies" if i % 2 else "stands" for i in range(n)])


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bars")
    x, label = bars(60)
    for i, image in enumerate(x):
        (folder / "photos" / label[i]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / "photos" / label[i] / f"{i}.png")
    data = picture.read(folder / "photos")
    model = picture.model(data)
    model.fit(data, steps=40, progress=False, **picture.TRAINING | {"lr": 1e-2})
    model.save(folder / "bars.given")
    return folder


def test_a_label_is_drawn_as_it_is_and_all_of_it(learned):
    x, label = bars(40, seed=1)
    test = given.read(image=x, label=label)
    found = picture.measure(given.load(learned / "bars.given"), test)
    beside = picture.baselines(picture.read(learned / "photos"), test)["independent pixels"]
    assert found["named rightly"] > beside["named rightly"] + 0.2 and found["coverage"] > beside["coverage"] + 0.05


def test_one_picture_a_label_is_named_rightly_and_covers_little():
    check_prototypes()


def check_prototypes():
    """Every draw of a label is one picture."""
    x, label = bars(60)
    one = np.where((label == "lies")[:, None, None], x[1], x[0])
    model = picture.picture_model(given.read(image=one, label=label), picture.Independent, seed=0)
    model.fit(given.read(image=one, label=label), held_out=0, progress=False)
    found = picture._beside(model, given.read(image=x, label=label), None)
    assert found["coverage"] < 0.3


def test_draws_of_every_label_and_of_one(learned):
    model = given.load(learned / "bars.given")
    drawn = picture.draw(model, 2)
    assert {value: images.shape for value, images in drawn.items()} == {"lies": (2, 4, 4), "stands": (2, 4, 4)}
    one = picture.draw(model, 2, guidance=3.0, label="lies")
    assert [*one] == ["lies"] and (one["lies"] != drawn["lies"]).any()


def test_by_its_command(learned, tmp_path, capsys):
    path = str(tmp_path / "m.given")
    assert main(["fit", str(learned / "photos"), "--task", "picture", "--steps", "1", "-o", path]) == 0
    assert [*given.load(path).facts["scores"]] == ["held out, this model", "held out, independent pixels"]
    for words in (["-n", "2", "-o", "all.png"], ["label=lies", "-o", "lies/"], ["--guidance", "2", "-o", "page.html"]):
        assert main(["picture", path, *words[:-1], f"{tmp_path}/{words[-1]}"]) == 0
    assert len([*(tmp_path / "lies").iterdir()]) == 8
    page = (tmp_path / "page.html").read_text()
    assert page.count("<img") == 2 and "label lies" in page and "independent pixels" in page


@pytest.mark.parametrize(("words", "message"), [
    (["label=leans"], "label, row 0: unseen category 'leans'; expected one of 'lies', 'stands'"),
    (["colour=red"], "colour"), (["--guidance", "0"], "expected a number above 0, got 0")])
def test_what_is_asked_wrongly(learned, capsys, words, message):
    with pytest.raises(SystemExit) if "--guidance" in words else nullcontext():
        assert main(["picture", str(learned / "bars.given"), *words, "-o", "x.png"]) == 1
    said = capsys.readouterr().err.strip()
    assert message in said and "\n" not in said


def test_no_label_has_no_guidance(learned):
    model = picture.model(given.read(image=bars(8)[0]))
    with pytest.raises(UserError, match=r"guidance: p\(image\) has no label to weigh; leave it out"):
        picture.draw(model, guidance=2.0)


def test_a_label_of_one_picture_is_named(tmp_path, capsys):
    for name, n in (("fox", 2), ("owl", 1)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(n):
            Image.fromarray(bars(2)[0][i]).save(tmp_path / "photos" / name / f"{i}.png")
    assert main(["fit", str(tmp_path / "photos"), "--task", "picture", "--steps", "1"]) == 1
    said = capsys.readouterr().err.strip()
    assert "photos: one picture alone has the label 'owl'; expected two or more" in said and "\n" not in said


def test_a_table_has_no_pictures(tmp_path, capsys):
    model = given.model("p(a)", given.read(a=[1.0, 2.0, 4.0]))
    model.save(tmp_path / "t.given")
    assert main(["picture", str(tmp_path / "t.given"), "-o", "x.png"]) == 1
    assert "t.given: is a model p(a); expected one of pictures" in capsys.readouterr().err

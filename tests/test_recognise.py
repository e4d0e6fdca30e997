"""Recognise: classes that were never seen are told apart by one example each, whole labels are held out, and wrong wishes are
one line."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from test_bad_input import refused

import given
from given.app.cli import main
from given.evaluate import nearest_hausdorff, one_shot_episodes, one_shot_error
from given.sources import Columns, Pairs
from given.sources.pairs import moved
from given.tasks import recognise

torch.set_num_threads(1)


def figures(labels, each, seed=0):
    """Pictures (n, 12, 12) of bars, a figure a label: which of four places has one, from the label's bits, noisy."""
    rng = np.random.default_rng(seed)
    label = np.repeat(labels, each)
    pictures = np.zeros((len(label), 12, 12), np.uint8)
    for k, (rows, columns) in enumerate(((slice(1, 3), slice(1, 11)), (slice(9, 11), slice(1, 11)),
                                         (slice(1, 11), slice(1, 3)), (slice(1, 11), slice(9, 11)))):
        pictures[label >> k & 1 == 1, rows, columns] = 200
    return Columns({"picture": pictures + rng.integers(0, 50, pictures.shape).astype(np.uint8), "label": label})


@pytest.fixture(scope="module")
def model():
    data = recognise.read(figures(np.array([3, 5, 6, 9, 10, 12]), 8))
    made = recognise.model(data, width=4, size=16)
    made.fit(recognise.arranged(data), steps=40, progress=False, **recognise.TRAINING | {"batch": 24})
    made.facts["task"] = "recognise"
    return made


def test_classes_never_seen_are_told_apart(model):
    new = figures(np.array([1, 7, 15]), 5, seed=1)
    examples = {f"new {k}": new["picture"][new["label"] == k][0] for k in (1, 7, 15)}
    found = recognise.which(model, examples, new["picture"])
    p = np.stack([*found.values()])
    assert list(found) == [*examples] and p.shape == (3, 15) and p.sum(0) == pytest.approx(1)
    assert (p.argmax(0) == np.repeat([0, 1, 2], 5)).mean() > 0.8
    one = recognise.which(model, examples, new["picture"][0])
    assert [v[0] for v in one.values()] == pytest.approx(p[:, 0].tolist(), abs=1e-5)


def test_probabilities_are_those_of_bayes_rule(model):
    """Of several examples the mean, and of one what `rank` says by what one picture tells of another."""
    new = figures(np.array([1, 7]), 3, seed=1)["picture"]
    p = recognise.which(model, {"a": new[:2], "b": new[3:4]}, new[5])
    told = model.given(picture=new[5]).rank(example=new[[0, 1, 3]], pmi=True)
    pmi = {bytes(x): value for x, value in zip(told["example"], told["pmi"], strict=True)}
    a, b = np.exp([pmi[bytes(x)] for x in new[:2]]).mean(), np.exp(pmi[bytes(new[3])])
    assert p["a"][0] == pytest.approx(a / (a + b), abs=1e-4)


def test_pairs_are_of_one_label_and_others_in_every_epoch():
    data = figures(np.array([0, 1, 2]), 3)
    data = Columns({"picture": data["picture"], "label": np.append(data["label"][:-1], 7)})  # 2 twice, 7 once
    pairs = Pairs(data["picture"], data["label"])
    rows = next(pairs.batches(100))
    labels = {bytes(x): k for x, k in zip(data["picture"], data["label"], strict=True)}
    assert [labels[bytes(x)] for x in rows["example"]] == rows["label"].tolist()
    alike = [bytes(a) == bytes(b) for a, b in zip(rows["picture"], rows["example"], strict=True)]
    assert alike == [False] * 8 + [True]  # the only one of its label
    first, again, other = (next(pairs.of_epoch(0, k).batches(100)) for k in (1, 1, 2))
    assert np.array_equal(first["example"], again["example"]) and not np.array_equal(first["example"], other["example"])
    assert not np.array_equal(first["picture"][8], first["example"][8])  # moved otherwise
    assert pairs.only(["example"]).names == ("example",)


def check_turns():
    """Both of a pair are turned alike: where the bar lies, but for what moves it a little."""
    pictures = np.zeros((64, 16, 16), np.uint8)
    pictures[:, :4] = 255
    rows = next(Pairs(pictures, np.arange(64) // 32).of_epoch(0, 0).batches(64))
    a, b = (np.stack([x[:, :4].mean((1, 2)), x[:, -4:].mean((1, 2)), x[:, :, :4].mean((1, 2)), x[:, :, -4:].mean((1, 2))])
            for x in (rows["picture"], rows["example"]))
    assert np.array_equal(a.argmax(0), b.argmax(0)) and len(np.unique(a.argmax(0))) == 4


def test_pairs_are_turned_together():
    check_turns()


def test_what_is_moved_keeps_its_kind():
    colour = np.full((3, 8, 10, 3), 7, np.uint8)
    assert np.array_equal(moved(colour, np.random.default_rng(0)), colour)  # what comes in at an edge is as the edge
    wide = Pairs(np.arange(4 * 8 * 10).reshape(4, 8, 10).astype(np.uint8), np.array([0, 0, 1, 1]))
    assert next(wide.of_epoch(0, 0).batches(4))["picture"].shape == (4, 8, 10)


def test_baselines_find_what_is_nearest():
    same = figures(np.array([1, 4, 15]), 2)
    assert one_shot_error(nearest_hausdorff, one_shot_episodes(same)) == 0
    assert all(v == 0 for each in recognise.baselines(same, same).values() for v in each.values())


def test_commands(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for folder, labels, each, seed in (("known", np.arange(1, 13), 3, 0), ("new", np.array([13, 14, 15]), 1, 1),
                                       ("asked", np.array([13, 15]), 2, 2)):
        rows = figures(labels, each, seed)
        for i, (x, k) in enumerate(zip(rows["picture"], rows["label"], strict=True)):
            (tmp_path / folder / f"class {k}").mkdir(parents=True, exist_ok=True)
            Image.fromarray(x).save(tmp_path / folder / f"class {k}" / f"{i}.png")
    assert main(["fit", "known", "--task", "recognise", "--held-out", "0.01"]) == 1
    said = "fit: 12 values of label are too few to hold out 1% of them, each with all its rows; add others, hold out a"
    assert said in capsys.readouterr().err
    assert main(["fit", "known", "--task", "recognise", "--held-out", "0.3", "--steps", "3", "-o", "m.given"]) == 0
    out, err = capsys.readouterr()
    assert "held out, modified Hausdorff: error, one of" in err and "held out, this model" in out
    assert main(["score", "m.given", "asked"]) == 0 and main(["report", "m.given", "known", "-o", "r.html"]) == 0
    assert "items of the rows of known that were held out" in (tmp_path / "r.html").read_text()
    capsys.readouterr()
    assert main(["recognise", "m.given", "new", "asked", "--json"]) == 0
    out, err = capsys.readouterr()
    rows = [json.loads(line) for line in out.splitlines()]
    assert err.startswith("right ") and len(rows) == 4 and list(rows[0]) == ["label", *(f"p(class {k})" for k in (13, 14, 15))]
    (tmp_path / "new" / "class 16").mkdir()
    assert main(["recognise", "m.given", "new", "asked"]) == 1
    assert "new/class 16: has no example of its class" in capsys.readouterr().err
    (tmp_path / "new" / "class 16").rmdir()
    assert main(["recognise", "m.given", "new", "asked", "--size", "8x8"]) == 1
    assert "got 1 x 8 x 8; expected 12 x 12, as learned from; read them by --size 12x12" in capsys.readouterr().err


def test_what_is_refused(model):
    x = figures(np.array([1, 2]), 2)
    refused(lambda: recognise.which(model, {"a": x["picture"][0], "b": []}, x["picture"]), "class 'b' has no example")
    refused(lambda: recognise.which(model, {}, x["picture"]), "expected examples of classes to choose among, got none")
    refused(lambda: recognise.which(model, {"a": x["picture"][0]}, x["picture"][:, :5]), "pictures: got 4 x 5 x 12")
    refused(lambda: recognise.which(model, {"a": x["picture"][0, 0]}, x["picture"]), "the example of 'a': got 12; expected")
    refused(lambda: recognise.which(given.model("p(label)", x), {"a": x["picture"][0]}, x["picture"]), "compares no pairs")
    refused(lambda: recognise.model(x.rows(slice(0, 2))), "expected two labels or more to tell apart, got 1")
    refused(lambda: recognise.measure(model, x.rows(slice(0, 3))), "1 of 2 labels held out have two pictures")
    refused(lambda: recognise.read(Columns({"picture": x["picture"], "label": np.array(["a", None, "b", "b"], dtype=object)})),
            "label, row 1: is missing")
    refused(lambda: recognise.read(Columns({"a": [1, 2], "label": ["x", "y"]})), "picture: expected a column of this name")

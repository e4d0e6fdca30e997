"""Pictures of any size as crops of one size."""


import numpy as np
import pytest
from PIL import Image as Picture

import given
from given.app.cli import main
from given.sources import Crops
from given.train import Batches, split
from given.variables import UserError


def place(row, column):
    """The pixel of a picture that names its own place."""
    return np.stack([row + 0 * column, column + 0 * row], -1)


def pictures(n=4, seed=0):
    """Pictures of several sizes: red is the row of a pixel, green its column, blue the picture's number."""
    out = []
    for k in range(n):
        height, width = 20 + 3 * k, 30 - 2 * k
        grid = place(*np.mgrid[:height, :width])
        out.append(np.concatenate([grid, np.full((height, width, 1), k)], -1).astype(np.uint8))
    return out


@pytest.fixture
def folder(tmp_path):
    for k, pixels in enumerate(pictures()):
        Picture.fromarray(pixels).save(tmp_path / f"{k}.png")
    return tmp_path


def whole(source):
    return np.concatenate([batch["image"] for batch in source.batches(7)])


def test_a_folder_of_any_sizes_is_crops(folder):
    data = given.read(str(folder), crop=(8, 6))
    found = whole(data)
    sizes = [p.shape for p in pictures()]
    assert isinstance(data, Crops) and data.n == len(found) == sum((h // 8) * (w // 6) for h, w, _ in sizes)
    for crop in found:  # each is a piece of its picture, and lies as it stood
        top, left, k = crop[0, 0].tolist()
        assert np.array_equal(crop, pictures()[k][top:top + 8, left:left + 6])
    assert np.array_equal(found, whole(given.read(str(folder), crop=(8, 6)))), "fixed places"
    assert [b.n for b in data.batches(7)] == [7] * (data.n // 7) + [data.n % 7] * bool(data.n % 7)
    mine = found[found[:, 0, 0, 2] == 0][:, 0, 0, :2]
    assert len({tuple(p) for p in mine.tolist()}) == len(mine), "no place twice"
    assert mine.min(0).tolist() == [0, 0] and mine.max(0).tolist() == [12, 24], "from edge to edge"


def check_epochs(data):
    one, again, two, other = (whole(data.of_epoch(*which)) for which in ((0, 1), (0, 1), (0, 2), (1, 1)))
    assert np.array_equal(one, again)
    assert len(one) == data.n and not np.array_equal(one, two) and not np.array_equal(one, other)
    assert {*map(tuple, two[:, 0, 0].tolist())} - {*map(tuple, one[:, 0, 0].tolist())}, "places of its own"


def test_every_epoch_has_other_crops_and_the_same_in_another_run(folder):
    data = given.read(str(folder), crop=8)
    check_epochs(data)
    model = given.model("p(image)", data)
    batches = Batches(model.joint, data, 5, seed=3)
    rest = [b.entries["image"].tensor for b in batches.epoch(4)][2:]
    skipped = [b.entries["image"].tensor for b in batches.epoch(4, skip=2)]
    assert len(rest) == len(skipped) and all(a.equal(b) for a, b in zip(rest, skipped, strict=True))
    assert not rest[0].equal(next(iter(batches.epoch(5, skip=2))).entries["image"].tensor)


def test_flips_come_only_while_learning(folder):
    data = given.read(str(folder), crop=8, flip=True)
    assert np.all(whole(data)[:, 0, 0, 1] < whole(data)[:, 0, -1, 1])
    seen = whole(data.of_epoch(0, 0))
    mirrored = seen[:, 0, 0, 1] > seen[:, 0, -1, 1]
    assert 0.2 < mirrored.mean() < 0.8
    same = given.read({"image": np.stack([p[:20, :24] for p in pictures()])}, flip=True)
    assert same.n == 4 and whole(same).shape == (4, 20, 24, 3)


def check_apart(data):
    train, valid = split(data, 0.3, 0)
    learned, held = ({*whole(part)[:, 0, 0, 2].tolist()} for part in (train, valid))
    assert learned and held and not learned & held and learned | held == {0, 1, 2, 3}
    assert np.array_equal(whole(valid), whole(split(data, 0.3, 0)[1]))
    assert len({*whole(train.of_epoch(0, 1))[:, 0, 0, 2].tolist()} & held) == 0


def test_whole_pictures_are_held_out(folder):
    check_apart(given.read(str(folder), crop=8))


def test_a_single_picture_cannot_be_cut():
    with pytest.raises(UserError, match="1 picture is too few to hold out 10%, for rows are held out by pictures"):
        split(given.read({"image": pictures(1)}, crop=8), 0.1, 0)
    data = given.read({"image": pictures(1)}, crop=8)
    assert split(data, 0, 0)[0].n == data.n


def test_classes_come_with_their_crops(tmp_path):
    for k, pixels in enumerate(pictures(6)):
        (tmp_path / "ab"[k % 2]).mkdir(exist_ok=True)
        Picture.fromarray(pixels).save(tmp_path / "ab"[k % 2] / f"{k}.png")
    data = given.read(str(tmp_path), crop=8)
    rows = next(data.batches(1 << 20))
    assert ["ab"[k % 2] for k in rows["image"][:, 0, 0, 2].tolist()] == rows["label"].tolist()
    for seed in range(5):
        assert {*next(split(data, 0.5, seed)[0].batches(1 << 20))["label"].tolist()} == {"a", "b"}
    (tmp_path / "c").mkdir()
    Picture.fromarray(pixels).save(tmp_path / "c" / "one.png")
    with pytest.raises(UserError, match=r"label c has one picture.*add another, or pass held_out=0"):
        split(given.read(str(tmp_path), crop=8), 0.2, 0)


def check_covering():
    one = np.zeros((13, 13), np.uint8)
    one[6, 6] = 9  # in no fixed crop of four
    data = given.read({"image": [one, one]}, crop=5)
    assert whole(data).max() == 0 and whole(data.covering()).max() == 9
    return data


def test_levels_between_fixed_places_are_learned():
    data = check_covering()
    model = given.model("p(image)", data)
    assert model.joint.columns["image"].space.size == 10
    for b in Batches(model.joint, data, 4, 0).epoch(0):
        assert b.n


def test_files_are_read_again_where_they_do_not_fit_into_memory(folder, monkeypatch):
    held = whole(given.read(str(folder), crop=8))
    monkeypatch.setattr("given.sources.images._KEPT", 3000)
    data = given.read(str(folder), crop=8)
    assert np.array_equal(whole(data), held)
    Picture.fromarray(pictures()[0]).save(folder / "3.png")
    with pytest.raises(UserError, match=r"3.png: has changed since it was first read"):
        whole(data)


def test_arrays_are_cropped(tmp_path):
    many = np.stack([p[:20, :24] for p in pictures()])
    np.savez(tmp_path / "x.npz", image=many, label=np.arange(4))
    np.save(tmp_path / "x.npy", many[..., 0])
    for data, shape in ((given.read(str(tmp_path / "x.npz"), crop=9), (9, 9, 3)), (given.read(many, crop=9), (9, 9, 3)),
                        (given.read({"image": pictures()}, crop=9), (9, 9, 3)),
                        (given.read(str(tmp_path / "x.npy"), crop=(9, 10)), (9, 10))):
        assert isinstance(data, Crops)
        assert next(data.batches(3))[data.names[0]].shape == (3, *shape)
    assert given.read(str(tmp_path / "x.npz"), crop=9).names == ("image", "label")


@pytest.mark.parametrize(("data", "options", "line"), [
    ({"image": pictures()}, {"crop": 0}, "crop=0; expected a whole number of pixels from 1"),
    ({"image": pictures()}, {"crop": -3}, "crop=-3; expected"),
    ({"image": pictures()}, {"crop": (8, 2.5)}, "expected a whole number of pixels"),
    ({"image": pictures()}, {"crop": True}, "crop=True; expected"),
    ({"image": pictures()}, {"crop": 25}, "image, row 0: is 20 x 30, smaller than the crop, 25 x 25; pass a smaller crop="),
    ({"image": pictures()}, {"flip": True}, "image, row 1: is of another size than the first; pass crop= too"),
    ({"image": np.zeros((3, 9, 9), np.uint16)}, {"crop": 4}, "pictures of uint16; expected 8 bits"),
    ({"image": [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 3), np.uint8)]}, {"crop": 4}, "row 1: grey and RGB in one column"),
    ({"age": [3, 4]}, {"crop": 4}, "crop= is of one column of pictures.*there are age"),
    ({"a": np.zeros((3, 9, 9), np.uint8), "b": np.zeros((3, 9, 9), np.uint8)}, {"crop": 4}, "got a and b"),
])
def test_bad_crops(data, options, line):
    with pytest.raises(UserError, match=line) as error:
        given.read(data, **options)
    assert "\n" not in str(error.value)


def test_bad_files(folder):
    small = Picture.fromarray(pictures()[0][:6])
    small.save(folder / "small.png")
    with pytest.raises(UserError, match=r"small.png: is 6 x 30, smaller than the crop, 8 x 8"):
        given.read(str(folder), crop=8)
    data = given.read(str(folder), crop=8, skip_bad=True)
    assert len(data.chosen) == 4 and "small.png" in data.skipped[0]
    (folder / "small.png").unlink()
    for content, name, line in ((Picture.fromarray(np.zeros((30, 30), np.uint16)), "deep.png", "16 bits"),
                                (Picture.new("CMYK", (30, 30)), "ink.jpg", "CMYK; convert it to RGB"),
                                (Picture.new("L", (30, 30)), "grey.png", "grey or RGB alike")):
        content.save(folder / name)
        with pytest.raises(UserError, match=f"{name}: .*{line}"):
            given.read(str(folder), crop=8)
        (folder / name).unlink()
    (folder / "t.csv").write_text("age\n3\n4\n")
    with pytest.raises(UserError, match="crop= says nothing about csv"):
        given.read(str(folder / "t.csv"), crop=8)
    with pytest.raises(UserError, match="or crop="):
        (folder / "t.csv").unlink()
        given.read(str(folder))


def test_a_saved_model_cuts_as_it_learned(folder, tmp_path_factory):
    data = given.read(str(folder), crop=8)
    model = given.model("p(image)", data, families={"image": given.families.Independent})
    model.fit(data, held_out=0.3, steps=3, progress=False)
    place = tmp_path_factory.mktemp("models") / "m.given"
    model.save(place)
    model = given.load(place)
    assert len(model.log_prob(str(folder))) == data.n
    assert np.allclose(model.log_prob(str(folder)), model.log_prob(data))
    train, valid = model.split(str(folder))
    assert not {*whole(train)[:, 0, 0, 2].tolist()} & {*valid["image"][:, 0, 0, 2].tolist()}
    assert len(model.log_prob({"image": whole(data)[:3]})) == 3, "crops of its own size stay as they are"
    assert len(model.log_prob(given.read({"image": whole(data)[:3]}))) == 3


def test_a_resumed_run_sees_the_same_crops(folder, tmp_path_factory):
    data = given.read(str(folder), crop=8, flip=True)
    place = tmp_path_factory.mktemp("runs") / "c"

    def fitted(steps, **options):
        model = given.model("p(image)", data, seed=0)
        model.fit(data, held_out=0.3, steps=steps, batch=8, progress=False, device="cpu", patience=None, **options)
        return model.joint.state_dict()

    straight = fitted(6)
    again = fitted(6, checkpoint=place)
    resumed = fitted(6, checkpoint=place, resume=True)
    assert all(straight[k].equal(again[k]) and straight[k].equal(resumed[k]) for k in straight)
    with pytest.raises(UserError, match="made with another crops"):
        data = given.read(str(folder), crop=8)
        fitted(6, checkpoint=place, resume=True)


def test_the_shell_crops(folder, tmp_path_factory, capsys):
    place = tmp_path_factory.mktemp("models") / "m.given"
    words = ["fit", str(folder), "--crop", "8", "--flip", "--held-out", "0.3", "--family", "image=Independent"]
    assert main([*words, "-o", str(place)]) == 0
    capsys.readouterr()
    assert main(["score", str(place), str(folder)]) == 0
    assert "crops of 8 x 8" in capsys.readouterr().err
    assert main([*words, "--dry-run"]) == 0
    assert "crops of 8 x 8, at most 64 a picture, mirrored by chance" in capsys.readouterr().out
    assert main(["report", str(place), str(folder), "-o", str(place.parent / "r.html")]) == 0
    assert (place.parent / "r.html").read_text().count("<img") >= 2, "draws beside crops"
    with pytest.raises(SystemExit):
        main(["fit", str(folder), "--crop", "0"])
    assert "expected a whole number from 1, got 0" in capsys.readouterr().err

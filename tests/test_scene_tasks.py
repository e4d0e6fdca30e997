"""Tasks of pictures and what is said of them: each learns, draws, and says what it was given wrongly."""

from __future__ import annotations

import numpy as np
import PIL.Image
import pytest

import given
from given.app.data import observations
from given.codecs import LabelMap
from given.sources import Columns, Scenes
from given.tasks import detect, segment, task_named, to_picture, to_text
from given.variables import UserError
from given.verbs.pictures import far_from_changes, roles

QUICK = {"steps": 2, "held_out": 0, "progress": False, "batch": 4}
ROWS = next(Scenes(256).batches(256))
SOME = ROWS.rows(slice(6))


@pytest.mark.parametrize("name", ["caption", "ask", "converse"])
def test_texts_are_learned_and_judged_beside_baselines(name) -> None:
    own = task_named(name).own
    data = own.read(ROWS)
    model = own.model(data, width=16, layers=1)
    model.fit(data, **QUICK)
    assert set(own.measure(model, SOME)) == {"right", "nats a row"}
    beside = own.baselines(ROWS, SOME)
    assert beside["of the nearest picture"]["right"] == 1.0  # the rows themselves are among those known
    assert beside["most frequent"]["right"] < 1


def test_maps_are_learned_and_judged_beside_baselines() -> None:
    data = segment.read(ROWS)
    model = segment.model(data, width=8)
    model.fit(data, **QUICK)
    assert segment.measure(model, SOME)["right pixels"] <= 1
    assert segment.baselines(ROWS, SOME)["of the nearest picture"]["mean IoU"] == 1.0
    assert segment.mean_iou(np.array([[[0, 1]]]), np.array([[[1, 1]]])) == 0.25


@pytest.mark.parametrize("own", [to_picture.RESTYLE, to_picture.EDIT, to_picture.TEXT_TO_IMAGE])
def test_pictures_are_learned_and_drawn(own) -> None:
    data = own.read(ROWS)
    model = own.model(data, width=8)
    model.fit(data, **QUICK)
    drawn = own.drawn(model, SOME)
    assert drawn.shape == (6, 32, 32, 3) and drawn.dtype == np.uint8
    assert own.baselines(ROWS, SOME)["of the nearest row"]["error"] == 0.0


def test_what_is_not_edited_of_a_drawing_stays() -> None:
    data = to_picture.DRAW.read(ROWS)
    model = to_picture.DRAW.model(data, width=8)
    model.fit(data, **QUICK)
    before = ROWS["map"][0]
    after = np.where(before == 0, 0, 1 + before % 40).astype(np.uint8)
    (drawn,) = to_picture.DRAW.edited(model, ROWS["picture"][0], before, after)
    changed = (drawn != ROWS["picture"][0]).any(-1)
    near = np.zeros_like(changed)
    for i, j in np.argwhere(before != after):
        near[max(i - 3, 0):i + 4, max(j - 3, 0):j + 4] = True
    assert changed.any() and not changed[~near].any()
    with pytest.raises(UserError, match="nothing was edited"):
        to_picture.DRAW.edited(model, ROWS["picture"][0], before, before)
    wrong = np.full_like(before, 99)
    with pytest.raises(UserError, match=r"map, row 0: class 99 at \(0, 0\); expected one of 0"):
        model.given(map=wrong).sample()


@pytest.mark.parametrize(("caption", "said"), [
    ("a red hexagon", "caption, row 0: got 'hexagon', a word that was not learned"),
    ("", "caption, row 0: got '', without a word; expected words such as"),
])
def test_a_caption_of_unknown_words_or_of_none_is_refused(caption, said) -> None:
    model = to_picture.TEXT_TO_IMAGE.model(to_picture.TEXT_TO_IMAGE.read(ROWS), width=8)
    model.facts["fitted"] = True
    with pytest.raises(UserError, match=said):
        model.given(caption=caption).sample()


def test_a_command_takes_files_of_pictures_and_lists_of_items(tmp_path) -> None:
    model = given.model("p(style | picture, map, boxes)", ROWS, codecs={"map": LabelMap()})
    for name, values in (("p", ROWS["picture"][0]), ("m", ROWS["map"][0]), ("small", ROWS["picture"][0, :16])):
        PIL.Image.fromarray(values).save(tmp_path / f"{name}.png")
    pairs = [("picture", f"{tmp_path}/p.png"), ("map", f"{tmp_path}/m.png"), ("boxes", '[["red ring", 1, 2.5, 9, 9]]')]
    found = observations(pairs, model)
    assert np.array_equal(found["picture"], ROWS["picture"][0]) and np.array_equal(found["map"], ROWS["map"][0])
    assert found["boxes"] == [["red ring", 1, 2.5, 9, 9]]
    with pytest.raises(UserError, match=r"^picture=.*small\.png: is 16 x 32 x 3; expected 32 x 32 x 3, as .*; resize it$"):
        observations([("picture", f"{tmp_path}/small.png")], model)


def test_edges_of_boxes_are_taken_by_their_names() -> None:
    """In whatever order mappings have them, a box is laid over what lies between its edges."""
    names = ("what", "left", "top", "right", "bottom")
    turned = [[dict(reversed([*zip(names, box, strict=True)])) for box in row] for row in ROWS["boxes"]]
    picture, caption = ROWS["picture"][:, :16], ROWS["caption"]
    rows = given.read({"picture": picture, "caption": caption, "boxes": turned}).rows(slice(40))
    found, _ = to_picture.boxes_of(rows, "picture", "boxes")
    assert found.stated_names == ["what", "left", "top", "right", "bottom"]
    assert found.ranges == {"left": (0, 32), "top": (0, 16), "right": (0, 32), "bottom": (0, 16)}
    for boxes in ([None, *turned[1:]], [None, *ROWS["boxes"][1:].tolist()]):
        assert detect.columns_of(given.read(picture=picture, boxes=boxes)) == ("picture", "boxes")
    with pytest.raises(UserError, match=r"^boxes: expected boxes, as \[\[name, left, top, right, bottom\], \.\.\.\], got 1"):
        to_picture.boxes_of(given.read(picture=picture, boxes=[1.0] * 256), "picture", "boxes")


def test_columns_of_other_names_are_taken_where_they_are_the_only_ones_of_their_kind() -> None:
    data = Columns({"photo": ROWS["picture"], "words": ROWS["caption"]}, dtypes={"words": "text"})
    assert str(to_text.CAPTION.model(to_text.CAPTION.read(data), width=16, layers=1)) == "p(words | photo)"
    few = Columns({"photo": ROWS["picture"], "what": np.array(["a temple", "a flower"] * 128), "classes": ROWS["map"]})
    assert roles(few, {"map": given.codecs.LabelMap, "picture": given.codecs.Image, "caption": given.codecs.Text})[2] == "what"
    assert roles(few, {"map": given.codecs.LabelMap, "picture": given.codecs.Image}) == ["classes", "photo"]
    assert roles(ROWS, {"map": given.codecs.LabelMap, "picture": given.codecs.Image}) == ["map", "picture"]
    with pytest.raises(UserError, match="picture: expected a column of this name, or one column of pictures that could be it"):
        to_text.CAPTION.read(Columns({"a": ROWS["picture"], "b": ROWS["styled"], "words": ROWS["caption"]},
                                     dtypes={"words": "text"}))


def test_factors_learn_apart_each_for_its_share() -> None:
    own = to_picture.EDIT
    model = own.model(own.read(ROWS), width=8)
    assert str(model) == "p(boxes | picture) p(edited_boxes | boxes, edit) p(edited | picture, boxes, edited_boxes)"
    before = [next(factor.parameters()).clone() for factor in model.joint.declared]
    done = given.verbs.fit_apart(model, own.read(ROWS), own.parts(model), **QUICK | {"steps": 10})
    assert done.steps == 10 and model.facts["fit"]["steps"] == 10  # 3, 4 and 3
    after = [next(factor.parameters()) for factor in model.joint.declared]
    assert not any(bool((p == q).all()) for p, q in zip(before, after, strict=True))
    with pytest.raises(UserError, match=r"shares of boxes: expected at most 1 in all, and some for the rest, got 1"):
        given.verbs.fit_apart(model, own.read(ROWS), {"boxes": {"share": 1.0}}, steps=3)


def test_what_is_far_from_changed_boxes_is_known() -> None:
    before = [[("red ring", 2.0, 2.0, 8.0, 8.0), ("blue cross", 20.0, 20.0, 28.0, 28.0)]]
    after = [[{"what": "red ring", "left": 2.2, "top": 2.0, "right": 8.1, "bottom": 8.0},
              {"what": "blue cross", "left": 14.0, "top": 20.0, "right": 22.0, "bottom": 28.0}]]
    far = far_from_changes(before, after, (32, 32), 2)
    assert far[0, :18].all() and not far[0, 19:29, 13:29].any() and far[0, 19:29, :11].all()

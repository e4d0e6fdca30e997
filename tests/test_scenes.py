"""Scenes: what is rendered, what is said of it, and what is held out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import given
from given.codecs import Image, LabelMap, Text
from given.sources import Scenes
from given.sources.scene_words import answers, captions, edits, questions, stated_in, words_in
from given.sources.scenes import CLASSES, RELATIONS, drawn_factors, never, render, scene_boxes, scene_maps
from given.variables import UserError


def test_no_scene_to_learn_from_shares_a_triple_with_those_held_out() -> None:
    """(shape, colour, relation) of any two things, stated or not, beside those that held-out captions state."""
    f, held = drawn_factors(np.random.default_rng(0), 2000), drawn_factors(np.random.default_rng(1), 500, unseen=True)
    seen = {(int(f.kind[row, i]), int(f.relations[row, i, j])) for row, count in enumerate(f.count)
            for i in range(count) for j in range(count) if i != j}
    rows = np.arange(500)
    for i, j in (held.stated.T, held.stated.T[::-1]):
        asked = {*zip(held.kind[rows, i].tolist(), held.relations[rows, i, j].tolist(), strict=True)}
        assert len(asked) == 10 and not asked & seen
    assert len(seen) == (len(CLASSES) - 1) * len(RELATIONS) - 10
    assert set(never(held.shape, held.colour)[rows, held.stated[:, 0]]) == {0, 1, 2, 3}


def test_captions_state_every_thing_and_one_relation_that_is_true() -> None:
    f = drawn_factors(np.random.default_rng(0), 1000)
    said = captions(f, np.random.default_rng(1)).tolist()
    for row, caption in enumerate(said):
        found, kinds = stated_in(caption), f.kind[row, :f.count[row]].tolist()
        assert found is not None and sorted(found.things) == sorted(kinds), caption
        if len(kinds) > 1:
            assert found.relation is not None, caption
            a, how, b = found.relation
            assert f.relations[row, kinds.index(a), kinds.index(b)] == how, caption
    assert len({*said}) > 900
    assert stated_in("a red circle and a blue ring") is None and stated_in("a red house") is None


def test_maps_and_boxes_are_where_things_are_drawn() -> None:
    f = drawn_factors(np.random.default_rng(0), 300, counts=(1,))
    maps, boxes, pictures = scene_maps(f), scene_boxes(f)[:, 0], render(f)
    for row in range(300):
        i, j = np.nonzero(maps[row])
        assert set(maps[row][i, j]) == {f.kind[row, 0]}
        assert np.abs(boxes[row] - [j.min(), i.min(), j.max() + 1, i.max() + 1]).max() <= 1.3
    bare = render(replace(f, count=0 * f.count))
    changed = np.abs(pictures.astype(int) - bare).max(-1) > 8
    assert (changed | (maps == 0)).mean() > 0.99


def test_answers_and_edits_are_true_and_edits_leave_the_rest() -> None:
    f = drawn_factors(np.random.default_rng(0), 500)
    asked = questions(f, np.random.default_rng(1))
    said = answers(f, asked)
    there = ["is there" in q for q in asked]
    assert set(said[there]) == {"yes", "no"} and len({*said}) == 25
    text, after = edits(f, np.random.default_rng(2))
    assert (render(f) != render(after)).any((1, 2, 3)).all()
    kept = (np.abs(render(f).astype(int) - render(after)).max(-1) == 0).mean()
    assert kept > 0.7 and len({t.split()[0] for t in text}) >= 4
    assert words_in("it is to the left of the red ring.") == {"left of", "red", "ring"}


def test_a_row_is_the_same_whichever_columns_and_batches_are_asked_for() -> None:
    whole = next(Scenes(300).batches(300))
    assert set(Scenes(300).names) == set(whole)
    for name in ("styled", "answer", "edited", "boxes"):
        some = [v for b in Scenes(300, columns=[name]).batches(70) for v in b[name]]
        assert all(np.array_equal(a, b) for a, b in zip(some, whole[name], strict=True)), name
    assert (next(Scenes(300).of_epoch(0, 0).batches(300))["caption"] != whole["caption"]).mean() > 0.9


def test_boxes_are_one_cell_a_row_wherever_they_are_written(tmp_path) -> None:
    rows = next(Scenes(4, columns=["boxes", "style"]).batches(4))
    rows.save(tmp_path / "a.csv")
    table = given.read(tmp_path / "a.csv")
    assert table.names == rows.names and table["boxes"][0] == [*map(list, rows["boxes"][0])]
    assert rows.to_polars()["boxes"].to_list() == rows["boxes"].tolist() == rows.to_pandas()["boxes"].tolist()


def test_a_model_learns_scenes_that_are_new_in_every_epoch() -> None:
    model = given.model("p(caption | map)", Scenes(64), codecs={"map": LabelMap(), "caption": Text("words", unseen="error")})
    model.fit(Scenes(64), steps=4, batch=16, progress=False)  # what 64 scenes lack, later ones have
    assert np.isfinite(model.score(Scenes(8, unseen=True)).value)


@pytest.mark.parametrize(("wrong", "said"), [
    (lambda: Scenes(columns=["sound"]), "scenes: no column 'sound'"),
    (lambda: Scenes(0), "scenes: n=0"),
    (lambda: Scenes(4, seed=-1), "scenes: n=4, seed=-1, .*; expected rows from 1, a seed from 0"),
    (lambda: given.model("p(pictur | map)", Scenes(8)), "unknown name 'pictur'; did you mean 'picture'"),
    (lambda: Scenes(10, unseen=True, counts=(1,)).runs().__next__(), "expected two things or three"),
    (lambda: LabelMap(["a", "a"]), "expected a list of distinct classes"),
    (lambda: given.model("p(map)", Scenes(8), codecs={"map": LabelMap(range(3))}), r"map, row 0: class \d+ at \(\d+, \d+\)"),
    (lambda: given.model("p(picture)", Scenes(8), codecs={"picture": LabelMap()}), "picture: expected maps"),
])
def test_bad_input_says_what_was_expected(wrong, said) -> None:
    with pytest.raises(UserError, match=said):
        wrong()


def test_a_map_lies_on_the_pixels_of_its_picture() -> None:
    data = Scenes(16)
    model = given.model("p(picture | map)", data, codecs={"map": LabelMap(), "picture": Image(levels=256)},
                        families={"picture": "Regression"})
    (places, _), channels = model.joint.columns["map"].space.axes, model.joint.columns["picture"].space.axes
    assert places.shares(channels[0])

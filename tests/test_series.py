"""Series: an axis owns its length and its window; columns that share it are cut, drawn and streamed together."""

from functools import partial

import numpy as np
import pytest
import torch
from test_bad_input import cases, refused

import given
from given import part, prefix
from given.codecs import Label, Number, Series, Text
from given.distributions import Noise
from given.families import Autoregressive
from given.nn import MinGRU
from given.testing import perturb
from given.train import batches
from given.variables import Entries

RNG = np.random.default_rng(5)
SMALL = partial(Autoregressive, net=partial(MinGRU, width=16, layers=1))
LENGTHS = (3, 9, 10, 11, 15, 38, 40)


def items(draw):
    """One array a row, of each of the lengths."""
    found = np.empty(len(LENGTHS), dtype=object)
    found[:] = [draw(n) for n in LENGTHS]
    return found


DATA = {"y": items(lambda n: RNG.normal(size=n).cumsum()), "promo": items(lambda n: RNG.integers(0, 2, n)),
        "shop": np.array(["a", "b"] * 4)[:len(LENGTHS)]}


def made(formula="p(shop) p(y | promo, shop)", window=10, stride=4, **options):
    codecs = {"y": Series(Number(), window=window, stride=stride), "promo": Series(Label(), window=window, stride=stride)}
    names = [name for name in DATA if name in formula]
    model = given.model(formula, {name: DATA[name] for name in names}, codecs={k: v for k, v in codecs.items() if k in names},
                        families={"y, promo" if "y, promo" in formula else "y": SMALL}, **options)
    model.facts["fitted"] = True
    perturb(model.joint, 3)
    return model


def check_windows():
    """Every entry is scored once, and the windows' scores, each given the context in it, add up to the item's."""
    model, data, row = made(), DATA, 5
    joint = model.joint
    factor = next(f for f in joint if joint.windowed & set(f.x.columns))
    total, at, y, stride = 0.0, 0, np.asarray(data["y"][row]), joint.axis.stride
    while at < len(y):
        first = 0 if at == 0 else at - (joint.axis.size - stride)
        last = min(first + joint.axis.size, len(y))
        one = {name: joint.columns[name].encode({name: np.array([*[data[name][row][first:last]], None], dtype=object)[:-1]})
               if name in joint.windowed else joint.columns[name].encode({name: data[name][[row]]}) for name in data}
        scored = torch.arange(joint.axis.size) >= at - first
        e = one["y"]
        one["y"] = Entries(e.tensor, e.seen, e.valid, context=~scored & e.valid)
        with torch.no_grad():
            x = joint.x(factor, one)
            log_p = factor(joint.y(factor, one, 1)).log_prob(x, seed=Noise.of(0, 1))
        total += float(log_p + joint.columns["y"].codec.log_volume(one["y"]))
        at = last
    if "shop" in joint.columns and "shop" not in joint.conditions:
        total += float(model.score(shop=data["shop"][[row]]).value)
    found = float(model.score({name: values[[row]] for name, values in data.items()}).value)
    assert abs(found / total - 1) < 1e-5, "the windows of an item do not add up to its score"


def test_the_windows_of_an_item_add_up_to_its_score():
    check_windows()


def check_together(start):
    """A column and a copy of it hold the same in every window, wherever the cut begins."""
    data = {"y": items(lambda n: np.arange(n, dtype=float)), "promo": items(np.arange)}
    model = given.model("p(y | promo)", data, codecs={"y": Series(Number(), window=10, stride=4),
                                                      "promo": Series(Number(), window=10, stride=4)})
    batch = batches._encode(model.joint, given.read(data), 0, None, start)
    rows = batch.rows(torch.arange(batch.n), 0)
    y, promo = (rows.entries[name].tensor.numpy() for name in ("y", "promo"))
    there = rows.entries["y"].valid.numpy()
    assert np.array_equal(there, rows.entries["promo"].valid.numpy()), "columns of one axis are cut apart"
    assert np.allclose(y[there], promo[there]), "columns of one axis are cut apart"
    scored = np.bincount(batch.item, rows.entries["y"].scored.sum(1))
    assert scored.tolist() == list(LENGTHS) if start is None else (scored >= LENGTHS).all()


@pytest.mark.parametrize("start", [None, 0, 3, 12])
def test_columns_of_one_axis_are_cut_together(start):
    check_together(start)


def test_draws_are_as_long_as_what_is_given_along_the_axis():
    model = made()
    drawn = model.given(promo=DATA["promo"], shop=DATA["shop"]).sample(2)
    assert [len(y) for y in drawn["y"][0]] == list(LENGTHS)
    assert model.given(promo=[1] * 30, shop="a").sample(2)["y"].shape == (2, 30)
    assert np.isfinite(model.log_prob(y=list(drawn["y"][0]), promo=DATA["promo"], shop=DATA["shop"])).all()


def test_a_draw_depends_on_no_other_row():
    model = made()
    every = model.given(promo=DATA["promo"], shop=DATA["shop"]).sample(1, seed=4)["y"][0]
    alone = model.given(promo=DATA["promo"][[0]], shop=DATA["shop"][[0]]).sample(1, seed=4)["y"][0]
    assert np.allclose(every[0], alone[0], atol=1e-5)


@pytest.mark.parametrize("known", [4, 10, 25])
def test_a_series_goes_on_from_its_beginning(known):
    model, y, promo = made(), DATA["y"][6], DATA["promo"][6]
    drawn = model.given(y=prefix(y[:known]), promo=promo, shop="a").sample(3)["y"]
    assert drawn.shape == (3, 40) and np.allclose(drawn[:, :known], y[:known]) and drawn[:, known:].std(0).min() > 0


def test_a_series_is_streamed_as_it_is_drawn():
    model = made("p(y)")
    asked = model.given(y=prefix([1.0, 2.0]))
    blocks = list(asked.stream(seed=3, length=35))
    assert len(blocks) > 20
    assert np.allclose(np.concatenate(blocks), asked.sample(1, seed=3, length=35)["y"][0][2:])


def test_a_block_of_series_is_drawn_moment_by_moment():
    model = made("p(y, promo | shop)")
    steps = model.joint.declared[0].steps
    assert steps[:10].tolist() == list(range(0, 20, 2)) and steps[10:].tolist() == list(range(1, 20, 2))
    drawn = model.given(shop="a").sample(2, length=33)
    assert drawn["y"].shape == drawn["promo"].shape == (2, 33)
    assert np.isfinite(model.log_prob({**drawn, "shop": np.array(["a", "a"])})).all()


def test_tags_of_words_are_cut_with_their_text():
    texts, tags = ["a b c d e f g h", "b a b"], [list("xyxyxyxy"), list("yxy")]
    codecs = {"text": Text("words", window=4, axis="word"), "tag": Series(Label(), axis="word", window=4)}
    model = given.model("p(tag | text)", {"text": texts, "tag": tags}, codecs=codecs)
    assert model.joint.windowed == {"text", "tag"}
    model.fit({"text": texts, "tag": tags}, held_out=0, steps=300, progress=False)
    assert list(map(list, model.given(text=texts).sample(1, seed=1)["tag"][0])) == tags


@pytest.mark.parametrize("of", [Number, Label])
def test_a_length_can_be_modelled(of):
    """The lengths of draws follow those of the data, and their scores are those of lengths and values together."""
    rows = [RNG.integers(0, 2, n) if of is Label else RNG.normal(size=n) for n in RNG.integers(0, 4, 200)]
    model = given.model("p(y)", {"y": rows}, codecs={"y": Series(of(), length="modelled", window=5)}, families={"y": SMALL})
    model.fit({"y": rows}, held_out=0, steps=400, progress=False)
    drawn = model.sample(400)["y"]
    assert abs(np.mean(list(map(len, drawn))) - np.mean(list(map(len, rows)))) < 0.4 and max(map(len, drawn)) <= 5
    assert np.isfinite(model.log_prob(y=list(drawn))).all()
    asked = model.given(y=prefix([[1, 1]]))
    assert all(len(y) >= 2 and np.allclose(y[:2], 1) for y in np.asarray(asked.sample(20)["y"], dtype=object).ravel())


def test_columns_of_one_axis_share_a_modelled_length():
    check_shared_length()


def check_shared_length():
    """p(tags | words): the tags end where the words end, in draws and in scores."""
    words = [list("ab" * 4)[:n] for n in (1, 3, 5, 2)] * 5
    tags = [["x" if w == "a" else "y" for w in row] for row in words]
    codec = partial(Series, axis="word", length="modelled")
    model = given.model("p(words) p(tags | words)", {"words": words, "tags": tags},
                        codecs={"words": codec(Label()), "tags": codec(Label())}, families={"words": SMALL, "tags": SMALL})
    model.facts["fitted"] = True
    drawn = model.sample(50)
    assert [len(row) for row in drawn["words"]] == [len(row) for row in drawn["tags"]]
    assert len({len(row) for row in drawn["words"]}) > 1
    one = {"words": [["a", "b"]], "tags": [["x", "y"]]}
    assert np.isfinite(model.score(**one).value) and model.score(words=[["a", "b"]], tags=[["x"]]).value == -np.inf
    every = [[a, b] for a in "xy" for b in "xy"]
    given_words = model.given(words=["a", "b"])
    assert abs(np.exp([given_words.log_prob(tags=[row])[0] for row in every]).sum() - 1) < 1e-6


def test_short_series_need_no_window():
    """p(label | series) reads a series that its window holds, of any length up to the longest."""
    label = np.array(["up" if y[-1] > y[0] else "down" for y in DATA["y"]])
    model = given.model("p(label | y)", {"y": DATA["y"], "label": label})
    model.facts["fitted"] = True
    assert model.joint.axis is None and np.isfinite(model.log_prob(y=DATA["y"], label=label)).all()
    model = given.model("p(y | shop)", {"y": DATA["y"], "shop": DATA["shop"]}, families={"y": SMALL})
    model.facts["fitted"] = True
    assert model.given(shop="a").sample(2, length=7)["y"].shape == (2, 7)
    refused(lambda: model.given(shop="a").sample(2, length=41), "expected at most 40 along 'time', as what was learned from; "
                                                                "learn in windows")


def test_what_is_known_of_a_series_may_have_gaps():
    y = np.array([1.0, 2, 0, 4])
    model = given.model("p(y)", {"y": DATA["y"][:1]}, codecs={"y": Series(Number())}, families={"y": SMALL})
    model.facts["fitted"] = True
    refused(lambda: model.given(y=part(y[:3], seen=[True, False, True])).sample(), "not what this order draws first")
    assert model.given(y=part(y[:3], seen=[True, True, False])).sample(2)["y"].shape == (2, 3)


def test_a_hole_within_a_series_names_its_factor_and_the_way_out():
    data = {"y": [[1.0, np.nan, 2.0], [1.0, 2.0, 3.0, 4.0]]}
    model = given.model("p(y)", data, codecs={"y": Series(Number(missing="unknown"))}, families={"y": SMALL})
    model.facts["fitted"] = True
    refused(lambda: model.score({"y": data["y"][::-1]}), "y, row 1: a value within it is missing; p(y): what is seen is "
            "not what this order draws first; fill what is missing within")
    refused(lambda: model.score(data), "learns all (order=AnyOrder())")


def check_within(formula="p(y, z)", stays=False):
    """A hole within a series is filled where the family draws in any order, and stays where it does not."""
    data = {"y": [[1.0, 2.0, 3.0], [2.0, 2.5, 1.0, 4.0]] * 4, "z": [0.5, 1.5] * 4}
    model = given.model(formula, data, codecs={"y": Series(Number(missing="unknown"))}, families={"y": SMALL} if stays else {})
    model.fit(data, held_out=0, steps=1)
    holed = {"y": [[1.0, 2.0, 3.0], [1.0, np.nan, 2.0]], "z": np.array([np.nan, 1.5])}
    found = model.complete(holed)
    assert np.isfinite(found["z"]).all() and found["y"][1][2] == 2.0 and bool(np.isnan(found["y"][1][1])) == stays
    assert [line.split(":")[0] for line in model.unfillable(holed)] == ["y"] * stays


@pytest.mark.parametrize(("formula", "stays"), [("p(y) p(z)", True), ("p(y, z)", False)])
def test_complete_fills_what_can_be_within_a_series_and_leaves_the_rest(formula, stays):
    check_within(formula, stays)


def test_a_column_drawn_given_a_series_with_a_hole_names_the_series_and_the_row():
    data = {"y": [[1.0, 2.0, 3.0], [2.0, 2.5, 1.0, 4.0]] * 4, "k": ["a", "b"] * 4}
    model = given.model("p(k) p(y | k)", data, codecs={"y": Series(Number(missing="unknown"))}, families={"y": SMALL})
    model.fit(data, held_out=0, steps=1)
    holed = {"y": [[1.0, 2.0, 3.0], [1.0, np.nan, 2.0]], "k": np.array(["a", None], dtype=object)}
    refused(lambda: model.complete(holed), "y, row 1: a value within it is missing, and others are drawn given it")


def test_a_series_of_tags_is_compressed_and_holes_within_one_are_named():
    tags = items(lambda n: RNG.choice(list("ab"), n))
    model = given.model("p(t)", {"t": tags}, codecs={"t": Series(Label(), window=10)}, families={"t": SMALL})
    model.fit({"t": tags}, held_out=0, steps=2, progress=False)
    pytest.importorskip("constriction")
    back = model.decompress(model.compress({"t": tags}))["t"]
    assert all(np.array_equal(a, b) for a, b in zip(tags, back, strict=True))
    holes = items(lambda n: np.where(np.arange(n) == 1, np.nan, 1.0))
    assert made("p(y)").unfillable({"y": holes}) == [
        f"y: {len(LENGTHS)} holes stay, since the column is of series that are drawn in one order, which go "
        "on at their end and are not filled within"]


def test_a_model_draws_to_a_length():
    assert made("p(y)").sample(2, length=33)["y"].shape == (2, 33)
    named = given.model("p(length)", {"length": [1.0, 2.0, 4.0]})
    named.fit({"length": [1.0, 2.0, 4.0]}, held_out=0)
    assert named.sample(2, length=2.0)["length"].tolist() == [2.0, 2.0]


def lists(*rows):
    return {"y": [list(map(float, range(n))) for n in rows], "promo": [[0, 1] * 20][:1] * len(rows)}


@cases(
    apart=(lambda: made().score(y=[[1.0, 2.0]], promo=[[1, 0, 1]], shop=["a"]),
           "y, row 0: has 2 entries along 'time' where promo has 3; expected as many"),
    two_axes=(lambda: given.model("p(y | promo)", lists(30, 31), codecs={
        "y": Series(Number(), window=8), "promo": Series(Number(), window=9)}), "give both one axis by name"),
    whole=(lambda: given.model("p(shop | y)", DATA, codecs={"y": Series(Number(), window=8)}), "would need them whole"),
    static=(lambda: given.model("p(y, shop)", DATA, codecs={"y": Series(Number(), window=8)}), "would need them whole"),
    length=(lambda: made().given(promo=[1] * 12, shop="a").sample(length=9), "promo: has 12 entries along 'time', got length"),
    lengths=(lambda: made().given(promo=[1] * 12, shop="a", y=prefix([1.0] * 13)).sample(), "13 entries are given"),
    room=(lambda: made("p(y)").given(y=prefix([1.0] * 13)).sample(), "13 entries are given, and a window holds 10"),
    empty=(lambda: made("p(y)").fit({"y": [[1.0], []]}, steps=1, held_out=0), "y, row 1: is empty"),
    value=(lambda: made("p(y)").fit({"y": [[1.0], [2.0, np.inf]]}, steps=1, held_out=0), "y, row 1: got inf"),
    scalars=(lambda: given.model("p(y)", {"y": [1.0, 2.0]}, codecs={"y": Series(Number())}), "expected a list or an array"),
    stride=(lambda: Series(Number(), window=4, stride=5), "stride=5"),
    of=(lambda: Series(3), "of=3; expected the codec of one value"),
    fixed=(lambda: given.model("p(y)", lists(3, 4), codecs={"y": Series(Number(), length="fixed")}), "pass Series(..., "),
)
def test_bad_input(bad, said):
    refused(bad, said)

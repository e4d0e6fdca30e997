"""Sets of items: what they are in whatever order, what a density of them integrates to, bad items, boxes found in pictures."""

import io
import itertools
import json
import math
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from test_laws import ITEMS, NET, learned, rows_of

import given
from given.app.cli import main
from given.codecs import Set
from given.families import Autoregressive, Unordered
from given.tasks import detect, task_of
from given.testing import CODEC_LAWS, conditions
from given.variables import Entries, UserError, in_order

BOXES = rows_of([["cat", 1.0, 2.5], ["dog", 0.0, 9.5]], [], [["dog", 7.25, 8.0]], [["cat", 3.0, 5.0]] * 2)


@pytest.fixture(scope="module")
def model():
    found = given.model("p(boxes | y)", {"boxes": BOXES, "y": ["a", "b", "a", "b"]},
                        families={"boxes": partial(Unordered, family=partial(Autoregressive, net=NET))})
    found.fit({"boxes": BOXES, "y": ["a", "b", "a", "b"]}, steps=3, held_out=0, progress=False)
    return found


def check_volume():
    """In raw units sets of up to two numbers in bins, even or not: integrals of densities over n numbers are n! times p(n)."""
    for codec, edges in (SMALL, [0, 2, 4]), (TAILED, None):
        conditional = Unordered(given.variables.Variable("x", codec), family=partial(Autoregressive, net=NET)).eval()
        given.testing.prepared(conditional)
        edges = np.array(codec.state()["fields"][0]["edges"] if edges is None else edges)
        middles, total = edges[:-1] + np.diff(edges) / 2, 0.0
        for n in range(3):
            raw = rows_of(*([[v] for v in each] for each in itertools.product(middles.tolist(), repeat=n)))
            volumes = np.array([math.prod(each) for each in itertools.product(np.diff(edges).tolist(), repeat=n)])
            x = codec.encode(raw)
            with torch.no_grad():
                log_p = conditional(given.variables.Observed(n=len(raw))).log_prob(x) + codec.log_volume(x)
            total += float(log_p.exp().numpy() @ volumes) / math.factorial(n)
        assert abs(total - 1) < 1e-6, f"densities of sets integrate to {total}"


def with_one_far(bins):
    """A codec of sets of numbers from 0 to 30, but for one of 10^9."""
    codec, numbers = Set(["x"], bins=bins, most=2), np.random.default_rng(0).uniform(0, 30, 600).round(2)
    codec.learn(rows_of(*([[v]] for v in [*numbers.tolist(), 1e9])))
    return codec


SMALL, TAILED = Set(["x"], ranges=(0, 4), bins=2, most=2), with_one_far(6)
SMALL.learn(rows_of([[0.5]], [[1.5], [3.5]]))


def test_one_value_far_out_leaves_the_others_bins_of_their_own():
    rows = rows_of(*([[v]] for v in np.linspace(1, 29, 100).tolist()), [[1e9]])
    codec = with_one_far(128)
    again = Set(["x"], bins=128, most=2)
    again.restore(json.loads(json.dumps(codec.state())))
    for each in codec, again:
        back = [row[0][0] for row in each.decode(each.encode(rows))]
        assert np.abs(np.array(back[:-1]) - np.linspace(1, 29, 100)).max() < 0.8 and back[-1] > 1e8
    few = rows_of(*([[v]] for v in [*range(31)] * 8), [[1e9]], [[-1e9]])  # the last before a gap too
    codec = Set(["x"])
    codec.learn(few)
    assert np.abs(np.array([row[0][0] for row in codec.decode(codec.encode(few))][:248]) - [*range(31)] * 8).max() < 1.1


def test_laws_hold_of_bins_along_a_curve():
    tailed = rows_of([[0.0]], *([[v]] for v in np.random.default_rng(0).lognormal(0, 3, 60).tolist()))
    for law in "entries_fit_the_space", "volume_is_the_derivative", "state_is_json", "one_pass_is_enough":
        CODEC_LAWS[law](codec := Set(["x"], bins=16), tailed)
    assert len(set(np.diff(codec.state()["fields"][0]["edges"]).round(9))) > 8


def test_items_are_drawn_and_sorted_by_the_order_of_fields_and_come_back_as_they_were():
    rows = rows_of([["dog", 9.0], ["cat", 1.0]], [["ant", 5.0]])
    codec = Set(["what", "left"], ranges=(0, 10), bins=10, order=["left", "what"])
    codec.learn(rows)
    x = codec.encode(rows)
    assert codec.decode(x)[0] == [["cat", 1.5], ["dog", 9.5]]  # from left to right
    again = Set(["what", "left"], ranges=(0, 10), bins=10, order=["left", "what"])
    again.restore(json.loads(json.dumps(codec.state())))
    assert again.decode(x)[0] == codec.decode(x)[0] and again.space == codec.space
    with pytest.raises(UserError, match="an item has fields what, left; expected these in order=, got left"):
        Set(["what", "left"], order=["left"]).learn(rows)


def check_pattern():
    """No draw has a symbol where there is none."""
    conditional = learned("Autoregressive of records")
    space = conditional.x.space
    with torch.no_grad():
        x = conditional(conditions(conditional, 4)).sample((50,))
    allowed = space.possible()[torch.arange(space.dimensions), x.tensor]
    assert bool((allowed | ~x.valid).all()), "a draw does not fit the pattern"


def test_draws_fit_the_pattern():
    check_pattern()


def test_densities_integrate_to_one_in_raw_units():
    check_volume()


def test_the_order_of_items_moves_nothing(model):
    """As x, as y, and in the sum over orders by hand."""
    turned = [row[::-1] for row in BOXES]
    y = ["a", "b", "a", "b"]
    assert np.array_equal(model.log_prob(boxes=BOXES, y=y), model.log_prob(boxes=turned, y=y))
    law = learned("Unordered")(conditions(learned("Unordered"), 2))
    orders = torch.tensor([[0, 1, 1, 2, 3], [1, 2, 0, 1, 3]])
    one = in_order(Entries(orders[:1].expand(2, -1)), ITEMS.space)
    assert torch.equal(one.tensor, in_order(Entries(orders[1:].expand(2, -1)), ITEMS.space).tensor)
    with torch.no_grad():
        each = torch.stack([law.distribution.log_prob(Entries(order.expand(2, -1))) for order in orders])
        assert torch.allclose(law.log_prob(one), each.logsumexp(0))


def test_sets_of_single_values_are_learned():
    data = {"tags": rows_of(["a", "b"], [], ["c"], ["a", "b", "c"])}
    found = given.model("p(tags)", data, codecs={"tags": Set()},
                        families={"tags": partial(Unordered, family=partial(Autoregressive, net=NET))})
    found.fit(data, steps=2, held_out=0, progress=False)
    assert all({*row} <= {"a", "b", "c"} for row in found.sample(5, seed=0)["tags"])


def test_a_score_of_many_items_is_a_bound():
    """Of some orders it is an unbiased estimate of the probability, whichever they are."""
    codec = Set(["of"], most=5)
    codec.learn(rows_of(["a", "b", "c"]))
    conditional = Unordered(given.variables.Variable("x", codec), family=partial(Autoregressive, net=NET), exact=3)
    given.testing.prepared(conditional)
    x = codec.encode(rows_of(["a", "b", "c", "c"], ["a", "b"]))
    with torch.no_grad():
        law = conditional.eval()(given.variables.Observed(n=2))
        law.draws = 4
        found = torch.stack([law.log_prob(x, seed=seed) for seed in range(60)]).exp()
        assert law.kind == law.kind_of(x) == "bound" and law.kind_of(x.rows(slice(1, 2))) == "exact"
        law.exact = 6
        true = law.log_prob(x).exp()
    assert torch.equal(found[0, 1:], true[1:]) and found[:, 0].std() > 0
    assert abs(found[:, 0].mean() - true[0]) < 5 * found[:, 0].std() / 60**0.5


def check_once():
    """Where one order has nearly all the mass, some orders at random are no more than all of them."""
    codec = Set(["of"], most=3)
    codec.learn(rows_of(["a", "b", "c"]))
    conditional = Unordered(given.variables.Variable("x", codec), family=partial(Autoregressive, net=NET))
    x, law = codec.encode(rows_of(["a", "b", "c"])), conditional(given.variables.Observed(n=1))
    law.exact, law.draws = 1, 3
    law.rows = lambda index: SimpleNamespace(log_prob=lambda order: torch.where(
        (order.tensor == x.tensor).all(-1), 0.95, 0.01).double().log())
    found = torch.cat([law.log_prob(x, seed=seed) for seed in range(200)]).exp()
    assert abs(found.mean() - 1) < 5 * found.std() / 200**0.5, "an estimate counts the order of the entries twice"


def test_the_order_of_the_entries_counts_once():
    check_once()


def test_sets_are_drawn_kept_and_read(model, tmp_path):
    drawn = model.sample(20, y="a", seed=0)
    assert all({what for what, *_ in row} <= {"cat", "dog"} for row in drawn["boxes"])
    drawn.save(tmp_path / "drawn.jsonl")
    back = given.read(tmp_path / "drawn.jsonl")["boxes"]
    assert [*map(list, back)] == [*map(list, drawn["boxes"])]
    model.save(tmp_path / "model")
    y = ["a"] * 20
    again = given.load(tmp_path / "model")
    assert np.array_equal(model.log_prob(boxes=back, y=y), again.log_prob(boxes=back, y=y))
    assert len(model.given(y=["a", "b"]).mode()["boxes"]) == 2


def test_json_lines_hold_sets(tmp_path):
    rows = [[{"label": "cat", "left": 3}], [], [{"label": "dog", "left": 9}] * 2]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"boxes": row}) for row in rows))
    data = given.read(tmp_path / "a.jsonl")
    assert data["boxes"].tolist() == rows == given.read(data.to_pandas())["boxes"].tolist()
    codec = given.model("p(boxes)", data).joint.columns["boxes"].codec
    assert isinstance(codec, Set) and codec.measure == "counting"
    (tmp_path / "b.jsonl").write_text('{"boxes": [1, 2]}\n{"boxes": [{"label": "cat"}]}')
    with pytest.raises(UserError, match=r"b\.jsonl, line 2: boxes: items of several fields in some lines, single"):
        given.read(tmp_path / "b.jsonl")


@pytest.mark.parametrize(("row", "message"), [
    ([["cat", 1.0, 90.0]], r"^boxes, row 1: item 0: field 3 is 90\.0; expected a number from .* to .*; mend it, or"),
    ([["cat", 1.0, 3.0], ["cow", 1.0, 3.0]], "^boxes, row 1: item 1: field 1 is 'cow'; expected one of cat, dog; learn from"),
    ([["cat", 1.0]], r"^boxes, row 1: item 0: has 2 fields, \['cat', 1\.0\]; expected 3 as in other items$"),
    ([{"what": "cat"}], "^boxes, row 1: item 0: got .*; expected a list, as other items are$"),
    ([["cat", 1.0, "x"]], "^boxes, row 1: item 0: field 3 is 'x'; expected a number$"),
    ([["cat", 1.0, 3.0]] * 9, r"^boxes, row 1: has 9 items; expected at most 4; learn again .* by Set\(most=9\)$"),
    ("cat", "^boxes, row 1: got 'cat'; expected a list of items, \\[\\] for none$"),
])
def test_bad_items_are_named(model, row, message):
    with pytest.raises(UserError, match=message):
        model.joint.columns["boxes"].encode({"boxes": rows_of([], row)})


def test_a_stated_range_is_kept():
    with pytest.raises(UserError, match=r"^boxes, row 0: item 1: field x is 9\.5; expected a number from 0 to 4; mend it"):
        given.model("p(boxes)", {"boxes": BOXES}, codecs={"boxes": Set(["what", "y", "x"], ranges={"x": (0, 4), "y": (0, 9)})})


def test_a_set_stands_in_no_block():
    said = r"sets of items, as boxes, stand in no block; write factors, as p\(`a y`\) p\(boxes \| `a y`\)$"
    with pytest.raises(UserError, match=said):
        given.model("p(boxes, `a y`)", {"boxes": BOXES, "a y": ["a", "b", "a", "b"]})
    data = given.read({"boxes": BOXES, "y": ["a", "b", "a", "b"], "more": BOXES})
    assert str(given.model(None, data)) == "p(y) p(boxes | y) p(more | y)" == task_of(data, {})[1]


def test_what_knows_no_pattern_draws_no_set(model):
    codec = model.joint.columns["boxes"].codec
    x = codec.encode(BOXES[:1])
    with pytest.raises(UserError, match=r"^drew symbols that are no item; pass a family that knows which may stand where"):
        codec.decode(x.of(x.tensor.roll(1, 1)))


def test_boxes_are_found_and_matched():
    a, b, c = ("cat", 0, 0, 4, 4), ("cat", 2, 0, 6, 4), ("dog", 2, 0, 6, 4)
    assert detect.iou(a, b) == pytest.approx(8 / 24) and detect.iou(a, ("cat", 4, 4, 9, 9)) == 0
    assert detect.mean_iou([[a, c], []], [[b], []]) == pytest.approx((8 / 24 + 0) / 2)
    assert detect.mean_iou([[a, b]], [[b, a]]) == 1 and detect.mean_iou([[a]], [[c]]) == 0
    data = given.read("scenes").only(("picture", "boxes"))
    rows = next(data.batches(40))
    model = detect.model(rows, width=16, layers=1)
    model.fit(rows, steps=2, progress=False, **detect.TRAINING)
    assert set(detect.measure(model, rows)) == {"mean IoU", "right counts"}
    assert detect.baselines(rows, rows)["boxes of the nearest picture"] == {"mean IoU": 1.0, "right counts": 1.0}


def test_sets_are_cells_of_csv(tmp_path, capsys, monkeypatch):
    """As JSON: what is written is read again, a hole is filled as a whole, and a pipe is read as a file is."""
    monkeypatch.chdir(tmp_path)
    rows = [[["dog", 3, 1.5]], [], [["cat", 8, 2.5], ["dog", 1, 0.5]]] * 8
    given.Columns({"city": ["Oslo", "Rome", "Bern"] * 8, "things": rows_of(*rows)}).save("a.csv")
    model = given.model("p(city) p(things | city)", given.read("a.csv"))
    assert [v.codec.__class__.__name__ for v in model.joint.columns.values()] == ["Label", "Set"]
    model.fit(given.read("a.csv"), steps=1, held_out=0, progress=False)
    model.save("m.given")
    for n in 1, 5:
        assert main(["sample", "m.given", "-n", str(n), "-o", "d.csv"]) in (0, None)
        assert main(["score", "m.given", "d.csv"]) in (0, None)
    cells = 'city,things\n,"[[""dog"", 3, 1.5]]"\nRome,\nBern,[]\n'
    (tmp_path / "h.csv").write_text(cells)
    (tmp_path / "h.jsonl").write_text('{"city": null, "things": [["dog", 3, 1.5]]}\n{"city": "Rome", "things": null}\n')
    whole = model.complete("h.csv", n=1, seed=0)
    assert whole["things"].tolist()[::2] == [[["dog", 3, 1.5]], []] and isinstance(whole["things"][1], list)
    assert model.complete("h.jsonl", n=1, seed=0)["things"].tolist() == whole["things"].tolist()[:2]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(b"city,things\nRome,[]\n"))))
    assert main(["complete", "m.given", "a.csv", "-o", "w.csv"]) in (0, None)
    assert "a.csv: nothing was missing" in capsys.readouterr().err
    assert main(["complete", "m.given", "h.jsonl", "-o", "w.csv"]) in (0, None)
    assert "nothing" not in capsys.readouterr().err
    assert main(["score", "m.given", "-"]) in (0, None) and capsys.readouterr().out.startswith("row,log_prob\n0,-")


@pytest.mark.parametrize("fields", [[["dog", 1], ["cat", math.nan]], [["dog", 1, 2], ["cat", 4, math.nan]]])
def test_an_item_that_lacks_a_number_is_named(fields, tmp_path):
    lines = [json.dumps({"things": each}) for each in (fields[:1], fields, [fields[1]])]
    (tmp_path / "n.jsonl").write_text("\n".join(lines))
    with pytest.raises(UserError, match=rf"things, row 1: item 1: field {len(fields[0])} is None; expected a number"):
        given.model("p(things)", given.read(tmp_path / "n.jsonl"))

"""Data that is larger than memory: runs of rows bounded by bytes, entries in the type they come in, batches made ahead."""

import threading
import tracemalloc

import numpy as np
import pytest
import torch

import given
from given import codecs, families
from given.sources import Columns, Source, columns
from given.train import Batches, Budget, Trainer, ahead, nested, split
from given.variables import UserError


class Made(Source):
    """Rows made when they are asked for, never all in memory."""

    def __init__(self, n, row, most=1 << 20):
        self.n, self.row, self.most = n, row, most

    @property
    def names(self):
        return tuple(self.row(0))

    def batches(self, size):
        size = min(size, self.most)
        for start in range(0, self.n, size):
            rows = [self.row(i) for i in range(start, min(start + size, self.n))]
            yield Columns({name: np.stack([r[name] for r in rows]) for name in self.names})


def pictures(n, side=64):
    return Made(n, lambda i: {"image": np.full((side, side, 3), i % 251, dtype=np.uint8)})


@pytest.mark.parametrize("row, n", [
    (lambda i: {"image": np.full((32, 32, 3), i % 251, dtype=np.uint8)}, 3_000),
    (lambda i: {"text": np.array("a" * (1 if i < 100 else 200), dtype=object)}, 20_000),  # the first rows are short
])
def test_a_run_of_rows_is_bounded_by_bytes(row, n, monkeypatch):
    monkeypatch.setattr(columns, "_RUN", 1 << 20)
    source = Made(n, row)
    runs = list(source.runs())
    assert len(runs) > 3 and max(run.nbytes for run in runs) <= 1 << 20
    (name,) = source.names
    whole = next(source.batches(n))
    assert (np.concatenate([run[name] for run in runs]) == whole[name]).all()
    assert next(source.runs(least=500)).n >= 500


def test_narrow_rows_are_shuffled_65536_at_once():
    assert [run.n for run in Made(70_000, lambda i: {"x": np.float64(i)}).runs()] == [65_536, 4_464]


def test_learning_from_large_rows_holds_few_of_them(monkeypatch):
    monkeypatch.setattr(columns, "_RUN", 2 << 20)
    source = pictures(3_000)  # 37 MB
    made = given.model("p(image)", source, families={"image": families.Independent})
    tracemalloc.start()
    try:
        batches = Batches(made.joint, source, 8, 0)
        assert sum(batch.n for batch in batches.epoch(0)) == 3_000
        split(source, 0.9, 0)
        nested(source)
        assert tracemalloc.get_traced_memory()[1] < 8 * columns._RUN
    finally:
        tracemalloc.stop()


def test_held_out_rows_are_bounded_by_bytes(monkeypatch):
    monkeypatch.setattr(columns, "_RUN", 1 << 20)  # 85 pictures
    source = pictures(400)
    train, valid = split(source, 0.5, 0)
    assert 50 < valid.n < 120 and valid.n + sum(run.n for run in train.runs()) == 400
    assert nested(source).n == source.affordable == 85
    in_memory = split(next(source.batches(400)), 0.5, 0)[1]
    assert (in_memory["image"] == valid["image"]).all()


@pytest.mark.parametrize("codec, raw, dtype", [
    (codecs.Image(2, 2, levels=256), np.zeros((3, 2, 2), dtype=np.uint8), torch.uint8),
    (codecs.Image(2, 2, levels=300), np.zeros((3, 2, 2), dtype=np.uint16), torch.int16),
    (codecs.Image(2, 2, levels=1 << 16), np.full((3, 2, 2), 65_535, dtype=np.uint16), torch.int32),
    (codecs.Label(categories=["a", "b"]), np.array(["a", "b"]), torch.uint8),
    (codecs.Integer(0, 1_000), np.array([7, 1_000]), torch.int16),
    (codecs.Text(), np.array(["ab", "b"]), torch.uint8),
    (codecs.Text(window=4), np.array(["abababab", "bababa"]), torch.uint8),
])
def test_symbols_are_kept_in_the_smallest_type_and_read_as_int64(codec, raw, dtype):
    codec.learn(raw)
    x = codec.encode(raw)
    assert x.values.dtype == x.rows(torch.tensor([0])).values.dtype == dtype and x.tensor.dtype == torch.int64
    assert (codec.decode(x) == raw).all()
    if codec.windowed:
        joint = given.model("p(x)", {"x": raw}, codecs={"x": codec}, families={"x": families.NGram}).joint
        assert next(Batches(joint, Columns({"x": raw}), 2, 0).epoch(0)).entries["x"].values.dtype == dtype


def test_what_is_counted_is_neither_averaged_nor_kept_in_a_checkpoint():
    data = given.read("digits")
    made = given.model("p(label) p(image | label)", data, families={"label": families.Categorical,
                                                                   "image": families.Independent})
    mixed = given.model("p(image)", data, families={"image": families.VAE})
    for model in (made, mixed):
        trainer = Trainer(model.joint, Batches(model.joint, data, 32, 0), Budget(steps=2))
        parameters = dict(model.joint.named_parameters())
        assert trainer.averaged.keys() == parameters.keys()
        kept = [name for name in trainer.state()[0] if name.startswith("weights.")]
        assert kept == [f"weights.{name}" for name in parameters]


def numbers(n, closed):
    try:
        yield from range(n)
    finally:
        closed.append(True)


@pytest.mark.parametrize("slow", [0.0, 1.0])
def test_what_is_made_ahead_comes_in_order_and_not_all_at_once(slow):
    """With a thread and without one."""
    closed, seen = [], []
    def noted():
        for i in range(50):
            seen.append(i)
            yield i
    with ahead(noted(), slow) as items:
        assert [next(items) for _ in range(5)] == [0, 1, 2, 3, 4] and bool(readers()) == (slow == 0)
        assert len(seen) <= 10
        assert [*items] == list(range(5, 50))
    with ahead(numbers(1_000, closed), slow) as items:
        assert next(items) == 0
    assert closed and not readers()


def readers():
    return [t for t in threading.enumerate() if t.name.startswith("given")]


@pytest.mark.parametrize("leaves", [KeyboardInterrupt, ValueError])
def test_whoever_leaves_leaves_no_thread_behind(leaves):
    closed = []
    with pytest.raises(leaves), ahead(numbers(1_000, closed), 0.0) as items:
        for i in items:
            if i == 7:
                raise leaves
    assert closed and not readers()


def test_an_error_ahead_is_raised_where_its_item_would_have_come():
    def broken():
        yield from range(6)
        raise UserError("image, row 7: is black")
    with ahead(broken(), 0.0) as items:
        assert [next(items) for _ in range(6)] == [0, 1, 2, 3, 4, 5]
        with pytest.raises(UserError, match="image, row 7: is black"):
            next(items)
    assert not readers()


def test_a_fit_leaves_no_thread_behind_and_names_the_row_of_an_error():
    def row(i):
        return {"label": np.array("a" if i != 37 else "c"), "image": np.full((2, 2), i % 3, dtype=np.uint8)}
    good = Made(60, lambda i: {**row(0), "image": row(i)["image"]}, 16)
    made = given.model("p(image | label)", good, codecs={"label": codecs.Label(categories=["a", "b"])})
    made.fit(good, steps=4, batch=4, held_out=0)
    assert not readers()
    with pytest.raises(UserError, match="label, row 37"):
        made.fit(Made(60, row, 16), steps=60, batch=4, held_out=0)
    assert not readers()

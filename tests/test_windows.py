"""Sequences longer than a grid, cut into windows."""

import numpy as np
import pytest
import torch

import given
from given.codecs import Number, Series, Text
from given.variables import Axis, Codec, Cut, Entries, UserError, Whole, last_window
from given.verbs.checks import rows_at_once

SEQUENCES = [np.arange(L) for L in (1, 4, 7, 20)]


def cut(stride, start=None):
    lengths = np.array(list(map(len, SEQUENCES)))
    whole = Whole(Entries(torch.from_numpy(np.concatenate(SEQUENCES))), lengths)
    return Cut(lengths, Axis("", 5, "given", stride=stride), start).pieces(whole)


@pytest.mark.parametrize("stride", [1, 3, 5])
def test_every_symbol_is_scored_once(stride):
    pieces = cut(stride)
    x = pieces.rows(torch.arange(len(pieces.item)))
    scored = x.valid & ~x.context
    for item, sequence in enumerate(SEQUENCES):
        assert sorted(x.tensor[pieces.item == item][scored[pieces.item == item]].tolist()) == sequence.tolist()


@pytest.mark.parametrize("start", [0, 2, 9])
def test_pieces_to_learn_from_are_whole_windows_that_leave_nothing_out(start):
    pieces = cut(2, start)
    x = pieces.rows(torch.arange(len(pieces.item)))
    for item, sequence in enumerate(SEQUENCES):
        mine = pieces.item == item
        assert set(x.tensor[mine][x.valid[mine]].tolist()) == set(sequence.tolist())
        assert (x.valid[mine].sum(1) == min(5, len(sequence))).all()


@pytest.mark.parametrize("length", [0, 3, 4, 9])
def test_the_last_window_has_room_for_a_symbol_more(length):
    x = last_window(np.arange(length), 5)
    assert x.tensor.shape == (1, 5) and x.tensor[x.readable].tolist() == list(range(length))[-4:]


@pytest.mark.parametrize(("codec", "items"), [(Text(window=3), ["abca", "b"]),
                                              (Series(Number(), window=3), [[1.0, 2, 3, 1], [2]])])
def test_any_codec_has_its_items_end_to_end(codec, items):
    raw = np.array([*items, None], dtype=object)[:-1]
    codec.learn(raw)
    whole, own = Codec.entire(codec, raw), codec.entire(raw)
    assert whole.lengths.tolist() == own.lengths.tolist() == [4, 1]
    assert torch.equal(whole.entries.tensor, own.entries.tensor)


def test_an_alphabet_is_of_characters():
    with pytest.raises(UserError, match="an alphabet is of characters"):
        Text("bytes", alphabet="ab")


def reviews(rows, first, seed):
    """Reviews of some 400 characters whose verdict is a word among their first, or among their last."""
    numbers = np.random.default_rng(seed)
    texts = []
    for row in range(rows):
        rest = " ".join(numbers.choice(["plot", "film", "scene", "actor"], numbers.integers(50, 70)))
        texts.append(" ".join([("awful ", "great ")[row % 2] * 15, rest][::1 if first else -1]))
    return {"label": ["bad", "good"] * (rows // 2), "review": texts}


def check_long_parent():
    """A text that others depend on is read whole, however much longer than a window, and by what it holds, wherever."""
    data = reviews(40, True, 1)
    model = given.model("p(label | review)", data)
    model.fit(data, steps=20, batch=20, lr=1e-2, held_out=0)
    chances = model.given(review=reviews(20, False, 2)["review"]).probabilities("label")["good"]
    assert chances[::2].mean() < 0.2 and chances[1::2].mean() > 0.8


def test_a_text_that_others_depend_on_is_read_whole_however_long():
    check_long_parent()


@pytest.mark.parametrize("formula", ["p(review) p(label | review)", "p(label, review)", "p(answer | review)"])
def test_a_text_longer_than_a_window_is_whole_wherever_a_factor_needs_it(formula):
    data = reviews(4, True, 1)
    data["answer"] = [text[::-1] for text in data["review"]]
    model = given.model(formula, data)
    assert "at most" in repr(model.joint.columns["review"].codec)
    assert model.joint.windowed == ({"answer"} if "answer" in formula else set())


def test_rows_at_once_count_what_is_only_read():
    model = given.model("p(label | review)", reviews(4, True, 1))
    held = model.joint.columns["review"].space.dimensions
    assert rows_at_once(model.joint) * held <= 1 << 22

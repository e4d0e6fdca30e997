"""Sequences longer than a grid, cut into windows."""

import numpy as np
import pytest
import torch

from given.codecs import Number, Series, Text
from given.variables import Axis, Codec, Cut, Entries, UserError, Whole, last_window

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

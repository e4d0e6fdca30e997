"""Series from other people's files: which rows are held out, which column is the time, gaps, calendars, what is to come."""

import numpy as np
import pytest

import given
from given.families import LinearAutoregressive, SeasonalNaive

RNG = np.random.default_rng(0)
WAVE = 10 + 3 * np.sin(np.arange(144) * 2 * np.pi / 12) + 0.3 * RNG.normal(size=144)


@pytest.mark.parametrize(("items", "what"), [([WAVE], "the last 10% of the item"),
                                             ([WAVE, WAVE[:50]], "the last 10% of each of 2 items")], ids=["one", "two"])
def test_of_few_series_the_ends_are_held_out(items, what):
    data = given.read(y=items)
    model = given.model("p(y)", data, families={"y": LinearAutoregressive})
    model.fit(data, progress=False)
    train, held = model.split(data)
    assert [len(item) for item in train["y"]] == [130, 45][:len(items)] and held["y"][0].tolist() == WAVE[130:].tolist()
    assert f"{what}, this model" in model.facts["scores"]


def test_of_many_series_whole_ones_are_held_out():
    data = given.read(y=[WAVE[:20 + i] for i in range(20)])
    model = given.model("p(y)", data, families={"y": SeasonalNaive})
    model.fit(data, progress=False)
    assert {len(item) for item in model.split(data)[1]["y"]} <= set(range(20, 40))


@pytest.mark.parametrize("values", [np.r_[np.full(30, 2.5), WAVE.round(0)], np.r_[WAVE[:40], np.nan, WAVE[41:]],
                                    np.arange(40) % 4], ids=["recurring", "missing", "few"])
def test_linear_families_read_the_numbers_of_a_series(values):
    """What recurs is no atom to them, and what is missing unknown."""
    data = given.read(y=[values])
    model = given.model("p(y)", data, families={"y": "SeasonalNaive"})
    model.fit(data, held_out=0, progress=False)
    assert not model.joint.columns["y"].space.atoms and "y: on a line without atoms" in " ".join(model.notes)

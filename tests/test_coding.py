"""Codes: what comes back is what went in, in as many bits as the law says; and what is no code is refused in one line."""

import os
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch

import given
from given.app.cli import main
from given.codecs import Integer, Label, Number, Series, Text
from given.distributions import DiscretizedLogisticMixture, DiscretizedLogisticMixtureHead
from given.families import Autoregressive, Dequantised, Empirical, Ensemble, Gaussian, Independent, NGram
from given.infer.compression import range_coder
from given.infer.compression.coding import coded
from given.nn import MADE, AnyOrder, GatedPixelCNN, LinearPrediction, MinGRU, PixelResNet, Transformer, Wavefront
from given.variables import Axis, Entries, Finite, UserError

RNG = np.random.default_rng(0)
SAYS = "".join(RNG.choice(list("to be or not "), 150))
DIGITS = {"label": [int(v) for v in RNG.integers(0, 3, 40)], "image": RNG.integers(0, 5, (40, 4, 3))}
IMAGES, BITS, GIVEN = {"image": DIGITS["image"]}, {"image": DIGITS["image"] % 2}, "p(label) p(image | label)"
TABLE = {"city": RNG.choice(["Rome", "Oslo", "Lima"], 60), "age": RNG.integers(20, 30, 60),
         "note": np.array([None, "a", "b"], dtype=object)[RNG.integers(0, 3, 60)]}
PICTURES = partial(Autoregressive, net=partial(GatedPixelCNN, width=8, layers=1))
NET = partial(Autoregressive, net=partial(MinGRU, width=16, layers=1))


def fitted(formula, data, steps=3, **options):
    model = given.model(formula, data, **options)
    model.fit(data, steps=steps, held_out=0.2 if "text" not in data else 0, batch=8, patience=None)
    with torch.no_grad():  # weights as they start have no teeth
        for p in model.joint.parameters():
            p += 0.3 * torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel()))
    return model


def windows(family, **options):
    return fitted("p(text)", {"text": [SAYS]}, codecs={"text": Text(window=32, **options)}, families={"text": family})


def table(family, **codecs):
    codecs = {"city": Label(), "age": Integer(), "note": Label(missing="symbol"), **codecs}
    return fitted("p(city, age, note)", TABLE, codecs=codecs, families={"city, age, note": family})


def image(family, data, formula="p(image)", **options):
    return fitted(formula, data, families={"image": family}, **options)


CASES = {
    "text in windows": lambda: (windows(partial(Ensemble, families=(partial(NGram, order=3), NET))),
                                {"text": [SAYS, "to be", SAYS[:33]]}),
    "text in windows, adaptive": lambda: (windows(partial(NGram, order=3, adaptive=4), stride=8),
                                          {"text": ["tobe oort " * 20]}),
    "text in windows, given a label": lambda: (fitted(
        "p(label) p(text | label)", {"label": ["a", "b"], "text": [SAYS, SAYS[::-1]]}, codecs={"text": Text(window=32)},
        families={"text": NGram}), {"label": ["b", "a"], "text": [SAYS[40:110], SAYS]}),
    "lines with an end, given a label": lambda: (fitted("p(label) p(text | label)", {
        "label": ["a", "b"] * 10, "text": [SAYS[i:i + i % 7] for i in range(20)]}, codecs={"text": Text()},
        families={"text": NET}),
        {"label": ["b", "a", "b"], "text": ["", "to ", "no to "]}),
    "image with a label": lambda: (image(PICTURES, DIGITS, GIVEN), DIGITS),
    "image by diagonals, of cells": lambda: (image(partial(Autoregressive, order=Wavefront(), net=partial(
        Transformer, width=8, layers=1), head=DiscretizedLogisticMixtureHead), IMAGES), IMAGES),
    "image by predictions": lambda: (image(partial(Autoregressive, net=partial(
        PixelResNet, width=8, layers=1), prediction=LinearPrediction, head=DiscretizedLogisticMixtureHead), IMAGES), IMAGES),
    "image of two levels": lambda: (image(partial(Autoregressive, net=partial(MADE, width=8, hidden=(16,))), BITS), BITS),
    "table in any order": lambda: (table(Autoregressive), TABLE),
    "table of independent columns": lambda: (table(Independent), TABLE),
    "label and independent pixels": lambda: (image(Independent, DIGITS, GIVEN), DIGITS),
}


@pytest.fixture(scope="module")
def made():
    """Every case, built once."""
    found = {}
    return lambda name: found.setdefault(name, CASES[name]())


def same(a, b):
    return all(np.array_equal(np.asarray(a[k], dtype=object), np.asarray(b[k], dtype=object)) for k in b)


def check_code(name="image with a label", make=None):
    """Rows come back, in the bits that the law says and not many more."""
    model, data = (make or CASES.__getitem__(name))() if make is None else make(name)
    code = model.compress(data, batch=16)
    back = model.decompress(code.content)
    assert same(back, data)
    assert code.bits / 8 <= len(code.content) <= 1.005 * code.bits / 8 + 64
    return model, data, code


@pytest.mark.parametrize("name", CASES)
def test_what_comes_back_is_what_went_in(name, made):
    model, data, code = check_code(name, made)
    if "windows" not in name:  # there the lanes begin without context, and the counts go on
        assert code.bits == pytest.approx(-model.score(data).items.sum() / np.log(2), rel=1e-4, abs=1e-3)


def test_a_text_in_one_lane_takes_the_bits_of_its_score(made):
    model, data = made("text in windows")
    code = model.compress(data)
    assert code.bits == pytest.approx(-model.score(data).items.sum() / np.log(2), rel=1e-4)
    lanes = model.compress(data, span=100)
    assert lanes.bits != code.bits and lanes.bits < 1.1 * code.bits and same(model.decompress(lanes), data)


def check_counts():
    """In windows that show as much as counts look back, a text's own counts are those of one window that holds it all."""
    says, told = SAYS[:60] * 3, [SAYS[:50] + SAYS[20:60] * 2]
    narrow, wide = (fitted("p(text)", {"text": [says]}, codecs={"text": Text(window=window, stride=8)},
                           families={"text": partial(NGram, order=3, adaptive=4)}) for window in (32, len(told[0])))
    scored = -wide.score(text=told).items.sum() / np.log(2)
    assert narrow.compress(text=told).bits == pytest.approx(scored, rel=1e-6)  # shares are float32
    assert narrow.score(text=told).items.sum() < wide.score(text=told).items.sum()


def test_counts_of_a_text_go_on_past_its_window():
    check_counts()


def test_tables_give_every_symbol_something():
    check_tables()


def check_tables():
    p = torch.tensor([[1.0, 0.0, 0.0], [0.3, 0.7, 0.0]], dtype=torch.float64)
    table = range_coder.tables(p)
    assert table.min() >= 1 and np.array_equal(table, np.floor(table))
    assert np.abs(table / table.sum(1)[:, None] - p.numpy()).max() < 1e-5
    writer = range_coder.Writer()
    writer.code(p, torch.tensor([2, 0]))
    assert range_coder.Reader(writer.content).code(p, torch.zeros(2)).tolist() == [2, 0]


def test_what_a_law_holds_impossible_is_coded_all_the_same():
    law = DiscretizedLogisticMixture(torch.tensor([[[1e4, 0.0, 0.0]]] * 3), torch.zeros(3, 1, 1), torch.ones(3, 1, 1),
                Finite(9, ordered=True, axes=(Axis("place", 1),)))
    writer, x = range_coder.Writer(), Entries(torch.tensor([[0], [7], [8]]))
    coded(law, x, writer)
    assert coded(law, None, range_coder.Reader(writer.content)).tensor.tolist() == x.tensor.tolist()


TAGS = [list(RNG.choice(list("ab"), n)) for n in (3, 5, 2, 5, 1, 4)]


def test_a_code_reads_grids_that_stand_above():
    data = {"image": DIGITS["image"], "label": np.array(DIGITS["label"])}
    model = given.model("p(image) p(label | image)", data, codecs={"label": Label()}, families={"image": Independent})
    model.fit(data, steps=1, held_out=0)
    assert model.decompress(model.compress(data))["label"].tolist() == DIGITS["label"]


@pytest.mark.parametrize("axis", ["word", ""])
@pytest.mark.parametrize("family", [NET, Independent])
@pytest.mark.parametrize("formula", ["p(t)", "p(k) p(t | k)", "p(t) p(u | t)", "p(t) p(u)", "p(t, u)", "p(t) p(k | t)"])
def test_series_that_fit_their_window_come_back(formula, family, axis):
    check_lengths(formula, family, axis)


def check_lengths(formula, family=NET, axis="word", window=256):
    """Items of different lengths come back, in as many bits as their values have."""
    data = {name: values for name, values in {"k": list("xyzxyz"), "t": TAGS, "u": TAGS[::-1] if axis == "" else TAGS}.items()
            if name in formula[1:].replace("p(", "")}
    codecs = {name: Series(Label(), axis=axis, window=window) for name in "tu" if name in data}
    model = given.model(formula, data, codecs=codecs,
                        families={"t, u" if "t, u" in formula else "t": family})
    model.fit(data, steps=3, held_out=0)
    code = model.compress(data, batch=4, verify=False)
    back = model.decompress(code)
    assert {name: list(map(list, back[name])) for name in data} == {name: list(map(list, data[name])) for name in data}
    assert abs(code.bits + model.score(data).items.sum() / np.log(2)) < (0.5 if "t, u" in formula and not axis else 1e-4)


def test_two_columns_in_windows_come_back():
    check_lengths("p(t) p(u)", window=4)


READ = """import sys, torch, given
model = given.load(sys.argv[1])
torch.set_num_threads(int(sys.argv[3]))
model.decompress(open(sys.argv[2], "rb").read()).save(sys.argv[4])
assert torch.get_num_threads() == int(sys.argv[3])"""


@pytest.mark.parametrize("name", ["image with a label", "text in windows"])
def test_another_process_with_other_threads_reads_the_same(name, made, tmp_path):
    model, data = made(name)
    model.save(tmp_path / "m.given")
    (tmp_path / "code").write_bytes(model.compress(data).content)
    back = tmp_path / ("back.jsonl" if "text" in data else "back.npz")
    subprocess.run([sys.executable, "-c", READ, tmp_path / "m.given", tmp_path / "code", "2", back], check=True,
                   env={**os.environ, "OMP_NUM_THREADS": "2"})
    assert same(given.read(back), data)


@pytest.fixture(scope="module")
def code(made):
    model, data = made("label and independent pixels")
    return model, data, model.compress(data).content


@pytest.mark.parametrize("family", [Independent, partial(Ensemble, families=(NGram, Independent), choose=True)])
def test_a_text_whose_symbols_are_independent_comes_back_up_to_its_end(family):
    words = np.array(["anna", "bob", "carla", "dana", "ed"] * 12, dtype=object)
    model = given.model("p(text)", {"text": words}, codecs={"text": Text(longest=6)}, families={"text": family})
    model.fit({"text": words})
    code = model.compress({"text": words[:20]})
    assert model.decompress(code)["text"].tolist() == words[:20].tolist()
    assert abs(8 * len(code.content) - code.bits) < 400  # the header, and a word of the coder
    score = -model.log_prob(text=words[:20]).sum() / np.log(2)
    assert abs(code.bits - score) < 1e-3 * score


def test_bytes_that_are_no_code_are_refused(code, made):
    model, _, content = code
    for bad, said in ((b"", r"^empty; expected what compress wrote$"),
                      (b"PK\3\4 a zip", r"^not written by compress: begins with b'PK.*"),
                      (content[:3], r"^not written by compress"), (content[:4], r"^of version \? of the format, expected 2;"),
                      (content[:4] + b"\7" + content[5:], r"^of version 7 of the format, expected 2;"),
                      (content[:4] + b"\1" + content[5:], r"^of version 1 of the format, expected 2; decompress with the"),
                      (content[:12], r"^cut or changed since it was written"), (content[:-1], r"^cut or changed since it was"),
                      (content + b"\0", r"^cut or changed since it was written")):
        with pytest.raises(UserError, match=said) as error:
            model.decompress(bad)
        assert "\n" not in str(error.value)
    other, _ = made("image with a label")
    with pytest.raises(UserError, match=r"^compressed by another model than this p\(label\) p\(image \| label\); pass"):
        other.decompress(content)


def test_a_flipped_bit_is_found(code):
    model, _, content = code
    for at in range(0, 8 * len(content), 41):
        bad = bytearray(content)
        bad[at // 8] ^= 1 << at % 8
        with pytest.raises(UserError):
            model.decompress(bytes(bad))


def check_other_weights(make=None):
    """One weight moved a little is another model, and says so."""
    model, data = CASES["image with a label"]() if make is None else make("image with a label")
    content = model.compress(data).content
    p = next(model.joint.parameters())
    with torch.no_grad():
        p.view(-1)[0] += 1e-3
    try:
        with pytest.raises(UserError, match="compressed by another model"):
            model.decompress(content)
    finally:
        with torch.no_grad():
            p.view(-1)[0] -= 1e-3


def test_other_weights_are_another_model(made):
    check_other_weights(made)


def test_a_reader_that_rounds_otherwise_says_so(code, monkeypatch):
    """What the checksum of the entries is for."""
    model, data, content = code
    tables = range_coder.tables
    monkeypatch.setattr(range_coder, "tables", lambda p: tables(p.flip(1)))
    with pytest.raises(UserError, match=r"^decodes to other rows than were compressed: this processor or version of torch"):
        model.decompress(content)
    calls = iter(range(1 << 30))
    monkeypatch.setattr(range_coder, "tables", lambda p: tables(p if next(calls) < 1 else p.flip(1)))
    with pytest.raises(UserError, match=r"^compress: what was written does not read as it was \(decodes to other rows"):
        model.compress(data)


X, Z = {"x": RNG.normal(size=30)}, {"label": ["a", "b"] * 15}


REFUSED = [
    (lambda: fitted("p(x)", X), X, r"^x: expected finitely many values to code, got reals; learn again, .*Label"),
    (lambda: table(Autoregressive, age=Number()), TABLE, r"^age: expected finitely many values to code, got reals"),
    (lambda: image(Independent, DIGITS, "p(image | label)"), DIGITS,
     r"^compress: nothing says p\(label\), which is to be coded too; declare it, p\(label\) p\(image \| label\)$"),
    (lambda: image(partial(Dequantised, family=Gaussian), IMAGES), IMAGES,
     r"^p\(image\): expected an exact .* got Dequantised, whose log p is of kind bound; use Autoregressive"),
    (lambda: image(Empirical, IMAGES), IMAGES,
     r"^p\(image\): expected an exact .* got Empirical; use"),
    (lambda: table(partial(Autoregressive, order=AnyOrder(average=2))), TABLE, r"got Mixture; use Autoregressive"),
    (lambda: fitted("p(label)", Z), {**Z, "x": X["x"]}, r"^compress: column x is not in p\(label\) and would be lost"),
    (lambda: fitted("p(label)", Z), {"label": ["a", "c"]}, r"^label, row 1: unseen category 'c'"),
    (lambda: fitted("p(label)", Z), {"label": ["a", None]}, r"^label, row 1: missing value"),
    (lambda: fitted("p(label)", Z), {"label": []}, r"^compress: expected at least one row, got none$"),
    (lambda: fitted("p(label)", Z, codecs={"label": Label(unseen="other")}), {"label": ["b", "new"]},
     r"^label, row 1: 'new' would come back as '\(other\)'; learn from data that has it"),
    (lambda: fitted("p(z) p(label | z)", Z, latents={"z": Label([0, 1])}), Z, r"^compress: .* has the latent z, which no row"),
    (lambda: windows(NGram), {"text": ["to bE"]}, r"^text, row 0: unseen character 'E' at 4"),
    (lambda: windows(NGram), {"text": [""]}, r"^text, row 0: is empty"),
    (lambda: windows(Independent), {"text": ["to"]}, r"^p\(text\): a text longer than its window is coded from its beginning"),
]


@pytest.mark.parametrize("make, data, said", REFUSED)
def test_what_cannot_be_coded_is_refused(make, data, said):
    with pytest.raises(UserError, match=said) as error:
        make().compress(data)
    assert "\n" not in str(error.value)


def test_options_are_whole_numbers(code):
    model, data, _ = code
    for options in ({"batch": 0}, {"span": -1}, {"batch": 2.5}):
        with pytest.raises(UserError, match=r"^compress: (batch|span)=.*; expected a whole number from 1$"):
            model.compress(data, **options)


def test_the_command_line_compresses_a_text(made, tmp_path, capsys):
    model, _ = made("text in windows")
    model.save(tmp_path / "m.given")
    (tmp_path / "a.txt").write_text(SAYS)
    asked = [str(tmp_path / name) for name in ("m.given", "a.txt", "a.gvnc", "b.txt")]
    assert main(["compress", *asked[:2], "-o", asked[2]]) == 0
    out = capsys.readouterr().out
    assert "verified" in out and str((tmp_path / "a.gvnc").stat().st_size) in out
    assert main(["decompress", asked[0], asked[2], "-o", asked[3]]) == 0
    assert (tmp_path / "b.txt").read_bytes() == (tmp_path / "a.txt").read_bytes()
    assert main(["decompress", asked[0], asked[2]]) == 0 and SAYS in capsys.readouterr().out
    assert main(["decompress", asked[0], asked[1]]) == 1
    assert capsys.readouterr().err.startswith(f"given: {asked[1]}: not written by compress")

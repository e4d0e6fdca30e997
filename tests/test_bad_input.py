"""Bad input, a line a case: what is handed in, and the words that the one line of the error must hold."""

import functools
import io
import json
import pickle
import shutil
import zipfile

import numpy as np
import pandas
import polars
import pytest

import given
from given.codecs import Image, Integer, Label, Number, Time
from given.families import Categorical, Dequantised, Empirical, Gaussian, Independent
from given.train.saved import _checksum

N = 60
DATA = {
    "age": np.random.default_rng(0).normal(40, 10, N),
    "city": np.array(["Oslo", "Rome", "Turin"] * (N // 3)),
    "income": np.random.default_rng(1).normal(3, 1, N),
}
DIGITS = given.read("digits").rows(slice(0, N))
PIXELS = DIGITS["image"]


@functools.cache
def people():
    model = given.model("p(city) p(age, income | city)", DATA)
    model.fit(DATA, held_out=0)
    return model


@functools.cache
def images(formula="p(label) p(image | label)", family=Independent):
    model = given.model(formula, DIGITS, families={"image": family})
    model.fit(DIGITS, held_out=0)
    return model


def refused(ask, said):
    """The error is a UserError of one line with these words in it."""
    with pytest.raises(given.UserError) as caught:
        ask()
    message = str(caught.value)
    assert said in message
    assert "\n" not in message and len(message) < 400


def cases(**table):
    return pytest.mark.parametrize(("bad", "said"), [pytest.param(*case, id=name) for name, case in table.items()])


# Files


def _npy(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def _npz(save=np.savez, **arrays):
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


def _zip(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def _spoiled(content, first):
    return content[:first] + b"\xff" * 40 + content[first + 40:]


OBJECTS = np.array([{"a": 1}, None], dtype=object)
NUMBERS = _npy(np.arange(100.0))


@cases(
    empty=(("t.csv", b""), "t.csv: is empty; expected csv"),
    header_only=(("t.csv", b"a,b\n"), "t.csv: expected a header and at least one row, got a header alone"),
    blank_lines=(("t.csv", b"\n\n"), "t.csv: expected a header and at least one row, got blank lines"),
    too_short=(("t.csv", b"a,b\n1,2\n3\n"), "t.csv, line 3: got 1 values, expected 2 as in the header"),
    too_long=(("t.csv", b"a,b\n\n1,2,3\n"), "t.csv, line 3: got 3 values, expected 2 as in the header"),
    twice=(("t.csv", b"a,b, a\n1,2,3\n"), "t.csv: two columns are called 'a'; rename one"),
    nameless=(("t.csv", b"a,,b\n1,2,3\n"), "t.csv: column 2 has no name; give every column one"),
    latin_1=(("t.csv", "a\nx\né\n".encode("latin-1")), "t.csv, line 3: not UTF-8 (byte 0xe9); save it as UTF-8"),
    zero_byte=(("t.csv", b"a\n1\n\0\n"), "t.csv, line 3: a zero byte; expected text"),
    open_quote=(("t.csv", b'a,b\n1,2\n3,"4\n5,6\n'), "t.csv, line 3: a quote is not closed"),
    junk_after_quote=(("t.csv", b'a,b\n1,"2"3\n'), "t.csv, line 2: ',' expected after '\"'"),
    ending=(("t.xlsx", b"PK"), "t.xlsx: cannot read .xlsx; expected .csv, .jsonl, .ndjson, .npy, .npz,"),
    no_ending=(("t", b"a\n1\n"), "cannot read a file without an ending; expected .csv,"),
    npz_garbage=(("t.npz", b"garbage"), "t.npz: is not a whole .npz (File is not a zip file)"),
    npz_cut=(("t.npz", _npz(a=np.arange(100))[:300]), "t.npz: is not a whole .npz"),
    npz_spoiled=(("t.npz", _spoiled(_npz(a=np.arange(100)), 300)), "t.npz: is not a whole .npz (Bad CRC-32 for file 'a.npy')"),
    npz_spoiled_deflate=(("t.npz", _spoiled(_npz(np.savez_compressed, a=DATA["age"]), 200)), "t.npz: is not a whole .npz"),
    npz_objects=(("t.npz", _npz(a=OBJECTS)), "t.npz: a: is not a whole plain array (Object arrays cannot be loaded"),
    npz_pickle=(("t.npz", _zip(a=pickle.dumps({"a": 1}))), "t.npz: a: is not a whole plain array (the magic string"),
    npz_foreign=(("t.npz", _zip(readme=b"hello, world")), "t.npz: readme: is not a whole plain array"),
    npz_none=(("t.npz", _npz()), "t.npz: expected at least one column, got none"),
    npz_lengths=(("t.npz", _npz(a=[1, 2], b=[1])), "t.npz: b: expected 2 rows as in a, got 1 rows"),
    npz_scalar=(("t.npz", _npz(a=3)), "t.npz: a: expected a value for each row, got a single int64; pass a list"),
    npz_is_npy=(("t.npz", NUMBERS), "t.npz: is not a whole .npz"),
    npy_is_npz=(("t.npy", _npz(a=[1])), "t.npy: x: is not a whole plain array"),
    npy_garbage=(("t.npy", b"garbage garbage"), "t.npy: x: is not a whole plain array"),
    npy_cut=(("t.npy", NUMBERS[:300]), "t.npy: x: is not a whole plain array"),
    npy_header=(("t.npy", NUMBERS.replace(b"descr", b"xescr")), "t.npy: x: is not a whole plain array"),
    npy_objects=(("t.npy", _npy(OBJECTS, allow_pickle=True)), "t.npy: x: is not a whole plain array (Object arrays cannot"),
    npy_scalar=(("t.npy", _npy(np.array(3))), "t.npy: x: expected a value for each row, got a single int64"),
)
def test_files(bad, said, tmp_path):
    name, content = bad
    (tmp_path / name).write_bytes(content)
    refused(lambda: given.read(tmp_path / name), said)


def test_pickles_are_not_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (tmp_path.joinpath("exploded").write_text, ("boom",))

    (tmp_path / "t.npz").write_bytes(_npz(a=np.array([Bomb()], dtype=object)))
    (tmp_path / "exploded").unlink(missing_ok=True)
    refused(lambda: given.read(tmp_path / "t.npz"), "Object arrays cannot be loaded")
    assert not (tmp_path / "exploded").exists()


def test_a_folder_is_no_file(tmp_path):
    refused(lambda: given.read(tmp_path), f"{tmp_path}: is an empty folder; expected images, sounds or .txt")


@cases(
    nothing=(lambda: given.read(), "read: expected a path, a mapping, a frame or columns by keyword, got NoneType"),
    array=(lambda: given.read(np.zeros(3)), "columns by keyword, got ndarray"),
    series=(lambda: given.read(pandas.Series([1])), "columns by keyword, got Series"),
    lazy=(lambda: given.read(polars.DataFrame({"a": [1]}).lazy()), "columns by keyword, got LazyFrame"),
    both=(lambda: given.read(DATA, a=[1]), "read: expected a source or columns by keyword, got both"),
    no_file=(lambda: given.read("nope.csv"), "nope.csv: no such file, and no sample of this name; samples are breast_cancer,"),
    no_name=(lambda: given.read(""), "read: expected a path, got an empty name"),
    long_name=(lambda: given.read("a" * 300 + ".csv"), "cannot be read (File name too long)"),
    no_columns=(lambda: given.read({}), "expected at least one column, got none"),
    lengths=(lambda: given.read(a=[1, 2], b=[1]), "b: expected 2 rows as in a, got 1 rows"),
    scalar=(lambda: given.read(a=3), "a: expected a value for each row, got a single int64; pass a list"),
    ragged=(lambda: given.read(a=[[[1, 2]], [[3]]]), "a: rows of different shapes; expected arrays"),
    ragged_cells=(lambda: given.read(polars.DataFrame({"a": [[[1, 2]], [[3]]]})), "rows of different shapes, (1, 1)"),
    one_name=(lambda: given.read({1: [1], "1": [2]}), "two columns are called '1'; rename one"),
    twice_in_frame=(lambda: given.read(pandas.DataFrame([[1, 2]], columns=["a", "a"])), "two columns are called 'a'"),
    no_column=(lambda: given.read(DATA)["zip"], "no column 'zip'; there are age, city, income"),
    split_share=(lambda: given.read(DATA).split(1.5), "split: expected a share from 0.0 to 1.0"),
    split_negative=(lambda: given.read(DATA).split(-0.2), "or a number of rows up to 60, got -0.2"),
    split_rows=(lambda: given.read(DATA).split(61), "or a number of rows up to 60, got 61"),
    split_sum=(lambda: given.read(DATA).split(0.8, 0.5), "split: 0.8, 0.5 are 78 rows together; there are 60"),
)
def test_data_in_memory(bad, said):
    refused(bad, said)


@cases(
    ending=((DATA, "t.txt"), "t.txt: expected an ending .csv, .tsv, .jsonl, .parquet or .npz"),
    grids_in_csv=((DIGITS, "t.csv"), "t.csv: image: its values are grids, which no table holds; save as"),
    missing_text=(({"a": ["x", None]}, "t.npz"), "t.npz: a: got None among text; .npz holds text or numbers"),
    no_folder=((DATA, "nowhere/t.csv"), "nowhere/t.csv: cannot be written (No such file or directory); choose another place"),
)
def test_columns_that_cannot_be_written(bad, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data, path = bad
    refused(lambda: given.read(data).save(path), said)
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_breaks_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    given.read(a=[1]).save(path)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    refused(lambda: given.read(a=[2]).save(path), "t.csv: cannot be written (No space left on device)")
    assert [file.name for file in tmp_path.iterdir()] == ["t.csv"] and given.read(path)["a"] == [1]


# Formulas and models


@cases(
    unknown=("p(zip)", "formula: unknown name 'zip'; there are age, city, income"),
    unknown_parent=("p(age | zip)", "formula: unknown name 'zip'"),
    stray_bar=("p(age | city | income)", "a stray bar; expected one | in p(x | y), got 2"),
    open_bracket=("p(age | city", "a bracket is not closed; expected p(x | y)"),
    nested=("p(age p(city))", "a bracket is not closed; expected p(x | y)"),
    closed_twice=("p(age))", "expected p(...), got ')'; only p(...) stand side by side"),
    number=("p(age | 3)", "unexpected '3' at 8; names that are not identifiers stand in backticks"),
    plus=("p(age) + p(city)", "unexpected '+' at 7"),
    backtick=("p(`age)", "unexpected '`' at 2"),
    nothing=("", "formula: expected p(x | y), got nothing"),
    no_left=("p(| city)", "expected names and commas left of the bar, got 'nothing'"),
    no_right=("p(age |)", "expected names and commas right of the bar, got 'nothing'"),
    comma=("p(age, | city)", "expected names and commas left of the bar, got 'age ,'"),
    no_comma=("p(age city)", "expected names and commas left of the bar, got 'age city'"),
    twice=("p(age) p(age | city)", "'age' is used twice; a name stands once in a factor and left of one bar only"),
    own_parent=("p(age | age)", "'age' is used twice"),
    cycle=("p(age | city) p(city | age)", "a cycle, age <- city <- age; a variable cannot be its own condition"),
    long_cycle=("p(age | city) p(city | income) p(income | age)", "a cycle, age <- city <- income <- age"),
    block_cycle=("p(age, income | city) p(city | income)", "a cycle, income <- city <- income"),
    not_text=(3, "formula: expected text such as 'p(x | y)', got int"),
)
def test_formulas(bad, said):
    refused(lambda: given.model(bad, DATA), said)


@cases(
    infinity=([1.5, 2.5, np.inf], "x, row 2: got inf; expected a finite number"),
    too_large=([1e200, -1e200, 1.5], "x, row 0: a value beyond 1e+150"),
    mixed=(np.array(["a", 3], dtype=object), "x: expected categories of one type, got int, str; make them all text"),
    objects=(np.array([{1}, {2}], dtype=object), "x: expected text, numbers or booleans, got set"),
    nanoseconds=(np.array(["2020-01-01T00:00:00.000000001"], dtype="M8[ns]"), "x: expected times of whole microseconds"),
    text_grid=([[["a", "b"]]], "x: no codec for values of type <U1 and shape (1, 2); pass codecs={...}"),
    negative_pixels=(-np.ones((2, 3, 3), int), "x, row 0: got -1; expected levels from 0; pass codecs={...} with a Number()"),
    too_many_levels=(np.full((2, 3, 3), 1 << 20), "x, row 0: level 1048576; expected 0 to 65535"),
    no_rows=(np.zeros(0), "data: expected at least one row, got none"),
)
def test_values_without_a_codec(bad, said):
    refused(lambda: given.model("p(x)", {"x": bad}), said)


def test_words_among_numbers_are_a_category_of_which_a_note_says_so():
    values = [f"{i % 37}" if i % 5 else "unknown" for i in range(400)]
    notes = given.model({"x": values, "n": [0, 1] * 200}).notes
    assert any("320 of 400 values are numbers or times, and words beside others such as 'unknown'" in note for note in notes)
    codes = given.model({"x": [f"{i % 40}" if i % 5 else f"c{i % 3}" for i in range(400)], "n": [0, 1] * 200}).notes
    assert not any("and words beside" in note for note in codes)


def fitted(data, codec):
    """A model of one column x, fitted."""
    model = given.model("p(x)", data, codecs={"x": codec}, families={"x": Independent})
    model.fit(data, held_out=0)
    return model


@cases(
    no_data=(lambda: given.model("p(age)"), "model: expected data to read columns from"),
    codecs_name=(lambda: given.model("p(age)", DATA, codecs={"zip": Number()}), "codecs: unknown name 'zip'; there are age"),
    codecs_class=(lambda: given.model("p(age)", DATA, codecs={"age": Number}),
                  "codecs: age: expected a codec such as Number()"),
    families_name=(lambda: given.model("p(age)", DATA, families={"zip": Gaussian}), "families: unknown name 'zip'"),
    families_text=(lambda: given.model("p(age)", DATA, families={"age": "Gausian"}), "families: age: unknown name 'Gausian'"),
    families_number=(lambda: given.model("p(age)", DATA, families={"age": 3}), "families: age: expected a family"),
    families_built=(lambda: given.model("p(city)", DATA, families={"city": people().joint.factors[0]}), "expected a family"),
    family_option=(lambda: given.model("p(age)", DATA, families={"age": functools.partial(Gaussian, width=3)}),
                   "Gaussian: got an unexpected keyword argument 'width'"),
    family_argument=(lambda: given.model("p(image)", DIGITS, families={"image": Dequantised}),
                     "image: expected family=, a family of real numbers; pass partial(Dequantised"),
    family_of_reals=(lambda: given.model("p(city)", DATA, families={"city": Gaussian}),
                     "Gaussian: expected real numbers, got city"),
    family_of_symbols=(lambda: given.model("p(age)", DATA, families={"age": Categorical}),
                       "expected one finite entry, got age"),
    family_of_states=(lambda: given.model("p(city | age)", DATA, families={"city": Independent}),
                      "expected parents with finitely many values, got age"),
    model_of_class=(lambda: given.Model(Gaussian), "Joint: expected conditionals such as Gaussian(x, parents)"),
    model_of_none=(lambda: given.Model(), "Joint: expected at least one factor, got none"),
    seed=(lambda: given.model("p(age)", DATA, seed=-1), "seed=-1; expected a whole number from 0"),
    number_of_text=(lambda: given.model("p(city)", DATA, codecs={"city": Number()}),
                    "city, row 0: got 'Oslo'; expected a number"),
    number_missing=(lambda: Number(missing="drop"), "Number: missing='drop'; expected 'error', 'unknown' or 'symbol'"),
    number_nan=(lambda: given.model("p(x)", {"x": [1.5, np.nan]}, codecs={"x": Number()}),
                "x, row 1: got nan; expected a finite number; drop the row, or pass Number(missing='unknown') or 'symbol'"),
    number_curve=(lambda: Number(curve="bent"), "Number: curve='bent'; expected 'linear', 'log', 'log1p' or 'quantile'"),
    number_atoms=(lambda: Number(atoms="all"), "Number: atoms='all'; expected 'auto' or a list of values"),
    number_atoms_twice=(lambda: Number(atoms=[0, 0.0]), "expected distinct finite values"),
    number_atoms_of_grid=(lambda: given.model("p(x)", {"x": np.ones((9, 2))}, codecs={"x": Number(atoms=[0])}),
                          "x: expected one number a row, (B,), got (9, 2)"),
    number_missing_later=(lambda: fitted({"x": [1.5, 2.5]}, Number(missing="symbol")).given(
        x=[np.nan]), "x, row 0: got nan; expected a finite number"),
    number_whole=(lambda: fitted({"x": [1, 2, 3]}, Number()).given(x=[1.5]),
                  "x, row 0: got 1.5; expected a whole number; pass Number(whole=False)"),
    number_with_atoms=(lambda: given.model("p(age)", DATA, codecs={"age": Number(atoms=[40])}, families={"age": Gaussian}),
                       "Gaussian: age: has atoms, values that recur or are missing and have a mass of their own, where "
                       "Gaussian has a density; use Autoregressive or Independent, or learn without: "
                       "codecs={'age': Number(missing='unknown')}"),
    time_of_words=(lambda: given.model("p(city)", DATA, codecs={"city": Time()}), "city, row 0: got 'Oslo'; expected a date"),
    time_of_two_forms=(lambda: given.model("p(x)", {"x": ["12:00", "2020-01-01"]}, codecs={"x": Time()}),
                       "x, row 1: got '2020-01-01'; expected the form of '12:00'"),
    time_of_no_month=(lambda: given.model("p(x)", {"x": ["2020-13-01"]}, codecs={"x": Time()}), "expected ISO 8601"),
    integer_of_reals=(lambda: given.model("p(age)", DATA, codecs={"age": Integer()}), "expected a whole number"),
    integer_of_text=(lambda: given.model("p(city)", DATA, codecs={"city": Integer()}),
                     "city, row 0: got 'Oslo'; expected whole numbers; use Label() for text"),
    integer_range=(lambda: Integer(3, 1), "Integer: expected a range from least to most, or neither, got 3 and 1"),
    integer_wide=(lambda: given.model("p(x)", {"x": [0, 10**6]}, codecs={"x": Integer()}),
                  "x: got 0 to 1000000; expected at most 10000 whole numbers; use Number()"),
    integer_out=(lambda: fitted({"x": [1, 2]}, Integer(1, 3)).given(x=[4]),
                 "x, row 0: got 4; expected 1 to 3; pass Integer(least, most), or use Number()"),
    integer_missing=(lambda: fitted({"x": [1, 2]}, Integer(missing="symbol")).given(x=[None]),
                     "x, row 0: is missing, and no value was where it was learned; expected 1 to 2"),
    number_far=(lambda: people().given(income=1e99).sample(2),
                "income, row 0: got 1e+99, farther from the values learned than can be read; expected a number nearer to them"),
    types_mixed=(lambda: given.model({"x": [1, "a", 3.5, None, True] * 5}),
                 "x: expected categories of one type, got bool, float, int, str; make them all text"),
    label_missing=(lambda: given.model("p(x)", {"x": np.array(["a", None])}, codecs={"x": Label()}),
                   "x, row 1: missing value; expected a category"),
    label_rare=(lambda: Label(rare=3), "Label: rare=3; expected 0, or with unseen='other' and categories to learn"),
    label_unseen=(lambda: Label(unseen="drop"), "Label: unseen='drop'; expected 'error' or 'other'"),
    left_out=(lambda: given.model({"name": [f"n{i}" for i in range(30)]}),
              "model: no column is left to model (name: left out: every value is different); name columns in a formula"),
    image_shape=(lambda: given.model("p(image)", DIGITS, codecs={"image": Image(9, 9)}),
                 "image: expected (B, 9, 9), got (60, 8, 8); reshape or pass Image(9, 9)"),
    image_levels=(lambda: given.model("p(image)", DIGITS, codecs={"image": Image(levels=4)}),
                  "expected 0 to 3; pass Image(levels=...) with enough levels"),
    image_of_reals=(lambda: given.model("p(x)", {"x": np.full((2, 3, 3), 0.5)}, codecs={"x": Image()}),
                    "x, row 0: got 0.5; expected whole levels such as 0 to 255"),
    image_height=(lambda: Image(8), "Image: expected height and width, or neither, got height=8, width=None"),
    image_no_levels=(lambda: Image(8, 8, levels=0), "Image: expected 1 to 65536 levels, got 0"),
    label_of_grid=(lambda: given.model("p(image)", DIGITS, codecs={"image": Label()}), "image: expected one category a row"),
    label_stated=(lambda: given.model("p(city)", DATA, codecs={"city": Label(["Oslo", "Rome"])}),
                  "city, row 2: unseen category 'Turin'; expected one of 'Oslo', 'Rome'"),
    label_twice=(lambda: Label(["a", "a"]), "Label: expected a list of distinct categories, got ['a', 'a']"),
    label_mixed=(lambda: Label(["a", 1]), "expected categories of one type, got int, str"),
    label_none=(lambda: Label([]), "Label: expected a list of distinct categories, got []"),
)
def test_models(bad, said):
    refused(bad, said)


# Learning


def learn(formula="p(city) p(age, income | city)", **options):
    changed = {**DATA, **options.pop("data", {})}
    given.model(formula, DATA).fit({k: v for k, v in changed.items() if v is not None}, **options)


@cases(
    no_column=({"data": {"city": None}}, "city: no such column in the data; there are age, income"),
    unseen=({"data": {"city": ["Paris"] * N}}, "unseen category 'Paris'; expected one of"),
    shape=({"data": {"age": np.zeros((N, 2))}, "held_out": 0}, "age: expected one number a row, (B,), got (60, 2)"),
    text=({"data": {"age": DATA["city"]}}, "age, row 0: got 'Oslo'; expected a number"),
    nan=({"data": {"age": np.r_[DATA["age"][:59], np.nan]}, "held_out": 0}, "age, row 59: got nan; expected a finite number"),
    no_rows=({"data": {k: v[:0] for k, v in DATA.items()}, "held_out": 0},
             "fit: expected at least a row to learn from, got none"),
    few_rows=({"data": {k: v[:2] for k, v in DATA.items()}}, "fit: 2 rows are too few to hold out 10%; pass held_out=0"),
    held_out_all=({"held_out": 1.0}, "held_out=1.0; expected a share from 0 to 1, or rows of your own"),
    held_out_negative=({"held_out": -0.1}, "held_out=-0.1; expected a share from 0 to 1"),
    held_out_nan=({"held_out": float("nan")}, "held_out=nan; expected a share from 0 to 1"),
    weight_name=({"weight": "w"}, "weight: unknown name 'w'; there are age, city, income"),
    weight_negative=({"data": {"w": np.r_[np.ones(59), -1]}, "weight": "w", "held_out": 0},
                     "w, row 59: got -1.0; expected a weight of 0 or more"),
    weight_nan=({"data": {"w": np.full(N, np.nan)}, "weight": "w"}, "w, row 0: got nan; expected a weight of 0 or more"),
    weight_text=({"weight": "city"}, "city: expected one weight a row, got <U5"),
    weight_grid=({"data": {"w": np.ones((N, 2))}, "weight": "w", "held_out": 0}, "w: expected one weight a row, got float64"),
    weight_nothing=({"data": {"w": np.zeros(N)}, "weight": "w"}, "fit: expected at least a row with w above 0 to learn from"),
    minutes=({"minutes": 0}, "minutes=0; expected more than 0"),
    steps=({"steps": -3}, "steps=-3; expected more than 0"),
    epochs=({"epochs": 0.0}, "epochs=0.0; expected more than 0"),
    cpu_seconds=({"cpu_seconds": float("nan")}, "cpu_seconds=nan; expected more than 0"),
    text_budget=({"minutes": "2"}, "minutes='2'; expected more than 0"),
    batch=({"batch": 0}, "batch=0; expected a whole number of rows from 1"),
    lr=({"lr": -1.0}, "lr=-1.0; expected more than 0"),
    seed=({"seed": 1.5}, "seed=1.5; expected a whole number from 0"),
    constant=({"formula": "age", "data": {"age": np.full(N, 40.1)}, "held_out": 0}, "p(age): no entry varies"),
    resume=({"formula": "p(city | age)", "steps": 1, "resume": True}, "resume=True: expected checkpoint=..., the folder"),
)
def test_learning(bad, said):
    refused(lambda: learn(**bad), said)


def test_a_checkpoint_of_another_model_is_not_resumed(tmp_path):
    learn("p(city | age)", steps=1, checkpoint=tmp_path / "c")
    refused(lambda: learn("p(city | age, income)", steps=2, checkpoint=tmp_path / "c", resume=True),
            "made with another formula (p(city | age); now p(city | age, income))")


# Asking


@cases(
    unknown=(lambda: people().given(zip=3), "observed: unknown name 'zip'; there are city, age, income"),
    unseen=(lambda: people().given(city="Paris"),
            "city, row 0: unseen category 'Paris'; expected one of 'Oslo', 'Rome', 'Turin'"),
    text=(lambda: people().given(age="old"), "age, row 0: got 'old'; expected a number"),
    missing=(lambda: people().given(city=None), "city, row 0: missing value; expected a category"),
    nan=(lambda: people().given(age=np.nan), "age, row 0: got nan; expected a finite number"),
    infinity=(lambda: people().given(age=-np.inf), "age, row 0: got -inf; expected a finite number"),
    shape=(lambda: people().given(age=np.zeros((2, 2))), "age: expected one number a row, (B,), got (2, 2)"),
    none=(lambda: people().given(age=[]), "age: expected at least one item, got none"),
    lengths=(lambda: people().given(age=[1, 2], city=["Oslo"] * 3),
             "expected columns of one length, got {'age': 2, 'city': 3}"),
    no_mapping=(lambda: people().given(3), "expected a path, a mapping, a frame or columns by keyword, got int"),
    image_flat=(lambda: images().given(image=PIXELS[0].ravel()),
                "image: expected (B, 8, 8), got (64,); reshape or pass Image(8, 8)"),
    image_cut=(lambda: images().given(image=PIXELS[:, :4]), "image: expected (B, 8, 8), got (60, 4, 8)"),
    image_level=(lambda: images().given(image=PIXELS + 9), "expected 0 to 16; pass Image(levels=...) with enough levels"),
    image_scalar=(lambda: images().given(image=3), "image: expected (B, 8, 8), got ()"),
    image_text=(lambda: images().given(image="fox"), "image: expected whole levels, got <U3"),
    label_text=(lambda: images().given(label="fox"), "label, row 0: unseen category 'fox'; expected one of 0, 1, 2"),
    label_real=(lambda: images().given(label=3.5), "label, row 0: unseen category 3.5; expected one of 0, 1, 2"),
    part_shape=(lambda: given.part(PIXELS[0], seen=np.ones((3, 3))),
                "part: expected seen of shape (8, 8) or one that broadcasts"),
    part_numbers=(lambda: given.part(PIXELS[0], seen=np.arange(8)), "part: expected seen to be a mask of True and False"),
    prefix_long=(lambda: images().given(image=given.prefix(np.zeros((9, 8)))),
                 "expected at most 8 along the first axis of (8, 8)"),
    prefix_label=(lambda: images().given(label=given.prefix(3)), "label: has one entry, so no prefix"),
    no_factor=(lambda: images("p(image | label)").given(image=PIXELS[0]).mode(),
               'nothing says p(label); declare it, p(label) p(image | label), or pass prior={"label": "uniform"}'),
    no_factor_sample=(lambda: images("p(image | label)").sample(1), "p(image | label): label is not given; pass label=..."),
    impossible=(lambda: images(family=Empirical).given(image=PIXELS[0] * 0).mode(), "what is given has probability zero"),
    not_fitted=(lambda: given.model("p(image)", DIGITS, families={"image": Empirical}).sample(1),
                "p(image): has not learned anything yet; call fit(data) first"),
    n_zero=(lambda: people().sample(0), "sample: expected a whole number of draws from 1, got 0"),
    n_real=(lambda: people().sample(1.5), "sample: expected a whole number of draws from 1, got 1.5"),
    seed=(lambda: people().sample(1, seed="x"), "seed='x'; expected a whole number from 0"),
    how=(lambda: people().sample(1, how="greedy"), "sample: how='greedy'; expected a map from distribution to distribution"),
    ragged=(lambda: images().given(image=[[[1], [1, 2]]]), "image: rows of different shapes"),
    nothing_left=(lambda: people().given(city="Rome", age=1.0, income=2.0).mode(), "everything is given"),
    score_none=(lambda: people().given(city="Rome").score(), "score: nothing to score; pass the columns to score"),
    score_twice=(lambda: people().given(city="Rome").score(city="Rome"),
                 "city: is given and scored at once; score it, or give it"),
    score_lengths=(lambda: people().given(city=["Rome", "Oslo"]).score(age=[1.0, 2, 3]),
                   "score: 3 values for 2 items that are given"),
    score_empty=(lambda: people().given(city="Rome").score(age=[]), "age: expected at least one item, got none"),
    score_parent=(lambda: people().score(age=[40.0]),
                  "city is not given; log_prob is the log of the printed formula; pass city"),
    score_unknown=(lambda: people().score(zip=[1]), "unknown name 'zip'; there are city, age, income"),
    score_foreign=(lambda: people().score(DIGITS), "no column 'city', which p(city) p(age, income | city) has"),
    score_no_rows=(lambda: people().score(age=[], city=[]), "data: expected at least one row, got none"),
    probabilities=(lambda: people().given().probabilities("age"), "age: expected a single finite entry"),
)
def test_questions(bad, said):
    refused(bad, said)


@cases(
    unknown=({"zip": "uniform"}, "prior: unknown name 'zip'; there are image, label"),
    word=({"label": "flat"}, "prior: label: expected 'uniform' or category -> probability, got 'flat'"),
    a_list=({"label": [0.1] * 10}, "prior: label: expected 'uniform' or category -> probability, got list"),
    total=({"label": {0: 0.5}}, "prior: label: expected probabilities that sum to 1, got a sum of 0.5"),
    negative=({"label": {0: 1.5, 1: -0.5}}, "prior: label: expected probabilities of 0 or more, got -0.5"),
    text=({"label": {0: "all"}}, "prior: label: expected probabilities of 0 or more, got 'all'"),
    unseen=({"label": {77: 1.0}}, "label, row 0: unseen category 77"),
    no_condition=({"image": "uniform"}, "prior: p(image) is a factor of p(image | label)"),
    no_mapping=("uniform", "prior: expected a mapping such as {\"label\": \"uniform\"}, got 'uniform'"),
)
def test_priors(bad, said):
    refused(lambda: images("p(image | label)").given(image=PIXELS[0], prior=bad), said)


# Saved models


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "people.given"
    people().save(path)
    return path


def _config(change):
    def edit(folder):
        config = json.loads((folder / "config.json").read_text())
        change(config)
        (folder / "config.json").write_text(json.dumps({**config, "checksum": _checksum(config)}))

    return edit


def _append(name, content):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes() + content)


def _replace(name, old, new):
    return lambda folder: (folder / name).write_text((folder / name).read_text().replace(old, new))


def _write(name, content):
    return lambda folder: (folder / name).write_bytes(content)


@cases(
    no_config=(lambda folder: (folder / "config.json").unlink(), "config.json is missing; this is not a whole saved model"),
    no_weights=(lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors is missing"),
    empty_config=(_write("config.json", b""), "config.json: cannot be read"),
    binary_config=(_write("config.json", b"\xff\xfe"), "config.json: cannot be read"),
    other_json=(_write("config.json", b"[1]"), "config.json: was changed since it was saved, or is not a model of given"),
    edited_config=(_replace("config.json", "Rome", "Roma"),
                   "config.json: was changed since it was saved"),
    edited_weights=(_append("model.safetensors", b"\0"),
                    "model.safetensors: was changed since it was saved, or is of another model"),
    empty_weights=(_write("model.safetensors", b""), "model.safetensors: was changed since it was saved"),
    foreign=(_write("model.pkl", b""), "model.pkl is not part of a saved model; remove it"),
    no_such_class=(_config(lambda c: c["factors"][0].update({"class": "os.system"})), "the class os.system is not known"),
    no_class=(_config(lambda c: c["variables"]["age"].update({"class": "codecs.infer"})),
              "the class codecs.infer is not known"),
    no_key=(_config(lambda c: c.pop("variables")), "config.json: describes no model of given"),
    other_option=(_config(lambda c: c["factors"][0]["arguments"].update(depth=3)), "unexpected keyword argument 'depth'"),
    other_order=(_config(lambda c: c["factors"].reverse()), "model.safetensors: does not fit"),
)
def test_saved_folders(bad, said, saved, tmp_path):
    folder = tmp_path / "m.given"
    shutil.copytree(saved, folder)
    given.load(folder)
    bad(folder)
    refused(lambda: given.load(folder), said)


def test_no_folder_to_load(tmp_path):
    (tmp_path / "file").touch()
    refused(lambda: given.load(tmp_path / "none"), "none: no such folder")
    refused(lambda: given.load(tmp_path / "file"), "file: is a file; expected a folder")


class Mine(Gaussian):
    """A family of the user's own."""


def test_a_class_of_the_users_own_is_handed_in(tmp_path):
    model = given.Model(Mine(people().joint.columns["age"]))
    model.save(tmp_path / "m")
    refused(lambda: given.load(tmp_path / "m"), "the class Mine is not known; pass it, given.load(path, classes=[Mine])")
    refused(lambda: given.load(tmp_path / "m", classes=Mine), "expected classes to be a list of classes")
    assert str(given.load(tmp_path / "m", classes=[Mine])) == "p(age)"


def test_what_cannot_be_saved_writes_nothing(tmp_path):
    family = functools.partial(Categorical, context=lambda parents, width: None)
    model = given.model("p(city)", DATA, families={"city": family})
    refused(lambda: model.save(tmp_path / "m"), "p(city): cannot save the argument <function")
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_hold_a_model(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.tex").touch()
    refused(lambda: people().save(tmp_path / "file"), "file: a file is in the way; choose another name")
    refused(lambda: people().save(tmp_path / "file" / "m"), "cannot be written")
    refused(lambda: people().save(tmp_path / "folder"), "folder: holds thesis.tex, which would be lost; choose a new folder")
    refused(lambda: people().save(""), "expected the name of a folder, got an empty one")
    assert sorted(str(f.relative_to(tmp_path)) for f in tmp_path.rglob("*")) == ["file", "folder", "folder/thesis.tex"]


def test_a_save_that_breaks_leaves_the_old_model(saved, tmp_path, monkeypatch):
    folder = tmp_path / "m.given"
    shutil.copytree(saved, folder)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    refused(lambda: people().save(folder), "m.given: cannot be written (No space left on device)")
    assert [file.name for file in tmp_path.iterdir()] == ["m.given"]
    assert str(given.load(folder)) == str(people())

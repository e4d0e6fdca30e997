"""Cells: how one is spelled when it is written, and how one is read that a model has learned to read."""

import json

import numpy as np
import pytest

import given
from given.app.cli import main
from given.sources import read

STEPS = {"steps": 3, "held_out": 0, "progress": False}


def _lines(n, *cells):
    """A table of n rows that repeat a few cells a column, "" among them for a hole."""
    return "\n".join([",".join(f"c{i}" for i in range(len(cells))),
                      *(",".join(column[row * (i + 1) % len(column)] for i, column in enumerate(cells)) for row in range(n))])


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """A model of whole numbers beside holes, decimals, booleans beside holes, amounts and dates, and its folder."""
    folder = tmp_path_factory.mktemp("odd")
    rng = np.random.default_rng(0)
    rows = ["n,price,flag,paid,day"]
    for i in range(60):
        rows.append(f"{'' if i % 7 == 0 else rng.integers(1000)},{rng.integers(1, 9)}.{rng.integers(10)}0,"
                    f"{['true', 'false', ''][i % 3]},{'' if i % 5 == 0 else f'${rng.integers(1000)}'},2024-03-{i % 28 + 1:02}")
    (folder / "odd.csv").write_text("\n".join(rows))
    model = given.model(data=folder / "odd.csv")
    model.fit(folder / "odd.csv", **STEPS)
    model.save(folder / "odd.given")
    return model, folder


def test_a_column_is_spelled_alike_in_every_file(odd, tmp_path, capsys):
    model, folder = odd
    draws = model.sample(40)
    draws.save(tmp_path / "d.csv")
    main(["sample", str(folder / "odd.given"), "-n", "40"])
    printed = capsys.readouterr().out
    assert printed == (tmp_path / "d.csv").read_text()
    cells = [line.split(",") for line in printed.splitlines()[1:]]
    assert {"." in row[0] for row in cells} == {False} and {"." in row[3] for row in cells} == {False}
    assert {len(row[1].partition(".")[2]) for row in cells} == {2}
    records = list(draws.records())
    assert {type(r["n"]) for r in records} == {int, type(None)} and {type(r["flag"]) for r in records} == {bool, type(None)}
    again = read(tmp_path / "d.csv")
    assert again.dtypes == {k: v for k, v in read(folder / "odd.csv").dtypes.items() if k != "paid"} | {"paid": "Int64"}


def test_whole_numbers_beside_holes_are_whole_in_jsonl_parquet_and_frames(odd, tmp_path):
    pytest.importorskip("pyarrow")
    draws = odd[0].sample(40)
    draws.save(tmp_path / "d.jsonl")
    draws.save(tmp_path / "d.parquet")
    for path in (tmp_path / "d.jsonl", tmp_path / "d.parquet"):
        assert {read(path).dtypes[name] for name in ("n", "paid")} == {"Int64"}, path
    assert all(isinstance(json.loads(line)["n"], int | None) for line in (tmp_path / "d.jsonl").read_text().splitlines())
    frame = draws.to_pandas()
    assert [str(frame[name].dtype) for name in ("n", "flag", "paid")] == ["Int64", "boolean", "Int64"]


def test_completed_cells_are_spelled_as_those_that_were_there(odd, tmp_path, capsys):
    (tmp_path / "holes.csv").write_text("n,price,flag,paid,day,own\n,2.50,true,7,2024-03-01,1\n5,,,,,\n")
    main(["complete", str(odd[1] / "odd.given"), str(tmp_path / "holes.csv")])
    first, second = [line.split(",") for line in capsys.readouterr().out.splitlines()[1:]]
    assert first[1:] == ["2.50", "true", "7", "2024-03-01", "1"] and first[0].isdecimal()
    assert second[0] == "5" and second[3].isdecimal() and len(second[1].partition(".")[2]) == 2 and second[5] == ""


def test_categories_of_whole_numbers_beside_holes_are_named_without_a_point():
    n = np.array([1, 2, np.nan] * 20)
    model = given.model(data={"n": n, "x": np.random.default_rng(0).normal(size=60)})
    assert model.joint.columns["n"].codec.names() == ["1", "2", "(missing)"]

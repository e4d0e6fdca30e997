"""Cells: how one is spelled when it is written, and how one is read that a model has learned to read."""

import io
import json

import numpy as np
import pytest

import given
from given.app.cli import main
from given.app.data import observations
from given.sources import read
from given.variables import UserError

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
    assert first[1:] == ["2.50", "True", "7", "2024-03-01", "1"] and first[0].isdecimal()
    assert second[0] == "5" and second[3].isdecimal() and len(second[1].partition(".")[2]) == 2 and second[5] == ""


def test_categories_of_whole_numbers_beside_holes_are_named_without_a_point():
    n = np.array([1, 2, np.nan] * 20)
    model = given.model(data={"n": n, "x": np.random.default_rng(0).normal(size=60)})
    assert model.joint.columns["n"].codec.names() == ["1", "2", "(missing)"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A model of amounts with a decimal comma, shares, days before months, times with a zone and categories with a hole."""
    folder = tmp_path_factory.mktemp("shop")
    rows = ["when;price;weight;share;at;city;n"]
    for i in range(60):
        rows.append(f"{i % 28 + 1:02}/{i % 12 + 1:02}/2024;${i * 37 + 5};{1 + i},{i % 10}5;{i % 50 + 1}%;"
                    f"2024-03-{i % 28 + 1:02}T10:00:00+02:00;{['Rome', 'Oslo', 'NA'][i % 3]};{'' if i % 4 == 0 else i * 50}")
    (folder / "shop.csv").write_text("\n".join(rows))
    model = given.model(data=folder / "shop.csv")
    model.fit(folder / "shop.csv", **STEPS)
    model.save(folder / "shop.given")
    return given.load(folder / "shop.given"), folder


ROW = {"when": "03/04/2024", "price": "$1042", "weight": "1,5", "share": "5%", "at": "2024-03-05T09:00:00+02:00", "city": "NA",
       "n": "NA"}
MEANT = {"when": "2024-04-03", "price": 1042, "weight": 1.5, "share": 5, "at": "2024-03-05T07:00:00Z", "city": None, "n": None}


def test_a_row_too_few_to_decide_is_read_as_the_file_learned_from(shop, tmp_path):
    (tmp_path / "one.csv").write_text(";".join(ROW) + "\n" + ";".join(ROW.values()) + "\n")
    found = next(iter(read(tmp_path / "one.csv", learned=shop[0].cells).records()))
    assert found == MEANT
    raw = {**MEANT, "at": "2024-03-05T07:00:00", "n": np.nan}  # as the array has it
    assert shop[0].log_prob(tmp_path / "one.csv") == pytest.approx(shop[0].log_prob(
        {name: np.array([value], dtype=object if value is None else None) for name, value in raw.items()}))


def test_conditions_of_a_command_line_are_read_as_cells(shop, capsys):
    assert main(["sample", str(shop[1] / "shop.given"), *(f"{k}={v}" for k, v in ROW.items() if k != "weight"), "-n", "2",
                 "--json"]) == 0
    for line in capsys.readouterr().out.splitlines():
        assert json.loads(line) == MEANT | {"weight": json.loads(line)["weight"]}


@pytest.mark.parametrize("condition,message", [
    ("price=€5", "price, row 0: got '€5'"), ("weight=1.234", "'1.234' may be written as 1.234,5 and as 1,234.5"),
    ("n=many", "'many'"), ("when=soon", "'soon'"), ("when=NA", "when=NA: no value of it was missing where it was learned"),
    ("price=null", "price=null: no value of it was missing")])
def test_a_condition_that_has_no_place_is_named(shop, condition, message, capsys):
    assert main(["sample", str(shop[1] / "shop.given"), condition]) == 1
    line = capsys.readouterr().err
    assert message in line and line.count("\n") == 1


def test_a_pipe_is_read_as_a_file_is(shop, monkeypatch, capsys):
    model, folder = shop
    text = "\n".join((folder / "shop.csv").read_text().splitlines()[:9] + [";".join(ROW.values())]) + "\n"
    (folder / "few.csv").write_text(text)
    out = []
    for source in (str(folder / "few.csv"), "-"):
        _pipe(monkeypatch, text)
        assert main(["score", str(folder / "shop.given"), source]) == 0
        out.append(capsys.readouterr())
    assert out[0] == out[1] and len(out[0].out.splitlines()) == 10
    assert model.score(folder / "few.csv").value > -100  # nothing is new


def _pipe(monkeypatch, text):
    raw = io.BufferedReader(io.BytesIO(text.encode()))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(raw))


def test_what_given_writes_is_read_as_it_was_meant(shop, tmp_path):
    model = shop[0]
    draws = model.sample(30)
    draws.save(tmp_path / "d.csv")
    assert list(read(tmp_path / "d.csv", learned=model.cells).records()) == list(draws.records())


def test_numbers_that_the_data_writes_in_another_way_than_given_are_in_doubt(shop, tmp_path):
    (tmp_path / "w.csv").write_text("weight,city\n1.234,Rome\n12.345,Oslo\n")
    with pytest.raises(given.UserError, match=r"weight: all cells may be written as 1\.234,5 and as 1,234\.5"):
        shop[0].score(tmp_path / "w.csv")
    learned = shop[0].cells
    assert read(tmp_path / "w.csv", learned=learned, decimal=",")["weight"].tolist() == [1234, 12345]
    assert read(tmp_path / "w.csv", learned=learned, decimal=".")["weight"].tolist() == [1.234, 12.345]
    (tmp_path / "w.csv").write_text("weight,city\n1.234,Rome\n12.5,Oslo\n")
    assert read(tmp_path / "w.csv", learned=learned)["weight"].tolist() == [1.234, 12.5]


def test_a_bad_cell_among_good_ones_is_the_only_new_value(shop, tmp_path):
    (tmp_path / "b.csv").write_text("weight;when;city\n1,5;03/04/2024;Rome\nabc;13/04/2024;Oslo\n2,5;soon;NA\n")
    score = shop[0].score({name: values for name, values in read(tmp_path / "b.csv", learned=shop[0].cells).items()
                           if name in ("weight", "when", "city")})
    assert {name: counts.tolist() for name, counts in score.new.items()} == {"weight": [0, 1, 0], "when": [0, 0, 1]}


def test_text_stays_text_though_new_cells_look_like_numbers(tmp_path):
    (tmp_path / "c.csv").write_text("zip,x\n" + "".join(f"{['007', '12', 'A1'][i % 3]},{i * .5}\n" for i in range(60)))
    model = given.model(data=tmp_path / "c.csv")
    model.fit(tmp_path / "c.csv", **STEPS)
    (tmp_path / "one.csv").write_text("zip,x\n12,2.5\n")
    (tmp_path / "one.jsonl").write_text('{"zip": 12, "x": "2.5"}\n')
    for name in ("one.csv", "one.jsonl"):
        assert not model.score(tmp_path / name).new, name
        assert read(tmp_path / name, learned=model.cells)["zip"].tolist() == ["12"]


def test_numbers_in_two_blocks_of_a_file_share_one_reading(tmp_path, monkeypatch):
    monkeypatch.setattr("given.sources.delimited_text._CHUNK", 64)
    (tmp_path / "t.csv").write_text("a;b\n" + "1.234;x\n" * 20 + "1.234,5;y\n" * 20)
    assert set(read(tmp_path / "t.csv")["a"].tolist()) == {1234, 1234.5}


def test_a_query_is_answered_by_batches_as_at_once(shop, monkeypatch, capsys, tmp_path):
    path, data = str(shop[1] / "shop.given"), str(shop[1] / "shop.csv")
    answers = []
    for at_once, source in ((1 << 12, data), (7, data), (7, "-")):
        monkeypatch.setattr("given.app.ask._AT_ONCE", at_once)
        for question, n in (("city | price", "1"), ("price | city", "1"), ("price | city", "2")):
            _pipe(monkeypatch, (shop[1] / "shop.csv").read_text())
            assert main(["query", path, question, source, "-n", n]) == 0
            answers.append(capsys.readouterr().out)
    assert answers[:3] == answers[3:6] == answers[6:] and len(answers[0].splitlines()) == 61


def test_a_query_asks_for_a_few_rows_at_a_time(shop, monkeypatch, capsys):
    monkeypatch.setattr("given.app.ask._AT_ONCE", 7)
    sizes = []
    real = given.Model.given
    monkeypatch.setattr(given.Model, "given", lambda self, data: sizes.append(len(data["price"].values)) or real(self, data))
    main(["query", str(shop[1] / "shop.given"), "city | price", str(shop[1] / "shop.csv")])
    assert max(sizes) == 7 and sum(sizes) == 60


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    folder = tmp_path_factory.mktemp("book")
    lines = ["the cat sat on the mat", "a dog", "the dog sat", "the cat ate the dog on the mat and sat"] * 10
    (folder / "book.csv").write_text("text\n" + "\n".join(lines) + "\n")
    model = given.model("p(text)", folder / "book.csv", codecs={"text": given.codecs.Text()},
                        families={"text": given.families.NGram})
    model.fit(folder / "book.csv", **STEPS)
    model.save(folder / "book.given")
    (folder / "new.csv").write_text("text\nthe cat sat on the mat\nqdq\nthe cat ate the dog on the mat and sat\na tam\n")
    return folder


def test_texts_of_a_pipe_are_ranked_and_scored_as_those_of_a_file(book, monkeypatch, capsys):
    for options in (["--anomalies", "4"], [], ["--json"]):
        out = []
        for source in (str(book / "new.csv"), "-"):
            _pipe(monkeypatch, (book / "new.csv").read_text())
            assert main(["score", str(book / "book.given"), source, "--format", "csv", *options]) == 0
            out.append(capsys.readouterr())
        assert out[0] == out[1] and ("nats/character" in out[0].err + out[0].out)
    main(["score", str(book / "book.given"), str(book / "new.csv"), "--anomalies", "4"])
    rows = [int(line.split(",")[0]) for line in capsys.readouterr().out.splitlines()[1:]]
    assert rows[0] == 1 and rows[1] == 3  # by a character, not by length


def test_fit_and_score_of_pictures_and_texts_print_one_unit(tmp_path, book, capsys):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "p.npz", image=rng.integers(0, 2, (40, 4, 4), dtype=np.uint8))
    for path, unit in ((tmp_path / "p.npz", "bits/dim"), (book / "book.csv", "nats/character")):
        how = [] if unit == "bits/dim" else ["p(text)", "--as", "text=text", "--family", "text=NGram"]
        assert main(["fit", str(path), *how, "-o", str(tmp_path / "m.given"), "--steps", "2"]) == 0
        assert unit in capsys.readouterr().out
        assert main(["score", str(tmp_path / "m.given"), str(path)]) == 0
        assert f" {unit} (" in capsys.readouterr().err


ODD = {  # a column's cells, as a file may have them; each is learned, drawn, written and read again
    "dates": ["2024-03-01", "2024-04-17", "2023-12-31"],
    "moments": ["2024-03-01T10:30", "2024-04-17T23:15", "2023-12-31T00:00"],
    "clocks": ["10:30", "23:15", "00:05"], "zones": ["2024-03-01T10:30:00+02:00", "2024-04-17T23:15:00Z", ""],
    "days": ["01/03/2024", "17/04/2024", "31/12/2023"], "booleans": ["true", "false", "true"],
    "booleans and holes": ["TRUE", "", "FALSE"], "zeros": ["007", "010", "003"], "zeros and holes": ["007", "NA", "003"],
    "whole": ["12", "500", "-7"], "whole and holes": ["12", "", "500"], "decimals": ["2.50", "3.10", "14.00"],
    "decimals and holes": ["2.50", "", "14.00"], "points": ["1.0", "2.0", "70.0"], "varied": ["2", "3.25", "-0.5"],
    "commas": ["2,50", "1.234,10", "14,00"], "amounts": ["$5", "$1200", ""],
    "shares": ["5%", "12.5%", "7%"], "text": ["a; b", 'say "c"', " d,\te\n"], "all missing": ["", "NA", ""]}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_columns_are_of_the_same_kind_after_a_draw_is_written_and_read(delimiter, tmp_path, capsys):
    def quoted(cell):
        odd = set(cell) & set(f'{delimiter}"\n') or cell.strip() != cell
        return '"' + cell.replace('"', '""') + '"' if odd else cell

    rows = [list(ODD), *([cells[(i + i // 3 * k) % 3] for k, cells in enumerate(ODD.values())] for i in range(60))]
    (tmp_path / "x.csv").write_text("\n".join(delimiter.join(map(quoted, row)) for row in rows) + "\n")
    assert main(["fit", str(tmp_path / "x.csv"), "-o", str(tmp_path / "x.given"), "--steps", "3", "--held-out", "0"]) == 0
    before, model = read(tmp_path / "x.csv"), given.load(tmp_path / "x.given")
    for name in ("d.csv", "d.tsv", "d.jsonl"):
        assert main(["sample", str(tmp_path / "x.given"), "-n", "60", "-o", str(tmp_path / name)]) == 0
        after = read(tmp_path / name)
        assert after.names == before.names
        for column in ODD:
            kinds = [data[column].dtype.kind.replace("O", "U") for data in (before, after)]
            plain = {"measured": None, "measured(0)": "Int64", "measured(2)": "fixed(2)"}
            plain |= {"measured": "fixed(0)"} if column == "shares" else {}
            dtypes = [plain.get(str(data.dtypes.get(column)), data.dtypes.get(column)) for data in (before, after)]
            assert kinds[0] == kinds[1] and (dtypes[0] == dtypes[1] or name == "d.jsonl"), (column, dtypes)
        assert not model.score(tmp_path / name).new


def test_what_messages_tell_to_write_can_be_written():
    """Names in backticks, and a value of the shape that a column has."""
    data = {"a b": ["x", "y"] * 4, "c": ["u", "v", "v", "u"] * 2, "hand": (np.arange(16) - 0.25).reshape(8, 1, 2)}
    with pytest.raises(UserError, match=r"unknown name 'a'; .*in a formula it stands in backticks, `a b`$"):
        given.model("p(a | c)", data)
    model = given.model("p(`a b`, c)", data)
    model.fit(data, steps=1, held_out=0, progress=False)
    with pytest.raises(UserError, match=r"as p\(c\) p\(`a b` \| c\)$"):
        model.do(c="u")
    model = given.model("p(c | hand)", data)
    for text, many in ("x", ""), ("[1, 2, 3]", "1 x 2 "):
        with pytest.raises(UserError, match=rf"expected a JSON list of its {many}values, as 'hand=\[\[1, 2\]\]'$"):
            observations([("hand", text)], model)
    assert observations([("hand", "[[1, 2]]")], model) == {"hand": [[1, 2]]}

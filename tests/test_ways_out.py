"""Ways out: what somebody meets who uses the command on data of their own, and what it says then."""

from __future__ import annotations

import shlex

import numpy as np
import pytest

import given
from given.app.cli import main
from given.codecs import Label, Number, Series, Text, Time
from given.families import Gaussian
from given.ways import in_shell

N = 60
WEATHER = {"weather": np.array(["sun", "rain", "fog"] * 20), "temp_max": np.arange(N) * 1.37 % 17,
           "temp_min": np.arange(N) % 13 / 7}


@pytest.fixture
def weather(tmp_path):
    given.read(WEATHER).save(tmp_path / "weather.csv")
    return str(tmp_path / "weather.csv")


def said(capsys, *arguments: object) -> tuple[int, str]:
    try:
        status = main([str(a) for a in arguments]) or 0
    except SystemExit as stopped:
        status = int(stopped.code)
    return status, capsys.readouterr().err


def test_a_family_of_one_column_names_the_whole_left_side(weather, capsys):
    formula = "p(temp_max, temp_min | weather)"
    assert said(capsys, "fit", weather, formula, "--family", "temp_max=Gaussian", "--dry-run") == (1, (
        "given: families: temp_max is one column of a factor, and a family is of its whole left side, 'temp_max, temp_min'\n"))
    _, err = said(capsys, "fit", weather, formula, "--family", "wether=Gaussian", "--dry-run")
    assert err == "given: families: unknown name 'wether'; there are 'temp_max, temp_min'\n"


@pytest.mark.parametrize(("arguments", "meant"), [
    (["p(wether)"], "unknown name 'wether'; did you mean 'weather'? there are weather, temp_max, temp_min"),
    (["p(weather)", "--family", "weather=Categorcal"], "unknown name 'Categorcal'; did you mean 'Categorical'?")])
def test_a_slip_of_the_pen_is_recognised(weather, capsys, arguments, meant):
    status, err = said(capsys, "fit", weather, *arguments, "--dry-run")
    assert status == 1 and meant in err and err.count("\n") == 1


def test_wrong_usage_is_one_line(capsys):
    for arguments in (["fit", "a.csv", "--cpu-seconds", "-3"], ["sample", "a.given", "-n", "0"], ["smple"]):
        status, err = said(capsys, *arguments)
        assert status == 2 and err.count("\n") == 1 and ": error: " in err and "--help" in err


def test_a_column_of_text_is_left_out_of_a_table_with_a_note(tmp_path, capsys):
    texts = np.array([f"{i} {'abc'[i % 3]} street, floor {i % 7}, beside the {'old new'.split()[i % 2]} one" for i in range(N)])
    given.read({**WEATHER, "address": texts}).save(tmp_path / "t.csv")
    assert main(["fit", str(tmp_path / "t.csv"), "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "p(weather, temp_max, temp_min)\n" in out and "column address" in out and "left out: running text" in out
    assert "p(address | weather, temp_max, temp_min)" in out
    given.read({"address": texts, "weather": WEATHER["weather"]}).save(tmp_path / "two.csv")
    _, err = said(capsys, "fit", tmp_path / "two.csv", "--dry-run")
    assert "of which text is address; write the formula, such as p(weather) p(address | weather)" in err


def test_compress_of_reals_says_how_to_learn_again(weather, tmp_path, capsys):
    model = tmp_path / "w.given"
    main(["fit", weather, "-o", str(model), "--steps", "3"])
    capsys.readouterr()
    status, err = said(capsys, "compress", model, weather, "-o", tmp_path / "w.gvnc")
    assert status == 1 and "temp_max, temp_min: expected finitely many values to code" in err and err.count("\n") == 1
    again = err.strip().partition("given fit ")[2].split()
    assert main(["fit", *again, "-o", str(model), "--steps", "3"]) == 0
    assert main(["compress", str(model), weather, "-o", str(tmp_path / "w.gvnc")]) in (0, None)


def test_a_folder_of_code_names_the_task(tmp_path, capsys):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text("x = 1\n")
    status, err = said(capsys, "fit", tmp_path / "src", "--dry-run")
    assert status == 1 and "source code by --task code" in err


def test_a_file_of_pictures_that_cannot_be_is_named(weather, tmp_path, capsys):
    main(["fit", weather, "p(weather)", "-o", str(tmp_path / "w.given"), "--steps", "3"])
    capsys.readouterr()
    assert "x.png: expected one column of images" in said(capsys, "sample", tmp_path / "w.given", "-o", tmp_path / "x.png")[1]


def test_a_file_most_of_whose_rows_are_skipped_is_doubted(tmp_path, capsys):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n" + "1,2,3\n" * 5)
    _, err = said(capsys, "fit", tmp_path / "t.csv", "p(a)", "--skip-bad", "--dry-run")
    assert "only 1 of 6 could be read" in err and "--delimiter" in err


def test_few_values_are_printed_as_a_table():
    few = given.read({"fair": np.array([0.25, 1 / 3]), "cut": np.array(["ideal", "good"]), "n": np.array([1, 20])})
    assert str(few).splitlines() == ["    fair    cut   n", "    0.25  ideal   1", "0.333333   good  20"]
    assert repr(few) == "Columns(2; fair: float64, cut: <U5, n: int64)"
    for many in (np.arange(11), np.zeros((2, 3)), np.array(["long" * 20])):
        columns = given.read({"x": many})
        assert str(columns) == repr(columns)


def test_a_report_bins_dates_numbers_rows_as_the_file_and_says_the_measure_once(tmp_path, capsys):
    days = (np.datetime64("2012-01-01") + np.arange(200)).astype(str)
    data = {"day": days, "x": np.where(np.arange(200) == 123, 60.0, np.sin(np.arange(200)))}
    given.read(data).save(tmp_path / "d.csv")
    files = [str(tmp_path / "d.given"), str(tmp_path / "d.csv")]
    model = given.model("p(day, x)", files[1])
    model.fit(files[1], steps=5, held_out=0.5)
    model.save(files[0])
    assert main(["report", *files, "-o", str(tmp_path / "r.html")]) in (0, None)
    page = (tmp_path / "r.html").read_text()
    assert ">others<" not in page and page.count("length in days") == 2  # the lead, and once under the table
    held = model.split(given.read(files[1]))[1]
    shown = [row.split("</td><td>") for row in page.partition("The least probable items")[2].split("<tr><td>")[1:11]]
    for row, _, day, *_ in shown:
        assert day.startswith(str(days[int(row)])) and days[int(row)] in held["day"]


def test_how_a_fit_ended_is_printed_in_words(weather, tmp_path, capsys):
    main(["fit", weather, "p(weather)", "-o", str(tmp_path / "w.given")])
    assert "closed form: counted or solved, without steps" in capsys.readouterr().out


def test_long_answers_say_how_far_they_are_on_a_terminal(weather, tmp_path, capsys, monkeypatch):
    model = str(tmp_path / "w.given")
    main(["fit", weather, "p(weather)", "-o", model])
    for terminal in (False, True):
        monkeypatch.setattr("sys.stderr.isatty", lambda terminal=terminal: terminal)
        capsys.readouterr()
        given.read({"weather": WEATHER["weather"]}).save(tmp_path / "only.csv")
        main(["compress", model, str(tmp_path / "only.csv"), "-o", str(tmp_path / "w.gvnc")])
        assert (f"coding {N} rows" in capsys.readouterr().err) == terminal


def test_a_fit_of_dates_says_that_no_season_is_learned(tmp_path, capsys):
    days = (np.datetime64("2012-01-01") + np.arange(99)).astype(str)
    given.read({"day": days, "x": np.sin(np.arange(99))}).save(tmp_path / "d.csv")
    main(["fit", str(tmp_path / "d.csv"), "--rows", "--dry-run"])
    out = capsys.readouterr().out
    assert "day: each read as one number on a line" in out and "season" in out


def test_complete_says_that_dates_are_written_otherwise_than_the_file_has_them(tmp_path, capsys):
    rows = "".join(f"{day % 28 + 1:02}/{day % 12 + 1:02}/2021,{day}\n" for day in range(60))
    (tmp_path / "d.csv").write_text("day,x\n" + rows)
    main(["fit", str(tmp_path / "d.csv"), "p(day, x)", "-o", str(tmp_path / "d.given"), "--steps", "3"])
    (tmp_path / "h.csv").write_text("day,x\n03/07/2021,\n,4\n")
    capsys.readouterr()
    main(["complete", str(tmp_path / "d.given"), str(tmp_path / "h.csv")])
    printed = capsys.readouterr()
    assert printed.err == "day: times written as day/month/year, read as ISO, and written so\n"
    assert printed.out.splitlines()[1].startswith("2021-07-03,")


def test_holes_that_stay_are_counted_by_column(tmp_path, capsys):
    rows = {"kind": np.array(["a", "b"] * 1500), "doc": np.array(["one"] + [None] * 2999)}
    model = given.model("p(kind, doc)", rows, codecs={"doc": given.codecs.Label(missing="symbol")},
                        families={"kind, doc": given.families.Independent})
    model.fit(rows, held_out=0, steps=1)
    model.save(tmp_path / "m.given")
    (tmp_path / "h.csv").write_text("kind,doc\na,\nb,\n")
    main(["complete", str(tmp_path / "m.given"), str(tmp_path / "h.csv")])
    assert "doc: 2 holes stay: " in capsys.readouterr().err


def test_a_way_out_is_in_the_words_of_who_asks(tmp_path, capsys):
    """No option of Python reaches the shell, and none of the shell a person in Python."""
    (tmp_path / "one.csv").write_text("x,y\n1.5,2\n")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("a")
    (tmp_path / "docs" / "b.odd").write_text("b")
    one, docs = str(tmp_path / "one.csv"), str(tmp_path / "docs")
    (tmp_path / "x.odd").write_text("x")
    for asked, python, shell in [
            ((one, "p(x)", "--held-out", "0.5"), lambda: given.model("p(x)", one).fit(one, held_out=0.5),
             "--held-out 0"),
            ((one, "p(x)", "--as", "x=label", "--family", "x=GaussianMixture"),
             lambda: given.model("p(x)", one, codecs={"x": given.codecs.Label()}, families={
                 "x": given.families.GaussianMixture}), "--as x=number"),
            ((one, "p(x)", "--family", "x=Ensemble"), lambda: given.model("p(x)", one, families={
                "x": given.families.Ensemble}), "--family 'x=Ensemble(families=(Independent, Autoregressive))'"),
            ((docs,), lambda: given.read(docs), "--skip-bad"),
            ((str(tmp_path / "x.odd"),), lambda: given.read(tmp_path / "x.odd"), "--format"),
            ((one, "p(x | y=2)"), lambda: given.model("p(x | y=2)", one), "given sample MODEL y=2")]:
        status, err = said(capsys, "fit", *asked, "-o", tmp_path / "m.given")
        assert status == 1 and shell in err and err.count("\n") == 1, err
        with pytest.raises(given.UserError) as error:
            python()
        assert shell not in str(error.value) and "--" not in str(error.value)


XY, LONG = {"x": [1.5, 2.5], "k": ["a", "b"]}, {"t": ["a" * 20, "b" * 9], "k": ["a", "b"]}


def learned(formula, data, **codecs):
    model = given.model(formula, data, codecs=codecs)
    model.facts["fitted"] = True
    return model


@pytest.mark.parametrize(("ask", "shell"), [
    (lambda: learned("p(x | k)", XY).sample(), "give k=VALUE"),
    (lambda: learned("p(k | t)", LONG, t=Text(window=8)), "--as 't=Text(window=LENGTH)'"),
    (lambda: learned("p(k | t)", {**LONG, "t": [[1.0] * 20, [2.0] * 9]}, t=Series(Number(), window=8)),
     "--as 't=Series(Number(), window=LENGTH)'"),
    (lambda: learned("p(x)", XY, x=Number()).compress(x=[1.5]), "--as x=label"),
    (lambda: learned("p(x)", XY).sample(length=3), "--length 3"),
    (lambda: learned("p(k)", XY, k=Label()).given().rank(k=["a"], pmi=learned("p(x)", XY)), "--pmi"),
    (lambda: learned("p(t)", {"t": ["ab", "b"]}, t=Text(longest=2)).given(t="abba"), "Text(longest=4) by --as"),
    (lambda: given.read({"k": ["a"], "d": [1.0]}, by="k"), "k: no column differs")])
def test_what_is_offered_in_a_shell_can_be_typed_there(ask, shell):
    with in_shell(), pytest.raises(given.UserError) as typed:
        ask()
    assert shell in str(typed.value)
    assert not any(python in str(typed.value) for python in ("codecs=", "prior=", "length=3", "pmi=", "(window=...)", "NAME"))
    with pytest.raises(given.UserError) as written:
        ask()
    assert "--" not in str(written.value) and "VALUE" not in str(written.value)


def test_an_order_is_offered_without_a_name_to_fill_in():
    data = {"t": [[1.0, None, 2.0], [1.0, 2.0, 3.0]]}
    with in_shell(), pytest.raises(given.UserError, match=r"Autoregressive\(order=AnyOrder\(\)\) by --family") as typed:
        model = given.model("p(t)", data, codecs={"t": Series(Number(missing="unknown"))}, families={"t": "Autoregressive"})
        model.facts["fitted"] = True
        model.score(data)
    assert "NAME" not in str(typed.value)


def test_a_family_of_densities_says_how_to_learn_columns_with_holes(tmp_path, capsys):
    """What is offered where values are missing or recur learns them when it is typed."""
    rng = np.random.default_rng(0)
    x, day = rng.normal(size=60), np.datetime64("2020-01-01") + rng.integers(0, 300, 60)
    x[::7], day[::5] = np.nan, np.datetime64("NaT")
    data = {"x size": x, "day": day}
    with pytest.raises(given.UserError) as error:
        given.model("p(`x size`, day)", data, families={"`x size`, day": Gaussian})
    codecs = eval(str(error.value).partition("codecs=")[2], {"Number": Number, "Time": Time})  # noqa: S307
    given.model("p(`x size`, day)", data, codecs=codecs, families={"`x size`, day": Gaussian}).fit(data, progress=False)
    given.read(data).save(tmp_path / "t.csv")
    words = ["fit", str(tmp_path / "t.csv"), "`x size`, day", "--family", "`x size`, day=Gaussian", "-o",
             str(tmp_path / "t.given")]
    assert main(words) == 1
    assert main([*words, *shlex.split("--as" + capsys.readouterr().err.partition("--as")[2])]) == 0


@pytest.fixture(scope="module")
def houses(tmp_path_factory):
    """A table whose names and values are not single words."""
    folder = tmp_path_factory.mktemp("houses")
    rng = np.random.default_rng(0)
    city = rng.choice(["Oslo, NO", "New York", "O'Hara", 'the "Hook"'], 200)
    given.read({"house price": np.round(100 + 50 * (city == "Oslo, NO") + rng.normal(size=200), 2), "home town": city,
                "n.rooms": rng.integers(1, 6, 200)}).save(folder / "houses.csv")
    words = ["fit", folder / "houses.csv", "`house price`, `home town`, `n.rooms`", "--family",
             "`house price`, `home town`, `n.rooms`=Independent", "--as", "`n.rooms`=label", "-o", folder / "h.given"]
    assert main([str(word) for word in words]) == 0
    return folder


@pytest.mark.parametrize(("event", "value"), [
    ('`home town` in {"Oslo, NO", New York}', given.isin("Oslo, NO", "New York")),
    ("`home town` in {'Oslo, NO', \"O'Hara\"}", given.isin("Oslo, NO", "O'Hara")),
    ("`home town` in {O'Hara, 'Oslo, NO'}", given.isin("Oslo, NO", "O'Hara")),
    ("`home town` = 'O''Hara'", "O'Hara"),
    ('`home town` = "the ""Hook"""', 'the "Hook"'),
    ("`n.rooms` in {1, '2'}", given.isin(1, 2)),
    ("`house price` < 120", given.between(None, 120, closed="left")),
])
def test_quotes_and_backticks_hold_what_has_commas_and_spaces(houses, capsys, event, value):
    asked = "house price" if "price" not in event else "n.rooms"
    assert main(["query", str(houses / "h.given"), f"`{asked}`", "--where", event, "--mean"]) == 0
    name = event.split("`")[1]
    hoped = given.load(houses / "h.given").given({name: value}).mean(asked)
    assert float(capsys.readouterr().out.splitlines()[1]) == pytest.approx(hoped, rel=1e-6)


def test_a_name_stands_in_backticks_wherever_it_is_typed(houses, capsys):
    model, table = str(houses / "h.given"), str(houses / "houses.csv")
    for words in (["sample", model, "`home town`=New York", "-n", "2"], ["sample", model, "home town=New York", "-n", "2"],
                  ["query", model, "`house price` | `home town`", table, "--mean"],
                  ["map", table, "--color", "`home town`", "-o", str(houses / "map.svg")],
                  ["fit", table, "--weight", "`house price`", "--dry-run"],
                  ["compare", table, "`house price` | `home town`", "--families", "Gaussian", "--minutes",
                   "0.01", "--seeds", "1"]):
        assert main(words) == 0, capsys.readouterr().err


@pytest.mark.parametrize(("words", "way"), [
    (["query", "{}", "house price | n", "--mean"], "a name of several words in backticks: `house price`, all in single quotes"),
    (["query", "{}", " | `home town`"], "a name in backticks stands in single quotes, else a shell runs it"),
    (["query", "{}", ""], "a name in backticks stands in single quotes, else a shell runs it"),
    (["query", "{}", "`n.rooms`", "--where", "home town = New York"], "other names than identifiers stand in backticks"),
    (["query", "{}", "`n.rooms`", "--where", '`home town` in {"Oslo, NO}'], "those with commas in quotes"),
    (["query", "{}", "`n.rooms`", "--where", "`home town` > 3"],
     '--where \'`home town` in {New York, "O\'Hara", "Oslo, NO"}\''),
    (["query", "{}", "`n.rooms` | `house price` > 3"], "--where '`house price` > 3'"),
])
def test_names_of_several_words_are_refused_with_what_to_type(houses, capsys, words, way):
    assert main([word.replace("{}", str(houses / "h.given")) for word in words]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and way in err

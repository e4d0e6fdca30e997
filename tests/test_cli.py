"""The command line: the same verbs over files. Results on standard output, remarks on standard error, exit status."""

import json
import subprocess
import sys

import numpy as np
import pytest

import given
from given.app.cli import main

FORMULA = "p(city) p(age, income | city)"


def run(capsys, *arguments):
    status = main([str(a) for a in arguments])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def shell(*arguments, code="import sys; from given.app.cli import main; sys.exit(main())"):
    return subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """200 rows whose city shows in the age, as a CSV."""
    rng = np.random.default_rng(0)
    rome = rng.random(200) < 0.5
    age = np.where(rome, 60, 20) + rng.normal(0, 2, 200)
    path = tmp_path_factory.mktemp("people") / "people.csv"
    given.Columns({"city": np.where(rome, "Rome", "Oslo"), "age": age, "income": 3 * age + rng.normal(0, 1, 200)}).save(path)
    return path


@pytest.fixture(scope="module")
def fitted(people):
    path = people.parent / "people.given"
    assert main(["fit", str(people), FORMULA, "-o", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    given.read("digits").rows(slice(0, 60)).save(folder / "few.npz")
    path = folder / "few.given"
    assert main(["fit", str(folder / "few.npz"), "p(label) p(image | label)", "--steps", "2", "-o", str(path)]) == 0
    return path


def test_compare_ranks_families_and_writes_a_page(people, tmp_path, capsys):
    status, out, err = run(capsys, "compare", people, "p(age, income)", "--families", "Gaussian,Independent,Dequantised(GAN)",
                           "--minutes", "0.01", "--seeds", "1", "-o", tmp_path / "board.html")
    assert status == 0 and [line.split()[:2] for line in out.splitlines()[1:3]] == [["1", "Gaussian"], ["2=", "Independent"]]
    assert "do not apply:\nDequantised(GAN): Dequantised: expected ordered levels" in out
    assert "wrote" in err and (tmp_path / "board.html").read_text().startswith("<!doctype html>")
    status, out, err = run(capsys, "compare", people, "p(age)", "--families", "Gausian")
    assert status == 1 and out == "" and "unknown name 'Gausian'" in err
    status, out, _ = run(capsys, "compare", people, "p(age)", "--families", "Gaussian", "--minutes", "0.01", "--seeds", "2",
                         "--json")
    assert json.loads(out)["entrants"][0]["seeds"][1] < 0


def test_fit_saves_a_model_and_prints_facts(people, tmp_path, capsys):
    status, out, err = run(capsys, "fit", people, FORMULA, "-o", tmp_path / "m.given", "--json")
    facts = json.loads(out)
    assert (status, err) == (0, "")
    assert facts["formula"] == FORMULA and facts["stopped"] == "closed form"
    assert str(given.load(facts["model"])) == FORMULA
    assert sorted(file.name for file in tmp_path.iterdir()) == ["m.given"]


def test_fit_without_a_formula_is_a_block_named_after_the_data(people, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, _ = run(capsys, "fit", people, "--steps", 5)
    assert status == 0 and "p(city, age, income)" in out
    assert (tmp_path / "people.given" / "config.json").is_file()


def test_fit_again_replaces_the_model(people, tmp_path, capsys):
    for formula in ("p(city)", "p(age)"):
        assert run(capsys, "fit", people, formula, "-o", tmp_path / "m.given")[0] == 0
    assert str(given.load(tmp_path / "m.given")) == "p(age)"


def test_fit_takes_families(people, tmp_path, capsys):
    status, out, _ = run(capsys, "fit", people, "p(city) p(age | city)", "--dry-run", "--json", "--family", "age=Independent")
    assert status == 0 and json.loads(out)["p(age | city)"].startswith("Independent")


def test_dry_run_says_what_was_inferred_and_writes_nothing(people, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, _ = run(capsys, "fit", people, FORMULA, "--dry-run")
    assert status == 0 and list(tmp_path.iterdir()) == []
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0] == f"formula {FORMULA}"
    assert lines[1].startswith("data ") and lines[1].endswith("200 rows x 3 columns (city, age, income)")
    assert lines[2] == "column city Label(2 categories): 2 categories"
    assert lines[3].startswith("column age Number(atoms='auto'): numbers of 200 values")
    assert lines[6].startswith("p(age, income | city) Gaussian, counted or solved")


def test_checkpoints_are_resumed(people, tmp_path, capsys):
    base = ("fit", people, "p(city | age)", "-o", tmp_path / "m.given", "--checkpoint", tmp_path / "c", "--resume", "--json")
    assert json.loads(run(capsys, *base, "--steps", 2)[1])["steps"] == 2
    assert json.loads(run(capsys, *base, "--steps", 4)[1])["steps"] == 4


def test_sample_prints_a_table(fitted, capsys):
    status, out, err = run(capsys, "sample", fitted, "city=Rome", "-n", 5, "--seed", 1)
    lines = out.splitlines()
    assert (status, err) == (0, "")
    assert lines[0] == "city,age,income" and len(lines) == 6
    assert all(line.startswith("Rome,") and 45 < float(line.split(",")[1]) < 75 for line in lines[1:])
    assert run(capsys, "sample", fitted, "city=Rome", "-n", 5, "--seed", 1)[1] == out
    assert run(capsys, "sample", fitted, "city=Rome", "-n", 5, "--seed", 2)[1] != out


def test_sample_prints_json_lines(fitted, capsys):
    rows = [json.loads(line) for line in run(capsys, "sample", fitted, "age=60", "-n", 3, "--json")[1].splitlines()]
    assert [row["age"] for row in rows] == [60, 60, 60] and all(row["city"] == "Rome" for row in rows)


def test_sample_writes_a_file(fitted, tmp_path, capsys):
    status, out, err = run(capsys, "sample", fitted, "-n", 4, "-o", tmp_path / "drawn.csv")
    assert (status, out) == (0, "") and "wrote" in err
    assert given.read(tmp_path / "drawn.csv").n == 4


def test_sample_of_images(digits, tmp_path, capsys):
    status, out, err = run(capsys, "sample", digits, "label=3", "-n", 2)
    assert status == 0 and out == "label,image\n3,[8 x 8]\n3,[8 x 8]\n" and "-o FILE.npz" in err
    assert run(capsys, "sample", digits, "label=3", "-n", 2, "-o", tmp_path / "threes.png")[0] == 0
    assert (tmp_path / "threes.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_score_prints_every_item_and_says_the_mean_aside(people, fitted, capsys):
    status, out, err = run(capsys, "score", fitted, people)
    lines = out.splitlines()
    items = given.load(fitted).log_prob(given.read(people))
    assert status == 0 and lines[0] == "row,log_prob" and len(lines) == 201
    np.testing.assert_allclose([float(line.split(",")[1]) for line in lines[1:]], items, atol=1e-6)
    assert err.startswith(f"{items.mean():.4f} ±") and "exact" in err


def test_score_prints_the_worst_first(people, fitted, capsys):
    found = json.loads(run(capsys, "score", fitted, people, "--anomalies", 3, "--json")[1])
    items = given.load(fitted).log_prob(given.read(people))
    assert [row for row, _ in found["items"]] == np.argsort(items)[:3].tolist()
    assert found["value"] == pytest.approx(items.mean()) and found["kind"] == "exact" and found["unit"] == "nats/item"


def test_score_of_one_row_has_no_error(people, fitted, tmp_path, capsys):
    given.read(people).rows(slice(0, 1)).save(tmp_path / "one.csv")
    assert json.loads(run(capsys, "score", fitted, tmp_path / "one.csv", "--json")[1])["error"] is None


def test_query_turns_the_model_round(people, fitted, capsys):
    status, out, _ = run(capsys, "query", fitted, "city | age", people, "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert status == 0 and [row["city"] for row in rows] == given.read(people)["city"].tolist()
    assert all(row["p(Oslo)"] + row["p(Rome)"] == pytest.approx(1, abs=1e-5) for row in rows)


def test_query_answers_in_the_datas_own_type(digits, capsys):
    row = json.loads(run(capsys, "query", digits, "label", "--json")[1])
    assert isinstance(row["label"], int)


def test_query_draws_what_is_not_finite(people, fitted, tmp_path, capsys):
    assert run(capsys, "query", fitted, "income | age", people, "-n", 2, "-o", tmp_path / "q.npz")[0] == 0
    assert given.read(tmp_path / "q.npz")["income"].shape == (2, 200)


def test_families_lists_every_family(capsys):
    from given import families

    status, out, _ = run(capsys, "families", "--json")
    assert status == 0 and list(json.loads(out)) == families.__all__ and all(json.loads(out).values())


@pytest.mark.parametrize("arguments", [
    ["train"], ["fit"], ["fit", "d.csv", "--steps", "0"], ["fit", "d.csv", "--steps", "2.5"],
    ["fit", "d.csv", "--minutes", "0"],
    ["fit", "d.csv", "--minutes", "soon"], ["fit", "d.csv", "--minutes", "nan"], ["fit", "d.csv", "--seed", "-1"],
    ["fit", "d.csv", "--family", "city"], ["fit", "d.csv", "--family", "=Empirical"], ["sample", "m.given", "-n", "0"],
    ["sample", "m.given", "-n", "many"], ["sample", "m.given", "city"], ["score", "m.given"],
    ["score", "m.given", "d.csv", "--anomalies", "-2"], ["query", "m.given"], ["demo", "--cpu-seconds", "0"],
], ids=" ".join)
def test_wrong_usage_exits_2(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    printed = capsys.readouterr()
    assert stopped.value.code == 2 and printed.out == ""
    assert printed.err.splitlines()[-1].startswith("given") and ": error: " in printed.err


@pytest.mark.parametrize(("arguments", "said"), [
    (["fit", "nope.csv"], "nope.csv: no such file"),
    (["fit", "{people}", "p(zip)"], "unknown name 'zip'; there are city, age, income"),
    (["fit", "{people}", "p(city | age) p(age | city)"], "city <- age <- city"),
    (["fit", "{people}", "p(city | age | income)"], "a stray bar"),
    (["fit", "{people}", "p(city)", "--family", "city=Wizard"], "unknown name 'Wizard'; there are Autoencoder"),
    (["fit", "{people}", "p(city)", "--family", "city=Dequantised"], "Dequantised: expected ordered levels, got city"),
    (["fit", "{people}", "p(city)", "--family", "city=Empirical(Gaussian)"],
     "Empirical: got an unexpected keyword argument 'family'"),
    (["fit", "{people}", "p(city)", "--family", "age=Gaussian"], "unknown name 'age'; there are city"),
    (["fit", "{people}", "p(city)", "--family", "city=Empirical", "--family", "city=Empirical"], "city is said twice"),
    (["fit", "{people}", "p(city)", "-o", "{people}"], "a file is in the way"),
    (["fit", "{people}", "p(city)", "-o", "{people}/m.given"], "cannot be written"),
    (["fit", "{people}", "p(city)", "-o", ""], "expected the name of a folder"),
    (["fit", "{people}", "p(city | age)", "--steps", "1", "--resume"], "expected checkpoint="),
    (["sample", "nope.given"], "nope.given: no such folder"),
    (["sample", "{model}", "zip=3"], "unknown name 'zip'; there are city, age, income"),
    (["sample", "{model}", "city=Paris"], "city, row 0: unseen category 'Paris'; expected one of 'Oslo', 'Rome'"),
    (["sample", "{model}", "age=old"], "age, row 0: got 'old'; expected a number"),
    (["sample", "{model}", "age=nan"], "age=nan: no value of it was missing"),
    (["sample", "{model}", "city=Rome", "city=Oslo"], "city is said twice"),
    (["sample", "{model}", "-o", "drawn.txt"], "drawn.txt: expected an ending .csv, .tsv, .jsonl, .parquet or .npz"),
    (["sample", "{model}", "-o", "nowhere/drawn.csv"], "nowhere/drawn.csv: cannot be written (No such file or directory)"),
    (["sample", "{model}", "-o", "drawn.png"], "expected one column of images"),
    (["score", "{model}", "cities.csv"], "no column age; there are city"),
    (["score", "{model}", "nope.csv"], "nope.csv: no such file"),
    (["query", "{model}", "city | age"], "expected data with age"),
    (["query", "{model}", "city | zip", "cities.csv"], "unknown name 'zip'"),
    (["query", "{model}", "city | age", "cities.csv"], "no column age; there are city"),
    (["query", "{model}", "p(city) p(age)"], "expected one conditional"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_failure_is_one_line_exits_1_and_writes_nothing(arguments, said, people, fitted, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cities.csv").write_text("city\nRome\n")
    status, out, err = run(capsys, *(a.format(people=people, model=fitted) for a in arguments))
    assert (status, out) == (1, "")
    assert err.count("\n") == 1 and err.startswith("given: ") and said in err
    assert [file.name for file in tmp_path.iterdir()] == ["cities.csv"]


def test_a_folder_of_something_else_is_never_replaced(people, tmp_path, capsys):
    (tmp_path / "thesis.tex").write_text("years of work")
    for option in ("-o", "--checkpoint"):
        status, _, err = run(capsys, "fit", people, "p(city | age)", "--steps", 1, option, tmp_path,
                             *(["-o", tmp_path / "m.given"] if option == "--checkpoint" else []))
        assert status == 1 and "holds thesis.tex, which would be lost" in err
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_bad_place_is_found_before_the_time_is_spent(people, tmp_path, capsys, monkeypatch):
    def late(*_, **__):
        raise AssertionError("learned first")

    monkeypatch.setattr("given.verbs.Model.fit", late)
    assert run(capsys, "fit", people, "p(city)", "-o", people)[0] == 1


def test_interrupted_exits_130(people, capsys, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("given.verbs.model", interrupt)
    status, out, err = run(capsys, "fit", people)
    assert (status, out, err) == (130, "", "given: interrupted\n")


def test_the_shell_gets_the_status_and_the_line(tmp_path):
    (tmp_path / "people.csv").write_text("age,age\n30,41\n")
    done = shell("fit", tmp_path / "people.csv")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"given: {tmp_path}/people.csv: two columns are called 'age'; rename one\n"


def test_help_and_import_load_nothing_heavy():
    code = "import sys, given\nfrom given.app.cli import main\ntry: main()\nexcept SystemExit as stop: status = stop.code\n"
    done = shell("--help", code=code + "print(status, sorted({'torch', 'numpy', 'sklearn', 'PIL'} & set(sys.modules)))")
    assert "given fit" in done.stdout and done.stdout.endswith("0 []\n") and done.stderr == ""


@pytest.fixture(scope="module")
def holes(people):
    """People of whom some cells are missing."""
    path = people.parent / "holes.csv"
    path.write_text("city,age,income\nRome,,180\n,21,\nOslo,20,61\n")
    return path


@pytest.fixture(scope="module")
def block(people):
    """One block of all columns."""
    path = people.parent / "block.given"
    family = "age,income=FactorAnalysis(factors=1)"
    assert main(["fit", str(people), "p(age, income)", "-o", str(path), "--family", family]) == 0
    return path


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """A text longer than its window, and a model of it."""
    folder = tmp_path_factory.mktemp("book")
    (folder / "book.txt").write_text("The cat sat on the mat. The dog sat on the log. " * 60)
    assert main(["fit", str(folder / "book.txt"), "--steps", "3", "-o", str(folder / "book.given")]) == 0
    return folder


def test_fit_prints_the_held_out_score_beside_the_baseline(people, tmp_path, capsys):
    _, out, _ = run(capsys, "fit", people, FORMULA, "-o", tmp_path / "m.given", "--json")
    facts = json.loads(out)
    ours, theirs = (float(facts[f"held-out rows, {who}"].split()[0]) for who in ("this model", "independent columns"))
    assert ours > theirs + 2
    assert facts["held-out rows, this model"] in (tmp_path / "m.given" / "README.md").read_text()


def test_as_says_how_a_column_is_read(people, tmp_path, capsys):
    _, out, _ = run(capsys, "fit", people, "p(age)", "--as", "age=number(curve='quantile')", "--dry-run", "--json")
    assert json.loads(out)["column age"].startswith("Number(curve='quantile')")
    status, _, err = run(capsys, "fit", people, "p(age)", "--as", "age=wizard", "--dry-run")
    assert status == 1 and "--as: unknown name 'wizard'" in err and err.count("\n") == 1


@pytest.mark.parametrize("columns, formula", [
    ({"image": "images", "label": "labels"}, "p(label) p(image | label)"), ({"image": "images"}, "p(image)"),
    ({"text": "texts"}, "p(text)"), ({"age": "numbers", "label": "labels"}, "p(age, label)")])
def test_without_a_formula_the_columns_choose_a_task(columns, formula):
    from given.tasks import task_of

    rng = np.random.default_rng(0)
    kinds = {"images": rng.integers(0, 9, (60, 4, 4)), "labels": rng.integers(0, 3, 60), "numbers": rng.normal(size=60),
             "texts": [f"a sentence of some words, number {i}" for i in range(60)]}
    assert task_of(given.read({name: kinds[kind] for name, kind in columns.items()}), {})[1] == formula


def test_complete_fills_what_is_missing_and_keeps_the_rest(fitted, holes, tmp_path, capsys):
    status, out, _ = run(capsys, "complete", fitted, holes)
    rows = [line.split(",") for line in out.splitlines()]
    assert status == 0 and rows[0] == ["city", "age", "income"] and len(rows) == 4
    assert rows[1][0] == "Rome" and 50 < float(rows[1][1]) < 70 and float(rows[1][2]) == 180
    assert rows[2][0] == "Oslo" and float(rows[2][1]) == 21 and 50 < float(rows[2][2]) < 75
    assert [float(v) for v in rows[3][1:]] == [20, 61]
    assert len(run(capsys, "complete", fitted, holes, "-n", 3)[1].splitlines()) == 10


def test_complete_goes_on_with_a_text(book, tmp_path, capsys):
    (tmp_path / "start.txt").write_text("The cat")
    status, out, _ = run(capsys, "complete", book / "book.given", tmp_path / "start.txt", "--json")
    text = json.loads(out)["text"]
    assert status == 0 and text.startswith("The cat") and len(text) == 256


def test_encode_gives_the_representation(block, people, capsys):
    status, out, _ = run(capsys, "encode", block, people)
    z = np.array([float(line) for line in out.splitlines()[1:]])
    age = given.read(str(people))["age"]
    assert status == 0 and len(z) == 200 and abs(np.corrcoef(z, age)[0, 1]) > 0.99


def test_encode_without_a_representation_names_those_that_have_one(fitted, people, capsys):
    status, _, err = run(capsys, "encode", fitted, people)
    assert status == 1 and "VAE" in err and err.count("\n") == 1


def test_score_streams_from_a_pipe(fitted, people):
    with people.open() as file:
        lines = file.readlines()[:4]
    process = subprocess.Popen([sys.executable, "-m", "given", "score", str(fitted), "-"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdin.write("".join(lines[:3]))
    process.stdin.flush()
    assert [process.stdout.readline().split(",")[0] for _ in range(3)] == ["row", "0", "1"]  # before the pipe is closed
    out, err = process.communicate(lines[3])
    assert process.returncode == 0 and out.startswith("2,") and "n = 3" in err


def test_a_bad_row_of_a_pipe_is_named_or_skipped(fitted, people):
    bad = "city,age,income\nRome,60,180\nRome,60\n"
    for flags, status, said in (((), 1, "stdin, line 3: got 2 values, expected 3"), (("--skip-bad",), 0, "skipped 1 bad")):
        found = subprocess.run([sys.executable, "-m", "given", "score", str(fitted), "-", *flags], input=bad,
                               capture_output=True, text=True, timeout=60)
        assert found.returncode == status and said in found.stderr and "Traceback" not in found.stderr


def test_skip_bad_says_how_many_and_which(tmp_path, capsys):
    path = tmp_path / "bad.csv"
    path.write_text("a,b\n" + "1,2\n" * 20 + "3\n" + "4,5\n" * 20)
    status, _, err = run(capsys, "fit", path, "p(a)", "-o", tmp_path / "m.given", "--skip-bad")
    assert status == 0 and "skipped 1 bad" in err and "line 22" in err
    assert run(capsys, "fit", path, "p(a)", "-o", tmp_path / "m.given")[0] == 1


def test_report_is_one_page_with_everything(fitted, people, tmp_path, capsys):
    status, _, err = run(capsys, "report", fitted, people, "-o", tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    assert status == 0 and "r.html" in err
    for part in ("this model", "independent columns", "Column by column", "The least probable items", "Rows drawn"):
        assert part in text, part
    assert "<script" not in text and "http" not in text


def test_report_on_other_rows_takes_those_learned_from(book, tmp_path, capsys):
    status, _, err = run(capsys, "report", book / "book.given", book / "book.txt", "-o", tmp_path / "r.html")
    assert status == 1 and "--train" in err and err.count("\n") == 1
    (tmp_path / "new.txt").write_text("The dog sat on the mat. " * 40)
    status = run(capsys, "report", book / "book.given", tmp_path / "new.txt", "--train", book / "book.txt", "-o",
                 tmp_path / "r.html")[0]
    page = (tmp_path / "r.html").read_text()
    assert status == 0 and "nats/character" in page and "5-gram" in page


def test_images_are_written_a_file_each(digits, tmp_path, capsys):
    assert run(capsys, "sample", digits, "label=3", "-n", 3, "-o", f"{tmp_path}/threes/")[0] == 0
    assert sorted(p.name for p in (tmp_path / "threes").iterdir()) == ["0.png", "1.png", "2.png"]
    assert given.read(str(tmp_path / "threes"))["image"].shape == (3, 8, 8)


def test_what_is_no_category_is_said(tmp_path, capsys):
    """Decimal commas, a slip of the pen, a row that was never seen."""
    lines = [f"{i % 97};{i},5;{'xyz'[i % 3]}" for i in range(400)] + ["1;2,5;rare"]
    (tmp_path / "eu.csv").write_text("n;price;kind\n" + "\n".join(lines) + "\n")
    status, out, _ = run(capsys, "fit", tmp_path / "eu.csv", "--dry-run", "--json")
    assert status == 0 and json.loads(out)["formula"] == "p(n, price, kind)"
    assert "price: numbers written as 1.234,5" in json.loads(out)["data"]
    run(capsys, "fit", tmp_path / "eu.csv", "p(kind)", "-o", tmp_path / "m.given")
    status, _, err = run(capsys, "sample", tmp_path / "m.given", "kind=xx")
    assert status == 1 and "kind, row 0: 'xx' was never seen, or rarely" in err and err.count("\n") == 1
    assert run(capsys, "sample", tmp_path / "m.given", "kind=(other)")[0] == 0
    (tmp_path / "new.csv").write_text("kind;n\nx;1\nxx;2\n")
    status, out, err = run(capsys, "score", tmp_path / "m.given", tmp_path / "new.csv")
    assert status == 0 and len(out.splitlines()) == 3 and "kind: 1 rows hold values that were never seen" in err


def test_tasks_are_listed(capsys):
    status, out, _ = run(capsys, "tasks", "--json")
    assert status == 0 and {"table", "language", "images", "labelled images"} <= {t["name"] for t in json.loads(out)}


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_completion_knows_commands_and_options(name, capsys):
    status, out, _ = run(capsys, "completion", name)
    assert status == 0 and "given" in out and "anomalies" in out and "--completion" not in out


@pytest.mark.parametrize(("words", "found"), [
    ("fi", "fill fit"), ("score --an", "--anomalies"), ("completion ''", "bash fish zsh"),
    ("fit t.csv --device ''", "auto cpu cuda mps"), ("fit t.", "t.csv t.given"), ("score t.given t.c", "t.csv"),
    ("fit t.csv -o t.g", "t.given"), ("sample t.given t", ""), ("sample t.given a=1 --top", "--top-k --top-p")], ids=str)
def test_bash_completes(words, found, tmp_path, capsys):
    (tmp_path / "t.csv").touch()
    (tmp_path / "t.given").mkdir()
    ask = (f"{run(capsys, 'completion', 'bash')[1]}\nCOMP_WORDS=(given {words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); "
           'COMPREPLY=(); _shtab_given; echo "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, cwd=tmp_path)
    assert " ".join(sorted(done.stdout.split())) == found


def test_holes_are_filled_with_values_of_the_data(tmp_path, capsys):
    rng = np.random.default_rng(0)
    lines = [f"{rng.normal():.3f},{rng.choice(['x', 'y', '', ''])}" if i % 3 else ",x" for i in range(300)]
    (tmp_path / "data.csv").write_text("a,b\n" + "\n".join(lines) + "\nr1,rare\n".replace("r1", "0.5"))
    run(capsys, "fit", tmp_path / "data.csv", "p(a, b)", "--family", "a,b=Independent", "-o", tmp_path / "m.given")
    (tmp_path / "holes.csv").write_text("a,b\n,x\n,\n0.25,\n" + ",\n" * 97)
    status, out, _ = run(capsys, "complete", tmp_path / "m.given", tmp_path / "holes.csv")
    cells = [line.split(",") for line in out.splitlines()[1:]]
    assert status == 0 and len(cells) == 100 and all(a and b in ("x", "y") for a, b in cells)
    assert float(cells[2][0]) == 0.25 and cells[0][1] == "x"


@pytest.fixture(scope="module")
def tale(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tale")
    (folder / "tale.txt").write_text("the cat sat on the mat. a hat, the cat! " * 60)
    path = folder / "tale.given"
    assert main(["fit", str(folder / "tale.txt"), "p(text)", "--family", "text=NGram", "-o", str(path)]) == 0
    return path


def test_a_text_is_drawn_as_options_say_and_streamed(tale, tmp_path, capsys):
    (tmp_path / "schema.json").write_text('{"enum": ["a", "b"]}')
    how = ["--temperature", "0.8", "--top-k", "9", "--top-p", "0.95", "--min-p", "0.01", "--repetition-penalty", "1.1"]
    asked = ["sample", tale, "text=the ", "--length", 60, "--stop", ".", "--stop", "!", *how]
    status, out, err = run(capsys, *asked, "-n", 1, "--json")
    text = json.loads(out)["text"]
    assert (status, err) == (0, "") and text.startswith("the ") and (text[-1] in ".!" or len(text) == 60)
    assert run(capsys, *asked, "--stream")[1] == text + "\n"
    asked = given.load(tale).given(text=given.prefix("a "))
    out = run(capsys, "sample", tale, "text=a ", "--matching", "[chm]at", "--beam", 2, "-n", 2, "--json")[1]
    assert [json.loads(line)["text"] for line in out.splitlines()] == asked.sample(
        2, how=given.Regex("[chm]at") | given.Beam(2))["text"].tolist()
    assert len(json.loads(run(capsys, "sample", tale, "text=a ", "--longest", 3, "-n", 1, "--json")[1])["text"]) == 5
    for bad, said in ((["--stream", "-n", 3], "prints one text"), (["--temperature", -1], "expected a number from 0"),
                      (["--schema", tmp_path / "none.json"], "none.json"),
                      (["--schema", tmp_path / "schema.json"], "JSONSchema"),
                      (["--matching", "x+9"], "no text of its symbols does"), (["--top-p", 2], "expected a probability")):
        status, _, err = run(capsys, "sample", tale, *bad)
        assert status == 1 and said in err and err.count("\n") == 1, err

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
    [], ["train"], ["fit"], ["fit", "d.csv", "--steps", "0"], ["fit", "d.csv", "--steps", "2.5"],
    ["fit", "d.csv", "--minutes", "0"],
    ["fit", "d.csv", "--minutes", "soon"], ["fit", "d.csv", "--minutes", "nan"], ["fit", "d.csv", "--seed", "-1"],
    ["fit", "d.csv", "--family", "city"], ["fit", "d.csv", "--family", "=Memory"], ["sample", "m.given", "-n", "0"],
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
    (["fit", "{people}", "p(city)", "--family", "city=Wizard"], "unknown name 'Wizard'; there are Autoregressive"),
    (["fit", "{people}", "p(city)", "--family", "city=Dequantised"], "Dequantised: missing a required argument: 'family'"),
    (["fit", "{people}", "p(city)", "--family", "city=Memory(Gaussian)"],
     "Memory: got an unexpected keyword argument 'family'"),
    (["fit", "{people}", "p(city)", "--family", "age=Gaussian"], "unknown name 'age'; there are city"),
    (["fit", "{people}", "p(city)", "--family", "city=Memory", "--family", "city=Memory"], "city is said twice"),
    (["fit", "{people}", "p(city)", "-o", "{people}"], "a file is in the way"),
    (["fit", "{people}", "p(city)", "-o", "{people}/m.given"], "cannot be written"),
    (["fit", "{people}", "p(city)", "-o", ""], "expected the name of a folder"),
    (["fit", "{people}", "p(city | age)", "--steps", "1", "--resume"], "expected checkpoint="),
    (["sample", "nope.given"], "nope.given: no such folder"),
    (["sample", "{model}", "zip=3"], "unknown name 'zip'; there are city, age, income"),
    (["sample", "{model}", "city=Paris"], "city, row 0: unseen category 'Paris'; expected one of 'Oslo', 'Rome'"),
    (["sample", "{model}", "age=old"], "age, row 0: got 'old'; expected a number"),
    (["sample", "{model}", "age=nan"], "age, row 0: got nan; expected a finite number"),
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

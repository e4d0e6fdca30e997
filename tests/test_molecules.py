"""Molecules: files of SMILES, other SMILES of one molecule, scaffolds, the task in the shell; wrong data, a line each."""

import gzip
import itertools
import sys
from functools import partial

import numpy as np
import pytest

import given
from given.app.cli import main
from given.evaluate import molecule_figures
from given.sources import Columns, RandomSmiles, molecule_properties, read_smiles, scaffold_completed, smiles_flaw
from given.sources import molecules as sources
from given.tasks import molecules
from given.variables import UserError

CHAINS = ["".join(atoms) for n in (2, 3, 4) for atoms in itertools.product("CNO", repeat=n)
          if not any(a + b in "OONNO" for a, b in itertools.pairwise(atoms))] + ["C1CC1", "C1CC1C", "c1cc[nH]c1", "CC(=O)O"]


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """Chains of carbons, nitrogens and oxygens, learned given logP by a small net, and judged by few draws."""
    folder = tmp_path_factory.mktemp("molecules")
    (folder / "chains.smi").write_text("".join(f"{smiles}\tno {i}\n" for i, smiles in enumerate(CHAINS)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(molecules, "_FEW", 50)
        patch.setattr(molecules, "model", partial(molecules.model, width=32, layers=1))
        assert main(["fit", str(folder / "chains.smi"), "--task", "molecules", "--property", "logp", "--steps", "150",
                     "--held-out", "0.2", "-o", str(folder / "chains.given")]) == 0
    return folder / "chains.given"


def test_a_file_of_smiles_has_names_and_a_header_or_not(tmp_path):
    (tmp_path / "plain.smi").write_text("CCO\nC1CC1\n\n")
    assert {k: v.tolist() for k, v in given.read(tmp_path / "plain.smi").items()} == {"smiles": ["CCO", "C1CC1"]}
    with gzip.open(tmp_path / "named.smi.gz", "wt") as file:
        file.write("SMILES\tTitle\nCCO  spirit of wine \r\n\nC1CC1\n")
    named = given.read(tmp_path / "named.smi.gz")
    assert named["smiles"].tolist() == ["CCO", "C1CC1"] and named["name"].tolist() == ["spirit of wine", None]


def check_rewritten():
    """An epoch writes the same molecules in other ways, another in others, and half of them."""
    rows = Columns({"x": np.arange(40), "smiles": np.array(["CC(=O)Nc1ccc(O)cc1"] * 40, dtype=object)})
    source = RandomSmiles(rows, "smiles", 0.5)
    assert next(source.batches(40))["smiles"].tolist() == rows["smiles"].tolist()
    first, again, second = (next(source.of_epoch(3, n).batches(40)) for n in (0, 0, 1))
    assert first["smiles"].tolist() == again["smiles"].tolist() != second["smiles"].tolist()
    assert sorted(first["x"].tolist()) == list(range(40))
    assert set(molecule_properties(first["smiles"], ())["smiles"]) == {"CC(=O)Nc1ccc(O)cc1"}
    assert 8 < sum(a != rows["smiles"][0] for a in first["smiles"]) < 32


def check_attached(scaffold="c1ccccc1*", with_carbon=frozenset({"Cc1ccccc1"})):
    """A carbon written after a scaffold is attached where its star is."""
    found = set()
    for seed in range(6):
        text, places = sources.scaffold_prefix(scaffold, seed)
        found.add(scaffold_completed(text + "C", places))
    assert found == with_carbon


def test_an_epoch_writes_the_same_molecules_in_other_ways():
    check_rewritten()


@pytest.mark.parametrize("scaffold, with_carbon", [
    ("c1ccccc1*", {"Cc1ccccc1"}), ("*c1ccccc1*", {"*c1ccccc1C"}), ("*C(=O)O", {"CC(=O)O"}), ("*n1cccc1", {"Cn1cccc1"}),
    ("[2*]C1CC1", {"CC1CC1"}), ("C=*", {"C=C"}), ("CO", {"CCO", "COC"}), ("c1c[nH]cc1*", {"Cc1cc[nH]c1"}),
    ("O=C1CN=C(c2ccccc2)c2cc(Cl)ccc2N1*", {"CN1C(=O)CN=C(c2ccccc2)c2cc(Cl)ccc21"})])
def test_what_follows_a_scaffold_is_attached_where_the_star_is(scaffold, with_carbon):
    check_attached(scaffold, with_carbon)


def test_a_place_without_a_hydrogen_takes_nothing_more():
    text, places = sources.scaffold_prefix("*C(*)(F)F")
    assert (text.count("F"), len(places)) == (2, 1)
    assert scaffold_completed("C(F)(F)(C)C", [0]) is None and scaffold_completed("C(F)(", [0]) is None


def test_the_command_line_draws_molecules_and_completes_scaffolds(learned, capsys):
    assert main(["molecules", str(learned), "logp=0.5", "-n", "20", "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err.startswith("valid ") and "unique" in captured.err
    assert main(["score", str(learned), str(learned.parent / "chains.smi")]) == 0  # logp, which RDKit computes, is no column
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(CHAINS)
    assert main(["molecules", str(learned), "logp=0.5", "--scaffold", "C1CC1*", "-n", "30", "--beside",
                 str(learned.parent / "chains.smi"), "-o", str(learned.parent / "drawn.csv")]) == 0
    assert "novel" in (said := capsys.readouterr().err) and "KS of logp" in said
    drawn = given.read(learned.parent / "drawn.csv")
    assert drawn.n and all(read_smiles(text).HasSubstructMatch(read_smiles("C1CC1")) for text in drawn["smiles"])
    assert np.allclose(molecule_properties(drawn["smiles"], ["logp"])["logp"], drawn["logp"])


def test_measures_of_data_itself():
    known = molecule_properties(CHAINS[:-1], ())["smiles"].tolist()
    scores = molecule_figures([*CHAINS, CHAINS[0], "C1CC", ""], CHAINS, known=known)
    n = len(set(molecule_properties(CHAINS, ())["smiles"]))
    assert scores["valid"] == (len(CHAINS) + 1) / (len(CHAINS) + 3)
    assert scores["unique"] == n / (len(CHAINS) + 1) and scores["novel"] == 1 / n and scores["KS of weight"] < 0.05


def test_a_property_may_be_a_column_and_its_holes_are_left_out():
    data = molecules.read({"SMILES": ["OCC", "C", "N"], "measured": [1.0, np.nan, 3.0]}, property="measured")
    assert data["SMILES"].tolist() == ["CCO", "N"] and data["measured"].tolist() == [1, 3]
    assert str(molecules.model(data, width=8, layers=1)) == "p(measured) p(SMILES | measured)"


def test_smiles_under_another_name_are_those_of_most_rows():
    """A text that is of no molecule is named by its row, or left out, and so is a property that is no number."""
    table = {"name": [f"m{i}" for i in range(6)], "drug": [*CHAINS[:4], "C", "c1cc"],
             "act": ["1.5", "2", "high", None, "4", "5"]}
    with pytest.raises(UserError, match=r"^drug, row 5: 'c1cc' is of no molecule: .*; mend it, or leave out the 1 such by"):
        molecules.read(table)
    with pytest.raises(UserError, match=r"^--property: act: expected a column of numbers, got 'high' in row 2; mend it, or"):
        molecules.read({**table, "drug": CHAINS[:6]}, property="act")
    found = molecules.read(table, property="act", skip_bad=True)
    assert found["act"].tolist() == [1.5, 2, 4] and found.skipped[1] == "act, row 2: got 'high'; expected a number"


@pytest.mark.parametrize("text, options, said", [
    ("CCO\nC1CC\n", [], "smiles, row 1: 'C1CC' is of no molecule: it does not parse; mend it, or leave out the 1 such"),
    ("CCO\nFC(C)(C)(C)C\n", [], "row 1: 'FC(C)(C)(C)C' is of no molecule: Explicit valence for atom # 1 C, 5"),
    ("one C\ntwo N\n", ["--skip-bad"], "expected SMILES, names after them, got none of 2 that is of a molecule"),
    ("", [], "is empty; expected smiles"),
    ("\n\n", [], "expected a SMILES a line, got none"),
    ("CCO\n\xff\n", [], "line 2: not UTF-8"),
    ("CCO\nCC\n", ["--property", "solubility"], "--property: no column solubility, and RDKit computes logp, weight"),
    ("CCO one\nCC two\n", ["--property", "name"], "--property: name: expected a column of numbers"),
    ("CCO\nCC\n", ["--target", "smiles"], "--target is not for --task molecules")])
def test_wrong_data_is_a_line(tmp_path, capsys, text, options, said):
    (tmp_path / "bad.smi").write_bytes(text.encode("latin1"))
    assert main(["fit", str(tmp_path / "bad.smi"), "--task", "molecules", *options, "-o", str(tmp_path / "m")]) == 1
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


@pytest.mark.parametrize("scaffold, said", [
    ("C1CC", "scaffold: 'C1CC' is of no molecule"), ("*", "expected every * at one atom"), ("FC(F)(F)F", "has no hydrogen"),
    ("CBr", "scaffold: no molecule that was learned from is written with 'B'")])
def test_wrong_scaffolds_are_a_line(learned, capsys, scaffold, said):
    assert main(["molecules", str(learned), "logp=0", "--scaffold", scaffold]) == 1
    assert said in (error := capsys.readouterr().err) and error.count("\n") == 1


def test_other_tables_and_models_are_a_line(tmp_path, capsys, learned):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3,4\n")
    assert main(["fit", str(tmp_path / "t.csv"), "--task", "molecules", "-o", str(tmp_path / "m")]) == 1
    assert "molecules: expected a column smiles, or one of SMILES, got 'a', 'b'" in capsys.readouterr().err
    assert main(["molecules", str(learned), "--scaffold", "C1CC1*"]) == 1
    assert "logp" in (error := capsys.readouterr().err) and error.count("\n") == 1


def test_without_rdkit_the_way_to_it_is_named(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("rdkit")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rdkit", None)
    with pytest.raises(UserError, match=r"molecules need the package rdkit; pip install 'given\[molecules\]'"):
        molecules.read({"smiles": ["CCO"]})


def test_flaws_are_named():
    assert smiles_flaw("CCO") == "" and smiles_flaw("") == "it is empty" and smiles_flaw("C(") == "it does not parse"
    assert "valence" in smiles_flaw("C(C)(C)(C)(C)C") and "kekulize" in smiles_flaw("c1cccc1").lower()

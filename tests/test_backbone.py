"""Chains in space: what turns with them, what is read of structures, how long and how symmetric draws are."""

from functools import partial

import numpy as np
import pytest
import torch

import given
from given.codecs import Coordinates
from given.distributions import Karras, Symmetry
from given.evaluate import chain_figures, nearest_rmsd, random_walks
from given.families import Diffusion
from given.nn import ChainField
from given.sources import ChainWindows, Columns, items, unbroken
from given.tasks import backbone
from given.variables import Axis, Real, UserError

RNG = np.random.default_rng(0)
PATH = Karras(low=0.01, high=30.0)
NET = partial(ChainField, path=PATH, width=16, pair=8, heads=2)


def field(n=12):
    torch.manual_seed(0)
    net = NET(Real(axes=(Axis("residue", n, "given"), Axis("space", 3))), 1, 4)
    for p in net.parameters():
        p.data += 0.1 * torch.randn_like(p)
    return net


def asked(n=12, rows=5):
    return torch.randn(rows, n, 3).double(), torch.rand(rows), given.nn.Condition(torch.zeros(rows, 4))


def chains(n=8):
    return list(random_walks(n, 40))


@pytest.fixture(scope="module")
def model():
    data = {"coords": items(np.concatenate(chains()), [40, 30, 50, 40, 40, 40, 40, 40])}
    family = partial(Diffusion, path=PATH, net=NET, known=0, terms=2, width=4, solver=given.solve.Ancestral(4))
    found = given.model("p(coords)", data, codecs={"coords": Coordinates()}, families={"coords": family})
    found.fit(data, steps=2, held_out=0, progress=False)
    torch.manual_seed(1)
    with torch.no_grad():
        for p in found.joint.parameters():
            p += 0.02 * torch.randn_like(p)
    return found


def check_turns():
    net, (x, t, y) = field(), asked()
    turn = torch.linalg.qr(torch.randn(3, 3).double())[0]
    turn = turn * torch.linalg.det(turn)
    a, b = (net(z[..., None], t, y) for z in (x, x @ turn.T))
    assert (a @ turn.T - b).abs().max() < 1e-5 < a.abs().max()  # its nets are of float32
    mirror = torch.diag(torch.tensor([1.0, 1, -1]).double())
    assert (a @ mirror - net((x @ mirror)[..., None], t, y)).abs().max() > 1e-2  # left is not right


def test_the_field_turns_with_the_chain():
    check_turns()


def test_what_lies_behind_a_chain_moves_nothing():
    net, (x, t, y) = field(), asked()
    short = given.nn.Condition(y.pooled, ends=torch.full((5,), 7))
    x[:, 7:] = 0
    assert torch.allclose(net(x[..., None], t, short)[:, :7], net(x[:, :7, :, None], t, y), atol=1e-5)


def test_copies_are_turns_of_one_another(model):
    drawn = model.sample(2, length=9, how=Symmetry(3), seed=1)["coords"].reshape(2, 3, 9, 3)
    turn = np.array([[-0.5, -np.sqrt(0.75), 0], [np.sqrt(0.75), -0.5, 0], [0, 0, 1]])
    assert np.abs(drawn @ turn.T - np.roll(drawn, -1, 1)).max() < 1e-4
    assert np.ptp(drawn) > 1


def test_lengths(model):
    assert model.sample(3, length=17)["coords"].shape == (3, 17, 3)
    assert model.sample(3)["coords"].shape == (3, 50, 3)
    with pytest.raises(UserError, match=r"^coords: length=51; expected at most 50 along 'residue', as what was learned from$"):
        model.sample(1, length=51)


def test_a_score_is_of_a_chain_however_it_lies_and_whatever_stands_beside_it(model):
    one, other = RNG.normal(size=(2, 20, 3)).cumsum(1)
    turn = np.linalg.qr(RNG.normal(size=(3, 3)))[0]
    turn *= np.linalg.det(turn)
    alone = model.log_prob(coords=one)
    with_a_longer = model.log_prob({"coords": items(np.concatenate([one + 5, RNG.normal(size=(50, 3))]), [20, 50])})
    assert np.allclose(alone, with_a_longer[:1], rtol=1e-5)
    assert "volume of centred chains" in str(model.score(coords=other)) and np.isfinite(model.log_prob(coords=one @ turn.T))


def test_symmetry_has_no_density_and_concerns_chains_alone(model):
    chain = model.joint.declared[0](given.variables.Observed(n=1)).of_length(8).by(Symmetry(2))
    with pytest.raises(UserError, match="turns of one another have no density"):
        chain.log_prob(chain.sample())
    with pytest.raises(UserError, match=r"^Symmetry: copies=1; expected"):
        Symmetry(1)
    numbers = given.model("p(a)", {"a": RNG.normal(size=30)})
    with pytest.raises(UserError, match="concerns nothing"):
        numbers.fit({"a": RNG.normal(size=30)}, steps=1, progress=False) and numbers.sample(1, how=Symmetry(2))


def atom(i, point, chain="A", name="CA", element="C"):
    x, y, z = point
    return f"ATOM  {i + 1:5d}  {name:<4s}ALA {chain}{i + 1:4d}    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00          {element:>2s}\n"


def cif(chain):
    names = ("group_PDB id type_symbol label_atom_id label_alt_id label_comp_id label_asym_id label_entity_id label_seq_id "
             "pdbx_PDB_ins_code Cartn_x Cartn_y Cartn_z auth_seq_id auth_comp_id auth_asym_id auth_atom_id pdbx_PDB_model_num")
    rows = [f"ATOM {i} C CA . ALA A 1 {i} ? {x:.3f} {y:.3f} {z:.3f} {i} ALA A CA 1" for i, (x, y, z) in enumerate(chain, 1)]
    return "\n".join(["data_1abc", "loop_", *(f"_atom_site.{name}" for name in names.split()), *rows, "#", ""])


def test_structures_are_cut_at_breaks_and_so_it_is_said(tmp_path):
    pytest.importorskip("biotite")
    chain = chains(1)[0].copy()
    chain[25:] += [0, 0, 9]
    (tmp_path / "one.pdb").write_text("".join(atom(i, p) for i, p in enumerate(chain)) + atom(50, chain[0], "B", "CA", "CA"))
    (tmp_path / "two.cif").write_text(cif(chains(1)[0]))
    data = given.read(tmp_path)
    assert data["length"].tolist() == [25, 15, 40] and data["id"].tolist() == ["one_A/1", "one_A/2", "two_A"]
    assert "2 chains in 3 unbroken pieces, 1 cut where" in data.described()
    found = backbone.read(data)
    assert found["id"].tolist() == ["two_A"] and found.skipped == [
        f"one_A/{k}: {n} residues without a break; expected at least 32" for k, n in ((1, 25), (2, 15))]
    note = backbone.model(found, width=8, pair=4).notes[-1]
    assert "3 unbroken pieces, 1 cut where" in note and note.endswith("80 residues; 2 of fewer than 32 residues left out")
    with pytest.raises(UserError, match=r"^coords: 25, 15 residues \(1 structure, 1 chain in 2 .*; expected a piece of at"):
        backbone.read(given.read(tmp_path / "one.pdb"))
    assert np.abs(data["coords"][2] - chains(1)[0]).max() < 2e-3
    with pytest.raises(UserError, match=r"^one: has 1 break, the first after residue 25, .* expected 2.6 to 4.2"):
        unbroken(chain, "one")


@pytest.mark.parametrize("name, text, said", [
    ("bad.pdb", "no structure\n", r"bad.pdb: is no PDB or mmCIF file \("),
    ("bad.cif", "no structure\n", r"bad.cif: is no PDB or mmCIF file \("),
    ("ions.pdb", atom(0, (0, 0, 0), name="CB"), "ions.pdb: has no C-alpha atom; expected a protein"),
])
def test_files_that_are_no_protein(tmp_path, name, text, said):
    pytest.importorskip("biotite")
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=said) as caught:
        given.read(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_without_biotite(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "biotite.structure.io.pdb", None)
    (tmp_path / "one.pdb").write_text(atom(0, (0, 0, 0)))
    with pytest.raises(UserError, match=r"pip install 'given\[protein\]'"):
        given.read(tmp_path / "one.pdb")


@pytest.mark.parametrize("chain, said", [
    (None, "is missing; expected points"), (np.zeros((4, 2)), r"got \(4, 2\); expected points \(length, 3\)"),
    (np.full((4, 3), np.nan), "point 0 is .* expected finite numbers"),
])
def test_what_is_no_chain(chain, said):
    with pytest.raises(UserError, match=said):
        Coordinates(9).encode(np.array([chain, None], dtype=object)[:1])


def test_windows_are_others_in_every_epoch_and_a_cluster_is_on_one_side():
    data = backbone.read(Columns({"coords": items(np.concatenate(list(random_walks(6, 150))), [150] * 6),
                                  "cluster": np.arange(6) // 2}))
    train, held = backbone.parted(data, 0.4)
    assert set(train.pieces["cluster"]).isdisjoint(held["cluster"]) and set(map(len, held["coords"])) == {64}
    first, again, second = (next(ChainWindows(data, "coords").of_epoch(0, k).batches(99))["coords"] for k in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert len(first) == 12 and all(32 <= len(c) <= 64 for c in first)
    with pytest.raises(UserError, match="expected one column of chains"):
        backbone.read(Columns({"x": np.zeros(3)}))


def test_the_task_learns_and_is_judged():
    data = backbone.read(Columns({"coords": np.stack(chains(12))}))
    train, held = backbone.parted(data, 0.3)
    small = backbone.model(train, width=8, pair=4)
    assert small.joint.columns["coords"].codec.longest == 40  # no draw is longer than what was learned from
    with pytest.raises(UserError, match="1 chain is too few to hold out 30%; pass held_out=0"):
        backbone.parted(data.rows([0]), 0.3)
    small.fit(train, steps=1, progress=False, **backbone.TRAINING)
    beside = backbone.baselines(train, held)
    assert beside["random walk of 3.8 A steps"]["bonds of 3.8 A"] == 1
    assert chain_figures(chains(4), chains(4))["KS of the radius"] == 0
    near = nearest_rmsd(np.stack(chains(2)) @ np.diag([-1, -1, 1]), np.stack(chains(5)))
    assert near.max() < 1e-6

"""Molecules: what RDKit knows of a SMILES, of the extra `molecules`.

A molecule has one canonical SMILES, by which molecules are told apart, and many others, as many as there are ways to walk over
its atoms. A SMILES that ends at an atom can go on there: what is written after it is attached to that atom.

Source: Weininger, SMILES, a chemical language and information system, 1988 / https://doi.org/10.1021/ci00057a005
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from given.sources.columns import Columns, Source
from given.sources.kinds import texts
from given.variables import UserError

__all__ = ["PROPERTIES", "RandomSmiles", "molecule_properties", "read_smiles", "scaffold_completed", "scaffold_prefix",
           "smiles_flaw"]

_TRIED = 1000  # orders of atoms in which a scaffold is written

PROPERTIES: Mapping[str, Callable[[Any], Any]] = {
    "logp": lambda m: _module("Crippen").MolLogP(m),
    "weight": lambda m: _module("Descriptors").MolWt(m),
    "tpsa": lambda m: _module("rdMolDescriptors").CalcTPSA(m),
    "atoms": lambda m: m.GetNumHeavyAtoms(),
    "rings": lambda m: _module("rdMolDescriptors").CalcNumRings(m),
    "aromatic_rings": lambda m: _module("rdMolDescriptors").CalcNumAromaticRings(m),
    "rotatable_bonds": lambda m: _module("rdMolDescriptors").CalcNumRotatableBonds(m),
    "donors": lambda m: _module("rdMolDescriptors").CalcNumHBD(m),
    "acceptors": lambda m: _module("rdMolDescriptors").CalcNumHBA(m),
    "saturated": lambda m: _module("rdMolDescriptors").CalcFractionCSP3(m),
}
"""Of a molecule: the octanol-water partition by Crippen's atoms, g/mol, polar surface in square angstrom, heavy atoms, rings,
those that are aromatic, rotatable bonds, donors and acceptors of hydrogen bonds, and the share of carbons that are sp3."""


def read_smiles(smiles: Any) -> Any:
    """RDKit's molecule of a SMILES, or None where there is none.

    Raises:
        UserError: RDKit is not installed.
    """
    if not isinstance(smiles, str) or not smiles:
        return None
    with _module("rdBase").BlockLogs():
        return _module().MolFromSmiles(smiles)


def smiles_flaw(smiles: Any) -> str:
    """Why a SMILES is of no molecule; nothing where it is of one."""
    if read_smiles(smiles) is not None:
        return ""
    with _module("rdBase").BlockLogs():
        read = _module().MolFromSmiles(str(smiles or ""), sanitize=False)
        said = [] if read is None else [problem.Message() for problem in _module().DetectChemistryProblems(read)]
    return said[0] if said else "it is empty" if not smiles else "it does not parse"


def molecule_properties(smiles: Sequence[Any], names: Sequence[str] = tuple(PROPERTIES)) -> Columns:
    """Molecules (n,) as columns: `smiles`, the canonical one, and properties, to four decimals; None and NaN where there is no
    molecule."""
    write, found = _module().MolToSmiles, list[list[Any]]()
    for each in smiles:
        one = read_smiles(each)
        found.append([None] * (1 + len(names)) if one is None else [write(one), *(PROPERTIES[name](one) for name in names)])
    columns = {"smiles": texts([row[0] for row in found])}
    for i, name in enumerate(names, 1):
        columns[name] = np.array([np.nan if row[i] is None else row[i] for row in found]).round(4)
    return Columns(columns)


class RandomSmiles(Source):
    """Molecules, a share of them written in another way in every epoch of learning, in any order; elsewhere as they stand.

    Args:
        rows: with canonical SMILES.
        column: of the SMILES.
        share: of the rows that are written at random.
        epoch: (seed, number) of the epoch of learning.
    """

    def __init__(self, rows: Columns, column: str, share: float = 1.0, epoch: tuple[int, int] | None = None) -> None:
        self.rows, self.column, self.share, self.epoch = rows, column, share, epoch
        self.skipped, self.dtypes, self.kinds = rows.skipped, rows.dtypes, rows.kinds

    @property
    def names(self) -> tuple[str, ...]:
        return self.rows.names

    def of_epoch(self, seed: int, number: int) -> RandomSmiles:
        return RandomSmiles(self.rows, self.column, self.share, (seed, number))

    def only(self, names: Collection[str]) -> RandomSmiles:
        return RandomSmiles(Columns({name: self.rows[name] for name in self.names if name in names}, dtypes=self.dtypes),
                            self.column, self.share, self.epoch)

    def batches(self, size: int) -> Iterator[Columns]:
        if self.epoch is None:
            yield from self.rows.batches(size)
            return
        rng = np.random.default_rng(self.epoch)
        order, seeds = rng.permutation(self.rows.n), rng.integers(1, 1 << 31, self.rows.n)
        chosen = rng.random(self.rows.n) < self.share
        for start in range(0, self.rows.n, size):
            some = order[start:start + size]
            batch = self.rows.rows(some)
            written = zip(batch[self.column].tolist(), seeds[some].tolist(), chosen[some].tolist(), strict=True)
            yield Columns({**batch, self.column: texts([_at_random(*each) for each in written])}, dtypes=batch.dtypes)


def _at_random(smiles: str, seed: int, chosen: bool) -> str:
    """The SMILES, or where it is chosen another of the same molecule."""
    return str(_module().MolToRandomSmilesVect(read_smiles(smiles), 1, randomSeed=seed)[0]) if chosen else smiles


def scaffold_prefix(scaffold: str, seed: int = 0) -> tuple[str, list[int]]:
    """A SMILES of a scaffold that ends where a `*` of it is attached, all `*` left out; and which atom, by its place in what is
    so written, every other `*` is attached to. Of a scaffold without a `*` it ends at an atom with hydrogens, by chance.

    Raises:
        UserError: no scaffold, or one that nothing can be attached to.
    """
    rng, whole = np.random.default_rng(seed), read_smiles(scaffold)
    if whole is None:
        raise UserError(f"scaffold: {scaffold!r} is of no molecule: {smiles_flaw(scaffold)}")
    stars = [atom for atom in whole.GetAtoms() if not atom.GetAtomicNum()]
    if any(star.GetDegree() != 1 for star in stars) or len(stars) == whole.GetNumAtoms():
        raise UserError(f"scaffold: {scaffold!r}: expected every * at one atom, as in c1ccccc1*")
    if not stars:
        free = [atom.GetIdx() for atom in whole.GetAtoms() if atom.GetTotalNumHs()]
        if not free:
            raise UserError(f"scaffold: {scaffold!r} has no hydrogen in whose place something could stand")
        return scaffold_prefix(_starred(whole, [int(rng.choice(free))]), seed)
    first = int(rng.integers(len(stars)))
    for i, star in enumerate(stars):
        star.SetIsotope(0)
        star.SetAtomMapNum(0)
        if i != first:
            star.GetNeighbors()[0].SetIntProp("places", _places_of(star.GetNeighbors()[0]) + 1)
            star.SetAtomicNum(1)
    chem = _module()
    bare = chem.RemoveHs(whole)
    for _ in range(_TRIED):
        other = chem.RenumberAtoms(bare, rng.permutation(bare.GetNumAtoms()).tolist())
        text = chem.MolToSmiles(other, canonical=False)
        if text.endswith("*"):
            order = other.GetPropsAsDict(True, True)["_smilesAtomOutputOrder"]
            return text[:-1], [k for k, i in enumerate(order) for _ in range(_places_of(other.GetAtomWithIdx(i)))]
    raise UserError(f"scaffold: {scaffold!r}: none of {_TRIED:,} SMILES of it ends where the * is attached")


def scaffold_completed(drawn: str, places: Sequence[int]) -> str | None:
    """A SMILES that was drawn after a `scaffold_prefix` as a scaffold, with a `*` at the places that are left; None where it is
    of no molecule, or an atom there has no hydrogen any more."""
    found = read_smiles(drawn)
    if found is None or any(not found.GetAtomWithIdx(i).GetTotalNumHs() for i in places):
        return None
    return _starred(found, places) if places else str(_module().MolToSmiles(found))


def _places_of(atom: Any) -> int:
    """How many `*` are still to be attached to an atom."""
    return int(atom.GetIntProp("places")) if atom.HasProp("places") else 0


def _starred(whole: Any, places: Sequence[int]) -> str:
    """The SMILES of a molecule, a `*` in place of a hydrogen of each of these atoms."""
    chem = _module()
    found = chem.RWMol(whole)
    for i in places:
        atom = found.GetAtomWithIdx(int(i))
        if atom.GetNumExplicitHs():  # as of an [nH]
            atom.SetNumExplicitHs(atom.GetNumExplicitHs() - 1)
        found.AddBond(int(i), found.AddAtom(chem.Atom(0)), chem.BondType.SINGLE)
    chem.SanitizeMol(found)
    return str(chem.MolToSmiles(found))


def _module(name: str = "Chem") -> Any:
    """RDKit's Chem, or a module of it.

    Raises:
        UserError: RDKit is not installed.
    """
    try:
        return import_module("rdkit.Chem" if name == "Chem" else "rdkit.rdBase" if name == "rdBase" else f"rdkit.Chem.{name}")
    except ImportError:
        raise UserError("molecules need the package rdkit; pip install 'given[molecules]'") from None

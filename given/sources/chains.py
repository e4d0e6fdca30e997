"""Chains: C-alpha atoms of proteins along their chains, from structures (.pdb, .cif) or arrays. Files need biotite
(`pip install given[protein]`).

A chain is cut where neighbours are less than 2.6 or more than 4.2 angstrom apart: there residues are missing, or atoms stand
twice. What was cut is said. Of several models of a file the first is read, of alternative places of an atom the first.

Source: Kunzmann, Hamacher, Biotite: a unifying open source computational biology framework in Python, 2018 /
https://doi.org/10.1186/s12859-018-2367-z
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from given.sources.columns import Columns, Source, regrouped
from given.sources.kinds import items
from given.sources.stream import File
from given.variables import UserError
from given.ways import way

__all__ = ["STRUCTURES", "ChainWindows", "chains", "pieces", "structures", "unbroken"]

STRUCTURES = frozenset({".pdb", ".ent", ".cif", ".mmcif"})
_LEAST, _MOST = 2.6, 4.2  # angstrom between neighbours


def structures(files: Sequence[File], skip_bad: bool = False) -> Columns:
    """The pieces of all chains of structures, a row each: `coords` (length, 3) in angstrom, `length` and `id`, the file's name
    with the chain's, and the number of the piece where a chain has several.

    Args:
        files: in order.
        skip_bad: leave bad files out and name them in `skipped`.

    Raises:
        UserError: a file is no structure, or has no C-alpha atom; biotite is not installed.
    """
    _biotite()
    points, ids, skipped = list[np.ndarray](), list[str](), list[str]()
    for file in files:
        try:
            found = chains(file)
        except UserError as error:
            if not skip_bad:
                raise
            skipped.append(str(error))
            continue
        points += found.values()
        name = os.path.basename(file.path).removesuffix(".gz").rsplit(".", 1)[0]
        ids += [f"{name}_{chain}" for chain in found]
    if not points:
        raise UserError(f"expected at least one structure, got none; the first left out: {skipped[0]}")
    cut = pieces(Columns({"coords": items(np.concatenate(points), [len(p) for p in points]), "id": np.array(ids)}), "coords")
    cut.about = f"{len(files) - len(skipped):,} structure{'s' * (len(files) > 1)}, {cut.about}"
    cut.skipped = skipped
    return cut


def chains(file: File) -> dict[str, np.ndarray]:
    """The C-alpha atoms of every chain of a structure, by its name: (length, 3) float64 in angstrom, breaks and all."""
    pdb, pdbx = _biotite()
    try:
        with file.open() as raw:
            text = io.StringIO(raw.read().decode())
        if os.path.splitext(file.path.removesuffix(".gz"))[1].lower() in (".pdb", ".ent"):
            atoms = pdb.PDBFile.read(text).get_structure(model=1)
        else:
            atoms = pdbx.get_structure(pdbx.CIFFile.read(text), model=1)
    except OSError:
        raise
    except Exception as error:  # whatever stands in a file that is none
        raise UserError(f"{file.name}: is no PDB or mmCIF file ({' '.join(str(error).split())[:80]})") from None
    atoms = atoms[(atoms.atom_name == "CA") & (atoms.element != "CA")]
    if not len(atoms):
        raise UserError(f"{file.name}: has no C-alpha atom; expected a protein")
    return {chain: atoms.coord[atoms.chain_id == chain].astype(np.float64) for chain in dict.fromkeys(atoms.chain_id.tolist())}


def pieces(data: Columns, name: str) -> Columns:
    """Rows of chains cut at their breaks, a row a piece of two points at least, with a column `length`; a column `id` tells the
    pieces of a chain apart. What was cut stands in what is `described()`."""
    points, rows, ids, cut = list[np.ndarray](), list[int](), list[str](), 0
    for row, chain in enumerate(data[name]):
        whole = np.asarray(chain, dtype=np.float64)
        parts = [part for part in np.split(whole, _breaks(whole) + 1) if len(part) > 1]
        points, rows, cut = points + parts, rows + [row] * len(parts), cut + bool(len(_breaks(whole)))
        if "id" in data:
            ids += [f"{data['id'][row]}{f'/{k + 1}' if len(parts) > 1 else ''}" for k in range(len(parts))]
    if not points:
        raise UserError(f"{name}: no two neighbours are {_LEAST} to {_MOST} angstrom apart; expected C-alpha atoms in angstrom")
    lengths = [len(p) for p in points]
    others = {other: values for other, values in data.rows(np.array(rows)).items() if other not in (name, "length", "id")}
    found = Columns({name: items(np.concatenate(points), lengths), "length": np.array(lengths),
                     **({"id": np.array(ids)} if ids else {}), **others})
    n, residues = data.n, sum(lengths)
    found.about = (f"{n:,} chain{'s' * (n > 1)} in {len(points):,} unbroken piece{'s' * (len(points) > 1)}, {cut:,} cut where "
                   f"neighbours are not {_LEAST} to {_MOST} angstrom apart, {residues:,} residues")
    return found


def unbroken(chain: np.ndarray, what: str) -> np.ndarray:
    """A chain (length, 3) as it is.

    Raises:
        UserError: it has a break.
    """
    if len(at := _breaks(chain)):
        apart = float(np.linalg.norm(chain[at[0] + 1] - chain[at[0]]))
        raise UserError(f"{what}: has {len(at)} break{'s' * (len(at) > 1)}, the first after residue {at[0] + 1}, {apart:.1f} "
                        f"angstrom from the next; expected {_LEAST} to {_MOST}; cut it there, as "
                        f"{way('given.read', 'a folder of structures')} does")
    return chain


def _breaks(chain: np.ndarray) -> np.ndarray:
    """After which points of a chain (length, 3) it breaks."""
    apart = np.linalg.norm(np.diff(chain, axis=0), axis=1)
    return np.flatnonzero((apart < _LEAST) | (apart > _MOST))


@dataclass(frozen=True)
class ChainWindows(Source):
    """Windows of chains, others in every epoch; without one, side by side at fixed places.

    Args:
        pieces: rows of unbroken chains.
        name: the column of them.
        window: points of a window; shorter pieces are a row as they are.
        least: points of the shortest; in an epoch a quarter of the windows is of a random number of points from it.
        epoch: (seed, number) of the epoch of learning.
    """

    pieces: Columns
    name: str
    window: int = 64
    least: int = 32
    epoch: tuple[int, int] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return self.pieces.names

    def of_epoch(self, seed: int, number: int) -> ChainWindows:
        return replace(self, epoch=(seed, number))

    def batches(self, size: int) -> Iterator[Columns]:
        return regrouped(self._rows(), size)

    def _rows(self) -> Iterator[Columns]:
        for i, chain in enumerate(self.pieces[self.name]):
            if len(chain) < self.least:
                continue
            count = max(1, len(chain) // self.window)
            places = list(self._places(i, len(chain), count))
            cut = items(np.concatenate([chain[a:b] for a, b in places]), [b - a for a, b in places])
            rows = dict(self.pieces.rows(np.full(count, i)))
            yield Columns({**rows, self.name: cut, "length": np.array([b - a for a, b in places])})

    def _places(self, number: int, length: int, count: int) -> Iterator[tuple[int, int]]:
        """Where the windows of a piece begin and end."""
        most = min(self.window, length)
        if self.epoch is None:
            yield from ((k * self.window, k * self.window + most) for k in range(count))
            return
        rng = np.random.default_rng([*self.epoch, number])
        for _ in range(count):
            long = int(rng.integers(self.least, most + 1)) if rng.random() < 0.25 else most
            first = int(rng.integers(length - long + 1))
            yield first, first + long

    def described(self) -> str:
        return f"windows of {self.window} residues of {self.pieces.described()}"


def _biotite() -> tuple[Any, Any]:
    """The modules of biotite that read PDB and mmCIF.

    Raises:
        UserError: it is not installed.
    """
    try:
        import biotite.structure.io.pdb as pdb
        import biotite.structure.io.pdbx as pdbx
    except ImportError:
        raise UserError("structures need biotite; install it with pip install 'given[protein]', or pass arrays of coordinates, "
                        "(length, 3) a chain") from None
    return pdb, pdbx

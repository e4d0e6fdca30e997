"""Molecules by their SMILES: how many draws are valid, unique and novel, and how far their properties are from data's."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from given.evaluate.marginals import statistic
from given.sources import Columns, molecule_properties

__all__ = ["molecule_figures", "molecule_table"]

_JUDGED = ("logp", "weight", "tpsa", "rings")  # properties that are compared


def molecule_table(drawn: Sequence[str | None]) -> Columns:
    """The draws that are molecules, by their canonical SMILES and all properties."""
    written = molecule_properties(drawn, ())["smiles"]
    return molecule_properties([text for text in written.tolist() if text is not None])


def molecule_figures(drawn: Sequence[str | None], beside: Sequence[str] | None = None,
                     known: Collection[str] | None = None) -> dict[str, float]:
    """How good draws are: shares that are valid, unique of these, and novel of these; and the KS distances of properties.

    Args:
        drawn: SMILES, as they were drawn.
        beside: SMILES of molecules that properties are compared with.
        known: canonical SMILES of those learned from, of which a novel one is none.
    """
    mine = molecule_table(drawn)
    unique = set(mine["smiles"].tolist())
    scores = {"valid": mine.n / len(drawn), "unique": len(unique) / max(1, mine.n)}
    if known is not None:
        scores["novel"] = len(unique.difference(known)) / max(1, len(unique))
    if mine.n and beside is not None:
        others = molecule_properties(beside, _JUDGED)
        scores |= {f"KS of {name}": statistic(mine[name], others[name], False) for name in _JUDGED}
    return scores

"""Molecules: p(SMILES), p(SMILES | property), and what a scaffold may be completed by.

A molecule is its SMILES, character by character, drawn by recurrent layers. In every epoch a share of them is written in
another way, any walk over the atoms, the others canonically: so a scaffold can be what a SMILES begins with, written such that
it ends where something is to be attached, and what follows is a draw of p(rest | scaffold), exact and without a search. What
is attached elsewhere, at a second `*`, is drawn after it in the same way.

Nothing makes a draw a molecule; how many are is what is measured: the share that RDKit reads (valid), of these the share of
different ones (unique), of which those that were not learned from (novel), and the Kolmogorov-Smirnov distance of properties
of draws and held-out molecules. The trivial baseline is a 6-gram.

Source: Segler et al., Generating focused molecule libraries with recurrent neural networks, 2018 /
https://doi.org/10.1021/acscentsci.7b00512
Arus-Pous et al., SMILES-based deep generative scaffold decorator, 2020 / https://doi.org/10.1186/s13321-020-00441-8
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from given.codecs import Text
from given.conditional import quoted
from given.evaluate import molecule_figures
from given.families import Autoregressive, NGram
from given.infer import Rows, prefix
from given.nn import LSTM
from given.sources import (
    PROPERTIES,
    Columns,
    RandomSmiles,
    Source,
    molecule_properties,
    read_smiles,
    scaffold_completed,
    scaffold_prefix,
    smiles_flaw,
)
from given.sources import read as read_data
from given.tokenizers import Characters
from given.variables import UserError, nearest, shown
from given.verbs import Model
from given.verbs import model as model_of
from given.verbs.holes import present
from given.ways import way

__all__ = ["TRAINING", "arranged", "asked", "baselines", "complete", "measure", "model", "read", "smiles_of"]

TRAINING: Mapping[str, Any] = {"batch": 16, "lr": 4e-3, "patience": None}
_DRAWS, _FEW = 2000, 200  # the most that are judged, and the least
_ASKED = 500  # held-out values of a property that draws are asked for
_LOOKED_AT = 64  # rows, for a column of SMILES
_WRITTEN = "()0123456789%"  # that another SMILES of the same molecules may need


def read(data: Any, *, property: str | None = None, skip_bad: bool = False) -> Columns:
    """Canonical SMILES, and before them a property: a column of numbers, or one of `sources.PROPERTIES`, which is computed.

    Args:
        data: anything `given.read` takes, with a column whose name has "smiles" in it.
        property: its name; rows without a value are left out.
        skip_bad: leave SMILES of no molecule out and name them in `skipped`.

    Raises:
        UserError: no such column, or a SMILES of no molecule.
    """
    source = read_data(data)
    rows, column = next(source.batches(1 << 60)), smiles_of(source)
    if property is not None and property not in (*rows, *PROPERTIES):
        raise UserError(f"--property: no column {property}, and RDKit computes {', '.join(PROPERTIES)}; "
                        f"{nearest(property, [*rows, *PROPERTIES])}")
    computed = [property] if property is not None and property not in rows else []
    known = molecule_properties(rows[column].tolist(), computed)
    there = present(known["smiles"])
    texts = rows[column].tolist()
    skipped = [f"{column}, row {row}: {shown(texts[row])} is of no molecule: {smiles_flaw(texts[row])}"
               for row in np.flatnonzero(~there).tolist()]
    if not there.any():
        raise UserError(f"expected SMILES, names after them, got none of {len(there):,} that is of a molecule: {skipped[0]}")
    if skipped and not skip_bad:
        raise UserError(f"{skipped[0]}; mend it, or leave out the {len(skipped):,} such by "
                        f"{way('skip_bad=True', '--skip-bad')}")
    columns = {column: known["smiles"][there]}
    if property is not None:
        values, odd = _numbers((known if computed else rows)[property])
        if odd and (not skip_bad or 2 * len(odd) > len(values)):
            row = next(iter(odd))
            out = "" if 2 * len(odd) > len(values) else (
                f"; mend it, or leave out the {len(odd):,} such by {way('skip_bad=True', '--skip-bad')}")
            raise UserError(f"--property: {property}: expected a column of numbers, got {shown(odd[row])} in row {row}{out}")
        skipped += [f"{property}, row {row}: got {shown(value)}; expected a number" for row, value in odd.items()]
        values = values[there]
        if not (has := present(values)).any():
            raise UserError(f"--property: {property} has no value")
        columns = {property: values[has], column: columns[column][has]}
    found = Columns(columns)
    found.skipped = [*source.skipped, *skipped]
    return found


def _numbers(values: np.ndarray) -> tuple[np.ndarray, dict[int, Any]]:
    """Values as numbers, NaN where there is none, and those that are none, by their row: of text, or without end."""
    if values.dtype.kind in "iu":
        return values, {}
    found, odd = np.full(len(values), np.nan), dict[int, Any]()
    for row, value in enumerate(values.tolist()):
        try:
            found[row] = np.nan if value is None else float(value)
        except (TypeError, ValueError):
            odd[row] = value
        if np.isinf(found[row]):
            odd[row], found[row] = value, np.nan
    return found, odd


def smiles_of(data: Source) -> str:
    """The column of SMILES: that of the name, one with it in its name, or that of whose first texts most are of molecules.

    Raises:
        UserError: there is none.
    """
    some = next(data.batches(_LOOKED_AT))
    found = sorted((name for name in data.names if "smiles" in name.lower()), key=lambda name: name.lower() != "smiles")
    if not found:
        shares = {name: np.mean([read_smiles(text) is not None for text in raw.tolist()]) for name, raw in some.items()
                  if raw.dtype.kind in "OU"}
        found = sorted((name for name, share in shares.items() if share > 0.5), key=lambda name: -shares[name])
    if not found:
        got = ", ".join(map(shown, data.names[:6]))
        raise UserError(f"molecules: expected a column smiles, or one of SMILES, got {got}; a file .smi has one SMILES a line")
    return found[0]


def model(data: Source, *, seed: int = 0, width: int = 192, layers: int = 2, dropout: float = 0.0) -> Model:
    """A model of SMILES, given the property where there is one, nothing of it learned yet.

    Args:
        data: of `read`.
        seed: of the initial weights.
        width, layers, dropout: of the net.
    """
    *given, column = data.names
    texts = [str(text) for batch in data.runs() for text in batch[column]]
    met = set("".join(texts))
    alphabet = "".join(sorted({*met, *_WRITTEN, *("/\\" if met & {*"/\\"} else "")}))
    codec = Text(alphabet=alphabet, window=max(256, 2 * max(map(len, texts))))
    net = partial(Autoregressive, net=partial(LSTM, width=width, layers=layers, dropout=dropout))
    formula = " ".join([*(f"p({quoted(name)})" for name in given), f"p({' | '.join(map(quoted, [column, *given]))})"])
    return model_of(formula, data, codecs={column: codec}, families={column: net}, seed=seed)


def arranged(data: Source, seed: int = 0, share: float = 0.5) -> RandomSmiles:
    """The molecules as they are learned: a share of them in another SMILES in every epoch."""
    return RandomSmiles(next(data.batches(1 << 60)), data.names[-1], share)


def complete(model: Model, scaffold: str, n: int = 1, *, seed: int = 0, **given: Any) -> list[str | None]:
    """n molecules with a scaffold, `*` where something is attached to it, one after another; None for a draw of no molecule.

    Args:
        model: that has learned.
        scaffold: a SMILES, such as `c1ccccc1*`; without a `*` at any atom that has a hydrogen.
        n: draws.
        seed: of them.
        given: the property.

    Raises:
        UserError: no scaffold, or a character in it that was never learned.
    """
    column, codec = (variable := model.joint.declared[-1].x).name, variable.codec
    assert isinstance(codec, Text) and isinstance(codec.tokenizer, Characters)
    left: dict[int, str] = dict.fromkeys(range(n), scaffold)
    found: list[str | None] = [None] * n
    for turn in range(scaffold.count("*") or 1):
        begun = {row: scaffold_prefix(each, seed=seed * n + row + turn) for row, each in left.items()}
        if not begun:
            break
        texts = np.array([text for text, _ in begun.values()])
        if odd := sorted(set("".join(texts)).difference(codec.tokenizer.alphabet)):
            raise UserError(f"scaffold: no molecule that was learned from is written with {odd[0]!r}; {scaffold!r} has it")
        drawn = model.given({column: prefix(texts), **given}).sample(1, seed=seed + turn)[column].reshape(-1)
        ended = {row: scaffold_completed(str(text), places)
                 for (row, (_, places)), text in zip(begun.items(), drawn.tolist(), strict=True)}
        left = {row: text for row, text in ended.items() if text is not None}
    for row, text in left.items():
        found[row] = text
    return found


def asked(model: Model, values: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A property that was asked for (n,), and that of one molecule drawn for each, NaN where it is of no molecule.

    Args:
        model: of a property that RDKit computes.
        values: (n,).
        seed: of the draws.
    """
    name, column = model.joint.columns
    drawn = model.given({name: Rows(values)}).sample(1, seed=seed)[column].reshape(-1).tolist()
    return values, molecule_properties(drawn, [name])[name]


def measure(model: Model, test: Source) -> dict[str, float]:
    """What draws are like beside as many molecules held out, up to 2,000; of a property that RDKit computes, the correlation of
    what is asked and what draws have."""
    rows = next(test.batches(_DRAWS))
    column = list(model.joint.columns)[-1]
    scores = molecule_figures(model.sample(max(rows.n, _FEW), seed=0)[column].tolist(), rows[column].tolist())
    if (name := next(iter(model.joint.columns))) in PROPERTIES:
        wanted, found = asked(model, rows[name][:_ASKED])
        there = np.isfinite(found)
        if there.sum() > 2 and np.ptp(found[there]) > 0:
            scores["r of what is asked"] = float(np.corrcoef(wanted[there], found[there])[0, 1])
    return scores


def baselines(train: Source, test: Source) -> dict[str, dict[str, float]]:
    """A 6-gram of the SMILES alone."""
    column = train.names[-1]
    rows = train.only([column])
    counted = model_of(f"p({quoted(column)})", rows, families={column: partial(NGram, order=6)})
    counted.fit(rows, held_out=0, progress=False)
    return {"6-gram": measure(counted, test)}

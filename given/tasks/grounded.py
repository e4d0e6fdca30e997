"""Grounded: p(reply, choice | a set of things, dialogue), what is said of things that are seen, and which is meant.

Any table, such as .jsonl, with a column of sets of things, lists of mappings such as {"x": .1, "y": .4, "size": 2}; text,
`dialogue`; and `choice`, which of the things somebody chose then, by its place in the row's list from 0 or as a mapping; or
`reply`, text; or both. The reply is written word after word by a transformer that attends to the things; the
choice is a pointer among the things, so that it is the same in whatever order they come. What is measured is how often the
most probable thing is the one that was chosen, beside the thing that is first in one field, that field which most often is
right; and the perplexity of a word of replies, beside that given the things of another row.

Source: Udagawa, Aizawa, A natural language corpus of common grounding under continuous and partially-observable context, 2019 /
https://arxiv.org/abs/1907.03399
Vinyals, Fortunato, Jaitly, Pointer networks, 2015 / https://arxiv.org/abs/1506.03134
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from given.codecs import Set, Text
from given.conditional import quoted
from given.families import Autoregressive, Pointer
from given.nn import Context, Items, ItemScores, LateAttention, Reader, Tokens, Transformer
from given.sources import Columns, Source, holds_sets, joined
from given.variables import Codec, UserError, Variable
from given.verbs import Model
from given.verbs import model as model_of

__all__ = ["TRAINING", "baselines", "chosen", "marked", "measure", "model", "perplexity", "probabilities", "read"]

TRAINING: Mapping[str, Any] = {"batch": 16, "lr": 3e-3, "muon": True}
_ROWS = 1000  # held-out rows that are judged
_SAID = ("dialogue", "reply")
_MEANT = "meant"  # the field of things that says which of them a reply is about


def read(data: Source) -> Columns:
    """The set, `dialogue`, `reply` and `choice`, the last as the thing itself.

    Raises:
        UserError: other columns, or a choice that is not in its set.
    """
    rows = joined(list(data.batches(1 << 16)))
    things, said = _things(rows), [name for name in _SAID if name in rows]
    odd = [i for i, items in enumerate(rows[things]) if not items or not isinstance(items[0], Mapping)]
    if odd:
        row = odd[0]
        raise UserError("expected one thing or more, mappings such as {\"x\": 1, \"y\": 2}, got "
                        f"{str(rows[things][row])[:40]}", row).at(things)
    if not {"choice", "reply"} & {*rows} or (not said and "choice" in rows):
        raise UserError(f"grounded: expected a set of things, text called dialogue, and choice or reply or both, got "
                        f"{', '.join(rows)}; rename them")
    found: dict[str, Any] = {things: rows[things], **{name: rows[name] for name in said}}
    if "choice" in rows:
        found["choice"], chosen = np.empty(rows.n, dtype=object), rows["choice"].tolist()
        for row in [row for row, i in enumerate(chosen) if isinstance(i, str) and not i.isdecimal()][:1]:
            _chosen(chosen[row], rows[things][row], row)  # one text makes text of all
        found["choice"][:] = [[_chosen(i, items, row)] for row, (i, items) in enumerate(zip(chosen, rows[things], strict=True))]
    return Columns(found)


def _chosen(choice: Any, items: list[Any], row: int) -> Any:
    """The thing of a choice, by its place or itself."""
    if isinstance(choice, Mapping) and choice in items:
        return choice
    if isinstance(choice, bool) or not isinstance(choice, int | float) or choice not in range(len(items)):
        said = f"{choice:g}" if isinstance(choice, int | float) else repr(choice)[:60]
        raise UserError(f"got {said}, and its set has {len(items)} things; expected the place of one, from 0 to "
                        f"{len(items) - 1}, or one of them", row).at("choice")
    return items[int(choice)]


def model(data: Source, *, seed: int = 0, width: int = 64, layers: int = 2, bins: int = 64, words: int = 768,
          dropout: float = 0.1) -> Model:
    """A model of replies and choices, nothing of it learned yet.

    Args:
        data: of `read`.
        seed: of the initial weights.
        width, layers: of the nets.
        bins: of a number of a thing.
        words: that are told apart; all others are one.
        dropout: probability, while learning.
    """
    rows = joined(list(data.batches(1 << 16)))
    things = _things(rows)
    sets = _sets(rows, things, bins)
    codecs: dict[str, Codec] = {things: Set(**sets), **{name: Text("words", size=words) for name in _SAID if name in rows}}
    readers: dict[str, Reader] = {things: Items(layers=2, dropout=dropout, compared=True),
                                  **{name: Tokens(dropout=dropout) for name in _SAID}}
    known, formula, families = [things, *["dialogue"] * ("dialogue" in rows)], "", dict[str, Any]()
    net = partial(Transformer, width=width, layers=layers, dropout=dropout)
    if "reply" in rows:
        formula += f"p(reply | {', '.join(map(quoted, known))}) "
        families["reply"] = partial(Autoregressive, net=partial(LateAttention, net=net),
                                    context=partial(Context, sums_tokens=True), readers={n: readers[n] for n in known})
        known.append("reply")
    if "choice" in rows:
        codecs["choice"] = Set(**{**sets, "most": 1})
        formula += f"p(choice | {', '.join(map(quoted, known))})"
        families["choice"] = partial(Pointer, width=width, net=partial(ItemScores, layers=layers, dropout=dropout),
                                     readers={name: readers[name] for name in known})
    return model_of(formula.strip(), data, codecs=codecs, families=families, seed=seed)


def _sets(rows: Columns, things: str, bins: int) -> dict[str, Any]:
    """Arguments of codecs of sets and of one of their things, which agree on what fields may be."""
    codec = Set(bins=bins)
    Variable(things, codec).learn(rows)
    fields = codec.fields or []
    return {"names": [f.name for f in fields], "ranges": {f.name: f.range for f in fields if f.number}, "bins": bins,
            "categories": {f.name: f.categories for f in fields if not f.number}, "most": codec.longest}


def _things(data: Mapping[str, np.ndarray]) -> str:
    """The column of sets: `things`, or the only one.

    Raises:
        UserError: there is none, or several.
    """
    sets = [name for name in data if name != "choice" and holds_sets(data[name])]
    if "things" in sets or len(sets) == 1:
        return "things" if "things" in sets else sets[0]
    raise UserError('grounded: expected one column of sets, as [{"x": 1, "y": 2}, ...], got '
                    f"{' and '.join(sets) or 'none'} among {', '.join(data)}; call it things")


def probabilities(model: Model, rows: Mapping[str, Any]) -> np.ndarray:
    """(n, K) how probable it is that each thing of a row's list, in its order, is chosen; 0 of none. Things that are alike
    have each what they have together.

    Args:
        model: with p(choice | ...).
        rows: sets, and text as learned from.
    """
    factor = next(f for f in model.joint.declared if f.x.name == "choice")
    names = [v.name for v in factor.parents]
    sets = list(rows[names[0]])
    found = np.zeros((len(sets), max(map(len, sets), default=0)))
    at = [(r, k) for r, items in enumerate(sets) for k in range(len(items))]
    given = {name: [rows[name][r] for r, _ in at] for name in names}
    choice = np.empty(len(at), dtype=object)
    choice[:] = [[sets[r][k]] for r, k in at]
    density = model.given(given).log_prob(choice=choice)  # in the units of the things' numbers
    found[tuple(np.array(at).T)] = np.exp(density - factor.x.codec.log_volume(factor.x.codec.encode(choice)).numpy())
    return found


def chosen(model: Model, rows: Mapping[str, Any]) -> np.ndarray:
    """(n,) the place, in a row's list, of the thing that is most probably chosen. Arguments as of `probabilities`."""
    factor = next(f for f in model.joint.declared if f.x.name == "choice")
    known = {v.name: rows[v.name] for v in factor.parents}
    sets, (codec, things) = list(known[factor.parents[0].name]), (factor.x.codec, model.given(known).mode()["choice"])

    def symbols(items: Sequence[Any]) -> np.ndarray:
        each = np.empty(len(items), dtype=object)
        each[:] = [[item] for item in items]
        found: np.ndarray = codec.encode(each).tensor.numpy()
        return found

    found, of = symbols([row[0] for row in things]), symbols([item for items in sets for item in items])
    ends = np.cumsum([len(items) for items in sets])
    return np.array([int((of[end - len(items):end] == one).all(1).argmax()) for items, end, one in zip(
        sets, ends, found, strict=True)])


def marked(sets: Iterable[Sequence[Mapping[str, Any]]], at: Iterable[int]) -> np.ndarray:
    """(n,) sets whose things have one field more, `meant`: whether it is the thing at a place."""
    each = [[{**item, _MEANT: bool(i == k)} for i, item in enumerate(items)] for items, k in zip(sets, at, strict=True)]
    found = np.empty(len(each), dtype=object)
    found[:] = each
    return found


def perplexity(model: Model, rows: Mapping[str, Any]) -> float:
    """Of a word of replies, their ends among them: e to the nats of one. Where things have a field `meant`, which is meant is
    summed out, each as probable as the next: whoever reads a reply is not told."""
    factor = next(f for f in model.joint.declared if f.x.name == "reply")
    known, reply = {v.name: np.asarray(rows[v.name]) for v in factor.parents}, np.asarray(rows["reply"])
    things = next(iter(known), "")
    count = np.array([len(items) if _MEANT in items[0] else 1 for items in known[things]] if things else [1] * len(reply))
    found = np.full((len(reply), count.max()), -np.inf)
    for k in range(count.max()):
        some = {name: column[count > k] for name, column in known.items()}
        if count.max() > 1:
            some[things] = marked(some[things], [k] * len(some[things]))
        found[count > k, k] = model.given(some).log_prob(reply=reply[count > k])
    words = factor.x.codec.encode(reply).occupied.sum()
    return math.exp(-float(np.sum(np.logaddexp.reduce(found, 1) - np.log(count))) / float(words))


def measure(model: Model, test: Source) -> dict[str, float]:
    """How often the most probable thing was chosen; the perplexity of a word, and that given another row's things."""
    rows, found = next(test.batches(_ROWS)), dict[str, float]()
    things = _things(rows)
    if "choice" in rows:
        found["right"] = _right(rows, things, chosen(model, rows))
    if "reply" in rows:
        other = Columns({**rows, things: np.roll(rows[things], rows.n // 2)})
        found |= {"perplexity": perplexity(model, rows), "given other things": perplexity(model, other)}
    return found


def baselines(train: Source, test: Source) -> dict[str, dict[str, float]]:
    """A thing at random, and that which is first or last by one field, the field and the end that are right most often."""
    rows, known = next(test.batches(_ROWS)), joined(list(train.batches(1 << 16)))
    things, found = _things(rows), dict[str, dict[str, float]]()
    if "choice" in rows:
        found["at random"] = {"right": float(np.mean([1 / len(items) for items in rows[things]]))}
        ends = [(name, sign) for name, value in known[things][0][0].items() if not isinstance(value, str) for sign in (-1, 1)]
        if ends:
            name, sign = max(ends, key=lambda end: _right(known, things, _first(known[things], *end)))
            right = _right(rows, things, _first(rows[things], name, sign))
            found[f"{'lowest' if sign < 0 else 'highest'} {name}"] = {"right": right}
    return found


def _first(sets: np.ndarray, name: str, sign: int) -> np.ndarray:
    """(n,) the place of the thing that has most of a field, or least."""
    return np.array([int(np.argmax([sign * item[name] for item in items])) for items in sets])


def _right(rows: Mapping[str, np.ndarray], things: str, at: np.ndarray) -> float:
    """How often the things at places are those that were chosen."""
    return float(np.mean([items[k] == chosen for items, k, (chosen,) in zip(rows[things], at, rows["choice"], strict=True)]))

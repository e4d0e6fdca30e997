"""Ranking: candidates by how probable they are given what is observed, or by how much the observed tells of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from given.codecs import Label
from given.conditional import Chooses, Conditional
from given.joint import Joint
from given.sources import Columns
from given.variables import UserError, Variable
from given.ways import way

__all__ = ["ranked"]


def ranked(query: Any, values: Mapping[str, Any], pmi: Any, seed: int | None) -> Columns:
    """Candidates, the best first; arguments as of `Query.rank`, whose query this is.

    Raises:
        UserError: there is no p(x).
    """
    query = _among(query, values)
    by, value = "log_prob", query.log_prob(values, seed=seed)
    if pmi is not False:
        own = _marginal(query.joint, list(values)) if pmi is True else None
        try:
            by, value = "pmi", value - query.beside(own or (None if isinstance(pmi, bool) else pmi.joint)).log_prob(
                values, seed=seed)
        except UserError as error:
            raise UserError(f"rank: no p({', '.join(values)}) to compare with ({error}); declare what is missing, "
                        + way("pass given(..., prior=...), or pass pmi=another model that has it",
                              "or name another model that has it by --pmi")) from None
    rows = Columns({name: observed if np.ndim(observed) else [observed] for name, observed in values.items()})
    order = np.argsort(-value, kind="stable")
    return Columns({**{name: each[order] for name, each in rows.items()}, by: value[order]})


def _among(query: Any, values: Mapping[str, Any]) -> Any:
    """The query of a joint whose factor of these columns is asked among the candidates alone, where it knows no more."""
    factors = query.joint.declared
    chosen = [factor for factor in factors if list(factor.x.columns) == list(values) and isinstance(factor, Chooses)]
    if not chosen:
        return query
    (name, candidates), = values.items()
    try:
        codec = Label(list(dict.fromkeys(np.atleast_1d(candidates).tolist())))
    except UserError as error:
        raise error.at(name) from None
    return query.of(Joint(*(factor.among(Variable(name, codec)) if factor in chosen else factor for factor in factors),
                          latents=query.joint.posteriors))


def _marginal(joint: Joint, names: list[str]) -> Joint | None:
    """p(x) that the family of p(x | y) holds, if it does."""
    each = [getattr(factor, "marginal", None) for factor in joint.declared if list(factor.x.columns) == names]
    return Joint(each[0]) if each and isinstance(each[0], Conditional) else None

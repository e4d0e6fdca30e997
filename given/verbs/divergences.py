"""Divergences between two models, or between a model and data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import torch

from given import distributions
from given.codecs import BlockCodec
from given.evaluate import Divergence, Features, KernelTest, mmd
from given.evaluate.divergence import (
    categorical_js,
    categorical_kl,
    jensen_shannon,
    kl,
    normal_entropy,
    normal_kl,
    normal_wasserstein2,
    sliced_wasserstein2,
    wasserstein2,
)
from given.sources import Columns, read
from given.train import nested
from given.variables import Entries, Real, UserError
from given.verbs.checks import check_unweighted, whole_seed
from given.verbs.models import Model

__all__ = ["Divergences", "divergences"]


@dataclass(frozen=True)
class Divergences:
    """How far two models, or a model and data, are apart. Printed, a line each; None is left out.

    Attributes:
        kl: KL(p || q).
        reverse_kl: KL(q || p).
        jensen_shannon: of both.
        entropy: of p.
        cross_entropy: of q under p: entropy + kl.
        wasserstein2: in raw units in closed form, else in standard deviations of p's draws.
        sliced: the sliced W2, in standard deviations of p's draws.
        kernel: the maximum mean discrepancy of draws.
        left_out: what is not there -> why.
    """

    kl: Divergence | None = None
    reverse_kl: Divergence | None = None
    jensen_shannon: Divergence | None = None
    entropy: Divergence | None = None
    cross_entropy: Divergence | None = None
    wasserstein2: Divergence | None = None
    sliced: Divergence | None = None
    kernel: KernelTest | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        """All figures by name, as JSON has them: what is not finite is None."""
        def plain(value: Any) -> Any:
            return None if isinstance(value, float) and not math.isfinite(value) else value

        found = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "left_out"}
        return {**{name: {k: plain(v) for k, v in vars(value).items()} for name, value in found.items() if value is not None},
                "left_out": dict(self.left_out)}

    @property
    def _units(self) -> str:
        return "raw units" if self.wasserstein2 is not None and self.wasserstein2.how == "closed form" else "s.d. of p"

    def __str__(self) -> str:
        lines = [("KL(p || q)", self.kl), ("KL(q || p)", self.reverse_kl), ("Jensen-Shannon", self.jensen_shannon),
                 (f"Wasserstein-2, in {self._units}", self.wasserstein2), ("sliced Wasserstein-2, in s.d. of p", self.sliced)]
        out = [f"{name}: {value}" for name, value in lines if value is not None]
        if self.kernel is not None:
            out.append(f"maximum mean discrepancy: {self.kernel.value:.4g} squared (p = {self.kernel.p_value:.3f})")
        if self.kl is not None and self.entropy is not None and self.cross_entropy is not None:
            out.append(f"cross-entropy {self.cross_entropy.value:.4f} = entropy {self.entropy.value:.4f} + KL "
                       f"{self.kl.value:.4f} nats")
        elif self.cross_entropy is not None:
            out.append(f"cross-entropy of the data under the model: {self.cross_entropy}")
        return "\n".join([*out, *(f"{name}: {why}" for name, why in self.left_out.items())])


def divergences(p: Any, q: Any, *, given: Mapping[str, Any] | None = None, n: int = 2000, seed: int | None = 0) -> Divergences:
    """How far two models are apart, or data and a model: in closed form between two Gaussians or two single categories, else
    by draws.

    Args:
        p, q: fitted models of the same columns, or either of them data, anything `read` takes.
        given: rows of the conditions, where there are any; divergences are means over them.
        n: draws of each, and rows of data at most.
        seed: of draws.

    Raises:
        UserError: models of different columns or measures, data without a column or of unequal weights, a condition that is not
            given, or no model.
    """
    if not isinstance(p, Model) and not isinstance(q, Model):
        raise UserError(f"divergences: expected at least one model, got {type(p).__name__} and {type(q).__name__}")
    closed = _closed(p, q) if isinstance(p, Model) and isinstance(q, Model) and _checked(p, q) else {}
    sides = _Sides(p, q, given, n, whole_seed(seed))
    for side, who in enumerate((p, q)):
        if not isinstance(who, Model):
            sides.rows(side)  # what is no data of the model's is refused before anything is drawn
    found, left_out = dict[str, Any](), dict[str, str]()
    for name, find in sides.all().items():
        if name in closed:
            continue
        try:
            found[name] = _marked(find(), sides)
        except (UserError, ArithmeticError) as error:
            left_out[name] = str(error)
    return Divergences(**{**found, **closed}, left_out=left_out)


def _marked(value: Any, sides: _Sides) -> Any:
    """What is of scores that are no exact densities says so."""
    inexact = isinstance(value, Divergence) and value.how == "Monte Carlo" and sides.kinds - {"exact"}
    return replace(value, how="of inexact scores") if inexact else value


def _checked(p: Model, q: Model) -> bool:
    """Raise `UserError` unless two models are of the same columns given the same, in one measure."""
    columns = [set(m.joint.columns) - set(m.joint.latents) for m in (p, q)]
    for what, (mine, its) in {"columns": columns, "conditions": [set(m.joint.conditions) for m in (p, q)]}.items():
        if mine != its:
            raise UserError(f"divergences: {p} and {q} are of different {what}: {', '.join(sorted(mine)) or 'none'}; "
                            f"{', '.join(sorted(its)) or 'none'}")
    for name in p.joint.columns:
        a, b = (_measure(m, name) for m in (p, q) if name in m.joint.columns)
        if a != b:
            raise UserError(f"divergences: {name} has different measures, {a!r} and {b!r}; nothing lies between them")
    return True


def _measure(model: Model, name: str) -> str:
    return model.joint.columns[name].codec.measure


class _Sides:
    """Draws of both sides, and their log-probabilities, each made when it is first asked for."""

    def __init__(self, p: Any, q: Any, given: Mapping[str, Any] | None, n: int, seed: int) -> None:
        self.p, self.q, self.n, self.seed = p, q, n, seed
        self.model: Model = p if isinstance(p, Model) else q
        self.given = Columns(given) if given is not None else None
        absent = [name for name in self.model.joint.conditions if self.given is None or name not in self.given]
        if absent and isinstance(p, Model) and isinstance(q, Model):
            raise UserError(f'divergences: {absent[0]} is a condition of {self.model}; pass given={{"{absent[0]}": [...]}}')
        self.cache: dict[Any, Any] = {}
        self.kinds = set[str]()  # of the scores so far

    def all(self) -> dict[str, Callable[[], Any]]:
        """Name -> what finds it."""
        def by_draws(measure: Callable[..., Divergence]) -> Divergence:
            a, b, again = self.numbers()
            return measure(a, b, again)

        out: dict[str, Callable[[], Any]] = {
            "wasserstein2": lambda: by_draws(wasserstein2), "sliced": lambda: by_draws(sliced_wasserstein2),
            "kernel": lambda: mmd(*self.numbers()[:2], seed=self.seed)}
        if isinstance(self.p, Model) and isinstance(self.q, Model):
            out |= {"kl": lambda: kl(self.log(0, 0), self.log(1, 0)), "reverse_kl": lambda: kl(self.log(1, 1), self.log(0, 1)),
                    "jensen_shannon": lambda: jensen_shannon(self.log(0, 0), self.log(1, 0), self.log(0, 1), self.log(1, 1)),
                    "entropy": lambda: kl(-self.log(0, 0), np.zeros(1)),
                    "cross_entropy": lambda: kl(-self.log(1, 0), np.zeros(1))}
        else:
            model, rows = (0, 1) if isinstance(self.p, Model) else (1, 0)
            out["cross_entropy"] = lambda: kl(-self.log(model, rows), np.zeros(1))
        return out

    def rows(self, side: int, again: int = 0) -> Columns:
        """Draws of p (0) or q (1), or its rows."""
        if (side, again) not in self.cache:
            who = (self.p, self.q)[side]
            self.cache[side, again] = self._draws(who, side + 2 * again) if isinstance(who, Model) else self._data(who)
        found: Columns = self.cache[side, again]
        return found

    def _data(self, data: Any) -> Columns:
        """Rows of data, which have the model's columns."""
        rows = nested(read(data, learned=self.model.cells), self.n)
        columns = self.model.joint.columns.keys() - self.model.joint.latents
        absent = [name for name in columns if name not in rows]
        if absent:
            raise UserError(f"divergences: the data has no column {absent[0]}, and {self.model} has; there are "
                            f"{', '.join(rows.names)}")
        check_unweighted(self.model.facts, rows, "divergences")
        return rows

    def _draws(self, model: Model, stream: int) -> Columns:
        names, seed = list(model.joint.conditions), self.seed * 4 + stream
        columns = [k for k in model.joint.columns if k not in model.joint.latents]
        if not names:
            drawn = model.given().sample(self.n, seed=seed)
            return Columns({k: drawn[k] for k in columns})
        rows = self.given
        if rows is None:  # those of the data that is set beside it
            rows = self.rows(0 if model is self.q else 1)
        some = rows.rows(np.resize(np.arange(rows.n), self.n))
        flat = model.given({k: some[k] for k in names}).sample(1, seed=seed).flat()
        return Columns({**{k: flat[k] for k in columns if k in flat}, **{k: some[k] for k in names}})

    def log(self, model: int, side: int) -> np.ndarray:
        """log p (0) or log q (1) of the draws of a side."""
        if ("log", model, side) not in self.cache:
            who: Model = (self.p, self.q)[model]
            score = who.score(self.rows(side), seed=self.seed)
            self.cache["log", model, side] = score.items
            self.kinds.add(score.kind)
        found: np.ndarray = self.cache["log", model, side]
        return found

    def numbers(self) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Both sides as numbers in standard deviations of p's, and more draws of p, or of q where p is data."""
        if "numbers" not in self.cache:
            a, b = self.rows(0), self.rows(1)
            of = Features({k: v for k, v in self.model.joint.columns.items() if k in a and k in b}, a)
            again = of(self.rows(0, 1)) if isinstance(self.p, Model) else None
            self.cache["numbers"] = of(a), of(b), again
        found: tuple[np.ndarray, np.ndarray, np.ndarray | None] = self.cache["numbers"]
        return found


def _closed(p: Model, q: Model) -> dict[str, Any]:
    """What is known in closed form: between two normal distributions, or two of one category."""
    a, b = _normal(p), _normal(q)
    if a is not None and b is not None:
        names = [name for name, _ in a[2]]
        order = [[name for name, _ in b[2]].index(name) for name in names]
        mean, covariance = b[0][order], b[1][np.ix_(order, order)]
        forward = normal_kl(a[0], a[1], mean, covariance)
        entropy = Divergence(normal_entropy(a[1]), 0.0, "closed form")
        return {"kl": forward, "reverse_kl": normal_kl(mean, covariance, a[0], a[1]), "entropy": entropy,
                "cross_entropy": Divergence(entropy.value + forward.value, 0.0, "closed form"),
                "wasserstein2": normal_wasserstein2(a[0], a[1], mean, covariance)}
    log_p, log_q = _categories(p), _categories(q)
    if log_p is None or log_q is None or log_p.keys() != log_q.keys():
        return {}
    x, y = np.array(list(log_p.values())), np.array([log_q[k] for k in log_p])
    forward = categorical_kl(x, y)
    entropy = Divergence(float(-(np.exp(x) * np.where(np.isfinite(x), x, 0)).sum()), 0.0, "closed form")
    return {"kl": forward, "reverse_kl": categorical_kl(y, x), "jensen_shannon": categorical_js(x, y), "entropy": entropy,
            "cross_entropy": Divergence(entropy.value + forward.value, 0.0, "closed form")}


def _single(model: Model) -> Any:
    """The distribution of a model of one factor without parents; None of any other."""
    factors = model.joint.declared
    if len(factors) != 1 or factors[0].parents or model.joint.latents or not model.facts.get("fitted", True):
        return None
    with torch.no_grad():
        found = model.joint.distribution(factors[0], {}, 1)
    return found.distribution if isinstance(found, distributions.Flattened) else found


def _normal(model: Model) -> tuple[np.ndarray, np.ndarray, list[tuple[str, Any]]] | None:
    """Mean (D,), covariance (D, D) in raw units and columns of a model that is a normal distribution of single numbers on
    lines."""
    found = _single(model)
    if not isinstance(found, distributions.Normal):
        return None
    x = model.joint.declared[0].x
    codecs = list(x.codec.codecs.items()) if isinstance(x.codec, BlockCodec) else [(x.name, x.codec)]
    if not all(codec.affine and isinstance(codec.space, Real) and not codec.space.axes for _, codec in codecs):
        return None
    ends = np.array([codec.real(Entries(torch.tensor([0.0, 1.0], dtype=torch.float64))) for _, codec in codecs], np.float64)
    scale = ends[:, 1] - ends[:, 0]
    mean, covariance = found.mean_BD[0].numpy(), found.covariance[0].numpy()
    return ends[:, 0] + scale * mean, scale[:, None] * covariance * scale, codecs


def _categories(model: Model) -> dict[str, float] | None:
    """Category -> log-probability, of a model of one column of categories."""
    found = _single(model)
    if not isinstance(found, distributions.Categorical) or found.space.axes:
        return None
    names = model.joint.declared[0].x.codec.names()
    values = found.log_probs.detach().double().reshape(-1).numpy()
    return dict(zip(names, values.tolist(), strict=True)) if len(names) == len(values) and math.isfinite(values.max()) else None



"""quality: synthetic rows beside real ones: told apart or not, column by column, of what use, and whose rows they give away."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from given.evaluate.discrimination import Estimate, Transfer, independent, told_apart, transfer
from given.evaluate.marginals import Marginal, Pairs, marginals, pairs
from given.evaluate.matched import MISSING, Matched, sampled
from given.evaluate.plain import plain
from given.evaluate.privacy import Copied, Membership, copied, membership
from given.sources import write_file
from given.variables import UserError
from given.ways import way

__all__ = ["FRESH", "INDEPENDENT", "Quality", "SYNTHETIC", "TwoSample", "quality_of"]

SYNTHETIC, FRESH, INDEPENDENT = "synthetic rows", "real rows", "independent columns"
_MOST = 10_000  # rows that trees learn from, of each set
_CLASSES = 10
_NAMED = 10
_ALIKE = 0.55  # AUC
_SHUFFLES = 5  # for what little one leaves between columns may predict well, or the opposite


@dataclass(frozen=True)
class TwoSample:
    """How well boosted trees tell rows from real ones.

    Attributes:
        areas: rows -> AUC: synthetic rows, independent columns and, where there are held-out rows, real rows.
        against: the real rows that all are told from.
        n: rows of each set.
    """

    areas: Mapping[str, Estimate]
    against: str
    n: int


@dataclass(frozen=True)
class Quality:
    """What `given.quality` found. A part that could not be worked out is None, and `skipped` says why.

    Attributes:
        rows: table -> how many it has.
        two_sample, marginals, pairs, transfer, copied, membership: the parts.
        skipped: part -> its reason.
        left_out: column -> why it is not compared.
        shares: column -> names of values, and their shares of real and of synthetic rows.
        held_out: where the held-out rows are from, in words; "" where there are none.
        page: what makes a page of it.
    """

    rows: Mapping[str, int]
    two_sample: TwoSample | None
    marginals: tuple[Marginal, ...]
    pairs: Pairs
    transfer: Transfer | None
    copied: Copied
    membership: Membership | None
    skipped: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    shares: Mapping[str, tuple[list[str], list[float], list[float]]] = field(default_factory=dict, repr=False)
    held_out: str = ""
    page: Callable[[Quality], str] = field(default=str, repr=False)

    def json(self) -> dict[str, Any]:
        """All figures by name, as JSON has them: what is not finite is None."""
        return {f.name: plain(getattr(self, f.name)) for f in fields(self) if f.name not in ("page", "shares")}

    def save(self, path: str) -> None:
        """Write it as one self-contained HTML page."""
        content = self.page(self).encode()
        write_file(path, lambda file: file.write(content))

    @property
    def beyond_chance(self) -> list[Marginal]:
        """Columns that differ by more than chance, those that do by most times first."""
        return sorted((m for m in self.marginals if m.value > m.chance), key=lambda m: -m.value / max(m.chance, 1e-12))

    @property
    def warning(self) -> str:
        """A line that says so where held-out rows are not like the real ones, which no ceiling then is; else nothing."""
        fresh = None if self.two_sample is None else self.two_sample.areas.get(FRESH)
        return "" if fresh is None or fresh.low <= _ALIKE else (
            f"held-out rows are told from the real ones with AUC {fresh.value:.3f}, so that they are not of one source, or "
            "their values are spelled otherwise; what is said by held-out rows says little")

    def __str__(self) -> str:
        return "\n".join([*([self.warning] if self.warning else []), *self._lines(),
                          *(f"{part}: skipped, {why}" for part, why in self.skipped.items()),
                          *(f"{name}: left out, {why}" for name, why in self.left_out.items())])

    __repr__ = __str__

    def _lines(self) -> Iterable[str]:
        if self.two_sample is not None:
            yield f"AUC of boosted trees that tell rows from {self.two_sample.against} ({self.two_sample.n:,} each):"
            yield from (f"  {who:<20} {area}" for who, area in self.two_sample.areas.items())
        beyond = self.beyond_chance
        yield (f"marginals: {len(beyond)} of {len(self.marginals)} columns differ by more than chance" + ": " * bool(beyond)
               + ", ".join(f"{m.column} {m.value:.3f} (chance {m.chance:.3f})" for m in beyond[:_NAMED]))
        if self.pairs.each:
            yield (f"pairs: associations differ by {self.pairs.mean:.3f} on average (chance {self.pairs.chance:.3f}), most: "
                   + ", ".join(f"{' and '.join(p.columns)} {p.real:.2f} -> {p.synthetic:.2f}" for p in self.pairs.each[:3]))
        if self.transfer is not None:
            for measure, figures in self.transfer.measures.items():
                yield f"{measure} of {self.transfer.target} on {self.transfer.tested:,} held-out rows, learned from:"
                yield from (f"  {who:<20} {figure}" for who, figure in figures.items())
        c = self.copied
        beside = "" if c.equal_held_out is None else f"; of held-out rows {c.equal_held_out}"
        yield f"copies: equal to a row learned from {c.equal}{beside}"
        if c.near is not None:
            yield f"        within {c.distance:.4f} of one {c.near}; of held-out rows {c.near_held_out}"
        if self.membership is not None:
            m = self.membership
            yield f"membership attack, AUC: by nearest {m.nearest}, by density {m.density}, by ratio {m.ratio}"


def quality_of(found: Matched, *, held_out: str = "", target: str | None = None, seed: int = 0,
               page: Callable[[Quality], str] = str) -> Quality:
    """The quality of a table `synthetic` of matched tables, by `real` and, where it is there, `held_out`.

    Args:
        found: the tables.
        held_out: where the held-out rows are from, in words.
        target: the column that trees predict; by default the last of two to ten categories.
        seed: of rows, folds and trees.
        page: what makes a page of it.

    Raises:
        UserError: a target that is not compared, or a table without rows.
    """
    real, synthetic, held = (found.tables.get(name) for name in ("real", "synthetic", "held_out"))
    assert real is not None and synthetic is not None
    categorical, skipped, trees = found.categorical, dict[str, str](), found.inputs

    def part(name: str, make: Callable[[], Any]) -> Any:
        try:
            return make()
        except UserError as error:
            skipped[name] = str(error)
            return None

    chosen = _target(found) if target is None else target
    where = found.names.index(chosen) if chosen in found.names else None

    def transferred() -> Transfer:
        if where is None:
            raise UserError("no column has two to ten categories; name one by " + way("target=name", "--target NAME"))
        if held is None:
            raise UserError(_without("it is tested on rows that neither learned from"))
        n = min(len(real), len(synthetic), _MOST)
        learned = sampled(trees(real), n, seed)
        sets = {SYNTHETIC: [sampled(trees(synthetic), n, seed)], FRESH: [learned],
                INDEPENDENT: [independent(learned, seed + k) for k in range(_SHUFFLES)]}
        return transfer(sets, trees(held), where, categorical, str(chosen), chosen=target is None, seed=seed)

    def attacked() -> Membership:
        if held is None:
            raise UserError(_without("rows learned from are told from others"))
        return membership(found.places(real), found.places(sampled(synthetic, _MOST, seed)), found.places(held), categorical,
                          seed=seed)

    if held is None:
        skipped["near copies"] = _without("how near chance brings rows is seen by them")
    return Quality({name: len(rows) for name, rows in found.tables.items()},
                   part("two-sample test", lambda: _two_sample(found, seed)),
                   marginals(real, synthetic, found.names, categorical),
                   pairs(sampled(real, _MOST, seed), sampled(synthetic, _MOST, seed), found.names, categorical, seed=seed),
                   part("train on synthetic, test on real", transferred),
                   copied(real, synthetic, held, found.places, categorical, seed=seed),
                   part("membership attack", attacked), skipped, found.left_out, _shares(found), held_out, page)


def _without(why: str) -> str:
    return (f"there are no held-out rows, and {why}; pass rows that the synthetic ones were not learned from by "
            + way("held_out=rows", "--held-out FILE"))


def _two_sample(found: Matched, seed: int) -> TwoSample:
    real, synthetic, held = (found.tables.get(name) for name in ("real", "synthetic", "held_out"))
    assert real is not None and synthetic is not None
    n = min(*(len(rows) for rows in found.tables.values()), _MOST)
    real, synthetic = (found.inputs(sampled(rows, n, seed)) for rows in (real, synthetic))
    against = real if held is None else found.inputs(sampled(held, n, seed))
    sets = {SYNTHETIC: synthetic, INDEPENDENT: independent(real, seed), **({} if held is None else {FRESH: real})}
    return TwoSample({who: told_apart(against, rows, found.categorical, seed=seed) for who, rows in sets.items()},
                     "real rows" if held is None else "held-out real rows", n)


def _target(found: Matched) -> str | None:
    """The last column of two to ten categories in the real table."""
    sizes = {name: len(np.unique(found.tables["real"][:, j])) for j, name in enumerate(found.names) if name in found.categories}
    return next((name for name in reversed(sizes) if 1 < sizes[name] <= _CLASSES), None)


def _shares(found: Matched) -> dict[str, tuple[list[str], list[float], list[float]]]:
    """Of every column names of values and their shares of real and synthetic rows: of up to 15 categories and all others, or
    between 16 equally spaced edges over the middle 98 % of numbers, with what is missing last."""
    out = dict[str, tuple[list[str], list[float], list[float]]]()
    for j, name in enumerate(found.names):
        a, b = (found.tables[table][:, j] for table in ("real", "synthetic"))
        if name in found.categories:
            names = [*found.categories[name][:15], *(["others"] if len(found.categories[name]) > 15 else [])]
            sides = [np.bincount(np.minimum(v, len(names) - 1).astype(np.int64), minlength=len(names)) / len(v) for v in (a, b)]
        else:
            known = a[~np.isnan(a)]
            low, high = np.quantile(known, [0.01, 0.99]) if len(known) else (0.0, 1.0)
            edges = np.linspace(low, high if high > low else low + 1, 17)
            counts = [np.histogram(np.clip(v[~np.isnan(v)], edges[0], edges[-1]), edges)[0] for v in (a, b)]
            sides = [np.append(count, np.isnan(v).sum()) / len(v) for count, v in zip(counts, (a, b), strict=True)]
            ends = found.codecs[name].raw_of(edges).tolist()
            names = [*(f"{end:.4g}" if isinstance(end, float) else str(end) for end in (ends[0], *ends[2:])), MISSING]
            if not np.isnan(np.concatenate([a, b])).any():
                names, sides = names[:-1], [side[:-1] for side in sides]
        out[name] = names, sides[0].tolist(), sides[1].tolist()
    return out

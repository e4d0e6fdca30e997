"""Statistics: parameters moved from their start, sums and integrals of densities, tests of draws."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from given.distributions import Distribution
from given.variables import Entries, Product, Space

__all__ = ["SIGMAS", "bounded_total", "check_counts", "check_moments", "expected_score", "integral", "numbers", "perturb",
           "quadrature"]

_FAILURE = 1e-6  # the rate at which a correct family may fail a test of chance
SIGMAS = 5.0
_DRAWS = 2000  # that locate a density
_MARGIN = 0.7  # of their range, on either side
_CELLS = 16  # a dimension, of equal numbers of draws, before any is split
_NODES = 4  # a dimension and cell
_CLOSE = 5e-5  # a cell whose integral moves by less when it is split is fine enough
_SPLITS = 12


def perturb(module: torch.nn.Module, scale: float = 0.3, seed: int = 0) -> None:
    """Move every parameter away from its start: matrices by what moves their outputs, whatever their width."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters():
            read = math.prod(p.shape[1:] if p.dim() > 3 else p.shape[-1:])  # by an output; of convolutions, over the kernel
            size = 2 * scale / math.sqrt(read) if p.dim() > 1 else scale
            p.add_(size * torch.randn(p.shape, generator=generator).to(p))


def expected_score(law: Distribution, x: Entries) -> Tensor:
    """The score; of a bound, which holds in expectation, the mean over eight seeds."""
    seeds = range(8 if law.kind == "bound" else 1)
    return torch.stack([law.log_prob(x, seed=seed) for seed in seeds]).mean(0)


def bounded_total(law: Distribution, x: Entries) -> tuple[Tensor, Tensor]:
    """The sum of exp(bound) over items x (N, B, *grid), what noise in a bound adds to it taken off, and its standard error:
    (B,) each, from eight seeds."""
    each = torch.stack([law.log_prob(x, seed=seed) for seed in range(8)])
    mass = each.mean(0).exp()
    total = (mass * (1 - each.var(0) / (2 * len(each)))).sum(0)
    return total, (mass * each).sum(1).std(0) / len(each) ** 0.5


def integral(law: Distribution) -> Tensor:
    """The integral of exp(log_prob) of one or two reals over what draws cover with a wide margin: (B,)."""
    return quadrature(law)[1].sum(0)


def quadrature(law: Distribution) -> tuple[Tensor, Tensor]:
    """Points (N, D) with every atom, and the mass (N, B) of each by the density.

    Cells of equal numbers of draws are split where that moves their integral, so that a sharp density gets many. A bound, which
    is random, is split once.
    """
    drawn = law.sample((_DRAWS,), seed=11).flat(law.space).tensor.flatten(0, 1)
    atoms = [part.atoms for _, part in law.space.parts for _ in range(part.dimensions)]  # type: ignore[attr-defined]
    points, masses = list[Tensor](), list[Tensor]()
    for fixed in itertools.product(*([None, *each] for each in atoms)):
        free = [d for d, atom in enumerate(fixed) if atom is None]
        cells = _cells([_edges(drawn[:, d], atoms[d]) for d in free])
        whole = _masses(law, fixed, cells)[1].sum(1)
        for _ in range(1 if law.kind == "bound" else _SPLITS):
            halves = _split(cells)
            at, mass = _masses(law, fixed, halves)
            finer = mass.sum(1).reshape(len(cells), 2 ** len(free), law.n)
            rough = ((finer.sum(1) - whole).abs() > _CLOSE).any(-1) & bool(free)
            last = rough.repeat_interleave(2 ** len(free))
            points.append(at[~last].flatten(0, 1))
            masses.append(mass[~last].flatten(0, 1))
            cells, whole = halves[last], mass[last].sum(1)
            if not len(cells):
                break
        else:
            points.append(at[last].flatten(0, 1))
            masses.append(mass[last].flatten(0, 1))
    return torch.cat(points), torch.cat(masses)


def _edges(drawn: Tensor, atoms: Sequence[float]) -> Tensor:
    """The sides (cells, 2) of cells in one dimension."""
    smooth = drawn[~torch.isin(drawn, torch.tensor(atoms, dtype=drawn.dtype))]
    smooth = smooth if len(smooth) else drawn
    inner = smooth.quantile(torch.linspace(0, 1, _CELLS + 1, dtype=torch.float64)).unique()
    wide = _MARGIN * (inner[-1:] - inner[:1]).clamp(min=1e-3)
    edges = torch.cat([inner[:1] - wide, inner, inner[-1:] + wide])
    return torch.stack([edges[:-1], edges[1:]], 1)


def _cells(sides: Sequence[Tensor]) -> Tensor:
    """Every cell of a grid with such sides: (C, F, 2); without sides one."""
    index = torch.tensor(list(itertools.product(*(range(len(side)) for side in sides))), dtype=torch.int64)
    columns = [side[index[:, f]] for f, side in enumerate(sides)]
    return torch.stack(columns, 1) if columns else torch.zeros(1, 0, 2, dtype=torch.float64)


def _split(cells: Tensor) -> Tensor:
    """Cells (C, F, 2) in half along every side: (C * 2**F, F, 2)."""
    middle = cells.mean(-1)
    low, high = cells.unbind(-1)
    halves = torch.stack([torch.stack([low, middle], -1), torch.stack([middle, high], -1)], 2)  # (C, F, 2, 2)
    sides = itertools.product(range(2), repeat=cells.shape[1])
    return torch.stack([halves[:, list(range(cells.shape[1])), list(side)] for side in sides], 1).flatten(0, 1)


def _masses(law: Distribution, fixed: Sequence[float | None], cells: Tensor) -> tuple[Tensor, Tensor]:
    """The nodes (C, M, D) of cells (C, F, 2) of what is not fixed, and the mass (C, M, B) of each."""
    node, weight = (torch.from_numpy(each) for each in np.polynomial.legendre.leggauss(_NODES))
    F = cells.shape[1]
    index = torch.tensor(list(itertools.product(range(_NODES), repeat=F)), dtype=torch.int64)
    half = (cells[..., 1] - cells[..., 0])[:, None] / 2
    inside = cells.mean(-1)[:, None] + half * node[index]
    measure = (half * weight[index]).prod(-1)
    free = iter(inside.unbind(-1))
    at = torch.stack([next(free) if atom is None else torch.full_like(measure, atom) for atom in fixed], -1)
    x = _real_entries(law.space, at.flatten(0, 1)[:, None].expand(-1, law.n, -1))
    with torch.no_grad():
        return at, expected_score(law, x).exp().reshape(*measure.shape, law.n) * measure[..., None]


def _real_entries(space: Space, grid: Tensor) -> Entries:
    """Points (N, B, D) as entries of a real space or block."""
    if not isinstance(space, Product):
        return Entries(grid.reshape(*grid.shape[:2], *space.shape))
    parts = grid.split([s.dimensions for _, s in space.columns], -1)
    return Entries({name: p.reshape(*p.shape[:2], *s.shape) for (name, s), p in zip(space.columns, parts, strict=True)})


def numbers(x: Entries, space: Space) -> Tensor:
    """Each item as one number."""
    parts = [(x.columns[n].tensor, s) for n, s in space.columns] if isinstance(space, Product) else [(x.tensor, space)]
    total: Tensor | None = None
    for t, s in parts:
        flat = t.reshape(*t.shape[: t.dim() - len(s.axes)], -1)
        for d in range(flat.shape[-1]):
            total = flat[..., d] if total is None else total * s.size + flat[..., d]  # type: ignore[attr-defined]
    assert total is not None
    return total


def check_counts(counts: Tensor, expected: Tensor) -> None:
    """Counts (N,) of draws match the counts (N,) expected, by chi-square; those below 5 are taken together."""
    big = expected >= 5
    seen = torch.cat([counts[big], counts[~big].sum()[None]])
    hoped = torch.cat([expected[big], expected[~big].sum()[None]])
    keep = hoped > 1e-9
    statistic = float(((seen - hoped)[keep] ** 2 / hoped[keep]).sum())
    freedom = max(int(keep.sum()) - 1, 1)
    # Wilson and Hilferty, The distribution of chi-square, 1931: the cube root is nearly normal.
    limit = freedom * (1 - 2 / (9 * freedom) + 4.75 * math.sqrt(2 / (9 * freedom))) ** 3
    assert statistic < limit, f"chi-square {statistic:.1f} of {freedom} degrees, limit {limit:.1f} at {_FAILURE:g}"


def check_moments(law: Distribution, drawn: Entries) -> None:
    """First and second moments of draws match those of the density."""
    flat = drawn.flat(law.space).tensor  # (draws, B, D)
    points, masses = quadrature(law)
    p = (masses / masses.sum(0))[..., None]
    for power in (1, 2):
        hoped = (p * points[:, None]**power).sum(0)
        got, error = (flat**power).mean(0), (flat**power).std(0) / math.sqrt(len(flat))
        assert bool(((got - hoped).abs() < SIGMAS * error + 1e-3).all()), f"moment {power}: drawn {got}, density {hoped}"

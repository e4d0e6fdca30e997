"""FlowMatching and Diffusion: learn what carries noise to data, along one path or another.

    z ~ N(0, I),  t ~ the path's clock,  x_t = alpha_t x + sigma_t z,    loss = weight_t |field(x_t, t; y) - target(x, z, t)|^2

whose minimiser is the target's mean given x_t and y; from it follow the flow, the chain that removes noise, and p(x | y) at
t = 1. FlowMatching goes along straight lines at a pace that slows towards the data, where edges form, and is drawn by the flow,
whose equation gives an estimate of log p. Diffusion goes round a quarter of a circle, learns most where half of the noise is
gone, is drawn by the chain, and has a bound.

y is dropped now and then, so that the field without it is learned too. In some rows a part of x is known: the field reads it
as it is, with whether it is known, and learns the rest; so it answers what is missing given what is seen.

Source: Lipman, Chen, Ben-Hamu, Nickel, Le, Flow matching for generative modeling, 2022 / https://arxiv.org/abs/2210.02747
Liu, Gong, Liu, Flow straight and fast, 2022 / https://arxiv.org/abs/2209.03003
Ho, Jain, Abbeel, Denoising diffusion probabilistic models, 2020 / https://arxiv.org/abs/2006.11239
Kingma, Salimans, Poole, Ho, Variational diffusion models, 2021 / https://arxiv.org/abs/2107.00630
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from given import distributions
from given.conditional import Conditional
from given.distributions import Karras, Noise, Path, StandardNormal, Straight
from given.distributions.path import over
from given.nn import Context, built_field, default_field, reads_grid, roles_of
from given.nn.context import Readers, built_context
from given.nn.order import places
from given.solve import Ancestral, RungeKutta, Sampler, Solver
from given.variables import Entries, Observed, Real, UserError, Variable

__all__ = ["Diffusion", "FlowMatching"]

_BESIDE_PART = 0.5  # how often y is dropped where a part of x is known: with y or without is asked alike


class _AlongPath(Conditional):
    """A field that is learned along a path. Abstract.

    Args:
        x: real, or a block of real columns.
        parents: of any space.
        net: a field (`FlatField`, `UNet`, `PatchTransformer`) or a partial of one; or a net of (inputs, outputs), which reads
            the entries end to end. By default a PatchTransformer for a larger grid with two axes of places, an MLP elsewhere.
        path: how noise mixes with data, and what the net predicts.
        width: C of the context.
        drop: how often y is dropped while learning; 0 where there is none.
        known: how often a part of x is known while learning; 0 where x is one entry. At 0 the field reads nothing of it.
        solver: of draws, unless a draw names another.
        terms: of the bound; 0 for an estimate by the equation.
        context: builds the network that reads y from parents and width.
        readers: of parents by name, such as `{"image": Patches(4)}`, in place of those that their spaces ask for.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, net: Callable[..., nn.Module] | None,
                 path: Path, width: int, drop: float, known: float, solver: Solver | Sampler, terms: int,
                 context: Callable[..., nn.Module], readers: Readers | None) -> None:
        super().__init__(x, parents)
        who = type(self).__name__
        distributions.Flattened.check_real(x, who)
        for name, share in (("drop", drop), ("known", known)):
            if not 0 <= share < 1:
                raise UserError(f"{who}: {name}={share}; expected a share from 0 to below 1")
        if not isinstance(path, Path):
            raise UserError(f"{who}: path={path!r}; expected a path, such as Straight(), Cosine() or Karras()")
        if terms and not isinstance(path.base, StandardNormal):
            raise UserError(f"{who}: terms={terms}, but the bound is of a path that begins at StandardNormal(), got "
                            f"{path.base!r}; pass terms=0, which scores by the equation")
        self.grid: Real = x.space if isinstance(x.space, Real) and x.space.axes else distributions.Flattened.real(x.space)
        self.path, self.solver, self.terms = path, solver, terms
        self.drop = drop if self.parents else 0.0
        self.known = known if self.grid.dimensions > 1 else 0.0
        net = default_field(self.grid) if net is None else net
        grid = self.grid if reads_grid(net) else None
        self.context = built_context(context, self.parents, width, readers, grid)
        roles = roles_of(self.parents, grid, readers, context) - {"pooled"}
        self.net = built_field(net, self.grid, 2 if self.known else 1, width, roles, f"{who}: {x.name}")
        self.places: Tensor
        self.register_buffer("places", places(self.grid), persistent=False)

    def forward(self, y: Observed) -> distributions.Distribution:
        null = self.context.condition(Observed({k: e.hide() for k, e in y.items()}, y.n)) if self.parents else None
        flow = distributions.ContinuousFlow(self.net, self.path, self.context.condition(y), null, self.grid, self.solver,
                                            terms=self.terms, reads_known=self.known > 0)
        return distributions.Flattened.of(flow, self.x.space)

    def loss(self, x: Entries, y: Observed, *, seed: int | Noise = 0) -> Tensor:
        if not x.complete:
            raise UserError(f"{self.x.name}: {type(self).__name__} learns from whole items, got unseen entries; use "
                            "GaussianMixture")
        noise = Noise.of(seed, y.n, device=self.places.device)
        data = x.flat(self.x.space).tensor.float().reshape(y.n, *self.grid.shape)
        z = self.path.base.draw(noise.fold("start"), (), self.grid.shape).float()
        t = self.path.time(noise.fold("time").uniform().float())
        known = self._part(noise.fold("known")) if self.known else torch.zeros(y.n, 1, dtype=torch.bool, device=data.device)
        dropped = noise.fold("drop").uniform() < self._drop(known)
        given = self.context.condition(Observed({k: e.hide(dropped) for k, e in y.items()}, y.n))
        alpha, sigma = (over(v, data) for v in self.path.mix(t))
        moved = alpha * data + sigma * z
        off = self.path.target(data, z, t)
        if self.net.any_length and not x.plain:
            valid = x.flat(self.x.space).valid.reshape(data.shape)  # type: ignore[union-attr]
            given = replace(given, ends=x.occupied.sum(1))
            off = (self.net(moved.where(valid, 0.0)[..., None], t, given) - off).where(valid, 0.0)
        elif not self.known:
            off = self.net(moved[..., None], t, given) - off
        else:
            known = known.reshape(data.shape)
            read = torch.stack([torch.where(known, data, moved), known.float()], -1)
            off = (self.net(read, t, given) - off).masked_fill(known, 0.0)
        return self.path.weight(t).double() * (off**2).flatten(1).sum(1).double()

    def _drop(self, known: Tensor) -> Tensor:
        """(B,) how often y is dropped, of rows of which so much is known (B, D)."""
        beside = max(self.drop, _BESIDE_PART) if self.drop else 0.0
        return torch.where(known.any(1), beside, self.drop)

    def _part(self, noise: Noise) -> Tensor:
        """(B, D) what is known of every row: nothing, most often; entries by a share of the row's own; or all up to some place
        on an axis, or from there on."""
        D, A = self.places.shape
        u = noise.uniform((), (4,))
        each = noise.fold("entry").uniform((), (D,)) < u[:, 1:2]
        if A > 1 or self.grid.axes[0].role in ("time", "place"):
            axis = (u[:, 2] * A).long().clamp(max=A - 1)
            place = self.places.T[axis].double()
            size = self.places.amax(0)[axis, None] + 1
            slab = (place < u[:, 1:2] * size) ^ (u[:, 3:4] < 0.5)
            each = torch.where(noise.fold("slab").uniform()[:, None] < 0.5, slab, each)
        return each & (u[:, :1] < self.known)


class FlowMatching(_AlongPath):
    """A velocity field along straight lines; its density is estimated by the equation. Arguments as of `Diffusion`.

    Args:
        x: real, or a block of real columns.
        parents: of any space.
        net: a field (`FlatField`, `UNet`, `PatchTransformer`) or a partial of one; or a net of (inputs, outputs), which reads
            the entries end to end. By default a PatchTransformer for a larger grid with two axes of places, an MLP elsewhere.
        path: how noise mixes with data, and what the net predicts.
        width: C of the context.
        drop: how often y is dropped while learning; 0 where there is none.
        known: how often a part of x is known while learning, so that parts can be given.
        solver: of the equation, unless a draw names another.
        terms: of a bound in the equation's place, where it is not 0.
        context: builds the network that reads y from parents and width.
        readers: of parents by name, such as `{"image": Patches(4)}`, in place of those that their spaces ask for.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, net: Callable[..., nn.Module] | None = None,
                 path: Path = Straight(), width: int = 16, drop: float = 0.1, known: float = 0.25,  # noqa: B008
                 solver: Solver | Sampler = RungeKutta(16), terms: int = 0,  # noqa: B008
                 context: Callable[..., nn.Module] = Context, readers: Readers | None = None) -> None:
        super().__init__(x, parents, net=net, path=path, width=width, drop=drop, known=known, solver=solver, terms=terms,
                         context=context, readers=readers)


class Diffusion(_AlongPath):
    """What removes noise, a little at a time; its density has a bound.

    Args:
        x: real, or a block of real columns.
        parents: of any space.
        net: a field (`FlatField`, `UNet`, `PatchTransformer`) or a partial of one; or a net of (inputs, outputs), which reads
            the entries end to end. By default a PatchTransformer for a larger grid with two axes of places, an MLP elsewhere.
        path: how noise mixes with data, and what the net predicts.
        width: C of the context.
        drop: how often y is dropped while learning; 0 where there is none.
        known: how often a part of x is known while learning, so that parts can be given.
        solver: of draws, unless a draw names another; `DPMSolver(24)` takes a fifth of the time.
        terms: of the bound's integral; 0 for an estimate by the equation.
        context: builds the network that reads y from parents and width.
        readers: of parents by name, such as `{"image": Patches(4)}`, in place of those that their spaces ask for.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, net: Callable[..., nn.Module] | None = None,
                 path: Path = Karras(), width: int = 16, drop: float = 0.1, known: float = 0.25,  # noqa: B008
                 solver: Solver | Sampler = Ancestral(128), terms: int = 64,  # noqa: B008
                 context: Callable[..., nn.Module] = Context, readers: Readers | None = None) -> None:
        super().__init__(x, parents, net=net, path=path, width=width, drop=drop, known=known, solver=solver, terms=terms,
                         context=context, readers=readers)

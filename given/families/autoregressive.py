"""Autoregressive: the chain rule, with one net for all its conditionals.

    p(x | y) = prod_t p(x_{o(t)} | x_{o(0)}, ..., x_{o(t-1)}, y)

Three objects: an *order* o of the entries, a causal *net* that at every step reads the entries before it and y, and *heads*
that turn its features into the distribution of one entry, one for each column of a block. Learned by maximum likelihood, all
steps at once; drawn step by step with a cache. `log_prob` is exact. Entries can be conditioned on and marginalised exactly
where the order puts what is known first. A net that learned every order answers every question by an order of its own: what is
given first, then what is asked, the columns of each by their names, and what is not mentioned last, which leaves it out. So of
one question the scores sum to one and the draws follow them. Two questions agree as far as learning made their orders agree
(`coherence_gap`), so a part's score is called an estimate of the whole's.

An order may draw blocks of several entries, `Blocks(2, RandomGroups(8))`, by a net that reads both ways, `MaskedTransformer`,
and a head that gives a block's joint distribution: `NormalHead`, `TableHead`, or `FlowHead`, with which this is the masked
autoregressive model (MAR).

Source: Larochelle, Murray, The neural autoregressive distribution estimator, 2011 /
https://proceedings.mlr.press/v15/larochelle11a.html
Parmar et al., Image transformer, 2018 / https://arxiv.org/abs/1802.05751
Li, Tian, Li, Deng, He, Autoregressive image generation without vector quantization, 2024 / https://arxiv.org/abs/2406.11838
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from given import distributions
from given.conditional import Conditional
from given.distributions import Noise
from given.lessons import Lesson, Solve
from given.nn import (
    AnyOrder,
    BlockEmbedding,
    Blocks,
    Condition,
    Context,
    Embedding,
    MaskedTransformer,
    Order,
    RandomGroups,
    Raster,
    Transformer,
)
from given.nn.context import Readers, attends, built_context
from given.nn.order import Grid, together
from given.variables import Axis, Entries, Observed, Product, Space, UserError, Variable

__all__ = ["MAR", "Autoregressive"]

_MOST = 16  # blocks of a picture whose patches nobody chose
_OWN, _ASKED = 0.5, 0.75  # where every order is learned, shares of the rows up to which: the order of whole items, of questions
_TURNS = 3  # more than any turn


MASKED = functools.partial(MaskedTransformer, width=128, layers=4, heads=4, dropout=0.0)


class Autoregressive(Conditional):
    """An order, a causal net and heads.

    Args:
        x: symbols or reals on a grid, or a block of columns.
        parents: of any space.
        order: of the entries; by default rows from the top, and any order for a block whose columns share no axis.
        net: builds the net from the entries' `Grid`, or the blocks', order=, which may be None for any, and
            attends=, whether y has tokens. One that is not masked is causal, and draws single entries.
        head: builds the head of a part from space and width, or with a masked net that of a block (a `BlockHead`); by default a
            mixture of normals for reals, of logistics for ordered levels, one logit a symbol for others.
        embed: builds the tokens' network from space, width and steps=, those at which the entries are drawn, or None for any;
            not of a masked net.
        prediction: builds from space, width and steps=, as `LinearPrediction`, where every entry of a grid is expected given
            those before, and what the head gives is moved there; by default heads alone say where.
        context: builds the network that reads y from parents and width.
        readers: of parents by name, such as `{"image": Patches(4)}`, in place of those that their spaces ask for.
        drop: how often y is dropped while a masked net learns; where there is some, flows of blocks can be guided.
        skip: a linear family of the same x and y, `LinearAutoregressive` or `SeasonalNaive`, that is solved first: the head
            gives a mixture of normals in units of its innovations, moved to where it expects an entry. y has to be whole.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, order: Order | None = None,
                 net: Callable[..., nn.Module] = Transformer, head: Callable[..., nn.Module] | None = None,
                 embed: Callable[..., nn.Module] = Embedding, prediction: Callable[..., nn.Module] | None = None,
                 context: Callable[..., nn.Module] = Context, readers: Readers | None = None, drop: float = 0.0,
                 skip: Callable[..., Conditional] | None = None) -> None:
        super().__init__(x, parents)
        space = x.space
        self.drop = _share(drop) if self.parents else 0.0
        order = order or (AnyOrder() if isinstance(space, Product) and together(space) is None else Raster())
        self.any_order, self.average, self.order = order.learns_all, order.average, order
        self.steps = order.steps(space)  # a plan, which the host reads
        self.masked = _masked(x.name, space, order, net, head)
        if self.drop and not self.masked:
            raise UserError(f"Autoregressive: {x.name}: drop={drop} is of masked nets; leave it out, or pass "
                            "net=MaskedTransformer")
        self.prediction: nn.Module | None = None
        self.net = net(Grid.of(order.patches(space) if self.masked else space),
                       order=None if self.any_order or self.masked else self.steps.argsort(stable=True),
                       attends=attends(self.parents, space, readers, context))
        width: int = self.net.width  # type: ignore[assignment]
        self.context = built_context(context, self.parents, width, readers, space)
        self.skip = None
        if skip is not None:
            self.skip, head = skip(x, self.parents), _skipped(x.name, self.masked, self.order, prediction, head)
        if prediction is not None:
            _check_moves(x.name, space, self.masked, head)
            self.prediction = prediction(space, width, steps=None if self.any_order else self.steps)
        if self.masked:
            blocks = order.blocks(space)
            self.embed: nn.Module = BlockEmbedding(space, width, blocks=blocks)
            self.head = _block_head(head, space, blocks.shape[1], width)
            return
        features: int = width + self.net.late  # type: ignore[operator,assignment]
        self.heads = nn.ModuleList((head or distributions.default_head(part))(part, features) for _, part in space.parts)
        self.embed = embed(space, width, steps=None if self.any_order else self.steps)

    def forward(self, y: Observed) -> distributions.Distribution:
        condition = self.context.condition(y)
        if self.skip is not None:
            return self._chain(self.steps, condition, self.skip(y))
        if self.masked:
            null = self.context.condition(Observed({k: e.hide() for k, e in y.items()}, y.n)) if self.drop else None
            return self._blocks(condition, null)
        if self.average == 1:
            return self._chain(self.steps, condition)
        # Orders at random, the same for every row and every time, and wherever in a block a column stands.
        keys = Noise.of(0, 1).fold("orders").uniform((self.average,), self.steps.shape)[:, 0, self.steps]
        return distributions.Mixture(torch.zeros(y.n, self.average, device=condition.pooled.device),
                                     [self._chain(key.argsort().argsort(), condition) for key in keys])

    def _chain(self, steps: Tensor, condition: Condition,
               skip: distributions.Distribution | None = None) -> distributions.Chain:
        assert skip is None or isinstance(skip, distributions.LinearChain)
        return distributions.Chain(self.x.space, steps, self.embed, self.net, self.heads, condition, self.any_order,
                                   self.prediction, skip)

    def lessons(self) -> Sequence[Lesson]:
        first = [] if self.skip is None else self.skip.lessons()
        return [*(replace(lesson, again=False) for lesson in first if isinstance(lesson, Solve)), *super().lessons()]

    def _blocks(self, condition: Condition, null: Condition | None = None) -> distributions.BlockChain:
        assert isinstance(self.embed, BlockEmbedding)
        return distributions.BlockChain(self.x.space, self.order, self.embed, self.net, self.head, condition, null)

    def coherence_gap(self, y: Observed, *, seed: int | Noise = 0) -> float:
        """How far two questions to a net that learned every order may disagree: an estimate of KL(p_o || p_r) in nats an item,
        p_o the distribution of whole draws and p_r that of the order r of a question at random, from one draw for every row.

        A marginal of whole draws is no further than that from the one that is asked for directly, which is p_r's where r
        begins with it. With x from p_o and w = p_r(x) / p_o(x), it is E[-log w]; as E[w] = 1, w - 1 serves as control variate.
        """
        noise = Noise.of(seed, y.n, device=y.device)
        chain = self._chain(self.steps, self.context.condition(y))
        x = chain.sample(seed=noise).flat(self.x.space)
        orders = self._turns(noise).argsort(1)
        row, values = torch.arange(y.n, device=y.device), torch.where(x.scored, x.tensor, 0.0)
        each = torch.where(x.scored, chain.scores(values, row, orders), 0.0)
        log_w = each.sum(-1) - chain.log_prob(x.shaped(self.x.space))
        if len(log_w) < 2:  # one draw has no control variate
            return float(-log_w.mean())
        beyond, spread = log_w.expm1(), log_w.expm1().var()
        share = ((log_w - log_w.mean()) * (beyond - beyond.mean())).sum() / (len(log_w) - 1) / spread if spread > 0 else 0.0
        return float((share * beyond - log_w).mean())

    def _turns(self, noise: Noise, *, learning: bool = False) -> Tensor:
        """(B, D) when every entry is drawn, in the order of a question of its own for every row: what is given, what is asked
        and the rest, at random, each as whole items have it. While learning, half of the rows have the order of whole items,
        and a quarter any order, in which every entry is asked given all others alike. A mixture of orders needs all of them."""
        turn = noise.fold("order").uniform((), self.steps.shape)
        if self.average > 1:
            return turn
        whole, upto = (self.steps / len(self.steps)).to(turn), noise.fold("parts").uniform((), (2,))
        question = (turn[:, :, None] > upto[:, None]).sum(2) + whole
        if not learning:
            return question
        share = noise.fold("own").uniform()[:, None]
        return torch.where(share < _OWN, whole, torch.where(share < _ASKED, question, turn))

    def loss(self, x: Entries, y: Observed, *, seed: int | Noise = 0) -> Tensor:
        if self.masked:
            noise = Noise.of(seed, y.n, device=y.device)
            if self.drop:
                dropped = noise.fold("drop").uniform() < self.drop
                y = Observed({k: e.hide(dropped) for k, e in y.items()}, y.n)
            return self._blocks(self.context.condition(y)).loss(x, noise)
        if not self.any_order:
            return -self(y).log_prob(x)
        # An order of its own for every row, what is seen first.
        flat = x.flat(self.x.space)
        turn = self._turns(Noise.of(seed, y.n, device=y.device), learning=True)
        orders = torch.where(flat.scored, turn, turn + _TURNS).argsort(1)
        values = torch.where(flat.scored, flat.tensor, 0.0)
        chain = self._chain(self.steps, self.context.condition(y))
        return -torch.where(flat.scored, chain.scores(values, torch.arange(y.n, device=y.device), orders), 0.0).sum(-1)


class MAR(Conditional):
    """Masked autoregression without codes: `Autoregressive` whose entries are patches of reals, drawn in random groups by a net
    that reads both ways, each from a flow of its own given the net's features. Whatever patches are known can come first.
    For levels of gray, `Dequantised(family=MAR)`.

    Args:
        x: real, on a grid of a fixed size.
        parents: of any space.
        patch: the side of a patch, or one an axis; by default the least that leaves 16 patches or fewer; larger ones
            learn in fewer steps.
        groups: of patches, the passes of the net that a draw takes.
        net: builds a masked net.
        head: builds what gives the distribution of a patch; another `FlowHead` by a partial of one.
        drop: how often y is dropped while learning, so that draws can be guided; 0 where there is none.
        context: builds the network that reads y from parents and width.
        readers: of parents by name, in place of those that their spaces ask for.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, patch: int | tuple[int, ...] | None = None,
                 groups: int = 16, net: Callable[..., nn.Module] = MASKED,
                 head: Callable[..., nn.Module] = distributions.FlowHead, drop: float = 0.1,
                 context: Callable[..., nn.Module] = Context, readers: Readers | None = None) -> None:
        super().__init__(x, parents)
        distributions.Flattened.check_real(x, "MAR")
        if not x.space.axes:
            raise UserError(f"MAR: {x.name}: expected a grid of reals, got {x.space}; use FlowMatching")
        size = _side(x.space) if patch is None else patch
        self.inner = Autoregressive(x, self.parents, order=Blocks(size, RandomGroups(groups)), net=net, head=head, drop=drop,
                                    context=context, readers=readers)

    def forward(self, y: Observed) -> distributions.Distribution:
        return self.inner(y)

    def loss(self, x: Entries, y: Observed, *, seed: int | Noise = 0) -> Tensor:
        return self.inner.loss(x, y, seed=seed)


def _side(space: Space) -> int:
    """The least side of a patch, of all axes of places, that leaves few patches; all of an axis that cannot be cut."""
    sizes = [axis.size for axis in space.axes if axis.role != "channel"]
    sides = [n for n in range(1, math.gcd(*sizes) + 1) if all(size % n == 0 for size in sizes)]
    return next((n for n in sides if math.prod(size // n for size in sizes) <= _MOST), sides[-1])


def _share(drop: float) -> float:
    if not 0 <= drop < 1:
        raise UserError(f"Autoregressive: drop={drop}; expected a share from 0 to below 1")
    return drop


def _made(build: Callable[..., nn.Module] | None) -> type | None:
    """The class of what is built, where it is a class or a partial of one."""
    made = build.func if isinstance(build, functools.partial) else build
    return made if inspect.isclass(made) else None


def _masked(name: str, space: Space, order: Order, net: Callable[..., nn.Module],
            head: Callable[..., nn.Module] | None) -> bool:
    """Whether the net is masked.

    Raises:
        UserError: it is not and order or head ask for one, or it is and x is nothing that it serves.
    """
    if not getattr(_made(net), "masked", False):
        made = _made(head)
        blocky = made is not None and issubclass(made, distributions.BlockHead)
        if blocky or order.blocks(space).shape[1] > 1 or order.needs_masks:
            who = f"head={made.__name__}" if blocky and made is not None else f"order={order}"
            raise UserError(f"Autoregressive: {name}: {who} is of blocks, and the net reads single entries in their order; "
                            "pass net=MaskedTransformer")
        return False
    if isinstance(space, Product) or space.may_end or any(axis.length != "fixed" for axis in space.axes):
        raise UserError(f"Autoregressive: {name}: a masked net serves one grid of a fixed size, got {space}; use Transformer")
    if order.average > 1:
        raise UserError(f"Autoregressive: {name}: average={order.average} orders with a masked net; leave average out")
    return True


def _check_moves(name: str, space: Space, masked: bool, head: Callable[..., nn.Module] | None) -> None:
    """Raises `UserError` where a prediction has nothing that it can move."""
    made = _made(head) or distributions.default_head(space)
    if masked or made not in (distributions.DiscretizedLogisticMixtureHead, distributions.NormalMixtureHead):
        raise UserError(f"Autoregressive: {name}: prediction= moves DiscretizedLogisticMixtureHead and NormalMixtureHead of "
                        f"nets that read single entries, got {'a masked net' if masked else made.__name__}; leave it out")


def _skipped(name: str, masked: bool, order: Order, prediction: Any, head: Callable[..., nn.Module] | None) -> Any:
    """The head beside a skip path.

    Raises:
        UserError: something else than a head that it can move.
    """
    if masked or order != Raster() or prediction is not None or _made(head) not in (None, distributions.NormalMixtureHead):
        raise UserError(f"Autoregressive: {name}: skip= is of a causal net, order=Raster() and NormalMixtureHead, without "
                        "prediction=; leave the others out")
    return functools.partial(distributions.NormalMixtureHead, spread=0.0) if head is None else head


def _block_head(head: Callable[..., nn.Module] | None, space: Space, size: int, width: int) -> distributions.BlockHead:
    """The head of blocks of so many entries, of single entries side by side where it is no head of blocks."""
    block, made = replace(space, axes=(Axis("block", size),)), _made(head)
    if head is None or made is None or not issubclass(made, distributions.BlockHead):
        return distributions.IndependentHead(block, width, head=head)
    built = head(block, width)
    assert isinstance(built, distributions.BlockHead)
    return built

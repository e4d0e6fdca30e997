"""How conditionals are learned: lessons in order, what selects the weights, what is counted once more, what wraps what."""

from functools import partial

import numpy as np
import pytest
import torch

import given
from given import Model, lessons
from given.codecs import IdentityCodec, Label, Text
from given.distributions import Noise
from given.families import (
    GAN,
    VAE,
    Autoregressive,
    Categorical,
    Ensemble,
    Gaussian,
    Independent,
    NGram,
    Regression,
)
from given.lessons import Deadline, Descend, Solve, Weigh
from given.nn import MLP, MinGRU
from given.sources import Columns
from given.train import Batches, Budget, Trainer
from given.variables import Axis, Real, Variable

SMALL = partial(MLP, hidden=(8,))
REGRESSION = partial(Regression, net=SMALL, width=8)
ADVERSARIAL = partial(GAN, latent=2, generator=SMALL, critic=SMALL, width=4)
X = Variable("x", IdentityCodec(Real(axes=(Axis("entry", 2),))))
A = Variable("a", Label(["u", "v"]))


def points(n=200, seed=0):
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 2, n)
    return Columns({"x": rng.normal(size=(n, 2)) @ [[1, 0.8], [0, 0.5]] + a[:, None], "a": np.array(["u", "v"])[a]})


def logged(log, *kinds):
    """A family whose lessons are of these kinds, and write down when they are learned."""

    class Logged(Gaussian):
        def __init__(self, x, parents=()):
            super().__init__(x, parents)
            self.shift = torch.nn.Parameter(torch.zeros(()))

        def loss(self, x, y, *, seed=0):
            if torch.is_grad_enabled():
                log.append("descend")
            return super().loss(x, y, seed=seed) + self.shift**2

        def lessons(self):
            each = {"solve": lambda k: Solve(partial(self._learn, k)), "weigh": lambda k: Weigh(partial(self._learn, k)),
                    "start": lambda k: Solve(partial(self._learn, k), again=False),
                    "anew": lambda k: Solve(partial(self._learn, k), again=False, every_epoch=True),
                    "descend": lambda k: Descend([self.shift], self.loss)}
            return [each[kind](kind) for kind in kinds]

        def _learn(self, kind, batches):
            log.append((kind, sum(y.n for _, y, _ in batches)))

    return Logged


def once(log):
    """Repeated entries as one."""
    return [entry for i, entry in enumerate(log) if i == 0 or entry != log[i - 1]]


def test_lessons_are_learned_in_their_order_and_solved_once_more_on_all_rows():
    log = []
    model = Model(logged(log, "start", "descend", "solve", "weigh")(X, A), Categorical(A))
    held = 200 - model_rows(model)
    model.fit(points(), steps=3, progress=False)
    assert once(log) == [("start", 200 - held), "descend", ("solve", 200 - held), ("weigh", held), ("solve", 200)]
    assert model.facts["fit"]["counted_on_all"]
    with pytest.raises(given.UserError, match="was counted too"):
        model.split(points())


def model_rows(model):
    from given.train import split

    return split(points(), 0.1, 0, model.joint)[0].n


def test_what_is_not_weighed_is_not_counted_with_what_was_held_out():
    log = []
    model = Model(logged(log, "solve", "descend")(X))
    model.fit(points(), steps=2, progress=False)
    assert [n for kind, n in (entry for entry in log if entry != "descend")] == [model.split(points())[0].n]


def test_two_descents_share_the_budget():
    log = []
    model = Model(logged(log, "descend", "solve", "descend")(X))
    model.fit(points(), steps=6, held_out=0, progress=False)
    assert log == ["descend"] * 3 + [("solve", 200)] + ["descend"] * 3


def test_what_is_solved_anew_is_solved_as_every_epoch_begins():
    log = []
    Model(logged(log, "anew", "descend")(X)).fit(points(64), epochs=3, batch=16, held_out=0, progress=False)
    assert log == ([("anew", 64)] + ["descend"] * 4) * 3


def test_a_game_is_not_selected_by_its_losses():
    data = points()
    model = Model(ADVERSARIAL(X, A), Categorical(A))
    done = model.fit(data, steps=12, held_out=0.2, progress=False)
    assert done.held_out is None and done.history == () and done.margin is None


def test_beside_a_game_only_what_is_judged_is_selected():
    torch.manual_seed(0)
    model = Model(ADVERSARIAL(X, A), Regression(Variable("b", IdentityCodec(Real())), A, net=SMALL, width=8), Categorical(A))
    data = Columns({**points(), "b": np.random.default_rng(0).normal(size=200)})
    batches = Batches(model.joint, data, 50, 0)
    trainer = Trainer(model.joint, batches, Budget(steps=4))
    assert [side.name for side in trainer.sides] == ["p(x | a), critic", "p(x | a), generator", "model"]
    mine = {name for name, _ in model.joint.named_parameters() if name.startswith("factors.0.")}
    assert set(trainer.unselected) == mine
    done = model.fit(data, steps=4, held_out=0.2, progress=False)
    assert done.history and done.held_out is None


def test_every_loss_goes_through_the_modules_own_call():
    model, calls = Model(ADVERSARIAL(X, A, critic_steps=2), Categorical(A)), []
    model.joint.register_forward_hook(lambda module, args, out: calls.append(torch.is_grad_enabled()))
    model.fit(points(), steps=3, held_out=0, progress=False)
    assert calls.count(True) == 3 * (2 + 1)


def test_a_steps_noise_is_that_of_the_rows_of_the_whole_batch():
    model = Model(VAE(X, A, prior=Gaussian, likelihood=REGRESSION, posterior=REGRESSION, latent=2), Categorical(A))
    trainer = Trainer(model.joint, Batches(model.joint, points(), 10, 0), Budget(steps=1))
    batch = next(trainer.batches.epoch(0))
    side = trainer.sides[0]

    def losses(part):
        noise = Noise.of(3, part.n, first_row=part.first).fold(1)
        return next(iter(trainer.module(side.losses, part.entries, part.n, noise).values())).detach()

    shards = [losses(batch.rows(rows, int(rows[0]))) for rows in torch.arange(10).split([6, 4])]
    assert torch.allclose(torch.cat(shards), losses(batch), atol=1e-6)
    seen = []
    trainer.module = lambda terms, entries, n, noise: seen.append(noise.keys) or model.joint(terms, entries, n, noise)
    for first in (0, 6):
        trainer.step = 0
        trainer._take(batch.rows(torch.arange(6, 10), first))
    assert not (seen[0] == seen[1]).any()


# Wrappers


def test_a_counted_likelihood_within_a_bound_learns():
    """Linear in z, a Gaussian likelihood makes a Gaussian of all: the closed form's score is the most it can have."""
    data, test = points(400), points(400, 1)
    bare = given.model("p(x | a)", data, families={"x": Gaussian})
    bare.fit(data, held_out=0, progress=False)
    family = partial(VAE, prior=Gaussian, likelihood=Gaussian, posterior=REGRESSION, latent=1)
    bound = given.model("p(x | a)", data, families={"x": family})
    before = bound.joint.declared[0].likelihood.slope.clone()
    bound.fit(data, epochs=3, batch=100, held_out=0.2, progress=False)
    assert not torch.equal(before, bound.joint.declared[0].likelihood.slope)
    assert bare.score(test).value - 0.05 < bound.score(test).value


def test_what_is_solved_anew_goes_on_from_a_checkpoint(tmp_path, monkeypatch):
    data = points(100)
    family = partial(VAE, prior=Gaussian, likelihood=Gaussian, posterior=REGRESSION, latent=1)
    step = Trainer._take

    def run(checkpoint=None, stop=None, resume=False):
        torch.manual_seed(0)
        model = given.model("p(x | a)", data, families={"x": family})

        def take(trainer, batch):
            if trainer.step == stop:
                raise KeyboardInterrupt
            return step(trainer, batch)

        monkeypatch.setattr(Trainer, "_take", take)
        model.fit(data, epochs=4, batch=25, held_out=0.2, progress=False, checkpoint=checkpoint, resume=resume)
        return model.joint.state_dict()

    whole = run()
    run(tmp_path / "c", stop=10)
    resumed = run(tmp_path / "c", resume=True)
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


def test_what_stands_behind_a_latent_is_weighed_by_responsibility():
    rng = np.random.default_rng(0)
    data = Columns({"x": rng.normal(size=(300, 2)) @ [[1, 0.95], [0, 0.2]] + 9 * rng.integers(0, 2, 300)[:, None]})
    z = Variable("z", Label(["u", "v"]))
    round_ = partial(Gaussian, shrinkage=1.0)
    model = Model(Categorical(z), Ensemble(X, z, families=(round_, Gaussian)), latents=["z"])
    model.fit(data, held_out=0.3, progress=False)
    assert model.joint.declared[1].weights[1] > 0.8, "the parts' weights are even still"


def test_a_product_with_a_trivial_latent_learns_as_bare():
    data = points(60)
    z = Variable("z", Label(["only"]))
    for family in (Gaussian, REGRESSION, partial(Ensemble, families=(Gaussian, Independent))):
        torch.manual_seed(3)
        wrapped = Model(Categorical(z), family(X, z), latents=["z"])
        torch.manual_seed(3)
        bare = Model(Categorical(z), family(X, z))
        options = {"steps": 6, "batch": 20, "held_out": 0, "lr": 0.01, "progress": False}
        wrapped.fit(Columns({"x": data["x"]}), **options)
        bare.fit(Columns({"x": data["x"], "z": ["only"] * 60}), **options)
        for mine, its in zip(wrapped.joint.declared[1].state_dict().values(), bare.joint.declared[1].state_dict().values(),
                             strict=True):
            assert torch.allclose(mine, its, atol=1e-5), f"{family} learns otherwise"


def test_a_score_is_adaptive_where_its_distribution_is():
    texts = {"t": ["abab", "baba", "abba", "abab"] * 10}
    net = partial(Autoregressive, net=partial(MinGRU, width=8))
    counts = partial(NGram, order=2, adaptive=2)
    for family, adaptive in ((NGram, False), (counts, True), (partial(Ensemble, families=(counts, net)), True)):
        model = given.model("p(t)", texts, codecs={"t": Text()}, families={"t": family})
        model.fit(texts, steps=2, held_out=0.3, progress=False)
        assert model.score(texts).adaptive == model.given().score(texts).adaptive == adaptive
    factor = model.joint.declared[0]
    factor.weights.copy_(torch.tensor([0.0, 1.0]))  # all weight to the net
    assert not model.score(texts).adaptive


def check_quasi_newton():
    """A curved valley, of two leaves, to its bottom; a deadline that has passed leaves one step."""
    a, b = torch.tensor([-1.2], dtype=torch.float64, requires_grad=True), torch.ones(1, 1, dtype=torch.float64)
    b.requires_grad_()

    def valley():
        return ((1 - a) ** 2 + 100 * (b[0] - a**2) ** 2).sum()

    lessons.quasi_newton([a, b], valley, Deadline(), 60)
    assert float(valley().detach()) < 1e-9
    with torch.no_grad():
        a.fill_(-1.2)
        b.fill_(1.0)
    lessons.quasi_newton([a, b], valley, Deadline(lambda: -1.0), 60)
    assert float(valley().detach()) > 1, "it went on after the deadline"


def test_a_quasi_newton_descent_ends_at_the_bottom():
    check_quasi_newton()

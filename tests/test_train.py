"""The loop: budgets, best weights, resuming, interruption, weights, streams, saving under a kill."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
import torch

import given
from given.codecs import Text
from given.families import Autoregressive, Categorical
from given.nn import Transformer
from given.sources import Columns, Source
from given.testing import perturb
from given.train import Batches, Budget, Diverged, Trainer, replace_folder, whole_folder
from given.train import loop as loop_module
from given.variables import UserError

torch.set_num_threads(1)
SMALL = {"image": partial(Autoregressive, net=partial(Transformer, width=16, layers=1, heads=2))}


def toy(n=120):
    rng = np.random.default_rng(1)
    label = rng.integers(0, 3, n)
    image = (rng.integers(0, 2, (n, 2, 3)).cumsum(2) + label[:, None, None]) % 4
    return given.read(label=label, image=image, weight=rng.random(n))


def model(data, seed=0):
    return given.model("p(label) p(image | label)", data, families=SMALL, seed=seed)


def weights(m):
    return {k: v.clone() for k, v in m.joint.state_dict().items()}


def same(a, b):
    return all(torch.equal(a[k], b[k]) for k in a)


def check_resume(muon=False, data=None, made=None):
    """Interrupted and resumed is uninterrupted, bit for bit."""
    import tempfile

    data, made = toy() if data is None else data, made or model
    with tempfile.TemporaryDirectory() as folder:
        whole = made(data)
        whole.fit(data, steps=40, batch=16, held_out=0, patience=None, muon=muon)
        first = made(data)
        cut = _interrupt_at(23)
        try:
            first.fit(data, steps=40, batch=16, held_out=0, patience=None, muon=muon, checkpoint=f"{folder}/c")
        finally:
            cut()
        second = made(data, seed=5)
        done = second.fit(data, steps=40, batch=16, held_out=0, patience=None, muon=muon, checkpoint=f"{folder}/c", resume=True)
        assert done.steps == 40
        assert same(weights(whole), weights(second)), "the resumed run is another"


def _interrupt_at(step):
    """Press Ctrl-C at a step; returns how to stop doing so."""
    original = loop_module.Trainer._take

    def take(self, batch):
        if self.step == step:
            raise KeyboardInterrupt
        return original(self, batch)

    loop_module.Trainer._take = take

    def undo():
        loop_module.Trainer._take = original

    return undo


@pytest.mark.parametrize("muon", [False, True])
def test_resume_is_uninterrupted(muon):
    check_resume(muon)


@pytest.mark.parametrize("options", [{}, {"window": 5}, {"length": "modelled"}], ids=str)
def test_resume_is_uninterrupted_for_series(options):
    rng = np.random.default_rng(4)
    data = {"y": [rng.normal(size=n) for n in rng.integers(1, 12, 90)]}

    def series(data, seed=0):
        return given.model("p(y)", data, codecs={"y": given.codecs.Series(given.codecs.Number(), **options)}, seed=seed,
                           families={"y": partial(Autoregressive, net=partial(given.nn.MinGRU, width=16, layers=1))})

    check_resume(data=data, made=series)


def test_muon_moves_the_matrices_between_features_alone():
    trainer = Trainer(model(toy()).joint, None, Budget(steps=1), muon=True)
    names = {id(p): name for name, p in trainer.joint.named_parameters()}
    matrices, rest = ([names[id(p)] for group in each.param_groups for p in group["params"]] for each in trainer.optimisers[0])
    assert len(matrices) + len(rest) == len(names) and any("attend.qkv" in name for name in matrices)
    assert not any("head" in name or "embed" in name or name.endswith("bias") for name in matrices)


def test_resume_under_a_budget_of_epochs(tmp_path):
    data = toy()
    whole = model(data)
    whole.fit(data, epochs=3, batch=16, held_out=0.2)
    first = model(data)
    undo = _interrupt_at(11)
    try:
        first.fit(data, epochs=3, batch=16, held_out=0.2, checkpoint=tmp_path / "c")
    finally:
        undo()
    second = model(data)
    second.fit(data, epochs=3, batch=16, held_out=0.2, checkpoint=tmp_path / "c", resume=True)
    assert same(weights(whole), weights(second))


def test_learning_is_a_function_of_the_seed():
    data = toy()
    runs = [model(data) for _ in range(3)]
    for m, seed in zip(runs, (1, 1, 2), strict=True):
        m.fit(data, steps=12, seed=seed)
    assert same(weights(runs[0]), weights(runs[1])) and not same(weights(runs[0]), weights(runs[2]))


def test_learning_leaves_the_global_generator_alone():
    data = toy()
    torch.manual_seed(7)
    state, np_state = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    m = model(data)
    m.fit(data, steps=4)
    m.sample(3)
    assert torch.equal(state, torch.random.get_rng_state()) and (np_state == np.random.get_state()[1]).all()


def test_interruption_keeps_the_best_and_says_so(capsys):
    data = toy()
    m = model(data)
    undo = _interrupt_at(30)
    try:
        done = m.fit(data, steps=40, held_out=0.2)
    finally:
        undo()
    assert done.stopped == "interrupted" and done.steps == 30
    assert "best weights so far are kept" in capsys.readouterr().err
    assert done.held_out == max(v for _, v in done.history)


def test_the_best_weights_are_kept():
    data = toy()
    m = model(data)
    done = m.fit(data, steps=60, held_out=data.rows(slice(0, 30)), lr=0.05)
    from given.train import Judge

    assert np.isclose(Judge(m.joint, data.rows(slice(0, 30))).score(), done.held_out)
    assert done.held_out == max(v for _, v in done.history)


def test_early_stop():
    data = toy(40)
    m = model(data)
    done = m.fit(data, steps=2000, held_out=0.5, lr=0.02, patience=3)
    assert done.stopped == "no improvement" and done.steps < 2000


@pytest.mark.parametrize("budget", [{"steps": 7}, {"epochs": 2}, {"cpu_seconds": 0.3}, {"minutes": 0.005}])
def test_budgets(budget):
    data = toy()
    m = model(data)
    done = m.fit(data, batch=16, held_out=0, **budget)
    if "steps" in budget:
        assert done.steps == 7
    if "epochs" in budget:
        assert done.steps == 2 * 8
    if "cpu_seconds" in budget:
        assert 0.3 <= done.cpu_seconds < 1.5


def test_a_loss_that_is_not_a_number_stops_before_weights_are_touched(monkeypatch):
    data = toy()
    m = model(data)
    original = Autoregressive.loss

    def loss(self, x, y, *, seed=0):
        return original(self, x, y, seed=seed) * (float("nan") if trainer.step == 4 else 1.0)

    monkeypatch.setattr(Autoregressive, "loss", loss)
    trainer = Trainer(m.joint, Batches(m.joint, data, 16, 0), Budget(steps=10))
    before = None
    with pytest.raises(Diverged, match=r"step 5: the loss of p\(image \| label\) is nan"):
        for _ in trainer.run():
            before = weights(m)
    assert same(before, weights(m))


def check_followed():
    """An average of weights has forgotten its start after few steps, whatever its rate in the end."""
    data = toy()
    m = model(data)
    start = weights(m)
    trainer = Trainer(m.joint, Batches(m.joint, data, 16, 0), Budget(steps=40), average=0.999)
    for _ in trainer.run():
        pass
    moved, followed = (sum(float((now[k] - start[k]).square().sum()) for k in trainer.weights) ** 0.5
                       for now in (trainer.weights, trainer.averaged))
    assert followed > 0.7 * moved > 0, (followed, moved)


def test_an_average_follows_closely_at_first():
    check_followed()


def test_rows_of_weight_zero_teach_nothing():
    data = toy()
    doubtful = Columns({**data, "weight": (np.arange(data.n) < 60).astype(float)})
    spoiled = Columns({**doubtful, "image": np.where(np.arange(data.n)[:, None, None] < 60, data["image"], 3)})
    runs = [model(data), model(data)]
    for m, d in zip(runs, (doubtful, spoiled), strict=True):
        m.fit(d, steps=8, batch=120, held_out=0, weight="weight")
    a, b = (m.score(label=data["label"], image=data["image"]).items for m in runs)
    assert np.allclose(a, b, atol=1e-4)


class Streamed(Source):
    """Rows made on the fly, never all in memory."""

    def __init__(self, columns, run):
        self.columns, self.run, self.passes = columns, run, 0

    @property
    def names(self):
        return self.columns.names

    def batches(self, size):
        self.passes += 1
        yield from self.columns.batches(min(size, self.run))


def test_a_stream_is_split_and_learned_as_memory_is():
    data = toy()
    stream = Streamed(data, 50)
    from given.train import split

    in_memory, streamed = split(data, 0.25, 3), split(stream, 0.25, 3)
    for a, b in zip(in_memory, streamed, strict=True):
        joined = np.concatenate([batch["image"] for batch in b.batches(10)])
        assert (joined == a["image"]).all()
    m = model(stream)
    done = m.fit(stream, steps=30, batch=16, held_out=0.2)
    assert done.steps == 30 and np.isfinite(done.held_out) and stream.passes > 3


def test_an_epoch_of_a_stream_counts_as_one_in_memory():
    data = toy()
    in_memory, streamed = model(data), model(data)
    a = in_memory.fit(data, epochs=1, batch=16, held_out=data)
    b = streamed.fit(Streamed(data, 200), epochs=1, batch=16, held_out=data)
    assert a.steps == b.steps and a.history == b.history and same(weights(in_memory), weights(streamed))


def test_a_small_markov_chain_is_recovered():
    """An autoregressive model comes within 0.02 nats of the entropy rate of a chain it can express."""
    rng = np.random.default_rng(0)
    P = np.array([[0.8, 0.1, 0.1], [0.2, 0.2, 0.6], [0.3, 0.6, 0.1]])
    x = np.zeros((3000, 6), dtype=int)
    x[:, 0] = rng.choice(3, 3000)
    for t in range(1, 6):
        x[:, t] = (rng.random(3000)[:, None] > P[x[:, t - 1]].cumsum(1)).sum(1)
    from given.codecs import IdentityCodec
    from given.variables import Axis, Finite

    data = given.read(x=x)
    family = partial(Autoregressive, net=partial(Transformer, width=32, layers=1, heads=2, dropout=0.0))
    m = given.model("x", data, codecs={"x": IdentityCodec(Finite(3, axes=(Axis("time", 6),)))}, families={"x": family})
    m.fit(data, steps=400, batch=64, held_out=0.1)
    truth = np.log(1 / 3) + np.log(P[x[:, :-1], x[:, 1:]]).sum(1)
    gap = truth - m.log_prob(data)
    assert abs(gap.mean()) < 0.02 + 5 * gap.std() / np.sqrt(len(gap))
    assert np.abs(gap).mean() < 0.25


def test_a_linear_gaussian_truth_is_recovered():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(4000, 2))
    x = y @ np.array([[2.0], [-1.0]])[:, 0] + 3 + rng.normal(0, 0.5, 4000)
    data = given.read(x=x, y=y)
    m = given.model("x | y", data)
    m.fit(data, held_out=0)
    truth = -0.5 * ((x - y @ [2.0, -1.0] - 3) / 0.5) ** 2 - np.log(0.5) - 0.5 * np.log(2 * np.pi)
    assert abs((m.log_prob(data) - truth).mean()) < 0.005


def test_a_logistic_regression_is_recovered():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(4000, 2))
    p = 1 / (1 + np.exp(-(z @ [2.0, -1.0] + 0.5)))
    data = given.read(z=z, hit=rng.random(4000) < p)
    m = given.model("hit | z", data, families={"hit": partial(Categorical, width=16)})
    m.fit(data, steps=300, batch=128)
    got = m.given(z=data["z"]).probabilities("hit")["True"]
    assert np.abs(got - p).mean() < 0.03


def test_folders_are_whole_at_every_moment(tmp_path):
    target = tmp_path / "model"

    replace_folder(target, {"a.txt": b"one"})
    with pytest.raises(TypeError):
        replace_folder(target, {"a.txt": "no bytes"})
    assert (whole_folder(target) / "a.txt").read_text() == "one"
    os.rename(target, tmp_path / ".model.previous")  # the moment between the two renames
    assert (whole_folder(target) / "a.txt").read_text() == "one"
    replace_folder(target, {"a.txt": b"two"})
    assert (whole_folder(target) / "a.txt").read_text() == "two"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model"]
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="in the way"):
        replace_folder(tmp_path / "file", {"a.txt": b"three"})
    assert (tmp_path / "file").read_text() == "mine"


def test_a_checkpoint_survives_a_kill(tmp_path):
    """A run killed at any moment leaves a checkpoint from which it goes on."""
    code = f"""
import torch; torch.set_num_threads(1)
import sys; sys.path.insert(0, {os.path.dirname(__file__)!r})
from test_train import model, toy
data = toy(); model(data).fit(data, steps=2500, held_out=0, lr=1e-3, checkpoint={str(tmp_path / "c")!r})
"""
    run = subprocess.Popen([sys.executable, "-c", code])
    while not (tmp_path / "c" / "state.json").exists():
        assert run.poll() is None, "it ended before it was killed"
        time.sleep(0.02)
    time.sleep(0.3)
    run.send_signal(signal.SIGKILL)
    run.wait()
    state = json.loads((whole_folder(tmp_path / "c") / "state.json").read_text())
    data = toy()
    m = model(data)
    done = m.fit(data, steps=state["step"] + 3, held_out=0, lr=1e-3, checkpoint=tmp_path / "c", resume=True)
    assert done.steps == state["step"] + 3


def test_a_checkpoint_of_another_call_is_refused(tmp_path):
    data = toy()
    model(data).fit(data, steps=3, checkpoint=tmp_path / "c", held_out=0, lr=1e-3)
    with pytest.raises(UserError, match=r"made with another lr \(0\.001; now 0\.002\)"):
        model(data).fit(data, steps=5, checkpoint=tmp_path / "c", held_out=0, lr=2e-3, resume=True)


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    data = toy()
    model(data).fit(data, steps=3, checkpoint=tmp_path / "c", held_out=0)
    other = given.model("p(image | label)", data)
    with pytest.raises(UserError, match="made with another formula"):
        other.fit(data, steps=5, checkpoint=tmp_path / "c", held_out=0, resume=True)


def uncached(law, u):
    """Draws with everything computed anew at every step, from the uniform numbers u (B, D)."""
    values = torch.zeros(u.shape, dtype=torch.float64)
    for t, entry in enumerate(law.order.tolist()):
        order = law.order[None]
        features = law.net(law.embed(values, order), law.y, order)[:, t]
        values[:, entry] = law.heads[0](features).pick(u[:, t]).double()
    return values.long()


def test_cached_draws_are_the_uncached_ones():
    """Token for token on a small grid: every next law from scratch, the same uniform numbers."""
    data = toy()
    m = model(data)
    m.fit(data, steps=5)
    m.joint.eval()
    from given.distributions import Noise
    from given.variables import Entries

    factor = list(m.joint)[1]
    with torch.no_grad():
        y = m.joint.y(factor, {"label": Entries(torch.tensor([0, 1, 2, 0]))}, 4)
        law, noise = factor(y), Noise.of(3, 4)
        cached = law.sample(seed=noise).tensor.reshape(4, -1)
        values = uncached(law, noise.uniform((), (6,)))
    assert torch.equal(cached, values)


def test_batches_hold_texts_of_about_one_length():
    """Every row once an epoch, whole batches first, and less padding than batches drawn at random have."""
    rng = np.random.default_rng(0)
    texts = ["a" * int(n) for n in rng.integers(1, 40, 300)]
    joint = given.model("p(text)", given.read(text=texts), codecs={"text": Text()},
                        families={"text": SMALL["image"]}).joint
    batches = list(Batches(joint, given.read(text=texts), 8, 0).epoch(0))
    assert [batch.n for batch in batches] == [8] * 37 + [4] and sorted(torch.cat([
        batch.entries["text"].valid.sum(1) for batch in batches]).tolist()) == sorted(len(text) + 1 for text in texts)
    spread = [int(np.ptp(batch.entries["text"].valid.sum(1).numpy())) for batch in batches]
    assert np.mean(spread[:-1]) < 5


def test_what_is_padding_in_all_rows_is_left_out_and_changes_nothing():
    texts = ["ab", "a", "b" * 30, "ba"]
    m = given.model("p(text | note)", given.read(text=texts, note=texts[::-1]), codecs={
        name: Text() for name in ("text", "note")}, families={"text": SMALL["image"]})
    perturb(m.joint)
    m.facts["fitted"] = True
    whole = m.log_prob(text=texts, note=texts[::-1])
    some = m.log_prob(text=texts[:2], note=["b", "ab"])
    again = m.log_prob(text=[*texts[:2], texts[2]], note=["b", "ab", texts[2]])
    assert np.allclose(some, again[:2], atol=1e-5) and not np.allclose(some, whole[:2], atol=1e-3)

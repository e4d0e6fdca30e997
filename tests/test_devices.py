"""Devices: learning and asking on a second one, played on the processor, and on CUDA where there is some."""

from functools import partial

import numpy as np
import pytest
import torch

import given
from given import prefix
from given.codecs import IdentityCodec, Text
from given.distributions import Noise
from given.families import (
    GAN,
    Autoregressive,
    ChowLiuTree,
    Contrastive,
    Dequantised,
    Empirical,
    Ensemble,
    FlowMatching,
    Gaussian,
    GaussianMixture,
    Independent,
    NGram,
    Regression,
    SplineFlow,
)
from given.infer import Beam, MaxLength, MinP, Regex, RepetitionPenalty, Stop, Temperature, TopK, TopP
from given.nn import MLP, Dropout, Transformer
from given.testing.second_device import DEVICE, Mixed, SecondDevice
from given.train import Batches, Budget, Judge, Trainer
from given.variables import Finite, UserError

torch.set_num_threads(1)
NET = partial(Transformer, width=16, layers=1, heads=2)
SMALL = partial(MLP, hidden=(8,))
RNG = np.random.default_rng(0)
LABEL = np.array(["a", "b"])[RNG.integers(0, 2, 60)]
IMAGE = ((LABEL == "b")[:, None, None] + RNG.integers(0, 3, (60, 2, 2))).astype(np.uint8)
SIZE = RNG.normal(size=60) + (LABEL == "b")
WORDS = np.array(["aba", "abba", "b", "abab", "aab", "ba"])[RNG.integers(0, 6, 60)]
DATA = given.read(label=LABEL, image=IMAGE, size=SIZE, more=SIZE + RNG.normal(size=60), word=WORDS)
AUTOREGRESSIVE = partial(Autoregressive, net=NET)
KINDS = {
    "image | label": {
        "autoregressive": AUTOREGRESSIVE, "stored": partial(Empirical, smoothing=0.1), "counted": Independent,
        "a tree": ChowLiuTree, "dequantised": partial(Dequantised, family=Gaussian),
        "a mixture": partial(Ensemble, families=(Independent, AUTOREGRESSIVE)), "a regression": Regression},
    "size, more | label": {
        "any order": AUTOREGRESSIVE, "normal": Gaussian, "normals": partial(GaussianMixture, components=2),
        "a flow": partial(SplineFlow, transforms=1, hidden=(8,)), "an equation": partial(FlowMatching, net=SMALL),
        "a game": partial(GAN, latent=2, generator=SMALL, critic=SMALL)},
    "word | label": {
        "autoregressive": AUTOREGRESSIVE, "counted": partial(NGram, order=3),
        "contrastive": partial(Contrastive, base=partial(NGram, order=2), width=8, draws=16),
        "a mixture": partial(Ensemble, families=(partial(NGram, order=2), AUTOREGRESSIVE))},
}
CASES = [(formula, kind) for formula, kinds in KINDS.items() for kind in kinds]


def built(formula, kind):
    left = formula.split(" | ")[0]
    return given.model(formula, DATA, families={left: KINDS[formula][kind]}, codecs={"word": Text()} if left == "word" else {})


def asked(model, formula, how=None):
    """What a model answers, as arrays: draws and scores of a few rows, and Bayes' rule."""
    some = DATA.rows(slice(0, 5))
    drawn = model.given(label=some["label"]).sample(3, seed=1, how=how)
    found = {k: v for k, v in drawn.items() if k != "label"}
    try:
        found["score"] = model.log_prob(some, seed=2)
    except given.Intractable:
        pass
    return found


def alike(a, b):
    for name in a:
        one, two = np.asarray(a[name]), np.asarray(b[name])
        assert one.shape == two.shape
        if one.dtype.kind == "f":
            assert np.allclose(one, two, rtol=1e-3, atol=1e-3), name
        else:
            assert (one == two).mean() > 0.9, name


@pytest.mark.parametrize(("formula", "kind"), CASES)
def test_a_second_device_learns_and_answers_like_the_first(formula, kind):
    model = built(formula, kind)
    model.fit(DATA, steps=2, held_out=0.2, device="cpu")
    first = asked(model, formula)
    with SecondDevice():
        model.joint.to(DEVICE)
        alike(first, asked(model, formula))
        model.joint.to("cpu")
    alike(first, asked(model, formula))


@pytest.mark.parametrize(("formula", "kind"), CASES)
def test_a_second_device_fits_like_the_first(formula, kind, monkeypatch):
    first, second = built(formula, kind), built(formula, kind)
    done = first.fit(DATA, steps=3, held_out=0.2, device="cpu")
    monkeypatch.setattr("given.verbs.models.named_device", lambda name: DEVICE if name == "cuda" else torch.device("cpu"))
    with SecondDevice():
        again = second.fit(DATA, steps=3, held_out=0.2, device="cuda")
        assert done.steps == again.steps and (done.held_out is None) == (again.held_out is None)
        assert done.held_out is None or done.held_out == pytest.approx(again.held_out, rel=1e-3, abs=1e-3)
        second.to("cpu")
    alike(asked(first, formula), asked(second, formula))


@pytest.mark.parametrize(("formula", "kind"), [case for case in CASES if case[1] not in ("counted", "a tree", "stored")])
def test_a_step_waits_once_for_every_loss(formula, kind):
    model = built(formula, kind)
    model.fit(DATA, steps=1, device="cpu", held_out=0)
    with SecondDevice() as device:
        model.joint.to(DEVICE)
        trainer = Trainer(model.joint, Batches(model.joint, DATA, 16, 0), Budget(steps=3))
        device.reads.clear()
        steps = sum(1 for _ in trainer.run())
        waits = steps * sum(side.steps for side in trainer.sides)
        assert len(device.reads) == waits, device.reads


HOW = {"TopP": TopP(0.9), "TopK": TopK(2), "MinP": MinP(0.1), "Temperature": Temperature(0.5),
       "RepetitionPenalty": RepetitionPenalty(1.5), "Stop": Stop("ba"), "MaxLength": MaxLength(3), "Regex": Regex("(ab)*a"),
       "Beam": Beam(3), "composed": TopP(0.9) | MaxLength(2)}


@pytest.mark.parametrize("how", HOW)
def test_a_way_to_draw_serves_a_second_device(how):
    model = built("word | label", "autoregressive")
    model.fit(DATA, steps=2, device="cpu")
    first = model.given(label=["a", "b"]).sample(3, seed=1, how=HOW[how])["word"]
    with SecondDevice():
        model.joint.to(DEVICE)
        assert (model.given(label=["a", "b"]).sample(3, seed=1, how=HOW[how])["word"] == first).all()


@pytest.mark.parametrize("kind", ["autoregressive", "counted", "a mixture"])
def test_a_long_text_serves_a_second_device(kind):
    family = KINDS["word | label"][kind]
    text = given.read(text=["abracadabra " * 20])
    model = given.model("p(text)", text, families={"text": family}, codecs={"text": Text(window=8, stride=4)})
    model.fit(text, steps=2, device="cpu", held_out=0)

    def answers():
        query = model.given(text=prefix("abra"))
        return ["".join(query.stream(seed=3, length=20)), *query.sample(2, seed=3, length=20)["text"]]

    first = answers(), model.log_prob(text=["abra abra abracadabra"])
    with SecondDevice():
        model.joint.to(DEVICE)
        assert answers() == first[0] and np.allclose(model.log_prob(text=["abra abra abracadabra"]), first[1], rtol=1e-4)


def test_a_sum_over_a_latent_serves_a_second_device():
    data = given.read(size=SIZE)
    model = given.model("p(z) p(size | z)", data, latents={"z": IdentityCodec(Finite(2))}, families={"size": Gaussian})
    model.fit(data, device="cpu", held_out=0)
    first = model.log_prob(data)
    with SecondDevice():
        model.joint.to(DEVICE)
        assert np.allclose(model.log_prob(data), first)
        assert np.isfinite(model.sample(5, seed=0)["size"]).all()


def test_tensors_of_two_devices_are_refused():
    with SecondDevice() as device:
        there, here = torch.ones(3, device=DEVICE), torch.ones(3)
        for mixed in (lambda: there + here, lambda: there * torch.tensor(2.0), lambda: there[torch.tensor([0])],
                      lambda: here.copy_(there), lambda: there.scatter(0, torch.tensor([0]), 1.0),
                      lambda: torch.nn.functional.embedding(torch.tensor([0]), torch.ones(3, 2, device=DEVICE)),
                      lambda: there.gather(0, torch.tensor([0])), lambda: torch.where(here > 0, there, 0.0)):
            with pytest.raises(Mixed):
                mixed()
        assert not device.reads
        assert there.to("cpu").tolist() == [1, 1, 1] and float(there.sum()) == 3 and bool((there > 0).all())
        assert there[there > 0].shape == (3,) and len(device.reads) == 4


def test_noise_is_that_of_its_device():
    with SecondDevice():
        there = Noise.of(3, 5, device=DEVICE).fold("a").normal((2,), (3,))
        drop = Dropout(0.3)
        mask = drop(torch.ones(9, device=DEVICE)).cpu()
        assert there.device == DEVICE and torch.equal(there.cpu(), Noise.of(3, 5).fold("a").normal((2,), (3,)))
    again = Dropout(0.3)
    assert torch.equal(mask, again(torch.ones(9)))


def test_a_device_that_is_not_there_is_named():
    model = built("image | label", "counted")
    for name in ("cuda:99", "mps", "gpu", "cuda:x"):
        with pytest.raises(UserError, match=f"device='{name}'") as error:
            model.to(name)
        assert "\n" not in str(error.value)
        with pytest.raises(UserError, match="device="):
            model.fit(DATA, device=name)
    assert model.to("cpu") is model


def test_a_checkpoint_goes_on_on_another_device(tmp_path):
    model = built("image | label", "autoregressive")
    trainer = Trainer(model.joint, Batches(model.joint, DATA, 16, 0), Budget(steps=4))
    run = trainer.run()
    next(run), next(run)
    tensors, facts = ({k: v.clone() for k, v in trainer.state()[0].items()}, trainer.state()[1])
    rest = list(run)
    with SecondDevice():
        other = built("image | label", "autoregressive")
        other.joint.to(DEVICE)
        again = Trainer(other.joint, Batches(other.joint, DATA, 16, 0), Budget(steps=4))
        again.restore(tensors, facts)
        assert list(again.run()) == pytest.approx(rest, rel=1e-4)
        assert np.isfinite(Judge(other.joint, DATA).score())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA here")
@pytest.mark.parametrize(("formula", "kind"), CASES)
def test_cuda_fits_draws_scores_saves_and_loads(formula, kind, tmp_path):
    first, second = built(formula, kind), built(formula, kind)
    first.fit(DATA, steps=3, held_out=0.2, device="cpu")
    second.fit(DATA, steps=3, held_out=0.2, device="cuda")
    alike(asked(first, formula), asked(second, formula))
    second.save(tmp_path / "model")
    alike(asked(second, formula), asked(given.load(tmp_path / "model", device="cuda"), formula))
    alike(asked(second, formula), asked(given.load(tmp_path / "model"), formula))


def test_a_device_is_asked_for_in_a_shell(tmp_path, capsys):
    from given.app.cli import main

    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{i % 3},{i % 2}\n" for i in range(40)))
    model, data = str(tmp_path / "m"), str(tmp_path / "t.csv")
    assert main(["fit", data, "-o", model, "--device", "cpu", "--steps", "2"]) == 0
    assert main(["sample", model, "-n", "2", "--device", "cpu"]) == 0
    capsys.readouterr()
    for asked in (["fit", data, "-o", model, "--device", "mps"], ["score", model, data, "--device", "mps"]):
        assert main(asked) == 1
        assert capsys.readouterr().err == "given: device='mps': there is none here; pass 'cpu'\n"


@pytest.mark.parametrize("kind", ["normal", "normals", "any order"])
def test_summaries_serve_a_second_device(kind):
    model = built("size, more | label", kind)
    model.fit(DATA, steps=2, device="cpu", held_out=0)

    def answers():
        query = model.given(label=["a", "b"])
        prior = {"label": "uniform"}
        return [query.mean("size"), query.quantile("more", 0.3),
                model.given(size=0.5, more=0.1, prior=prior).probabilities("label")["a"]]

    try:
        first = answers()
    except given.Intractable:
        pytest.skip("it has no summary of this kind")
    with SecondDevice():
        model.joint.to(DEVICE)
        for one, other in zip(first, answers(), strict=True):
            assert np.allclose(one, other, rtol=1e-3, atol=1e-3)

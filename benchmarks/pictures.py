"""MNIST, 28 x 28, 256 levels: p(image | label) by every family on one budget, judged alike; a page of it.

    python benchmarks/pictures.py FlowMatching --seed 0   # 20 CPU-minutes, then judging: one row
    python benchmarks/pictures.py FlowMatching --judge    # the row anew, of the model that was saved
    python benchmarks/pictures.py --page                  # docs/pictures.md and RESULTS.md, of all rows there are
    python benchmarks/pictures.py FlowMatching --quick    # 30 CPU-seconds and 100 draws; prints, and records nothing

One thread. Families learn from the first 55,000 training images; the last 5,000 choose the way to draw and compare draws with
data: ways are chosen by draws of another seed, beside other images (3,000 to 3,999 of them), than those that are reported (0 to
999). The judge is a small convolutional net that learned all 60,000 training images; test images give its own accuracy and
bits/dim, of the first 500 of them, and nothing else. Fréchet distances, precision and recall are of the judge's 64 features,
n = 1,000. A copy is a draw nearer to an image learned from than 95 % of held-out images, and than half of that image's own
nearest.
"""

from __future__ import annotations

import argparse
import collections
import json
import math
import os
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.linalg import eigh
from torch import Tensor, nn
from torch.nn import functional as F

import given
from given.codecs import IdentityCodec
from given.distributions import FlowHead, Guidance
from given.evaluate import copies, picture, support
from given.families import (
    GAN,
    MAR,
    VAE,
    VQVAE,
    Autoregressive,
    Dequantised,
    Diffusion,
    FlowMatching,
    Independent,
    TransformerFlow,
)
from given.nn import FSQ, AdaptiveMLP, MaskedTransformer, Transformer, UNet
from given.solve import DPMSolver, Heun
from given.variables import Axis, Finite

ROOT = Path(__file__).parent.parent
ROWS = ROOT / "docs" / "pictures" / "mnist.json"
FIELD = partial(UNet, width=48, factors=(1, 2), patch=2)
LEARNED = 55_000
OTHER = 1000  # added to the seed of the draws that choose a way
ONE = {"": None}
SOLVERS = {"DPM-Solver, 16": DPMSolver(16), "DPM-Solver, 8": DPMSolver(8), "DPM-Solver, 4": DPMSolver(4),
           "Heun, 32 evaluations": Heun(16), "guided 1.5": Guidance(1.5) | DPMSolver(12),
           "guided 1.75": Guidance(1.75) | DPMSolver(12), "guided 2": Guidance(2) | DPMSolver(12),
           "guided 1.5, 6 steps": Guidance(1.5) | DPMSolver(6)}
RECALL, FLOORS = 0.5, 3  # least recall, and most Fréchet distance by that of real images, of a way that is chosen

_MAR = partial(MAR, patch=7, groups=8, net=partial(MaskedTransformer, width=192, layers=4, heads=6, dropout=0.0),
               head=partial(FlowHead, net=partial(AdaptiveMLP, width=256, layers=3)))
_CODES = {"formula": "p(code | label) p(image | code)", "latents": {"code": IdentityCodec(Finite(512, axes=(
    Axis("height", 7), Axis("width", 7))))}}
_CODES_BY = {"image": partial(VQVAE, quantiser=FSQ),
             "code": partial(Autoregressive, net=partial(Transformer, width=128, layers=4, dropout=0.0))}


def levels(family: partial) -> dict:
    """What `given.model` is called with, for a family of reals."""
    return {"formula": "p(image | label)", "families": {"image": partial(Dequantised, family=family)}}


FAMILIES = {  # how a model is made, how it is fitted, ways to draw it
    "Independent": ({"formula": "p(image | label)", "families": {"image": Independent}}, {}, ONE),
    "FlowMatching": (levels(partial(FlowMatching, net=FIELD, width=64)), {"lr": 2e-3, "batch": 64}, SOLVERS),
    "Diffusion": (levels(partial(Diffusion, net=FIELD, width=64)), {"lr": 2e-3, "batch": 64}, SOLVERS),
    "MAR": (levels(_MAR), {"lr": 7e-3, "muon": True, "batch": 64}, {
        "Heun, 8 steps": Heun(8), "Heun, 4 steps": Heun(4), "guided 1.5": Guidance(1.5) | Heun(8),
        "guided 1.75": Guidance(1.75) | Heun(8), "guided 2": Guidance(2) | Heun(8)}),
    "TransformerFlow": (levels(TransformerFlow), {"lr": 2e-3, "batch": 64}, ONE),
    "VQVAE and codes": (_CODES | {"families": _CODES_BY}, {"lr": 5e-3, "muon": True, "batch": 64}, ONE),
    "VAE": (levels(VAE), {"lr": 3e-3, "batch": 64}, ONE),
    "VAE and flow": (levels(partial(VAE, afterwards=FlowMatching)), {"lr": 3e-3, "batch": 64}, ONE),
    "GAN": (levels(GAN), {"lr": 1e-3, "batch": 64}, ONE),
}


class Judge(nn.Module):
    """Names digits; its 64 features are what draws and data are compared in."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
            nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32 * 49, 64), nn.ReLU())
        self.names = nn.Linear(64, 10)

    def learn(self, images: np.ndarray, labels: np.ndarray, epochs: int = 3) -> Judge:
        """By cross-entropy, from images moved by up to two pixels."""
        x, y, rng = _inked(images), torch.as_tensor(labels).long(), torch.Generator().manual_seed(0)
        optimiser = torch.optim.AdamW(self.parameters(), 2e-3)
        rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=epochs * (len(x) // 128))
        for _ in range(epochs):
            for rows in torch.randperm(len(x), generator=rng)[:len(x) // 128 * 128].split(128):
                moved = torch.roll(x[rows], torch.randint(-2, 3, (2,), generator=rng).tolist(), (2, 3))
                optimiser.zero_grad()
                F.cross_entropy(self.names(self.features(moved)), y[rows]).backward()
                optimiser.step()
                rate.step()
        return self.eval()

    @torch.no_grad()
    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[override]
        """Features (n, 64) and names (n,)."""
        found = torch.cat([self.features(part) for part in _inked(images).split(1000)])
        return found.double().numpy(), self.names(found).argmax(1).numpy()


def _inked(images: np.ndarray) -> Tensor:
    return torch.as_tensor(images).float().reshape(-1, 1, 28, 28) / 255


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """|m - n|^2 + tr(S + T - 2 (S T)^1/2), the squared Wasserstein-2 distance of two normal distributions."""
    S, T = np.cov(a.T), np.cov(b.T)
    values = eigh(S)[0], eigh(T)
    root = values[1][1] * np.sqrt(values[1][0].clip(min=0)) @ values[1][1].T
    product = np.sqrt(eigh(root @ S @ root)[0].clip(min=0)).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(S) + np.trace(T) - 2 * product)


def judged(judge: Judge, drawn: np.ndarray, label: np.ndarray, data: dict[str, np.ndarray], first: int = 0) -> dict:
    """What the judge says of draws of labels, beside as many held-out images from the first on."""
    features, names = judge(drawn)
    held = judge(data["held"][first:first + len(drawn)])[0]
    near = copies(data["train"].reshape(LEARNED, -1).astype(np.float32), drawn.reshape(len(drawn), -1).astype(np.float32),
                  data["held"][:1000].reshape(-1, 784).astype(np.float32))
    of_data = support(held, features)
    return {"right": float((names == label).mean()), "frechet": frechet(held, features), "precision": of_data.precision,
            "recall": of_data.recall, "copies": len(near.listed), "copied": [list(each) for each in near.listed[:10]]}


def chosen(ways: dict[str, dict], floor: float) -> str:
    """The way whose draws are named rightly most often, of those with enough recall and a small Fréchet distance; where there
    is none, that of the least distance."""
    sound = [way for way, found in ways.items() if found["recall"] >= RECALL and found["frechet"] <= FLOORS * floor]
    return max(sound, key=lambda way: ways[way]["right"]) if sound else min(ways, key=lambda way: ways[way]["frechet"])


def passes(model: given.Model, how: Any) -> float:
    """How often a draw goes through the net: the mean over the weights that it uses, which heads use more often than bodies."""
    calls = collections.Counter[nn.Module]()
    hook = nn.modules.module.register_module_forward_hook(lambda module, *_: calls.update([module]))
    try:
        model.given(label=[3]).sample(1, seed=0, how=how)
    finally:
        hook.remove()
    sizes = {module: sum(p.numel() for p in module.parameters(recurse=False)) for module in calls}
    return sum(n * sizes[module] for module, n in calls.items()) / max(sum(sizes.values()), 1)


def strip(drawn: np.ndarray, label: np.ndarray) -> bytes:
    """Two rows of ten digits, as PNG."""
    rows = np.stack([[drawn[np.flatnonzero(label == k)[i]] for k in range(10)] for i in range(2)])
    return picture(rows, levels=256, scale=1, ink=True)


def strip_at(folder: Path, name: str, seed: int, way: str) -> Path:
    """Where the strip of a way to draw is kept."""
    return folder / f"{'-'.join([*name.split(), str(seed), *way.replace(',', '').split()])}.png"


def place(folder: Path, name: str, seed: int) -> Path:
    """Where a model is kept."""
    return folder / f"{'-'.join([*name.split(), str(seed)])}.given"


def learned(name: str, seed: int, seconds: float, folder: Path, data: dict[str, np.ndarray]) -> given.Model:
    """Learn one model, and save it."""
    made, options, _ = FAMILIES[name]
    train = given.read(image=data["train"], label=data["train_label"])
    model = given.model(data=train, seed=seed, **made)
    model.fit(train, held_out=0, cpu_seconds=seconds, bfloat16=True, patience=None, seed=seed, **options)
    model.save(place(folder, name, seed))
    return model


def row(name: str, seed: int, draws: int, folder: Path, data: dict[str, np.ndarray], model: given.Model,
        bits: dict | None) -> dict:
    """Choose a way to draw, draw every way, judge; bits/dim too where they are not known."""
    ways, fit = FAMILIES[name][2], model.facts["fit"]
    judge = the_judge(folder, data)
    a, b = (judge(data["held"][i:i + draws])[0] for i in (0, 2000))
    floor = {"frechet": frechet(a, b), "precision": support(a, b).precision, "recall": support(a, b).recall}
    found = {"family": name, "seed": seed, "learned": fit["cpu_seconds"], "steps": fit["steps"],
             "weights": sum(p.numel() for p in model.joint.parameters()), "ways": {},
             "judge": float((judge(data["test"])[1] == data["test_label"]).mean()), "floor": floor}
    label = np.repeat(np.arange(10), draws // 10)

    def drawn(way: str, seed: int) -> np.ndarray:
        return model.given(label=label).sample(1, seed=seed, how=ways[way])["image"].reshape(-1, 28, 28)

    for way, how in ways.items():
        began = time.process_time()
        images = drawn(way, seed)
        cost = time.process_time() - began
        found["ways"][way] = {**judged(judge, images, label, data), "CPU-s": cost, "passes": passes(model, how)}
        print(name, seed, way, found["ways"][way], flush=True)
        strip_at(folder, name, seed, way).write_bytes(strip(images, label))
    guided = [way for way in ways if way.startswith("guided")]
    for what, among in (("unguided", [way for way in ways if way not in guided]), ("guided", guided)):
        tried = {way: judged(judge, drawn(way, OTHER + seed), label, data, 3000) for way in among if len(among) > 1}
        if among:
            found.setdefault("chosen", {})[what] = chosen(tried, floor["frechet"]) if tried else among[0]
    print(name, seed, "chosen", found["chosen"], flush=True)
    if bits is not None:
        found["bits"] = bits
    elif all(factor.judged for factor in model.joint):
        found["bits"] = scored(model, data, min(draws, 500))
    return found


def scored(model: given.Model, data: dict[str, np.ndarray], n: int) -> dict:
    """Bits/dim of the first test images."""
    began = time.process_time()
    score = model.score(given.read(image=data["test"][:n], label=data["test_label"][:n]))
    unit = math.log(2) * 784
    return {"value": -score.value / unit, "error": score.error / unit, "kind": score.kind, "measure": score.measure,
            "CPU-s": time.process_time() - began}


def the_judge(folder: Path, data: dict[str, np.ndarray]) -> Judge:
    """Learned once a folder."""
    torch.manual_seed(0)
    judge, path = Judge(), folder / "judge.pt"
    if path.exists():
        judge.load_state_dict(torch.load(path, weights_only=True))
        return judge.eval()
    judge.learn(np.concatenate([data["train"], data["held"]]), np.concatenate([data["train_label"], data["held_label"]]))
    torch.save(judge.state_dict(), path)
    return judge


def main() -> None:
    """One row, or the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("family", nargs="?", choices=list(FAMILIES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=1200, help="CPU-seconds of learning (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="a short budget; print, and record nothing")
    parser.add_argument("--judge", action="store_true", help="learn nothing: judge the model in the folder anew")
    parser.add_argument("--page", action="store_true", help="write docs/pictures.md and RESULTS.md")
    parser.add_argument("--folder", type=Path, default=Path("build/pictures"), help="of models and strips (%(default)s)")
    asked = parser.parse_args()
    if asked.page or asked.family is None:
        from pictures_page import page

        page(json.loads(ROWS.read_text()), list(FAMILIES))
        return
    torch.set_num_threads(1)
    asked.folder.mkdir(parents=True, exist_ok=True)
    images = np.load(Path(os.environ["GIVEN_DATA"]) / "images" / "mnist.npz")
    x, y = images["x_train"], images["y_train"]
    data = {"train": x[:LEARNED], "train_label": y[:LEARNED], "held": x[LEARNED:], "held_label": y[LEARNED:],
            "test": images["x_test"], "test_label": images["y_test"]}
    seconds, draws = (30, 100) if asked.quick else (asked.seconds, 1000)
    rows = json.loads(ROWS.read_text()) if ROWS.exists() else []
    mine = [each for each in rows if (each["family"], each["seed"]) == (asked.family, asked.seed)]
    model = (given.load(place(asked.folder, asked.family, asked.seed)) if asked.judge
             else learned(asked.family, asked.seed, seconds, asked.folder, data))
    bits = mine[0].get("bits") if mine and asked.judge else None
    found = row(asked.family, asked.seed, draws, asked.folder, data, model, bits)
    print(json.dumps(found), flush=True)
    if not asked.quick:
        rows = json.loads(ROWS.read_text()) if ROWS.exists() else []  # others may have written theirs meanwhile
        rows = [each for each in rows if (each["family"], each["seed"]) != (asked.family, asked.seed)] + [found]
        rows.sort(key=lambda each: (list(FAMILIES).index(each["family"]), each["seed"]))
        ROWS.write_text(json.dumps(rows, indent=1))
        if asked.seed == 0:
            way = [*found["chosen"].values()][-1]
            shown = ROWS.parent / f"mnist-{'-'.join(asked.family.split())}.png"
            shown.write_bytes(strip_at(asked.folder, asked.family, 0, way).read_bytes())


if __name__ == "__main__":
    main()

"""MNIST, 28 x 28, 256 levels: p(image | label) by every family on one budget, judged alike; a page of it.

    python benchmarks/pictures.py FlowMatching --seed 0   # 20 CPU-minutes, then judging: one row
    python benchmarks/pictures.py --page                  # docs/pictures.md and RESULTS.md, of all rows there are
    python benchmarks/pictures.py FlowMatching --quick    # 30 CPU-seconds and 100 draws; prints, and records nothing

One thread. Families learn from the first 55,000 training images; the last 5,000 choose guidance and compare draws with data.
The judge is a small convolutional net that learned all 60,000 training images; test images give its own accuracy and bits/dim,
of the first 500 of them, and nothing else. Fréchet distances, precision and recall are of the judge's 64 features, n = 1,000. A
copy is a draw nearer to an image learned from than 95 % of held-out images, and than half of that image's own nearest.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from record import append
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
LEARNED, HELD = 55_000, 5_000
ONE = {"": None}
SOLVERS = {"DPM-Solver, 16": DPMSolver(16), "DPM-Solver, 8": DPMSolver(8), "DPM-Solver, 4": DPMSolver(4),
           "Heun, 32 evaluations": Heun(16), "guided 1.5": Guidance(1.5) | DPMSolver(12),
           "guided 2": Guidance(2) | DPMSolver(12)}

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
        "Heun, 8 steps": Heun(8), "guided 1.5": Guidance(1.5) | Heun(8), "guided 2": Guidance(2) | Heun(8)}),
    "TransformerFlow": (levels(TransformerFlow), {"lr": 2e-3, "batch": 64}, ONE),
    "VQVAE and codes": (_CODES | {"families": _CODES_BY}, {"lr": 5e-3, "muon": True, "batch": 64}, ONE),
    "VAE": (levels(VAE), {"lr": 3e-3, "batch": 64}, ONE),
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


def judged(judge: Judge, drawn: np.ndarray, label: np.ndarray, data: dict[str, np.ndarray]) -> dict[str, float | int]:
    """What the judge says of draws of labels."""
    features, names = judge(drawn)
    held = judge(data["held"])[0][:len(drawn)]
    near = copies(data["train"].reshape(LEARNED, -1).astype(np.float32), drawn.reshape(len(drawn), -1).astype(np.float32),
                  data["held"][:1000].reshape(-1, 784).astype(np.float32))
    of_data = support(held, features)
    return {"right": float((names == label).mean()), "frechet": frechet(held, features), "precision": of_data.precision,
            "recall": of_data.recall, "copies": len(near.listed)}


def strip(drawn: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Two rows of ten digits."""
    return np.stack([[drawn[np.flatnonzero(label == k)[i]] for k in range(10)] for i in range(2)])


def row(name: str, seed: int, seconds: float, draws: int, folder: Path, data: dict[str, np.ndarray]) -> dict:
    """Learn, draw every way, judge."""
    made, options, ways = FAMILIES[name]
    train = given.read(image=data["train"], label=data["train_label"])
    model = given.model(data=train, seed=seed, **made)
    began = time.process_time()
    fit = model.fit(train, held_out=0, cpu_seconds=seconds, bfloat16=True, patience=None, seed=seed, **options)
    found = {"family": name, "seed": seed, "learned": time.process_time() - began, "steps": fit.steps,
             "weights": sum(p.numel() for p in model.joint.parameters()), "ways": {}}
    model.save(folder / f"{'-'.join([*name.split(), str(seed)])}.given")
    judge = the_judge(folder, data)
    found["judge"] = float((judge(data["test"])[1] == data["test_label"]).mean())
    a, b = (judge(data["held"][i:i + draws])[0] for i in (0, 2000))
    found["floor"] = {"frechet": frechet(a, b), "precision": support(a, b).precision, "recall": support(a, b).recall}
    label = np.repeat(np.arange(10), draws // 10)
    for way, how in ways.items():
        began = time.process_time()
        drawn = model.given(label=label).sample(1, seed=seed, how=how)["image"].reshape(-1, 28, 28)
        cost = time.process_time() - began
        found["ways"][way] = {**judged(judge, drawn, label, data), "CPU-s": cost}
        print(name, seed, way, found["ways"][way], flush=True)
        sheet = picture(strip(drawn, label), levels=256, scale=1, ink=True)
        (folder / f"{'-'.join([*name.split(), str(seed), *way.replace(',', '').split()])}.png").write_bytes(sheet)
    test = given.read(image=data["test"][:500], label=data["test_label"][:500])
    began = time.process_time()
    if all(factor.judged for factor in model.joint):
        score = model.score(test.rows(np.arange(min(draws, 500))))
        unit = math.log(2) * 784
        found["bits"] = {"value": -score.value / unit, "error": score.error / unit, "kind": score.kind,
                         "measure": score.measure, "CPU-s": time.process_time() - began}
    return found


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


def table(rows: list[dict]) -> list[list[str]]:
    """One line a family and a way to draw; the mean over seeds, and their spread where there are several."""
    head = ["family", "drawn", "seeds", "named rightly", "Fréchet", "precision", "recall", "copies of 1,000", "CPU-s to draw",
            "bits/dim", "kind", "CPU-s to learn", "weights"]
    lines = []
    for name in dict.fromkeys(each["family"] for each in rows):
        mine = [each for each in rows if each["family"] == name]
        for way in mine[0]["ways"]:
            drawn = [each["ways"][way] for each in mine]
            first = way == next(iter(mine[0]["ways"]))
            bits = [each["bits"]["value"] for each in mine if first and "bits" in each]
            lines.append([name, way or "its one way", str(len(mine)), *(
                _mean([each[key] for each in drawn], digits) for key, digits in (
                    ("right", 3), ("frechet", 1), ("precision", 2), ("recall", 2), ("copies", 0), ("CPU-s", 0))),
                _mean(bits, 3) if bits else "", mine[0]["bits"]["kind"] if bits else "",
                _mean([each["learned"] for each in mine], 0), f"{mine[0]['weights']:,}"])
    return [head, *lines]


def _mean(values: list[float], digits: int) -> str:
    spread = f" ± {np.std(values, ddof=1) / len(values) ** 0.5:.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{spread}"


def page() -> None:
    """The page and the record, of all rows there are."""
    rows = json.loads(ROWS.read_text())
    floor = rows[0]["floor"]
    facts = {"threads": "1", "conditioned on": "label", "the judge on test images": f"{rows[0]['judge']:.4f}",
             "real against real, n = 1,000": ", ".join(f"{k} {v:.2f}" for k, v in floor.items())}
    append("pictures", {"MNIST": table(rows)}, facts)


def main() -> None:
    """One row, or the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("family", nargs="?", choices=list(FAMILIES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=1200, help="CPU-seconds of learning (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="a short budget; print, and record nothing")
    parser.add_argument("--page", action="store_true", help="write docs/pictures.md and RESULTS.md")
    parser.add_argument("--folder", type=Path, default=Path("build/pictures"), help="of models and strips (%(default)s)")
    asked = parser.parse_args()
    if asked.page or asked.family is None:
        page()
        return
    torch.set_num_threads(1)
    asked.folder.mkdir(parents=True, exist_ok=True)
    images = np.load(Path(os.environ["GIVEN_DATA"]) / "images" / "mnist.npz")
    x, y = images["x_train"], images["y_train"]
    data = {"train": x[:LEARNED], "train_label": y[:LEARNED], "held": x[LEARNED:], "held_label": y[LEARNED:],
            "test": images["x_test"], "test_label": images["y_test"]}
    seconds, draws = (30, 100) if asked.quick else (asked.seconds, 1000)
    found = row(asked.family, asked.seed, seconds, draws, asked.folder, data)
    print(json.dumps(found), flush=True)
    if not asked.quick:
        rows = json.loads(ROWS.read_text()) if ROWS.exists() else []
        rows = [each for each in rows if (each["family"], each["seed"]) != (asked.family, asked.seed)] + [found]
        rows.sort(key=lambda each: (list(FAMILIES).index(each["family"]), each["seed"]))
        ROWS.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()

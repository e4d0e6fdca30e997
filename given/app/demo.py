"""demo: handwritten digits, from pixels to answers."""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import given
from given.evaluate import Comparison, Score, page, picture, wilson_interval
from given.evaluate.page import curve, figure, paragraph, table
from given.families import Dequantised, Empirical, Gaussian, Independent
from given.sources import Columns
from given.train import FitResult
from given.variables import UserError
from given.verbs import Model

__all__ = ["BASELINES", "demo", "digits"]

# Name, formula, family of the image: what the autoregressive model has to beat, all counted or solved in closed form.
BASELINES: tuple[tuple[str, str, Any], ...] = (
    ("independent pixels", "p(image)", Independent),
    ("independent pixels", "p(image | label)", Independent),
    ("memory", "p(image | label)", Empirical),
    ("memory, smoothed", "p(image | label)", partial(Empirical, smoothing="held-out")),
    ("Gaussian a class", "p(image | label)", partial(Dequantised, family=Gaussian)),
)


def digits() -> tuple[Columns, Columns, Columns]:
    """The digits, split 1,221 / 216 / 360 into train, validation and test."""
    data = given.read("digits")
    assert isinstance(data, Columns)
    order = np.random.default_rng(0).permutation(data.n)
    train, valid, test = (data.rows(part) for part in np.split(order, [1221, 1437]))
    return train, valid, test


def demo(output: str, *, cpu_seconds: float = 80.0, seed: int = 0) -> None:
    """Learn, compare, ask, and write what came of it.

    Args:
        output: the folder to write to.
        cpu_seconds: of training.
        seed: of everything random.
    """
    import torch

    torch.set_num_threads(1)  # nets this small lose by sharing their work
    began = time.perf_counter()
    out = Path(output)
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file; choose another folder with -o")
    out.mkdir(parents=True, exist_ok=True)
    train, valid, test = digits()
    model = given.model("p(label) p(image | label)", given.read("digits"), seed=seed)
    print(f"{model}: {train.n:,} images to learn from, {valid.n} to choose by, {test.n} to test on\n")
    fit = model.fit(train, held_out=valid, cpu_seconds=cpu_seconds, seed=seed, patience=None)
    comparison = scores(model, train, valid, test)
    print(f"Held-out bits/dim of the {test.n} test images, lower is better. Rows in one block are comparable; a bound is at")
    print("most the truth, so its bits are at least the truth's; memory's are infinite where an image was not stored.\n")
    print(comparison)
    answers = _ask(model, test, seed)
    model.facts["scores"] = {"Held-out score": str(comparison.scores[_name(model)]), "Bayes accuracy": answers.accuracy}
    for name, content in answers.pictures.items():
        (out / name).write_bytes(content)
    answers.unusual.save(out / "unusual.npz")
    model.save(out / "digits.given")
    learned = f"{model}, learned from {train.n:,} images in {fit.cpu_seconds:.0f} CPU-seconds."
    (out / "report.html").write_text(page("given: handwritten digits", learned, _sections(comparison, fit, answers, test.n)))
    print(f"\nWrote {out}/: samples.png, completions.png, unusual.png, report.html, digits.given "
          f"({time.perf_counter() - began:.0f} s in all, {fit.cpu_seconds:.0f} CPU-seconds of training). Go on with:\n")
    saved = os.path.join(output, "digits.given")
    print(f"  given sample {saved} label=3 -n 16 -o threes.png\n"
          f'  given query {saved} "label | image" {os.path.join(output, "unusual.npz")}\n'
          f"  given score {saved} digits --anomalies 5")


@dataclass(frozen=True)
class _Answers:
    """What the model said: how often it was right, the least probable images, and pictures by their file's name."""

    accuracy: str
    rank: str
    unusual: Columns
    pictures: dict[str, bytes]


def _ask(model: Model, test: Columns, seed: int) -> _Answers:
    """Ask what nothing was trained for, and print the answers."""
    image, label = test["image"], test["label"]
    right = int((model.given(image=image).mode()["label"] == label).sum())
    low, high = wilson_interval(right, test.n)
    accuracy = f"{right / test.n:.1%} of {test.n} right (95 % interval {low:.1%} to {high:.1%})"
    print(f"\nWhich digit is it?         p(label | image) by Bayes' rule: {accuracy}")

    drawn = model.given(label=np.arange(10)).sample(12, seed=seed)
    samples = picture(drawn["image"].swapaxes(0, 1), levels=17, ink=True, text="a row a class, drawn from p(image | label)")
    top = np.zeros((8, 8), dtype=bool)
    top[:4] = True
    half = image[:8]
    completed = model.given(image=given.part(half, seen=top)).sample(4, seed=seed)["image"]
    rows = [half, np.where(top, half, 8), *completed]
    completions = picture(np.stack(rows, 1), levels=17, ink=True, text="image, upper half, four completions of the lower half")
    print("Finish this half image:    four completions each in completions.png")

    log_p = model.given().log_prob(image=image)
    worst = np.argsort(log_p)[:5]
    unusual = picture(image[worst][None], levels=17, ink=True, scale=10, text="the five least probable test images")
    rank = ", ".join(f"a {label[i]} at {log_p[i]:.0f}" for i in worst)
    print(f"How unusual is this image? the five least probable, in nats (mean {log_p.mean():.0f}): {rank}")
    return _Answers(accuracy, rank, Columns({"image": image[worst], "label": label[worst]}),
                    {"samples.png": samples, "completions.png": completions, "unusual.png": unusual})


def _sections(comparison: Comparison, fit: FitResult, answers: _Answers, n: int) -> list[tuple[str, str]]:
    """The sections of the page."""
    pictures = answers.pictures
    return [
        ("How good is it?", table(comparison.rows(), [len(g) for g in comparison.groups]) + paragraph(
            f"Bits/dim of the {n} test images, lower is better. Rows of one block are conditioned on the same columns "
            "and have the same measure, so they may be ranked; a bound's bits are at least the truth's.")),
        ("How did it learn?", curve([(s, -v / math.log(2) / 64) for s, v in fit.history], "step",
                                    "held-out bits/dim of label and image")),
        ("What does it draw?", figure(pictures["samples.png"], "A row a class, drawn from p(image | label).")),
        ("Which digit is it?", paragraph("p(label | image) by Bayes' rule, which nothing was trained for: "
                                         f"{answers.accuracy}.")),
        ("Finish this half image", figure(pictures["completions.png"],
                                          "A row an image: the image, its upper half, four completions.")),
        ("How unusual is this image?", figure(pictures["unusual.png"],
                                              f"The five least probable test images: {answers.rank} nats.")),
    ]


def scores(model: Model, train: Columns, valid: Columns, test: Columns) -> Comparison:
    """The model's score of the images beside every baseline's, in bits/dim."""
    found: dict[str, Score] = {}
    everything = Columns({k: np.concatenate([train[k], valid[k]]) for k in train})
    for name, formula, family in BASELINES:
        baseline = given.model(formula, everything, families={"image": family})
        # A kernel or a covariance is fitted to the training rows alone, as the model is.
        baseline.fit(train, held_out=0)
        found[f"{name}, {formula}"] = baseline.score(test).bits_per_dim()
    found[_name(model)] = model.given(label=test["label"]).score(image=test["image"]).bits_per_dim()
    found["autoregressive, label summed out"] = model.given().score(image=test["image"]).bits_per_dim()
    return Comparison(found)


def _name(model: Model) -> str:
    return f"autoregressive, {model.joint.declared[-1]}"


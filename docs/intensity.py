"""The picture of docs/traffic.md: arrivals, draws of what was learned and of a Poisson process, and intensities.

    python docs/intensity.py    # writes docs/pictures/traffic.png, some 10 CPU-seconds
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))
from traffic import BASE, CHILDREN, RATE, simulated  # noqa: E402

from given.tasks import traffic  # noqa: E402

SPAN, WIDTH, ROW, LEFT = 120.0, 1000, 26, 190
COLOURS = {"scan": "#d1495b", "request": "#2a7ae2", "reply": "#e0a030"}


def intensity(times: np.ndarray, marks: np.ndarray, at: np.ndarray, base: np.ndarray, children: np.ndarray,
              rate: np.ndarray) -> np.ndarray:
    """The total intensity at moments (n,) after arrivals."""
    apart = at[:, None] - times
    each = np.where(apart[..., None] > 0, rate * np.exp(-rate * np.maximum(apart, 0)[..., None]), 0.0)
    return base.sum() + np.einsum("ntj,jtk->n", each, children[:, marks])


def main() -> None:
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    train, test = simulated(60, rng), simulated(3, rng)
    model = traffic.model(train, memories=2)
    model.fit(train, held_out=0, progress=False)
    drawn = model.sample(3, length=200, seed=1)
    wait, mark = (np.concatenate(list(train[name])) for name in ("wait", "mark"))
    rows = [("held out", test["wait"][i], test["mark"][i]) for i in range(3)]
    rows += [("drawn", drawn["wait"][i], drawn["mark"][i]) for i in range(3)]
    rows += [("Poisson", rng.exponential(wait.mean(), 200), rng.choice(mark, 200)) for _ in range(3)]
    page = Image.new("RGB", (WIDTH, 9 * ROW + 230), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(15)

    def across(t: float) -> float:
        return LEFT + (WIDTH - LEFT - 20) * t / SPAN

    for i, (name, waits, marks) in enumerate(rows):
        y = 12 + i * ROW + 8 * (i // 3)
        if i % 3 == 1:
            draw.text((12, y), name, fill="black", font=font)
        for t, m in zip(np.cumsum(waits), marks, strict=True):
            if t < SPAN:
                draw.line([across(t), y, across(t), y + ROW - 8], fill=COLOURS[str(m)], width=2)
    numbers = next(iter(model.joint)).numbers
    order = list(model.joint.columns["mark"].codec.of.categories)
    times, at = np.cumsum(test["wait"][0]), np.linspace(0, SPAN, 1600)
    curves = []
    for symbols, parts in ((["scan", "request", "reply"], (BASE, CHILDREN, RATE)),
                           (order, tuple(t.numpy() for t in (numbers.base, numbers.children, numbers.rate)))):
        marks = np.array([symbols.index(str(m)) for m in test["mark"][0]])
        curves.append(intensity(times, marks, at, *parts))
    top, bottom, high = 9 * ROW + 50, 9 * ROW + 215, max(c.max() for c in curves)
    for curve, colour, width in ((curves[0], "#999999", 4), (curves[1], "#2a7ae2", 2)):
        draw.line([(across(t), bottom - (bottom - top) * v / high) for t, v in zip(at, curve, strict=True)], fill=colour,
                  width=width)
    draw.text((12, top + 20), "intensity of the\nfirst: true (grey),\nlearned (blue)", fill="black", font=font)
    page.save(ROOT / "docs" / "pictures" / "traffic.png", optimize=True)


if __name__ == "__main__":
    main()

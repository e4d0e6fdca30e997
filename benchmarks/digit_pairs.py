"""Pictures of two digits from a caption, of pairs of digits that no picture learned from has.

    GIVEN_DATA=data python benchmarks/digit_pairs.py             # some 25 CPU-minutes; appends to RESULTS.md
    GIVEN_DATA=data python benchmarks/digit_pairs.py --quick     # prints only
    GIVEN_DATA=data python benchmarks/digit_pairs.py --model M   # judges one that --save wrote

Pictures, 32 x 32 grey, are composed anew in every epoch of two digits of MNIST's training part, each of 14 to 16 pixels; their
captions, such as "a three left of a seven" or "below a 7 is a 3", say which stands where, in 26 ways. Ten pairs of unequal
digits are never together in a picture learned from, and captions of these, in either order and relation, are the test; five
further pairs were for choosing. So each digit of the test was seen, and each relation, but never the two together.

The model is that of the task text-to-image, p(boxes | caption) p(picture | boxes): which digit stands where, and what it looks
like there. The judge is a small convolutional net that reads relation and both digits off a picture; it learned from
compositions of all pairs. Its share of real compositions of MNIST's test part that it reads rightly is the ceiling; chance is
one in 200. The trivial baseline is a picture learned from whose caption is most alike.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from record import ROOT, append
from torch import Tensor, nn
from torch.nn import functional as F

import given
from given.evaluate import support
from given.sources import Columns, Source
from given.tasks.to_picture import TEXT_TO_IMAGE
from given.verbs import fit_apart

SIDE, SIZES, CUT = 32, (14, 15, 16), 22  # of a picture, of digits in it, and of what of MNIST's 28 x 28 holds the ink
WORDS = "zero one two three four five six seven eight nine".split()
# A stands left of B, or above B.
ACROSS = ["{A} left of {B}", "{A} to the left of {B}", "{B} right of {A}", "{B} to the right of {A}",
          "there is {A} left of {B}", "there is {B} right of {A}", "left of {B} is {A}", "right of {A} is {B}",
          "on the left {A}, on the right {B}", "on the right {B}, on the left {A}", "{A} and to its right {B}",
          "{B} and to its left {A}", "{A}, then {B}"]
DOWN = ["{A} above {B}", "{A} over {B}", "{B} below {A}", "{B} under {A}", "there is {A} above {B}", "there is {B} below {A}",
        "above {B} is {A}", "below {A} is {B}", "at the top {A}, at the bottom {B}", "at the bottom {B}, at the top {A}",
        "{A} and below it {B}", "{B} and above it {A}", "{A} on top of {B}"]
TEST, VALID = 10, 5  # pairs, unordered
ROWS, CHOOSING = 400, 100  # draws that are judged, and for every weight on the pairs to choose by
WEIGHTS = (1.0, 1.5, 2.0, 3.0)  # of what is given
TRAINING = dict(TEXT_TO_IMAGE.TRAINING)


def pairs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ordered pairs (n, 2) to learn from, to choose by and to test on: the held-out ones are the edges of a circle through all
    ten digits, and five that join digits across it, so that every digit is held out of as many."""
    order = np.random.default_rng(0).permutation(10)
    test = np.stack([order, np.roll(order, -1)], 1)
    valid = np.stack([order[:5], order[5:]], 1)
    held = {tuple(p) for part in (test, valid) for pair in part.tolist() for p in (pair, pair[::-1])}
    train = np.array([(a, b) for a in range(10) for b in range(10) if (a, b) not in held])
    return train, *(np.concatenate([part, part[:, ::-1]]) for part in (valid, test))  # type: ignore[return-value]


class Digits:
    """MNIST's digits of one part, cut to their ink and scaled to every size.

    Args:
        images: (n, 28, 28) uint8.
        labels: (n,).
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        edge = (28 - CUT) // 2
        ink = torch.from_numpy(images[:, None, edge:edge + CUT, edge:edge + CUT]).float()
        self.scaled = {s: F.interpolate(ink, (s, s), mode="bilinear", antialias=True).round().byte().numpy()[:, 0]
                       for s in SIZES}
        self.of = [np.flatnonzero(labels == d) for d in range(10)]

    def picture(self, rng: np.random.Generator, a: int, b: int, down: int) -> tuple[np.ndarray, np.ndarray]:
        """One with a left of b, or above it, and the boxes of both."""
        sizes = rng.choice(SIZES, 2).tolist()
        first = int(rng.integers(0, SIDE - sum(sizes) + 1))
        second = int(rng.integers(first + sizes[0], SIDE - sizes[1] + 1))
        across = rng.integers(0, SIDE - max(sizes) + 1) + rng.integers(-3, 4, 2)
        canvas, boxes = np.zeros((SIDE, SIDE), np.uint8), np.empty(2, dtype=object)
        for n, (digit, s, i, j) in enumerate(zip((a, b), sizes, (first, second), across.tolist(), strict=True)):
            j = min(max(j, 0), SIDE - s)
            top, left = (i, j) if down else (j, i)
            canvas[top:top + s, left:left + s] = self.scaled[s][rng.choice(self.of[digit])]
            boxes[n] = (WORDS[digit], float(left), float(top), float(left + s), float(top + s))
        return canvas, boxes


def caption(rng: np.random.Generator, a: int, b: int, down: int) -> str:
    """One of the ways to say it, with each digit as a word or as a figure."""
    named = [f"{'an' if d == 8 else 'a'} {WORDS[d] if rng.random() < 0.5 else d}" for d in (a, b)]
    return (DOWN if down else ACROSS)[rng.integers(13)].format(A=named[0], B=named[1])


class Compositions(Source):
    """Pictures and captions, others in every epoch.

    Args:
        digits: of which part.
        pairs: (n, 2) ordered pairs of digits.
        n: rows of an epoch.
        epoch: (seed, number).
    """

    def __init__(self, digits: Digits, pairs: np.ndarray, n: int = 8192, epoch: tuple[int, int] = (0, 0)) -> None:
        self.digits, self.pairs, self.n, self.epoch = digits, pairs, n, epoch

    @property
    def names(self) -> tuple[str, ...]:
        return ("picture", "caption", "boxes")

    def of_epoch(self, seed: int, number: int) -> Compositions:
        return Compositions(self.digits, self.pairs, self.n, (seed, number + 1))

    def batches(self, size: int) -> Iterator[Columns]:
        for start in range(0, self.n, size):
            rows = [self.row(i) for i in range(start, min(start + size, self.n))]
            boxes = np.empty(len(rows), dtype=object)
            boxes[:] = [r[2] for r in rows]
            yield Columns({"picture": np.stack([r[0] for r in rows]), "caption": [r[1] for r in rows], "boxes": boxes})

    def truth(self, row: int) -> tuple[int, int, int]:
        """Both digits, and whether they stand one above the other."""
        a, b, down = self._drawn(row)[1]
        return a, b, down

    def row(self, row: int) -> tuple[np.ndarray, str, np.ndarray]:
        rng, truth = self._drawn(row)
        picture, boxes = self.digits.picture(rng, *truth)
        return picture, caption(rng, *truth), boxes

    def _drawn(self, row: int) -> tuple[np.random.Generator, tuple[int, int, int]]:
        rng = np.random.default_rng([*self.epoch, row])
        a, b = self.pairs[rng.integers(len(self.pairs))].tolist()
        return rng, (a, b, int(rng.integers(2)))

    def whole(self) -> tuple[np.ndarray, list[str], np.ndarray]:
        """Pictures, captions and (n, 3) truths."""
        rows = [self.row(i) for i in range(self.n)]
        return np.stack([r[0] for r in rows]), [r[1] for r in rows], np.array([self.truth(i) for i in range(self.n)])


class Judge(nn.Module):
    """Reads (first digit, second digit, one above the other) off pictures."""

    def __init__(self) -> None:
        super().__init__()
        widths, layers = (1, 32, 64, 96), list[nn.Module]()
        for i, o in pairwise(widths):
            layers += [nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2)]
        self.net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(96 * 16, 256), nn.ReLU(), nn.Dropout(0.3), nn.Linear(256, 42))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(n, 32, 32) uint8 -> logits (n, 20) of the first digit by relation, the same of the second, (n, 2) of relations."""
        return self.net(x[:, None].float() / 255).split((20, 20, 2), 1)

    @torch.no_grad()
    def read(self, images: np.ndarray) -> np.ndarray:
        """(n, 3)."""
        self.eval()
        parts = [self(part) for part in torch.from_numpy(images).split(500)]
        first, second, down = (torch.cat(each) for each in zip(*parts, strict=True))
        one = down.argmax(1)
        each = [logits.unflatten(1, (2, 10))[torch.arange(len(one)), one].argmax(1) for logits in (first, second)]
        return torch.stack([*each, one], 1).numpy()


def judge(digits: Digits, *, epochs: int = 8, rows: int = 8192) -> Judge:
    """A judge, learned from compositions of all pairs."""
    torch.manual_seed(0)
    net, every = Judge(), np.stack(np.meshgrid(range(10), range(10)), -1).reshape(-1, 2)
    rate = torch.optim.AdamW(net.parameters(), 2e-3)
    plan = torch.optim.lr_scheduler.OneCycleLR(rate, 4e-3, epochs * rows // 64)
    for epoch in range(epochs):
        images, _, truth = Compositions(digits, every, rows, (1, epoch)).whole()
        x, y = torch.from_numpy(images), torch.from_numpy(truth)
        net.train()
        for part in torch.arange(rows).split(64):
            first, second, down = net(x[part])
            a, b, one = y[part].T
            loss = sum((F.cross_entropy(logits, target) for logits, target in (
                (first, a + 10 * one), (second, b + 10 * one), (down, one))), torch.zeros(()))
            rate.zero_grad()
            loss.backward()
            rate.step()
            plan.step()
    return net


def right(read: np.ndarray, truth: np.ndarray) -> list[float]:
    """Shares: all right; both digits in their order; the relation; the digits in either order."""
    both = (read[:, :2] == truth[:, :2]).all(1)
    alike = (np.sort(read[:, :2]) == np.sort(truth[:, :2])).all(1)
    down = read[:, 2] == truth[:, 2]
    return [float(v.mean()) for v in (both & down, both, down, alike)]


def nearest(asked: list[str], known: list[str]) -> np.ndarray:
    """Of each caption, the number of the known one that shares most words and pairs of words in a row."""
    def counts(text: str) -> Counter[str]:
        words = ["", *text.split(), ""]
        return Counter([*words, *(f"{a} {b}" for a, b in pairwise(words))])

    every = [counts(text) for text in known]
    sizes = [c.total() for c in every]

    def best(text: str) -> int:
        mine = counts(text)
        return max(range(len(every)), key=lambda i: (mine & every[i]).total() / (mine.total() + sizes[i]))

    return np.array([best(text) for text in asked])


def drawn(model: given.Model, captions: list[str], weight: float, seed: int = 0) -> np.ndarray:
    """A picture a caption, (n, 32, 32)."""
    return TEXT_TO_IMAGE.drawn(model, Columns({"caption": captions}), weight=weight, seed=seed)


def learned(train: Compositions, seconds: float, minutes: float | None) -> given.Model:
    """A model of compositions."""
    model = TEXT_TO_IMAGE.model(train, seed=0)
    fit_apart(model, train, TEXT_TO_IMAGE.parts(model), cpu_seconds=seconds, minutes=minutes, seed=0, progress=False, threads=1,
              bfloat16=True, **TRAINING)
    return model


def sheet(images: np.ndarray, captions: list[str], path: Path, across: int = 6) -> None:
    """Pictures above their captions."""
    from PIL import Image as Picture
    from PIL import ImageDraw

    width, height, scale = 168, 122, 3
    page = Picture.new("L", (across * width, -(-len(images) // across) * height), 255)
    pen = ImageDraw.Draw(page)
    for i, (image, text) in enumerate(zip(images, captions, strict=True)):
        left, top = i % across * width, i // across * height
        page.paste(Picture.fromarray(image).resize((scale * SIDE, scale * SIDE)), (left + (width - scale * SIDE) // 2, top + 4))
        pen.text((left + width // 2, top + 110), text, fill=0, anchor="mm")
    page.save(path, optimize=True)


def main() -> None:
    """Learn, draw, judge, record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a short budget; print, and record nothing")
    parser.add_argument("--seconds", type=float, default=1080, help="of processor time to learn in")
    parser.add_argument("--minutes", type=float, help="of wall time to learn in, at most")
    parser.add_argument("--save", type=Path, help="a folder for the model")
    parser.add_argument("--model", type=Path, help="such a folder, to judge and not to learn")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    data = np.load(Path(os.environ.get("GIVEN_DATA", "../shared/data")) / "images" / "mnist.npz")
    seen, valid, unseen = pairs()
    digits, held_out = (Digits(data[f"x_{part}"], data[f"y_{part}"]) for part in ("train", "test"))
    train = Compositions(digits, seen)
    model = given.load(asked.model) if asked.model else learned(train, 20 if asked.quick else asked.seconds, asked.minutes)
    steps, spent = model.facts["fit"]["steps"], model.facts["fit"]["cpu_seconds"]
    if asked.save:
        model.save(asked.save)
    reader = judge(digits, epochs=2 if asked.quick else 8)
    _, captions, truth = Compositions(digits, valid, CHOOSING, (0, 1)).whole()
    chosen = [right(reader.read(drawn(model, captions, weight)), truth)[0] for weight in WEIGHTS]
    weight = WEIGHTS[int(np.argmax(chosen))]
    print("all right on the pairs to choose by, by weight", dict(zip(WEIGHTS, chosen, strict=True)), flush=True)
    rows = [["pictures", "captions of", "all right", "s.e.", "both digits", "relation", "digits in any order", "coverage"]]
    real, captions, truth = Compositions(held_out, unseen, ROWS, (0, 2)).whole()
    known, texts, _ = train.whole()
    made = drawn(model, captions, weight)
    of_seen = Compositions(digits, seen, ROWS, (0, 3)).whole()
    for name, of, images, true, beside in (
            ("real, of test digits", "unseen pairs", real, truth, None),
            ("that of the nearest caption", "unseen pairs", known[nearest(captions, texts)], truth, real),
            ("drawn", "seen pairs", drawn(model, of_seen[1], weight), of_seen[2], of_seen[0]),
            ("drawn", "unseen pairs", made, truth, real)):
        shares = right(reader.read(images), true)
        flat = [x.reshape(len(x), -1).astype(np.float64) for x in (images, images if beside is None else beside)]
        rows.append([name, of, f"{shares[0]:.3f}", f"{np.sqrt(shares[0] * (1 - shares[0]) / len(true)):.3f}",
                     *(f"{v:.3f}" for v in shares[1:]), "-" if beside is None else f"{support(flat[1], flat[0]).coverage:.2f}"])
        print(*rows[-1], sep=" | ", flush=True)
    print(f"{spent:.0f} CPU-s, {steps:,} steps, weight {weight}", flush=True)
    if not asked.quick:
        sheet(made[:24], captions[:24], ROOT / "docs" / "pictures" / "digit-pairs.png")
        append("digit_pairs", {"judged": rows}, {
            "CPU-s to learn": f"{spent:.0f}", "steps": f"{steps:,}", "batch": f"{TRAINING['batch']}",
            "weight of the caption": f"{weight}", "pairs": f"{len(seen)} seen, {len(unseen)} unseen, of 100 ordered",
            "draws": f"{ROWS}", "chance": "0.005", "threads": "1"})


if __name__ == "__main__":
    main()

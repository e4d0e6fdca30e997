"""Textures and fills from a single picture: how near they come to what was held out, and whether trees tell them from the real.

    GIVEN_DATA=data python benchmarks/exemplars.py             # some 15 CPU-minutes, needs scikit-image; appends to RESULTS.md
    GIVEN_DATA=data python benchmarks/exemplars.py pictures    # docs/pictures/textures.png and holes.png alone

Textures, 128 x 128, come from the left halves of scikit-image's brick, grass and gravel. Their distance to the right halves
is that of the Gram matrices of two layers of fixed random filters at three scales, as a share of the right half's, and that
of the logarithms of the power spectra by octave and direction, each of means over three seeds, of EfrosLeung one; that to
the left half, too. Beside them stand random crops of the left half pasted together, and a crop of it as it is, the least
that can be hoped for. The longest copy is the side of the largest square that the example holds, too. The table of floors has
means of eight times three crops, of the right half, too.

Holes of 32 x 32 are in crops of 128 x 128 of the photographs of BSDS500's validation set. Boosted trees are to tell patches of
16 x 16 of what was filled from those that were there, by the responses of filters, with whole pictures held out: of draws that
nothing tells from the real the area under the curve is .5.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from record import append
from torch.nn import functional as F

from given.families import EfrosLeung, PatchMatch
from given.sources import photographs
from given.tasks import fill, texture

SIDE, HOLE, PATCH = 128, 32, 16
LIMITED = "EfrosLeung(longest=20)"
SLOW = ("EfrosLeung", LIMITED)  # textures of one seed
FLOORS = 8  # times three crops
TEXTURES, SEEDS, CROPS = ("brick", "grass", "gravel"), (0, 1, 2), 100
Method = Callable[[np.ndarray, int], np.ndarray]


def tiled(example: np.ndarray, seed: int, size: int = 24) -> np.ndarray:
    """Random crops, pasted."""
    rng, canvas = np.random.default_rng(seed), np.zeros((SIDE, SIDE), np.uint8)
    for i in range(0, SIDE, size):
        for j in range(0, SIDE, size):
            place = canvas[i:i + size, j:j + size]
            a, b = (rng.integers(0, n - size + 1) for n in example.shape)
            place[:] = example[a:a + place.shape[0], b:b + place.shape[1]]
    return canvas


def cropped(example: np.ndarray, seed: int) -> np.ndarray:
    """A part as it is."""
    a, b = (np.random.default_rng(seed).integers(0, n - SIDE + 1) for n in example.shape)
    return example[a:a + SIDE, b:b + SIDE]


TEXTURED: dict[str, Method] = {
    "random crops, pasted": tiled, "a crop of the left half": cropped,
    "Quilting": lambda x, seed: texture.texture(x, SIDE, SIDE, seed=seed)[0],
    "EfrosLeung": lambda x, seed: texture.texture(x, SIDE, SIDE, method="efros-leung", seed=seed)[0],
    LIMITED: lambda x, seed: texture.texture(x, SIDE, SIDE, method="efros-leung", longest=20, seed=seed)[0],
}


def grams(x: np.ndarray) -> torch.Tensor:
    """Gram matrices of two layers of 64 fixed random filters of 5 x 5, rectified, at three scales: (3, 64, 64)."""
    first, second = (torch.randn(64, inputs, 5, 5, generator=torch.Generator().manual_seed(i), dtype=torch.float64)
                     for i, inputs in enumerate((1, 64)))
    first, second = (kernels - kernels.mean((2, 3), keepdim=True) for kernels in (first, second))
    t, found = torch.from_numpy((x - x.mean()) / x.std())[None, None], []
    for _ in range(3):
        features = F.conv2d(F.conv2d(t, first).relu(), second).relu()[0].flatten(1)
        found.append(features @ features.T / features.shape[1])
        t = F.avg_pool2d(t, 2)
    return torch.stack(found)


def spectrum(x: np.ndarray) -> np.ndarray:
    """log power by octave and direction, the mean of crops of 128 x 128 under a window: (5, 4)."""
    window = np.hanning(SIDE)[:, None] * np.hanning(SIDE)
    fy, fx = np.meshgrid(np.fft.fftfreq(SIDE), np.fft.fftfreq(SIDE), indexing="ij")
    octave = np.floor(np.log2(np.hypot(fy, fx) * SIDE + 1e-9)).astype(int)
    direction = (np.floor(np.arctan2(fy, fx) / np.pi * 4 + 0.5) % 4).astype(int)
    crops = [x[i:i + SIDE, j:j + SIDE] / 255 for i in range(0, x.shape[0] - SIDE + 1, SIDE // 2)
             for j in range(0, x.shape[1] - SIDE + 1, SIDE // 2)]
    power = np.mean([np.abs(np.fft.fft2((c - c.mean()) * window)) ** 2 for c in crops], axis=0)
    return np.log([[power[(octave == o) & (direction == d)].mean() for d in range(4)] for o in range(1, 6)])


def apart(drawn: list[np.ndarray], half: np.ndarray) -> tuple[float, float]:
    """Of the means over draws: the distance of the Gram matrices, as a share of those of a half, and of the spectra."""
    aim = grams(half)
    gram = torch.stack([grams(x) for x in drawn]).mean(0)
    power = np.mean([spectrum(x) for x in drawn], axis=0) - spectrum(half)
    return float(((gram - aim).norm(dim=(1, 2)) / aim.norm(dim=(1, 2))).mean()), float(np.sqrt((power**2).mean()))


def copied(example: np.ndarray, drawn: np.ndarray) -> int:
    """The side of the largest square of what is drawn that the example holds, too; by hashes of 64 bits."""
    def hashes(x: np.ndarray, k: int) -> np.ndarray:
        for axis, factor in ((1, 1099511628211), (0, 6364136223846793005)):
            power, total = np.uint64(1), np.uint64(0)
            for i in range(k):
                total = total + np.take(x.astype(np.uint64), np.arange(i, x.shape[axis] - k + 1 + i), axis) * power
                power = power * np.uint64(factor)
            x = total
        return x.ravel()

    low, high = 0, min(*example.shape, *drawn.shape)
    with np.errstate(over="ignore"):
        while low < high:
            k = (low + high + 1) // 2
            low, high = (k, high) if len(np.intersect1d(hashes(example, k), hashes(drawn, k))) else (low, k - 1)
    return low


def textures() -> list[list[str]]:
    """A row for every texture and method, means over seeds."""
    from skimage import data

    rows = [["texture", "drawn by", "Gram, to the right half", "to the left half", "spectrum, to the right half",
             "to the left half", "longest copies", "CPU-s"]]
    for name in TEXTURES:
        whole = getattr(data, name)()
        left, right = whole[:, :256], whole[:, 256:]
        for by, method in [*TEXTURED.items(), ("the left half itself", None)]:
            began = time.process_time()
            seeds = SEEDS[:1] if by in SLOW else SEEDS
            each = [left] if method is None else [method(left, seed) for seed in seeds]
            spent = (time.process_time() - began) / len(seeds)
            (gram, power), (own, own_power) = apart(each, right), apart(each, left)
            rows.append([name, by, f"{gram:.3f}", f"{own:.3f}", f"{power:.3f}", f"{own_power:.3f}",
                         ", ".join(str(copied(left, x)) for x in each), f"{spent:.1f}"])
            print(*rows[-1], sep=" | ", flush=True)
    return rows


def floors() -> list[list[str]]:
    """What is real beside crops pasted: distances to the right half of three at a time, means over eight times, and as shares
    of those of crops pasted."""
    from skimage import data

    rows = [["texture", "what", "Gram", "of crops pasted", "spectrum", "of crops pasted"]]
    for name in TEXTURES:
        whole, most = getattr(data, name)(), np.ones(2)
        left, right = whole[:, :256], whole[:, 256:]
        for by, method, source in (("random crops, pasted", tiled, left), ("a crop of the left half", cropped, left),
                                   ("a crop of the right half", cropped, right)):
            found = np.mean([apart([method(source, 3 * i + j) for j in range(3)], right) for i in range(FLOORS)], 0)
            most = found if method is tiled else most
            (gram, power), (of_gram, of_power) = found, found / most
            rows.append([name, by, f"{gram:.3f}", f"{of_gram:.2f}", f"{power:.3f}", f"{of_power:.2f}"])
            print(*rows[-1], sep=" | ", flush=True)
    return rows


def hole() -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[(SIDE - HOLE) // 2:(SIDE + HOLE) // 2, (SIDE - HOLE) // 2:(SIDE + HOLE) // 2] = True
    return mask


def smoothed(x: np.ndarray, seed: int) -> np.ndarray:
    """scikit-image's biharmonic surface."""
    from skimage.restoration import inpaint_biharmonic

    axis = -1 if x.ndim == 3 else None
    return np.rint(255 * np.clip(inpaint_biharmonic(np.where(hole().reshape(SIDE, SIDE, *[1] * (x.ndim - 2)), 0, x) / 255,
                                                    hole(), channel_axis=axis), 0, 1)).astype(np.uint8)


def filled(family: Callable[..., object]) -> Method:
    def by(x: np.ndarray, seed: int) -> np.ndarray:
        return fill.fill(fill.of_one(x, hole(), family=family), x, hole(), seed=seed)[0]

    return by


FILLED: dict[str, Method] = {"biharmonic": smoothed, "EfrosLeung": filled(EfrosLeung), "PatchMatch": filled(PatchMatch)}


def responses(x: np.ndarray) -> np.ndarray:
    """What trees read of the patches of a hole: (9, features), of luma and two chromas."""
    r, g, b = np.moveaxis(x.astype(float) / 255, -1, 0)
    derivative = {"dx": [[-1, 1]], "dy": [[-1], [1]], "dxx": [[1, -2, 1]], "dyy": [[1], [-2], [1]], "dxy": [[1, -1], [-1, 1]],
                  "laplace": [[0, 1, 0], [1, -4, 1], [0, 1, 0]]}
    kernels = [torch.tensor(k, dtype=torch.float64)[None, None] for k in derivative.values()]
    found = list[np.ndarray]()
    starts = np.linspace((SIDE - HOLE) // 2 - 4, (SIDE + HOLE) // 2 + 4 - PATCH, 3).round().astype(int)
    for plane in ((r + g + b) / 3, r - g, (r + g) / 2 - b):
        for scale in (1, 2):
            t = F.avg_pool2d(torch.from_numpy(plane)[None, None], scale) if scale > 1 else torch.from_numpy(plane)[None, None]
            for kernel in kernels:
                e = F.conv2d(t, kernel)[0, 0].numpy()
                places = ((i // scale, j // scale) for i in starts for j in starts)
                some = [np.abs(e[i:i + PATCH // scale, j:j + PATCH // scale]) for i, j in places]
                found += [np.array([np.log(f(s) + 1e-4) for s in some]) for f in (np.mean, np.median, np.max, np.std)]
    return np.stack(found, 1)


def told_apart(real: list[np.ndarray], made: list[np.ndarray]) -> float:
    """The area under the curve of boosted trees, over pictures held out."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GroupKFold, cross_val_predict

    X = np.concatenate([responses(x) for x in real + made])
    y, group = np.repeat([0, 1], len(X) // 2), np.tile(np.repeat(np.arange(len(real)), 9), 2)
    p = cross_val_predict(HistGradientBoostingClassifier(max_iter=60, random_state=0), X, y, groups=group, cv=GroupKFold(5),
                          method="predict_proba")[:, 1]
    return float(roc_auc_score(y, p))


def crops(seed: int, n: int) -> list[np.ndarray]:
    rng, found = np.random.default_rng(seed), list[np.ndarray]()
    for _, x in list(photographs(Path(os.environ["GIVEN_DATA"]) / "images" / "bsds500" / "val"))[:n]:
        i, j = (rng.integers(0, size - SIDE + 1) for size in x.shape[:2])
        found.append(x[i:i + SIDE, j:j + SIDE])
    return found


def fills(n: int = CROPS) -> list[list[str]]:
    rows = [["filled by", "AUC of trees, a seed each", "mean", "RMSE, of 255 levels", "CPU-s a hole"]]
    for by, method in FILLED.items():
        auc, error, spent = list[float](), list[float](), 0.0
        for seed in SEEDS:
            real, began = crops(seed, n), time.process_time()
            made = [method(x, seed) for x in real]
            spent += (time.process_time() - began) / len(real) / len(SEEDS)
            auc.append(told_apart(real, made))
            error.append(float(np.sqrt(np.mean([(x.astype(float) - z)[hole()] ** 2 for x, z in zip(real, made, strict=True)]))))
        rows.append([by, ", ".join(f"{a:.3f}" for a in auc), f"{np.mean(auc):.3f}", f"{np.mean(error):.1f}", f"{spent:.2f}"])
        print(*rows[-1], sep=" | ", flush=True)
    return rows


def pictures() -> None:
    """docs/pictures: textures beside what they come from, and holes, all of scikit-image's pictures."""
    from PIL import Image
    from skimage import data

    folder = Path(__file__).parent.parent / "docs" / "pictures"

    def sheet(rows: list[list[np.ndarray]], name: str) -> None:
        padded = [np.concatenate([np.pad(x, ((2, 2), (2, 2), *[(0, 0)] * (x.ndim - 2)), constant_values=255) for x in row], 1)
                  for row in rows]
        Image.fromarray(np.concatenate(padded)).save(folder / name, optimize=True)

    mask, rows = hole(), list[list[np.ndarray]]()
    for x, (i, j) in ((data.chelsea(), (20, 20)), (data.immunohistochemistry(), (200, 200)), (data.coffee(), (250, 40))):
        part = x[i:i + SIDE, j:j + SIDE]
        rows.append([np.where(mask[..., None], 255, part).astype(np.uint8), *(m(part, 0) for m in FILLED.values()), part])
    sheet(rows, "holes.png")
    shown = sorted((by for by in TEXTURED if by != LIMITED), key=lambda by: by != "a crop of the left half")
    sheet([[TEXTURED[by](getattr(data, name)()[:, :256], 1) for by in shown] for name in TEXTURES], "textures.png")


def main() -> None:
    """The questions and the pictures, or some of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", default=["pictures", "fills", "floors", "textures"],
                        help="of pictures, fills, floors, textures")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if "pictures" in asked.what:
        pictures()
    for name, measure in (("fills", fills), ("floors", floors), ("textures", textures)):
        if name in asked.what:
            append(f"exemplars_{name}", {name: measure()},
                   {"seeds": f"{3 * FLOORS if name == 'floors' else len(SEEDS)}"})


if __name__ == "__main__":
    main()

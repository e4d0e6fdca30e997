"""Photographs in colour, crops of 32 x 32: p(image) by an exact model and by diffusion, judged alike; a page of it.

    GIVEN_DATA=data python benchmarks/photographs.py PixelResNet --seconds 3600   # learns, scores, draws: one row
    GIVEN_DATA=data python benchmarks/photographs.py Diffusion --seconds 1800
    python benchmarks/photographs.py --page               # docs/photographs.md and RESULTS.md, of all rows there are
    python benchmarks/photographs.py Diffusion --quick    # 20 CPU-seconds and few draws; prints, and records nothing

One thread. Models learn crops of images/bsds500/train, cut anew and mirrored by chance in every epoch; settings were chosen on
a tenth of these pictures. They are tested once, on sixteen fixed crops of each of the hundred pictures of images/bsds500/val.
Draws are set beside these by Fréchet's distance in the features of a small convolutional net of fixed random weights; its floor
is that of as many crops learned from. A copy is a draw nearer to a fixed crop learned from than 95 % of the crops of the test,
and than half of that crop's own nearest.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from pictures import frechet
from PIL import Image
from record import append, markdown
from torch import Tensor, nn

import given
from given.distributions import DiscretizedLogisticMixtureHead
from given.evaluate import copies, picture
from given.families import Autoregressive, Dequantised, Diffusion, Independent
from given.nn import LinearPrediction, PixelResNet, UNet
from given.solve import DPMSolver

ROOT = Path(__file__).parent.parent
ROWS = ROOT / "docs" / "pictures" / "photographs.json"
SIDE, TESTED = 32, 16  # pixels of a crop, crops of a picture that are tested
FEW = 50  # crops on which costly bounds are worked out
BITS = SIDE * SIDE * 3 * math.log(2)  # nats an item in a bit a dimension

EXACT = partial(Autoregressive, net=partial(PixelResNet, width=32, layers=3), prediction=LinearPrediction,
                head=partial(DiscretizedLogisticMixtureHead, spread=0.1))
FIELD = partial(Dequantised, family=partial(Diffusion, net=partial(UNet, width=96, factors=(1, 2), patch=2), known=0.0))
MODELS = {  # the family, how it is fitted, how it is drawn, how many crops are scored, and what it is
    "Independent": (Independent, {}, None, 1600, "every pixel and channel by itself"),
    "PixelResNet": (EXACT, {"lr": 3e-3, "batch": 16}, None, 1600, "pixel after pixel, channel after channel"),
    "Diffusion": (FIELD, {"lr": 2e-3, "batch": 32}, DPMSolver(24), FEW, "a picture out of noise, in 24 evaluations"),
}


class Features(nn.Module):
    """64 numbers of a crop, by three layers of convolutions of fixed random weights and a mean over places."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in ((3, 32), (32, 64), (64, 64)))
        rng = torch.Generator().manual_seed(0)
        for part in self.layers:
            nn.init.normal_(part.weight, std=(2 / part.weight[0].numel()) ** 0.5, generator=rng)  # type: ignore[arg-type]
            nn.init.zeros_(part.bias)  # type: ignore[arg-type]

    @torch.no_grad()
    def forward(self, crops: Tensor) -> Tensor:
        """(n, 32, 32, 3) levels -> (n, 64) float64."""
        h = (crops.float() / 127.5 - 1).permute(0, 3, 1, 2)
        for part in self.layers:
            h = part(h).relu()
        return h.mean((2, 3)).double()

    def of(self, crops: np.ndarray) -> np.ndarray:
        """The same of arrays."""
        return self(torch.as_tensor(crops)).numpy()


def crops(folder: str, picked: int | None = None) -> np.ndarray:
    """(n, 32, 32, 3) fixed crops of all pictures of a folder, so many of each."""
    source = given.read(Path(os.environ["GIVEN_DATA"]) / "images" / "bsds500" / folder, crop=SIDE)
    every = next(source.batches(source.n))["image"]
    if picked is None:
        return every
    starts = np.cumsum(source.counts) - source.counts
    return np.concatenate([every[a + np.arange(picked) * n // picked] for a, n in zip(starts, source.counts, strict=True)])


def coded(image: np.ndarray, kind: str, **options: object) -> float:
    """Bits a dimension that a coder of Pillow takes for a picture."""
    out = io.BytesIO()
    Image.fromarray(image).save(out, kind, **options)
    return 8 * len(out.getvalue()) / image.size


def mean_of_pictures(bits: np.ndarray) -> tuple[float, float]:
    """The mean of bits of crops, all tested or one a picture, and its standard error by pictures: crops of one are alike."""
    each = bits.reshape(-1, TESTED).mean(1) if len(bits) > 100 else bits
    return float(each.mean()), float(each.std(ddof=1) / len(each) ** 0.5)


def few(test: np.ndarray) -> np.ndarray:
    """The first crop, of the upper left, of every second picture: often sky, so easier than all."""
    return test[::len(test) // FEW]


def row(name: str, asked: argparse.Namespace) -> dict:
    """Learn, or take up what was learned; score; draw; judge."""
    family, options, how, scored, says = MODELS[name]
    place = asked.folder / f"{name}.given"
    if place.exists() and asked.judge:
        model, learned = given.load(place), json.loads((asked.folder / f"{name}.json").read_text())
    else:
        model, learned = fitted(family, options, asked)
        model.save(place)
        (asked.folder / f"{name}.json").write_text(json.dumps(learned))
    test, train = crops("val", TESTED), crops("train")
    some = test[:len(test) // 50] if asked.quick else test
    began = time.process_time()
    some = some[:: max(1, len(some) // scored)]
    score = model.score(image=some)
    value, error = mean_of_pictures(-score.items / BITS)
    found = {"model": name, "says": says, **learned, "weights": sum(p.numel() for p in model.joint.parameters()),
             "bits": {"value": value, "error": error, "kind": score.kind, "crops": len(some),
                      "CPU-s": time.process_time() - began}}
    found["few"] = mean_of_pictures(-score.items / BITS if len(some) <= FEW else -model.score(image=few(test)).items / BITS)
    print(found, flush=True)
    began, n = time.process_time(), 16 if asked.quick else asked.draws
    drawn = model.sample(n, seed=asked.seed, how=how)["image"]
    found |= {"draws": n, "CPU-s": time.process_time() - began, **judged(drawn, test, train)}
    sheets(name, drawn, test, train, asked)
    return found


def fitted(family: object, options: dict, asked: argparse.Namespace) -> tuple[given.Model, dict]:
    """A model that learned, and what that took."""
    data = given.read(Path(os.environ["GIVEN_DATA"]) / "images" / "bsds500" / "train", crop=SIDE, flip=True)
    model = given.model("p(image)", data, families={"image": family}, seed=asked.seed)
    began = time.process_time()
    fit = model.fit(data, held_out=0, cpu_seconds=asked.seconds, bfloat16=True, patience=None, seed=asked.seed, progress=False,
                    watch=None, **options)
    return model, {"learned": time.process_time() - began, "steps": fit.steps, "seed": asked.seed, **options}


def judged(drawn: np.ndarray, test: np.ndarray, train: np.ndarray) -> dict:
    """How near draws are to crops, in features, and which of them are copies."""
    features, n = Features(), len(drawn)
    real, other = (features.of(each[np.linspace(0, len(each) - 1, n).astype(int)]) for each in (test, train))
    flat = [each.reshape(len(each), -1).astype(np.float32) for each in (train, drawn, test)]
    near = copies(*flat)
    return {"frechet": frechet(real, features.of(drawn)), "floor": frechet(real, other), "copies": len(near.listed),
            "near": near.drawn, "near of test": near.held_out}


def sheets(name: str, drawn: np.ndarray, test: np.ndarray, train: np.ndarray, asked: argparse.Namespace) -> None:
    """Draws alone for the page; in the folder also beside crops, and beside the crops nearest to them: the photographs may not
    be passed on."""
    across = min(12, len(drawn) // 2)
    two = drawn[:2 * across].reshape(2, across, *drawn.shape[1:])
    real = test[np.linspace(0, len(test) - 1, 2 * across).astype(int)].reshape(two.shape)
    rows = train.reshape(len(train), -1).astype(np.float32)
    far = [((rows - one.reshape(-1).astype(np.float32)) ** 2).sum(1) for one in drawn]
    first = np.argsort([each.min() for each in far])[:across]
    near = np.stack([drawn[first], train[[far[i].argmin() for i in first]]])
    (asked.folder / f"{name}-beside.png").write_bytes(picture(np.concatenate([real, two]), levels=256, scale=2))
    (asked.folder / f"{name}-nearest.png").write_bytes(picture(near, levels=256, scale=2))
    if not asked.quick and name != "Independent":
        (ROWS.parent / f"photographs-{name}.png").write_bytes(picture(two, levels=256, scale=2))


def coders(asked: argparse.Namespace) -> dict:
    """What lossless coders take for single crops, and for all of them laid out as one picture."""
    test, webp = crops("val", TESTED)[:64 if asked.quick else None], partial(
        coded, kind="WEBP", lossless=True, quality=100, method=6)
    sheet = test.reshape(-1, TESTED, *test.shape[1:]).swapaxes(1, 2).reshape(len(test) // TESTED * SIDE, -1, 3)
    return {"model": "coders", "crops": len(test), "bits": {
        "PNG": mean_of_pictures(np.array([coded(one, "PNG", optimize=True) for one in test])),
        "WebP, lossless": mean_of_pictures(np.array([webp(one) for one in test])),
        "WebP, all crops in one sheet": (webp(sheet), None)}}


def table(rows: list[dict]) -> list[list[str]]:
    """One line a model or coder."""
    head = ["model", "given", "bits/dim", "± s.e.", "kind", "crops tested", "bits/dim of the same 50", "Fréchet", "floor",
            "draws", "copies", "CPU-s to draw", "CPU-s to learn", "steps", "weights"]
    lines = []
    for each in rows:
        if each["model"] == "coders":
            lines += [[name, "-", f"{value:.3f}", "-" if error is None else f"{error:.3f}", "its file", str(each["crops"]),
                       *["-"] * 9] for name, (value, error) in each["bits"].items()]
            continue
        bits = each["bits"]
        whole = (f"{bits['value']:.3f}", f"{bits['error']:.3f}") if bits["crops"] > FEW else ("-", "-")
        lines.append([
            each["model"], "nothing", *whole,
            bits["kind"], str(bits["crops"]), f"{each['few'][0]:.3f} ± {each['few'][1]:.3f}",
            f"{each['frechet']:.3f}", f"{each['floor']:.3f}", str(each["draws"]), str(each["copies"]), f"{each['CPU-s']:.0f}",
            f"{each['learned']:.0f}", f"{each['steps']:,}", f"{each['weights']:,}"])
    return [head, *lines]


PAGE = """# Photographs

Crops of 32 x 32 pixels in colour, 256 levels, nothing given. Models learned the 200 training photographs of BSDS500, crops
cut anew and mirrored by chance in every epoch, on one thread; they were tested once, on sixteen fixed crops of each of the
100 photographs of its val part. Their s.e. is by photographs. Coders are the trivial answer for bits: what they take for every
crop, its file's head and all. Independent columns are the trivial model.

{table}

*Exact* is the density's logarithm; a *bound* is below it, so bits are at most what is shown. Bounds cost much, and are of 50
crops, the first of every second photograph, which are easier than most: compare them in their own column.

*Fréchet* is the distance of draws from crops of the test in 64 features of a convolutional net of fixed random weights (smaller
is better), the *floor* that of as many crops learned from. A *copy* is a draw nearer to a fixed crop learned from than 95 % of
the crops of the test, and than half of that crop's own nearest.

{strips}

Draws at random, none picked out. Crops are not shown beside them, for the photographs may not be passed on;
`python benchmarks/photographs.py` leaves such sheets, and each nearest crop, in `build/photographs/`.

```python
from functools import partial

from given.distributions import DiscretizedLogisticMixtureHead
from given.families import Autoregressive
from given.nn import LinearPrediction, PixelResNet

family = partial(Autoregressive, net=partial(PixelResNet, width=32, layers=3), prediction=LinearPrediction,
                 head=partial(DiscretizedLogisticMixtureHead, spread=0.1))
```

`LinearPrediction` says where a level is expected, by a linear function of the levels near it with weights that the net moves,
as lossless coders do; the head's mixture of logistics is of what is left. `PixelResNet` convolves over whole pixels, large
products that 16 bits speed up. `Diffusion` is by a `UNet` of patches, and its bound is of levels blurred within their cells.
[benchmarks/photographs.py](../benchmarks/photographs.py) made this page.
"""


def page() -> None:
    """docs/photographs.md, of all rows there are."""
    rows = json.loads(ROWS.read_text())
    strips = "\n\n".join(f"{name}: {each['says']}.\n\n![draws of {name}](pictures/photographs-{name}.png)"
                         for each in rows if (name := each["model"]) not in ("coders", "Independent"))
    (ROOT / "docs" / "photographs.md").write_text(PAGE.format(table="\n".join(markdown(table(rows))), strips=strips))


def main() -> None:
    """One row, or the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", choices=["coders", *MODELS])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=3600, help="CPU-seconds of learning (%(default)s)")
    parser.add_argument("--draws", type=int, default=256, help="how many (%(default)s)")
    parser.add_argument("--judge", action="store_true", help="take up the model in the folder, where there is one")
    parser.add_argument("--quick", action="store_true", help="20 CPU-seconds, few draws; print, and record nothing")
    parser.add_argument("--page", action="store_true", help="write docs/photographs.md and RESULTS.md")
    parser.add_argument("--folder", type=Path, default=Path("build/photographs"), help="of models and sheets (%(default)s)")
    asked = parser.parse_args()
    if asked.page or asked.model is None:
        page()
        append("photographs", {"Crops": table(json.loads(ROWS.read_text()))}, {
            "data": "bsds500, learned from train, tested on val", "threads": "1", "given": "nothing", "learned in": "bfloat16"})
        return
    torch.set_num_threads(1)
    asked.folder.mkdir(parents=True, exist_ok=True)
    asked.seconds = 20 if asked.quick else asked.seconds
    found = coders(asked) if asked.model == "coders" else row(asked.model, asked)
    print(json.dumps(found), flush=True)
    if not asked.quick:
        names = ["coders", *MODELS]
        rows = [each for each in (json.loads(ROWS.read_text()) if ROWS.exists() else []) if each["model"] != asked.model]
        ROWS.write_text(json.dumps(sorted([*rows, found], key=lambda each: names.index(each["model"])), indent=1))


if __name__ == "__main__":
    main()

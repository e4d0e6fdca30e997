"""How fast nets learn and draw: every row against the plain way of the same model in the same run.

    python benchmarks/decoding.py shakespeare.txt            # some ten minutes on one core; appends to RESULTS.md
    python benchmarks/decoding.py shakespeare.txt --quick    # a minute, prints only

CPU-seconds of one thread. Learning is compared with nanoGPT's documented configuration for a processor (4 layers, 4 heads,
128 wide, 64 characters, 12 rows a step), which made 10,500 tokens a second on a core that multiplied matrices at 91 GFLOP/s;
the same product is timed here and scales that figure. Drawing is compared with recomputing all that was drawn at every step.
"""

from __future__ import annotations

import argparse
import time
from functools import partial

import numpy as np
import torch
from record import append

import given
from given.codecs import IdentityCodec, Text
from given.distributions import Noise
from given.families import Autoregressive
from given.nn import (
    GELU,
    DiagonalLSTM,
    Embedding,
    GatedPixelCNN,
    LearnedPositions,
    PixelCNN,
    Rotary,
    RowLSTM,
    SwiGLU,
    Transformer,
)
from given.testing import perturb
from given.train import Batches, Budget, Trainer
from given.variables import Axis, Finite, Observed, Variable

_NANOGPT, _ITS_GFLOPS = 10_500, 91


def cpu(function, times=1):
    """CPU-seconds a call, the least of three."""
    found = []
    for _ in range(3):
        began = time.process_time()
        for _ in range(times):
            function()
        found.append((time.process_time() - began) / times)
    return min(found)


def gflops(dtype=torch.float32, size=1024):
    """What one core multiplies, in 10^9 operations a second."""
    a, b = (torch.randn(size, size, dtype=dtype) for _ in range(2))
    return 2 * size**3 / cpu(lambda: a @ b, 10) / 1e9


def text(window, size=65):
    return Variable("text", IdentityCodec(Finite(size, axes=(Axis("place", window, "given"),))))


def gpt(window, width, layers, heads, positions=Rotary, size=65):
    """A GPT of so many layers, its parameters moved from their start."""
    torch.manual_seed(0)
    net = partial(Transformer, width=width, layers=layers, heads=heads, positions=positions, feedforward=GELU, dropout=0.0)
    made = Autoregressive(text(window, size), net=net, embed=partial(Embedding, offsets=0))
    perturb(made, 0.1)
    return made.eval()


def training(quick):
    """Tokens a CPU-second of the loop, batches, optimiser and averages and all."""
    rng = np.random.default_rng(0)
    symbols = "".join(map(chr, rng.integers(48, 113, 100_000)))
    data, net = given.read(text=[symbols]), partial(
        Transformer, width=128, layers=4, heads=4, positions=LearnedPositions, feedforward=SwiGLU, dropout=0.0)
    rows, steps = [], 30 if quick else 120
    a = torch.randn(1024, 1024)
    for bits in (False, True):
        model = given.model("p(text)", data, codecs={"text": Text(window=64)},
                            families={"text": partial(Autoregressive, net=net, embed=partial(Embedding, offsets=0))})
        trainer = Trainer(model.joint, Batches(model.joint, data, 12, 0), Budget(steps=steps + 20), bfloat16=bits)
        times, products, began = list[float](), list[float](), time.process_time()
        for _ in trainer.run():  # the product is timed between steps: the machine is not the same from one second to the next
            times.append(time.process_time() - began)
            if trainer.step % 5 == 0:
                began = time.process_time()
                a @ a
                products.append(time.process_time() - began)
            began = time.process_time()
        rate = 12 * 64 / float(np.median(times[20:]))
        product = 2 * 1024**3 / float(np.median(products[4:])) / 1e9
        peak = product if not bits else gflops(torch.bfloat16)
        size = sum(p.numel() for p in model.joint.parameters())
        used = rate * (6 * size + 12 * 4 * 128 * 64) / 1e9
        rows.append([f"{size / 1e6:.2f}M, {'bfloat16' if bits else 'float32'}", f"{rate:,.0f}", f"{peak:.0f}",
                     f"{used / peak:.0%}", f"{product:.0f}", f"{rate / (_NANOGPT * product / _ITS_GFLOPS):.2f}"])
    return [["model, learning", "tokens/CPU-s", "GFLOP/s of a product", "of which used", "of one in float32",
             "times nanoGPT's, scaled"], *rows]


def recomputed(distribution, noise, drawn, steps, whole):
    """CPU-seconds to draw with everything read anew at every step, all D tokens where the net needs a whole grid, else those so
    far: from so many steps evenly spread, each given what was drawn before it; and whether they draw the same."""
    D, order = distribution.space.dimensions, distribution.order[None]
    u, values, same = noise.uniform((), (D,)), drawn.reshape(distribution.n, D).double(), True
    began = time.process_time()
    for t in (np.arange(steps) * D // steps).tolist():
        upto = D if whole else t + 1
        tokens = distribution._tokens(values, distribution.y, order, slice(0, upto))
        again = distribution.heads[0](distribution.net(tokens, distribution.y, order[:, :upto])[:, t]).pick(u[:, t])
        same &= torch.equal(again.double(), values[:, t])
    return (time.process_time() - began) * D / steps, "the same" if same else "OTHERS"


def drawing(quick):
    """Tokens a CPU-second at one row, 255 of them, with and without the cache."""
    rows = []
    for name, width, layers, heads in (("0.8M", 128, 4, 4), ("10.65M", 384, 6, 6)):
        distribution = gpt(255, width, layers, heads)(Observed(n=1))
        size = sum(p.numel() for p in distribution.net.parameters())
        noise, steps = Noise.of(0, 1), 51 if quick else 255
        with torch.no_grad():
            drawn = distribution.sample(seed=noise).tensor
            fast = 255 / cpu(lambda distribution=distribution, noise=noise: distribution.sample(seed=noise))
            seconds, same = recomputed(distribution, noise, drawn, steps, False)
        slow = 255 / seconds
        rows.append([f"{name} ({size / 1e6:.2f}M in the net), float32", f"{fast:,.0f}", f"{slow:,.0f}", f"{fast / slow:.1f}",
                     same])
    return [["model, drawing", "tokens/CPU-s, cached", "recomputing", "ratio", "entries"], *rows]


def images(quick):
    """CPU-seconds to draw 16 binary images of 28 x 28."""
    rows = []
    space = Finite(2, ordered=True, axes=(Axis("height", 28), Axis("width", 28)))
    variable, n = Variable("image", IdentityCodec(space)), 16
    for name, net in (("PixelCNN, 15 blocks, 32 channels", partial(PixelCNN, width=32, layers=15)),
                      ("Image GPT, 8 blocks, 64 wide", partial(Transformer, width=64, layers=8, heads=4, dropout=0.0)),
                      ("Gated PixelCNN, 4 blocks, 32 channels", partial(GatedPixelCNN, width=32, layers=4)),
                      ("Row LSTM, 4 layers, 32 channels", partial(RowLSTM, width=32, layers=4)),
                      ("Diagonal BiLSTM, 4 layers, 32 channels", partial(DiagonalLSTM, width=32, layers=4))):
        torch.manual_seed(0)
        made = Autoregressive(variable, net=net)
        perturb(made, 0.1)
        whole = not isinstance(made.net, Transformer)  # every step recomputes the whole grid, so a few tell what all take
        distribution, noise, steps = made.eval()(Observed(n=n)), Noise.of(0, n), 14 if quick else 28
        with torch.no_grad():
            drawn = distribution.sample(seed=noise).tensor.reshape(n, -1)
            fast = cpu(lambda distribution=distribution, noise=noise: distribution.sample(seed=noise))
            slow, same = recomputed(distribution, noise, drawn, steps, whole)
        rows.append([name, f"{fast:.2f}", f"{slow:.1f}", f"{slow / fast:.0f}", same])
    return [["16 images of 28 x 28", "CPU-s, cached", "recomputing", "ratio", "entries"], *rows]


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="short; print, and record nothing")
    parser.add_argument("--only", choices=("training", "drawing", "images"), help="one of the tables")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for name, table in (("training", training), ("drawing", drawing), ("images", images)):
        if asked.only in (None, name):
            rows = table(asked.quick)
            print(*rows, sep="\n", flush=True)
            if not asked.quick:
                append(f"decoding_{name}", {name: rows}, {"threads": "1"})


if __name__ == "__main__":
    main()

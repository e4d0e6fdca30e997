"""Seconds to draw 16 images of 28 x 28 from causal nets, step by step with their caches, and for comparison recomputing
everything at every step, the same draws; and images learned a second.

    python benchmarks/draw_images.py [PixelCNN ...]
"""

import sys
import time
from functools import partial

import torch

from given.codecs import Plain
from given.families import Autoregressive
from given.laws import Noise
from given.nn import CausalConvolution, DiagonalLSTM, GatedPixelCNN, PixelCNN, RowLSTM, Transformer
from given.testing import stir
from given.variables import Axis, Entries, Finite, Observed, Variable

IMAGE = Variable("x", Plain(Finite(2, ordered=True, axes=(Axis("height", 28), Axis("width", 28)))))
NETS = {
    "PixelCNN": partial(PixelCNN, width=32, layers=15),
    "GatedPixelCNN": partial(GatedPixelCNN, width=32, layers=4),
    "RowLSTM": partial(RowLSTM, width=32, layers=4),
    "DiagonalLSTM": partial(DiagonalLSTM, width=32, layers=4),
    "CausalConvolution": partial(CausalConvolution, width=32, layers=10),
    "Transformer": partial(Transformer, width=32, layers=4),
}
N = 16


def measure(name):
    torch.manual_seed(0)
    model = Autoregressive(IMAGE, net=NETS[name]).eval()
    stir(model, 0.05)
    with torch.no_grad():
        law = model(Observed({}, N))
        law.sample(seed=0)
        start = time.perf_counter()
        drawn = law.sample(seed=1).tensor.reshape(N, -1)
        cached = time.perf_counter() - start
        values, order = torch.zeros(N, 784, dtype=torch.float64), law.order[None]
        u = Noise.of(1, N).uniform((), (784,))
        start = time.perf_counter()
        for t in range(784):
            features = model.net(model.embed(values, order), law.y, order)
            values[:, t] = model.heads[0](features[:, t]).pick(u[:, t]).double()
        whole = time.perf_counter() - start
    same = float((values == drawn).double().mean())
    x, y = Entries(drawn.reshape(N, 28, 28).long()), Observed({}, N)
    model.train()
    model.loss(x, y).mean().backward()
    start = time.perf_counter()
    for _ in range(5):
        model.loss(x, y).mean().backward()
    learned = 5 * N / (time.perf_counter() - start)
    print(f"{name}: {cached:.2f} s, recomputed {whole:.1f} s, {whole / cached:.0f} times, {same:.2%} of the pixels the same; "
          f"learns {learned:.0f} images/s", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in sys.argv[1:] or NETS:
        measure(name)

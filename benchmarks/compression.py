"""Bytes on disk: a play's last tenth and MNIST's test images, compressed by models that never saw them, and read back.

    python benchmarks/compression.py --models FOLDER        # an hour on one core; appends to RESULTS.md
    python benchmarks/compression.py --only text --quick    # prints only

Models are kept in the folder, and taken from it where they are there. Every file is read back by a process of its own with two
threads. Beside them what xz and bzip2 make of the same bytes; of the text also primed: of train and test less that of train.
Binarised images are one draw of Bernoulli(x / 255), numpy.random.default_rng(0), train and then test. The data: $GIVEN_DATA.
"""

from __future__ import annotations

import argparse
import bz2
import lzma
import os
import resource
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from record import append

import given
from given.codecs import Text
from given.distributions import DiscretizedLogisticMixtureHead
from given.families import Autoregressive, Ensemble, NGram
from given.nn import MADE, Embedding, MinGRU

TEXT = partial(Ensemble, families=(partial(NGram, order=7, adaptive=12), partial(
    Autoregressive, net=partial(MinGRU, width=256, layers=2, dropout=0.05), embed=partial(Embedding, offsets=4))))
LEVELS = partial(Autoregressive, net=partial(MADE, width=48, hidden=(512,)), embed=partial(Embedding, offsets=24),
                 head=partial(DiscretizedLogisticMixtureHead, components=5))
BITS = partial(Autoregressive, net=partial(MADE, width=32, hidden=(512,)), embed=partial(Embedding, offsets=40))
HEAD = ["what", "bytes", "unit", "on disk", "by the distribution", "CPU-s to fit", "CPU-s to write", "CPU-s to read",
        "read back"]


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, default=Path("compression"), help="where models are kept (%(default)s)")
    parser.add_argument("--only", choices=("text", "levels", "bits"), help="one of the three")
    parser.add_argument("--quick", action="store_true", help="little data and a short budget; print, and record nothing")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rows, data = [HEAD], Path(os.environ["GIVEN_DATA"])
    for name, run in (("text", _text), ("levels", _levels), ("bits", _bits)):
        if asked.only in (None, name):
            for row in run(data, asked):
                rows.append([str(cell) for cell in row])
                print(rows[-1], flush=True)
    if not asked.quick:
        append("compression", {"sizes": rows}, {"seed": "0", "threads": "1 to write, 2 to read", "bfloat16": "while learning"})


def _text(data, asked):
    text = (data / "text" / "tinyshakespeare.txt").read_text()
    end = round(0.9 * len(text))
    train, test = text[:end], text[end:end + 3000] if asked.quick else text[end:]
    yield from _peers("text", test.encode(), 8 / len(test.encode()), "bits/byte", train.encode())
    columns = given.read(text=[train])
    model = _model("text", asked, columns, {"text": Text()}, TEXT, held_out=0.1, cpu_seconds=300, batch=8, lr=3e-3)
    columns = given.read(text=[test])
    score = model.score(columns).bits_per_byte()
    for span in (1 << 13,):
        yield _ours(f"text, lanes of {span:,}; scored in windows {score.value:.4f}", "text", model, columns, asked,
                    8 / len(test), "bits/byte", span=span)


def _levels(data, asked):
    images = np.load(data / "images" / "mnist.npz")
    yield from _images("levels", "MNIST, 256 levels", images["x_train"], images["x_test"], LEVELS, 650, 64, asked)


def _bits(data, asked):
    images, rng = np.load(data / "images" / "mnist.npz"), np.random.default_rng(0)
    train, test = ((rng.random(x.shape) < x / 255).astype(np.uint8) for x in (images["x_train"], images["x_test"]))
    yield from _images("bits", "MNIST, binarised", train, test, BITS, 220, 128, asked)


def _images(name, what, train, test, family, seconds, batch, asked):
    test = test[:64] if asked.quick else test
    packed = np.packbits(test).tobytes() if name == "bits" else test.tobytes()
    yield from _peers(what, packed, 8 / test.size, "bits/dim")
    model = _model(name, asked, given.read(image=train[:-5000]), {}, family, held_out=given.read(image=train[-5000:-4500]),
                   cpu_seconds=seconds, batch=batch, lr=4e-3)
    yield _ours(what, name, model, given.read(image=test), asked, 8 / test.size, "bits/dim")


def _peers(what, test, share, unit, train=b""):
    for name, pack in (("xz", partial(lzma.compress, preset=9 | lzma.PRESET_EXTREME)), ("bzip2", bz2.compress)):
        size = len(pack(test))
        yield [f"{what}, {name}", f"{size:,}", unit, f"{size * share:.4f}", "", "", "", "", ""]
        if train:
            size = len(pack(train + test)) - len(pack(train))
            primed = f"{what}, {name} primed with the training text"
            yield [primed, f"{size:,}", unit, f"{size * share:.4f}", "", "", "", "", ""]


def _model(name, asked, train, codecs, family, cpu_seconds, **options):
    path = asked.models / f"{name}.given"
    if path.exists():
        return given.load(path)
    column = train.names[0]
    model = given.model(f"p({column})", train, codecs=codecs, families={column: family})
    model.fit(train, cpu_seconds=5 if asked.quick else cpu_seconds, patience=None, bfloat16=True, **options)
    model.save(path)
    return model


def _ours(what, name, model, rows, asked, share, unit, **options):
    began = time.process_time()
    code = model.compress(rows, verify=False, **options)  # another process reads it, which takes as long
    written = time.process_time() - began
    file, back = asked.models / f"{name}.gvnc", asked.models / f"{name}.npz"
    file.write_bytes(code.content)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "given", "decompress", asked.models / f"{name}.given", file, "-o", back], check=True,
                   env={**os.environ, "OMP_NUM_THREADS": "2"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    read, column = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, rows.names[0]
    found = given.read(back)[column]
    same = sum(np.array_equal(a, b) for a, b in zip(found, rows[column], strict=True))
    return [what, f"{len(code.content):,}", unit, f"{len(code.content) * share:.4f}", f"{code.bits / 8 * share:.4f}",
            f"{model.facts['fit']['cpu_seconds']:.0f}", f"{written:.0f}", f"{read:.0f}", f"{same:,} of {rows.n:,}"]


if __name__ == "__main__":
    main()

"""Code: p(file), left to right, and p(middle | what stands before and after it).

Half of the files are learned as they stand; the others are cut at line ends into stretches, each of which is cut at two places
and told in the order prefix, suffix, middle, with a mark before each. One distribution then goes on from a beginning and fills
holes. Bytes; counts of fourteen in a row, of what was learned from and of the file at hand as it is read, and a net, mixed by
how sure each is.

Its trivial baselines are a 5-gram, and xz, whose dictionary is everything learned from: what the compressed files grow by. The
metric is bits a byte of files never seen, in windows of 2,048, each given half of one before it; and of middles, given both
sides and given the left alone.

Source: Bavarian et al., Efficient training of language models to fill in the middle, 2022 / https://arxiv.org/abs/2207.14255
"""

from __future__ import annotations

import lzma
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from given.codecs import Text
from given.codecs.text import check_printable
from given.distributions import How
from given.families import Autoregressive, Ensemble, NGram
from given.infer import Stop, prefix
from given.nn import Embedding, MinGRU
from given.sources import Columns, File, Source
from given.variables import UserError
from given.verbs import Model
from given.verbs import model as model_of

__all__ = ["MARKS", "TRAINING", "arranged", "baselines", "fill", "measure", "model", "read"]

TRAINING: Mapping[str, Any] = {"batch": 2, "lr": 3e-3, "patience": None}
MARKS = ("\x1c", "\x1d", "\x1e")  # before prefix, suffix and middle; the first again where the middle ends
_WINDOW, _STRETCH = 2048, 1000
_MIDDLES = 200  # that are judged
_OWN = 6  # how many bytes of a file's own the counts in advance weigh


def read(*paths: str | os.PathLike[str], ending: str | None = None) -> Columns:
    """The files of a folder, its folders too, as the column text; `skipped` names what is no source.

    Args:
        paths: one folder.
        ending: of the files that are sources; by default the ending that most of its texts have.

    Raises:
        UserError: no folder, or no source in it.
    """
    if len(paths) != 1 or not os.path.isdir(paths[0]):
        raise UserError(f"code: expected a folder of sources, got {', '.join(map(str, paths))}")
    texts, skipped = dict[str, str](), list[str]()
    for folder, folders, files in os.walk(paths[0]):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (os.path.join(folder, name) for name in sorted(files) if not name.startswith(".")):
            if ending is not None and not path.endswith(ending):
                continue
            with File.at(path).open() as file:
                raw = file.read()
            try:
                text = raw.decode()
            except UnicodeDecodeError:
                text = "\0"
            if any(c in text for c in ("\0", *MARKS)):
                skipped.append(f"{path}: is no text, or holds control characters")
            elif text.strip():
                texts[path] = text
    if not texts:
        raise UserError(f"{paths[0]}: expected source files{f' ending in {ending}' if ending else ''}, got none that are text")
    if ending is None:
        ending = Counter(os.path.splitext(path)[1] for path in texts).most_common(1)[0][0]
        skipped += [f"{path}: does not end in {ending}" for path in texts if not path.endswith(ending)]
    data = Columns({"text": np.array([text for path, text in texts.items() if path.endswith(ending)], dtype=object)})
    data.skipped = skipped
    return data


def arranged(data: Source, seed: int = 0, stretch: int = _STRETCH) -> Columns:
    """Half of the texts as they stand, and the others in stretches, as prefix, suffix, middle, which fit a window. None is
    there twice: counts that met everything twice would think nothing rare."""
    rng, rows = np.random.default_rng(seed), list[str]()
    for text in _texts(data):
        if rng.random() < 0.5:
            rows.append(text)
            continue
        for part in _stretches(text, stretch):
            a, b = sorted(rng.integers(len(part) + 1, size=2).tolist())
            rows.append(_told(part[:a], part[b:]) + part[a:b] + MARKS[0])
    return Columns({"text": np.array(rows, dtype=object)})


def _told(before: str, after: str) -> str:
    return MARKS[0] + before + MARKS[1] + after + MARKS[2]


def _stretches(text: str, most: int) -> Iterator[str]:
    """Whole lines together, at most so many bytes."""
    held = ""
    for line in text.splitlines(keepends=True):
        if held and len((held + line).encode()) > most:
            yield held
            held = ""
        held = held + line if len(line.encode()) <= most else ""
    if held:
        yield held


def model(data: Source, *, seed: int = 0, order: int = 14, width: int = 256, layers: int = 2, dropout: float = 0.1) -> Model:
    """A model of sources, nothing learned yet; let it learn from `arranged(data)`.

    Args:
        data: the column text.
        seed: of the initial weights.
        order: of the counts.
        width, layers, dropout: of the net.
    """
    net = partial(Autoregressive, net=partial(MinGRU, width=width, layers=layers, dropout=dropout),
                  embed=partial(Embedding, offsets=4))
    family = partial(Ensemble, families=(partial(NGram, order=order, adaptive=_OWN), net))
    return model_of("p(text)", data, codecs={"text": Text("bytes", window=_WINDOW, longest=_WINDOW)},
                    families={"text": family}, seed=seed)


def fill(model: Model, before: str, after: str, *, n: int = 1, seed: int = 0, how: How | None = None,
         longest: int = 120) -> list[str]:
    """Draws of what stands between two texts, of which as much is read as fits the window.

    Raises:
        UserError: a control character in one of them.
    """
    for text in (before, after):
        check_printable(text, "code")
    room = _WINDOW - longest - 4
    right = after.encode()[:room // 3].decode(errors="ignore")
    left = before.encode()[-(room - len(right.encode())):].decode(errors="ignore")
    said, stop = _told(left, right), Stop(MARKS[0])
    drawn = model.given(text=prefix(said)).sample(n, seed=seed, how=stop if how is None else how | stop)["text"]
    return [str(text)[len(said):].split(MARKS[0])[0] for text in drawn]


def measure(model: Model, test: Source) -> dict[str, float]:
    """Bits a byte of files, and of middles given both sides and given the left alone."""
    rng, rows, bits = np.random.default_rng(0), list[tuple[str, str, str]](), math.log(2)
    every = [stretch for text in _texts(test) for stretch in _stretches(text, _STRETCH) if len(stretch) > 60]
    for i in rng.permutation(len(every))[:_MIDDLES]:
        a, b = sorted(rng.integers(20, len(every[i]) - 1, size=2).tolist())
        rows.append((every[i][:a], every[i][a:b + 1], every[i][b + 1:]))
    found = {"bits/byte": model.score(test).bits_per_byte().value}
    if rows:
        size = sum(len(middle.encode()) for _, middle, _ in rows)

        def nats(texts: list[str]) -> float:
            return float(model.log_prob(text=np.array(texts, dtype=object)).sum())

        both = nats([_told(a, c) + b for a, b, c in rows]) - nats([_told(a, c) for a, b, c in rows])
        left = nats([a + b for a, b, _ in rows]) - nats([a for a, _, _ in rows])
        found |= {"middle bits/byte": -both / size / bits, "middle from the left": -left / size / bits}
    return found


def baselines(train: Source, test: Source) -> dict[str, dict[str, float]]:
    """A 5-gram of bytes, and what xz needs more for the files once it has seen those learned from."""
    counted = model_of("p(text)", train, codecs={"text": Text("bytes", window=_WINDOW)},
                       families={"text": partial(NGram, order=5)})
    counted.fit(train, held_out=0)
    known, new = ("".join(_texts(data)).encode() for data in (train, test))
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": max(1 << 16, len(known) + len(new))}]
    packed = [len(lzma.compress(raw, lzma.FORMAT_RAW, filters=filters)) for raw in (known, known + new)]
    return {"5-gram": {"bits/byte": counted.score(test).bits_per_byte().value},
            "xz after all that was learned from": {"bits/byte": 8 * (packed[1] - packed[0]) / len(new)}}


def _texts(data: Source) -> Iterator[str]:
    return (str(text) for batch in data.runs() for text in batch["text"])

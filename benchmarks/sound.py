"""Sounds: spoken digits, p(sound | text) and p(text | sound), and samples one after another.

    GIVEN_DATA=... python benchmarks/sound.py               # 25 CPU-minutes of one thread; appends to RESULTS.md
    GIVEN_DATA=... python benchmarks/sound.py --quick       # 10 CPU-seconds each; prints, and records nothing

On the Free Spoken Digit Dataset (audio/fsdd: 3,000 WAVs of 8,000 samples a second, 6 speakers, official split: takes 0 to 4 of
every digit and speaker are the test). What is said is a digit's word. Sounds longer than 1.02 s, one in two
hundred, are left out where frames are drawn. Strings are one to four takes of any speakers, joined with pauses of .05 to .3 s,
others in every epoch and varied, as of other speakers and microphones; in the test they are of four. Draws are judged by a
recogniser of its own, convolutions that learned from real sounds of the training part, none of them drawn.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from record import append
from torch import nn

import given
from given.families import NGram
from given.sources import Columns, Source
from given.tasks import hear, speak
from given.verbs.sounds import Listener, frames_of

DIGITS = "zero one two three four five six seven eight nine".split()
RATE, MOST = 8000, 8192  # samples a second; of a sound, where frames are learned
LONGEST, PARTS, PAUSE = 3.2, 4, (0.05, 0.3)  # seconds of a string, takes, seconds between them
FRAMES, ASIDE = 64, "theo"  # that the recogniser sees; the speaker who is held out


def digits() -> tuple[Columns, np.ndarray, np.ndarray]:
    """Sounds with their words; who speaks; which rows are the official test."""
    data = given.read(Path(os.environ["GIVEN_DATA"]) / "audio" / "fsdd")
    text = np.array([DIGITS[digit] for digit in data["digit"]])
    return Columns({"sound": data["sound"], "text": text}, dtypes=data.dtypes), data["speaker"], data["split"] == "test"


class Strings(Source):
    """Takes joined at random, others in every epoch.

    Args:
        takes: sounds with their words.
        n: strings of an epoch.
        seed: of how they are joined.
        parts: takes a string, as far as there is room; by default one to four.
    """

    def __init__(self, takes: Columns, n: int, seed: int = 0, parts: int | None = None) -> None:
        self.takes, self.n, self.seed, self.parts, self.dtypes = takes, n, seed, parts, takes.dtypes

    @property
    def names(self) -> tuple[str, ...]:
        return ("sound", "text")

    def of_epoch(self, seed: int, number: int) -> Source:
        return Strings(self.takes, self.n, hash((self.seed, seed, number)) % (1 << 32), self.parts)

    def batches(self, size: int) -> Iterator[Columns]:
        for first in range(0, self.n, size):
            rows = [self._row(i) for i in range(first, min(first + size, self.n))]
            sound = np.empty(len(rows), dtype=object)
            sound[:] = [samples for samples, _ in rows]
            yield Columns({"sound": sound, "text": np.array([text for _, text in rows])}, dtypes=self.dtypes)

    def _row(self, number: int) -> tuple[np.ndarray, str]:
        rng = np.random.default_rng((self.seed, number))
        parts, words, left = list[np.ndarray](), list[str](), int(LONGEST * RATE)
        for i in rng.integers(self.takes.n, size=self.parts or int(rng.integers(1, PARTS + 1))):
            pause = int(rng.uniform(*PAUSE) * RATE) * bool(parts)
            if (left := left - pause - len(self.takes["sound"][i])) < 0 and parts:
                break
            parts += [np.zeros(pause, dtype=np.int16), self.takes["sound"][i]]
            words.append(str(self.takes["text"][i]))
        return np.concatenate(parts), " ".join(words)


class Recogniser:
    """Convolutions over log-mel frames, the independent judge of what is said."""

    def __init__(self, rows: Columns, seconds: float) -> None:
        with torch.random.fork_rng():
            torch.default_generator.manual_seed(0)
            self.net = nn.Sequential(
                nn.Conv1d(40, 48, 5, 2, 2), nn.ReLU(), nn.Conv1d(48, 64, 5, 2, 2), nn.ReLU(), nn.Dropout(0.3),
                nn.Conv1d(64, 64, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Dropout(0.3), nn.Linear(64 * FRAMES // 8, 10))
            x, target = self._frames(rows["sound"]), torch.tensor([DIGITS.index(t) for t in rows["text"]])
            optimiser, began = torch.optim.AdamW(self.net.parameters(), lr=2e-3, weight_decay=0.05), time.process_time()
            while time.process_time() < began + seconds:
                some = torch.randint(len(x), (32,))
                moved = torch.roll(x[some], int(torch.randint(-4, 5, ())), 2) + 4 * torch.randn(32, 1, 1) / 20
                loss = nn.functional.cross_entropy(self.net(moved), target[some])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
        self.net.eval()

    @staticmethod
    def _frames(sounds: np.ndarray | list[np.ndarray]) -> torch.Tensor:
        found = np.full((len(sounds), FRAMES, 40), -80.0, dtype=np.float32)
        for row, frames in enumerate(frames_of(sounds, RATE)):
            frames = frames[:FRAMES] - max(0.0, frames.max() - -10)  # as loud as others
            found[row, :len(frames)] = frames
        return torch.from_numpy((found + 60) / 20).movedim(2, 1)

    @torch.no_grad()
    def heard(self, sounds: np.ndarray | list[np.ndarray]) -> np.ndarray:
        """(n,) the words."""
        return np.array(DIGITS)[self.net(self._frames(sounds)).argmax(1).numpy()]


def learned(model: given.Model, data: Source, seconds: float, save: str, name: str, training: dict, seed: int = 0) -> float:
    """CPU-seconds of learning; what was learned is saved where there is a folder for it."""
    began = time.process_time()
    model.fit(data, cpu_seconds=seconds, threads=1, seed=seed, progress=False, **training)
    if save:
        model.save(Path(save) / f"{name}.given")
    return time.process_time() - began


def speaking(budget: float, n: int, save: str, judge: float) -> list[list[str]]:
    """How rightly draws of every digit are heard."""
    data, _, test = digits()
    short = np.array([len(sound) <= MOST for sound in data["sound"]])
    train, held = data.rows(~test & short), data.rows(test)
    recogniser = Recogniser(data.rows(~test), judge)
    logistic = Listener(train["sound"], train["text"].tolist(), RATE)
    rows = [["what", "heard rightly by convolutions", "by logistic regression", "CPU-s to learn", "CPU-s a sound"]]

    def row(what: str, sounds: list[np.ndarray], said: np.ndarray, *cells: str) -> None:
        rows.append([what, *(f"{(judge.heard(sounds) == said).mean():.1%}" for judge in (recogniser, logistic)), *cells])

    row("real sounds of the test", [*held["sound"]], held["text"], "", "")
    model = speak.model(train)
    codec = model.joint.columns["sound"].codec
    began, kept = time.process_time(), data.rows(test & short)
    again = codec.decode(codec.encode(kept["sound"]))
    row(f"{kept.n} of these, to frames and back", [*again], kept["text"], "", f"{(time.process_time() - began) / kept.n:.3f}")
    seconds = learned(model, train, budget, save, "speak", speak.TRAINING)
    said = np.repeat(DIGITS, n)
    for guidance in (1.0, speak.GUIDANCE):
        began = time.process_time()
        sounds = [each for word in DIGITS for each in speak.speak(model, word, n, guidance=guidance, seed=1)]
        cost = (time.process_time() - began) / len(sounds)
        row(f"drawn, guidance {guidance:g}", sounds, said, f"{seconds:.0f}", f"{cost:.3f}")
        if save and guidance != 1:
            for word, sound in zip(DIGITS, sounds[::n], strict=True):
                Columns({"sound": [sound]}, dtypes=data.dtypes).save(Path(save) / f"{word}.wav")
    return rows


def hearing(budget: float, save: str, seeds: int, aside: str = "") -> list[list[str]]:
    """How rightly single digits and strings are heard, of the official split or of a speaker held out."""
    data, speaker, test = digits()
    rows = [["what", "right", "word error", "strings: right", "word error", "CPU-s to learn"]]
    name, held = (f"speaker {aside} held out", speaker == aside) if aside else ("official split", test)
    train, single = data.rows(~held), data.rows(held)
    strings = next(Strings(single, 200, seed=7, parts=PARTS).batches(200))  # the longest are the hardest
    for what, found in hear.baselines(train, single).items():
        rows.append([f"{name}: {what}", f"{found['right']:.1%}", f"{found['word error']:.1%}", "", "", ""])
    source = hear.arranged(Strings(train, 3000))
    for seed in range(seeds):
        model = hear.model(source, seconds=LONGEST, seed=seed)
        training = {**hear.TRAINING, "held_out": 0}
        seconds = learned(model, source, budget, save, f"hear-{aside or 'official'}-{seed}", training, seed)
        each = [hear.measure(model, rows) for rows in (single, strings)]
        figures = (f"{value:.1%}" for found in each for value in found.values())
        rows.append([f"{name}: this model, seed {seed}", *figures, f"{seconds:.0f}"])
    return rows


def sampling(budget: float, save: str, n: int) -> list[list[str]]:
    """Bits a sample of the test, of 256 levels, and samples a second drawn in a batch of 16."""
    data, _, test = digits()
    train, held = data.rows(~test), data.rows(test)
    held = held.rows(slice(None)) if n >= held.n else held.rows(np.arange(0, held.n, held.n // n))
    rows = [["what", "bits a sample", "samples/s drawn, of 16 at once", "CPU-s to learn"]]
    wave = speak.wave(train)
    codecs = {name: v.codec for name, v in wave.joint.columns.items()}
    counts = given.model("p(sound)", train, codecs={"sound": codecs["sound"]}, families={"sound": partial(NGram, order=3)})
    seconds = learned(counts, train, budget, "", "", {"held_out": 0})
    rows.append(["n-gram, given two samples", f"{speak.bits(counts, held):.3f}", "", f"{seconds:.0f}"])
    seconds = learned(wave, train, budget, save, "wave", {"held_out": 0, "batch": 1, "lr": 4e-3, "patience": None})
    began, length = time.process_time(), 4096
    wave.given(text=DIGITS + DIGITS[:6]).sample(1, length=length, seed=0)
    speed = 16 * length / (time.process_time() - began)
    rows.append(["WaveNet, given the word", f"{speak.bits(wave, held):.3f}", f"{speed:,.0f}", f"{seconds:.0f}"])
    return rows


def main() -> None:
    """All questions, or some of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", default=["speak", "hear", "aside", "wave"], help="of speak, hear, aside, wave")
    parser.add_argument("--seconds", type=float, default=360,
                        help="CPU-seconds of learning each, a third of them to hear (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="10 CPU-seconds each; print, and record nothing")
    parser.add_argument("--save", default="", help="a folder for what was learned, and a WAV of every digit")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    budget, few = (10.0, True) if asked.quick else (asked.seconds, False)
    each = {"speak": lambda: speaking(budget, 2 if few else 40, asked.save, 5 if few else 40),
            "hear": lambda: hearing(budget / 3, asked.save, 1 if few else 3),
            "aside": lambda: hearing(budget / 3, asked.save, 1, ASIDE),
            "wave": lambda: sampling(budget, asked.save, 20 if few else 300)}
    for name in asked.what:
        began = time.process_time()
        rows = each[name]()
        print(*(" | ".join(row) for row in rows), f"{time.process_time() - began:.0f} CPU-s", sep="\n", flush=True)
        if not few:
            append(f"sound_{name}", {name: rows}, {"seed": "0 to 2" if name == "hear" else "0"})


if __name__ == "__main__":
    main()

"""fit: the loop with what a person wants around it: held-out rows, best weights, early stop, a bar, checkpoints."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor
from tqdm import tqdm

from given.joint import Joint
from given.sources import Columns, Crops, Scenes, Source, Stream, joined
from given.train.batches import Split
from given.train.checkpoint import CHECKPOINT_FILES, check_place, read_checkpoint, write_checkpoint
from given.train.judge import Judge, Turns
from given.train.loop import Diverged, Trainer
from given.variables import UserError
from given.ways import way

__all__ = ["FitResult", "fit", "split"]

_EVALUATIONS = 25
_BAR = "{percentage:3.0f}% |{bar:24}| {elapsed}<{remaining}  {desc}"
_MOST_HELD = 5_000
_FEW = 1_000  # rows that may hold out none by chance


@dataclass(frozen=True)
class FitResult:
    """What learning did.

    Attributes:
        steps: steps of gradient taken, of all descents where there are several; 0 where everything was counted or solved.
        seconds: of wall time.
        cpu_seconds: of processor time.
        stopped: why it ended: `budget`, `no improvement`, `interrupted` or `closed form`. Where all was
            counted or solved, `budget` says that it was cut short.
        held_out: mean log p of held-out items in nats, in the entries' units, of the weights kept, on the sample of them that
            evaluations score; None without such rows, or where a factor has no density.
        history: (step, held-out nats an item) at every evaluation, of the same rows.
        baseline: what the model was set beside in the end, such as "independent columns"; None where nothing was.
        margin: how much more log p held-out items have than under the baseline, in nats an item, on the same rows.
        margin_error: its standard error, of the paired differences.
        judged: (held-out rows that were scored in the end, of how many).
    """

    steps: int
    seconds: float
    cpu_seconds: float
    stopped: str
    held_out: float | None
    history: tuple[tuple[int, float], ...] = field(repr=False)
    baseline: str | None = None
    margin: float | None = None
    margin_error: float | None = None
    judged: tuple[int, int] | None = None

    @property
    def notice(self) -> str:
        """One line where held-out rows are less probable than under the baseline: by how much, and what to do; else nothing."""
        return self.below("learn longer (minutes= or steps=), or choose another family (families=)")

    def below(self, advice: str) -> str:
        """The same with advice in the words of whoever asked."""
        if self.margin is None or self.judged is None or self.margin >= 0:
            return ""
        error = "" if self.margin_error is None else f" ± {self.margin_error:.2g}"
        return (f"worse than {self.baseline} by {-self.margin:.4g}{error} nats an item, on {self.judged[0]:,} of "
                f"{self.judged[1]:,} held-out rows; {advice}")


def split(source: Source, held_out: float, seed: int, joint: Joint | None = None,
          together: str | None = None) -> tuple[Source, Source | None]:
    """The rows to learn from and those held out: a share, chosen row by row from a seed, in memory: of 5,000
    rows and 128 MB at most.

    Of items along an axis, such as series, that are too few to hold some out, a single one too, the last part of each is held
    out: values chosen at random would stand among those learned from. Of crops whole pictures are, for the same reason,
    and all rows with one value of the column `together` of data in memory.

    Raises:
        UserError: a share that is none, rows or pictures too few to cut, or a label with a single picture.
    """
    if not 0 <= held_out < 1:
        raise UserError(f"held_out={held_out}; expected a share from 0 to 1, or rows of your own")
    if held_out == 0:
        return source, None
    if isinstance(source, Crops):
        apart = _pictures(source, held_out, seed)
        return source.some(~apart), joined(list(source.some(apart).runs()))
    n = _count(source)
    if (ends := _ends(source, n, held_out, joint)) and joint is not None:
        whole, share = joined(list(source.runs())), ends[1]
        train, valid = (Columns({**whole, **{name: joint.columns[name].codec.part(whole[name], *part) for name in ends[0]}})
                        for part in ((0.0, 1 - share), (1 - share, 1.0)))
        valid.about = f"the last {share:.0%} of {'the item' if n == 1 else f'each of {n} items'}"
        return train, valid
    share = _share(source, n, held_out, seed)
    if not isinstance(source, Columns):
        held = list(Split(source, share, seed, True).runs())
        return Split(source, share, seed, False), joined(held) if held else None
    values = None if together is None else np.unique(source[together], return_inverse=True)
    chosen = Split.hashes(seed, n) < share if values is None else (Split.hashes(seed, len(values[0])) < share)[values[1]]
    if chosen.all() or not chosen.any():
        few, of = f"{source.n} rows are", ";"
        if values is not None:
            few = f"{len(values[0])} values of {together} are"
            of = " of them, each with all its rows; add others, hold out a larger share, or"
        raise UserError(f"fit: {few} too few to hold out {held_out:.0%}{of} pass {way('held_out=0', '--held-out 0')}")
    return source.rows(~chosen), source.rows(chosen)


def _ends(source: Source, n: int, held_out: float, joint: Joint | None) -> tuple[list[str], float] | None:
    """The columns of n items whose last parts are held out, and the share of them; None where items are, or none is so long."""
    if joint is None or not 0 < held_out or n * held_out >= 1:
        return None
    names = [name for name, v in joint.columns.items() if name in source.names and v.codec.along is not None]
    if not names:
        return None
    shortest = min((len(item) for batch in source.runs() for name in names for item in batch[name] if item is not None),
                   default=0)
    return (names, max(held_out, 1 / shortest)) if shortest > 1 else None


def row_numbers(source: Source, held_out: float, seed: int, joint: Joint | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of the rows on both sides of `split`, in their order; of items that are cut, their own on both."""
    n = _count(source)
    if isinstance(source, Crops):
        rows = _pictures(source, held_out, seed).repeat(source.counts)
        return np.flatnonzero(~rows), np.flatnonzero(rows)
    if _ends(source, n, held_out, joint):
        return np.arange(n), np.arange(n)
    chosen = Split.hashes(seed, n) < _share(source, n, held_out, seed)
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def _pictures(source: Crops, held_out: float, seed: int) -> np.ndarray:
    """(pictures,) which are held out with all their crops, by a hash of their number: one at least, and not all of a label."""
    n, columns = len(source.chosen), source.pictures.columns
    u = Split.hashes(seed, n)
    share = min(held_out, min(_MOST_HELD, source.affordable) / source.n)
    apart = u < max(share, float(np.nextafter(u.min(), 1)))
    if n == 1 or apart.all():
        raise UserError(f"fit: {n} picture{'s' * (n > 1)} {'are' if n > 1 else 'is'} too few to hold out {held_out:.0%}, for "
                        f"rows are held out by pictures; pass {way('held_out=0', '--held-out 0')}")
    labels = columns["label"][source.chosen] if columns is not None and "label" in columns else np.zeros(n)
    values, label, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if counts.min() == 1:
        raise UserError(f"fit: label {values[counts.argmin()]!s} has one picture, which cannot be both learned from and held "
                        f"out; add another, or pass {way('held_out=0', '--held-out 0')}")
    for k in range(len(values)):
        if apart[mine := np.flatnonzero(label == k)].all():
            apart[mine[u[mine].argmax()]] = False
    return apart


def _count(source: Source) -> int:
    return source.n if isinstance(source, Columns | Crops | Scenes | Stream) else sum(batch.n for batch in source.runs())


def _share(source: Source, n: int, held_out: float, seed: int) -> float:
    """The share of n rows that is held out, as far as there is memory; one row at least, where the hash of so few holds out
    none."""
    share = min(held_out, min(_MOST_HELD, source.affordable) / n)
    if round(n * share) >= 1 and n <= _FEW:
        share = max(share, float(np.nextafter(float(Split.hashes(seed, n).min()), 1)))
    return share


def fit(trainer: Trainer, judge: Judge | None, *, patience: int | None = None,
        checkpoint: str | os.PathLike[str] | None = None, resume: bool = False, progress: bool | None = None,
        made_with: Mapping[str, Any] | None = None, watch: Callable[[Trainer], None] | None = None) -> FitResult:
    """Run a trainer to the end of its budget and leave the best averaged weights in the joint.

    Args:
        trainer: built and not yet run.
        judge: scores held-out rows up to 25 times over the budget, and at its end; without it the last weights are kept.
        patience: stop after so many evaluations without improvement; None never.
        checkpoint: a folder to write to 25 times over the budget.
        resume: go on from the checkpoint if there is one.
        progress: a bar on standard error; by default where that is a terminal.
        made_with: what a checkpoint must have been made with to be gone on from: plain JSON by the name of what it is.
        watch: looks at the trainer at every evaluation, or 25 times over the budget where there is no judge.

    Raises:
        UserError: the checkpoint was made with something else.
    """
    if resume and checkpoint is None:
        raise UserError("resume=True: expected checkpoint=..., the folder to go on from")
    if checkpoint is not None:
        check_place(checkpoint, CHECKPOINT_FILES)
    run = _Run(trainer, judge, patience)
    standing = read_checkpoint(checkpoint) if resume and checkpoint is not None else None
    if standing:
        _same(checkpoint, standing[1].get("made_with", {}), made_with or {})
        run.restore(*standing)
    ticks, stopped = math.floor(trainer.spent * _EVALUATIONS), "budget"
    shown = sys.stderr.isatty() if progress is None else progress
    with tqdm(total=100, bar_format=_BAR, leave=False, disable=not shown) as bar, closing(trainer.run()) as steps:
        try:
            for loss in steps:
                spent = min(trainer.spent, 1.0)
                bar.set_description_str(f"step {trainer.step}, loss {loss:.2f}{run.said} nats an item", refresh=False)
                bar.update(100 * spent - bar.n)
                if math.floor(spent * _EVALUATIONS) == ticks:
                    continue
                ticks = math.floor(spent * _EVALUATIONS)
                if run.judge(spent == 1) and watch is not None:
                    watch(trainer)
                if checkpoint is not None:
                    tensors, facts = run.state()
                    write_checkpoint(checkpoint, tensors, {**facts, "made_with": dict(made_with or {})})
                if run.stale:
                    stopped = "no improvement"
                    break
            if run.judge(True) and watch is not None:
                watch(trainer)
        except Diverged:
            trainer.put(run.best)
            raise
        except KeyboardInterrupt:
            stopped = "interrupted"
            if not run.history:
                run.best = _copy(trainer.averaged)
            print(f"interrupted at step {trainer.step}; the best weights so far are kept", file=sys.stderr)
    trainer.put({**run.best, **trainer.unselected})
    return FitResult(trainer.step, trainer.wall, trainer.cpu, stopped, run.best_score if run.history else None,
                     tuple(run.history))


class _Run:
    """A trainer, how it was judged so far, and the best weights."""

    def __init__(self, trainer: Trainer, judge: Judge | None, patience: int | None) -> None:
        self.trainer, self.patience = trainer, patience
        self.turns = None if judge is None else Turns(trainer, judge)
        self.best, self.history = _copy(trainer.averaged), list[tuple[int, float]]()

    @property
    def best_score(self) -> float:
        return max((score for _, score in self.history), default=-math.inf)

    @property
    def said(self) -> str:
        return f", held out {-self.best_score:.2f}" if self.history else ""

    @property
    def stale(self) -> bool:
        """Whether the last evaluations brought no improvement."""
        recent = self.history[-self.patience:] if self.patience is not None else []
        return len(self.history) > len(recent) > 0 and self.best_score not in [score for _, score in recent]

    def judge(self, last: bool) -> bool:
        """Score the averaged weights if it is time to, and keep them if they are the best; whether it was."""
        if self.turns is None:
            self.best = _copy(self.trainer.averaged)
        elif (last or self.turns.due) and (not self.history or self.history[-1][0] < self.trainer.step):
            before, score = self.best_score, self.turns.score()
            self.history.append((self.trainer.step, score))
            if score > before:
                self.best = _copy(self.trainer.averaged)
        else:
            return False
        return True

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What a checkpoint holds."""
        tensors, facts = self.trainer.state()
        judged = {} if self.turns is None else {"size": self.turns.judge.size, "cost": self.turns.cost, "each": self.turns.each}
        return ({**tensors, **{f"best.{k}": v for k, v in self.best.items()}},
                {**facts, "history": self.history, "judged": judged})

    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Go on from `state()`."""
        self.trainer.restore(tensors, facts)
        self.best = {k.removeprefix("best."): v for k, v in tensors.items() if k.startswith("best.")}
        self.history = [(int(step), float(score)) for step, score in facts["history"]]
        judged = facts.get("judged")
        if self.turns is not None and judged:
            self.turns.judge.size, self.turns.cost, self.turns.each = judged["size"], judged["cost"], judged["each"]


def _same(path: Any, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raises `UserError` with the first thing that a checkpoint was made with and that is another now."""
    for name in {**then, **now}:
        old, new = (side.get(name, "nothing said of it") for side in (then, now))
        if old != new:
            raise UserError(f"{os.fspath(path)}: this checkpoint was made with another {name} ({old}; now {new}); go on with "
                            "the same, or remove it to start anew")


def _copy(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k: v.detach().clone() for k, v in weights.items()}

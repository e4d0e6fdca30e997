"""fit: the loop with what a person wants around it: held-out rows, best weights, early stop, a bar, checkpoints."""

from __future__ import annotations

import math
import os
import sys
from dataclasses import dataclass, field

import torch
from torch import Tensor
from tqdm import tqdm

from given.distributions import Noise
from given.joint import Joint
from given.sources import Columns, Source, Stream, joined
from given.train.batches import Split, encoded
from given.train.checkpoint import CHECKPOINT_FILES, check_place, read_checkpoint, write_checkpoint
from given.train.loop import Diverged, Trainer
from given.variables import UserError

__all__ = ["FitResult", "fit", "held_out_score", "split"]

_EVALUATIONS = 25
_BAR = "{percentage:3.0f}% |{bar:24}| {elapsed}<{remaining}  {desc}"
_ENTRIES_AT_ONCE = 1 << 16
_MOST_HELD = 5_000
_PIECES = 64  # of long texts, that an evaluation scores


@dataclass(frozen=True)
class FitResult:
    """What learning did.

    Attributes:
        steps: steps of gradient taken; 0 where everything was counted or solved.
        seconds: of wall time.
        cpu_seconds: of processor time.
        stopped: why it ended: `budget`, `no improvement`, `interrupted` or `closed form`.
        held_out: mean log p of held-out items in nats, in the entries' units, of the weights kept; None without such rows.
        history: (step, held-out nats an item) at every evaluation.
    """

    steps: int
    seconds: float
    cpu_seconds: float
    stopped: str
    held_out: float | None
    history: tuple[tuple[int, float], ...] = field(repr=False)


def split(source: Source, held_out: float, seed: int, joint: Joint | None = None) -> tuple[Source, Source | None]:
    """The rows to learn from and those held out: a share, chosen row by row from a seed, of 5,000 rows at most, in memory.

    Of a single row whose text is longer than its window, the text's last part is held out: windows chosen at random would
    overlap those learned from.

    Raises:
        UserError: a share that is none, or rows too few to cut.
    """
    if not 0 <= held_out < 1:
        raise UserError(f"held_out={held_out}; expected a share from 0 to 1, or rows of your own")
    if held_out == 0:
        return source, None
    n = source.n if isinstance(source, Columns | Stream) else sum(batch.n for batch in source.batches(_ENTRIES_AT_ONCE))
    for name, v in joint.columns.items() if n == 1 and joint is not None else ():
        if name in source.names and any(axis.length == "given" for axis in v.space.axes):
            whole = next(source.batches(1))
            end = round(len(whole[name][0]) * (1 - held_out))
            return Columns({**whole, name: [whole[name][0][:end]]}), Columns({**whole, name: [whole[name][0][end:]]})
    sides = [Split(source, min(held_out, _MOST_HELD / n), seed, side) for side in (False, True)]
    if not isinstance(source, Columns):
        held = list(sides[1].batches(_ENTRIES_AT_ONCE))
        return sides[0], joined(held) if held else None
    rows = [batch for side in sides for batch in side.batches(source.n)]
    if len(rows) < 2:
        raise UserError(f"fit: {source.n} rows are too few to hold out {held_out:.0%}; pass held_out=0")
    return rows[0], rows[1]


def fit(trainer: Trainer, valid: Source | None, *, weight: str | None = None, patience: int | None = None,
        checkpoint: str | os.PathLike[str] | None = None, resume: bool = False, progress: bool | None = None) -> FitResult:
    """Run a trainer to the end of its budget and leave the best averaged weights in the joint.

    Args:
        trainer: built and not yet run.
        valid: held-out rows, scored 25 times over the budget; without them the last weights are kept.
        weight: the column of the rows' weights.
        patience: stop after so many evaluations without improvement; None never.
        checkpoint: a folder to write to at every evaluation.
        resume: go on from the checkpoint if there is one.
        progress: a bar on standard error; by default where that is a terminal.
    """
    if resume and checkpoint is None:
        raise UserError("resume=True: expected checkpoint=..., the folder to go on from")
    if checkpoint is not None:
        check_place(checkpoint, CHECKPOINT_FILES)
    best, best_score, history, stopped = _copy(trainer.averaged), -math.inf, list[tuple[int, float]](), "budget"
    standing = read_checkpoint(checkpoint) if resume and checkpoint is not None else None
    if standing:
        tensors, facts = standing
        trainer.restore(tensors, facts)
        best = {k.removeprefix("best."): v for k, v in tensors.items() if k.startswith("best.")}
        history = [(int(step), float(score)) for step, score in facts["history"]]
        best_score = max((score for _, score in history), default=-math.inf)
    evaluated = math.floor(trainer.spent * _EVALUATIONS)
    shown = sys.stderr.isatty() if progress is None else progress
    with tqdm(total=100, bar_format=_BAR, leave=False, disable=not shown) as bar:
        try:
            for loss in trainer.run():
                held = f", held out {-best_score:.2f}" if math.isfinite(best_score) else ""
                bar.set_description_str(f"step {trainer.step}, loss {loss:.2f}{held} nats an item", refresh=False)
                spent = min(trainer.spent, 1.0)
                bar.update(100 * spent - bar.n)
                now = math.floor(spent * _EVALUATIONS)
                if now == evaluated:
                    continue
                evaluated = now
                if valid is not None:
                    history.append((trainer.step, _with(trainer, valid, weight)))
                if not history or history[-1][1] > best_score:
                    best, best_score = _copy(trainer.averaged), history[-1][1] if history else best_score
                if checkpoint is not None:
                    tensors, facts = trainer.state()
                    write_checkpoint(checkpoint, {**tensors, **{f"best.{k}": v for k, v in best.items()}},
                                     {**facts, "history": history})
                if patience is not None and len(history) > patience and best_score not in [
                        score for _, score in history[len(history) - patience:]]:
                    stopped = "no improvement"
                    break
        except Diverged:
            trainer.joint.load_state_dict(best)
            raise
        except KeyboardInterrupt:
            stopped = "interrupted"
            if not history:
                best = _copy(trainer.averaged)
            print(f"interrupted at step {trainer.step}; the best weights so far are kept", file=sys.stderr)
    trainer.joint.load_state_dict(best)
    return FitResult(trainer.step, trainer.wall, trainer.cpu, stopped, best_score if history else None, tuple(history))


def held_out_score(joint: Joint, valid: Source, weight: str | None = None, stage: int | None = None,
                   most: int | None = None) -> float:
    """Weighted mean of minus the loss of held-out items, in nats and the entries' units; of long texts, by `most` pieces."""
    factors = None if stage is None else joint.stages[stage]
    joint.eval()
    total = count = 0.0
    rows = max(1, _ENTRIES_AT_ONCE // joint.dimensions)
    with torch.no_grad():
        for batch in encoded(joint, valid, rows, weight, most=most):
            losses = joint(batch.entries, batch.n, Noise.of(0, batch.n, first_row=batch.first), factors)
            total += float((batch.weight * batch.total(joint, losses)).sum())
            count += float((batch.weight * batch.share).sum())
    if not count:
        raise UserError("fit: no row was held out; pass held_out=0, or more rows")
    return -total / count


def _with(trainer: Trainer, valid: Source, weight: str | None) -> float:
    """The held-out score of the trainer's stage with the averaged weights in place, and back."""
    joint = trainer.joint
    own = _copy(joint.state_dict())
    joint.load_state_dict(trainer.averaged)
    try:
        return held_out_score(joint, valid, weight, trainer.stage, _PIECES)
    finally:
        joint.load_state_dict(own)


def _copy(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k: v.detach().clone() for k, v in weights.items()}

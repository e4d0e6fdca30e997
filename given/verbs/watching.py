"""Watching: sheets of draws while a model learns, one an evaluation, at a bounded share of the time."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from torch import nn

from given.evaluate import contact_sheet
from given.joint import Joint
from given.sources import Columns, Source, write_file
from given.train import Trainer
from given.variables import Finite, UserError
from given.verbs.query import Query
from given.ways import way

__all__ = ["Watch", "images_of"]

_DRAWS, _FEW = 16, 4  # of a sheet, and of one where so many take too long
_SHARE, _FIRST = 0.04, 0.01  # of the time that learning takes: for all sheets, and for a first try


class _Late(Exception):
    """There is no time left to draw."""


class Watch:
    """Writes a sheet of the same sixteen draws, by the averaged weights, whenever held-out rows are scored.

    All sheets take 4 % of the time at most: a sheet that would cost more is left out, and one that takes longer than is left is
    given up; from then on sheets are of four draws. What is drawn changes nothing of what is learned, but for the time.

    Args:
        joint: that learns; it has one column of pictures.
        folder: where `step-000123.png` are written.
        rows: of conditions, that no factor of the joint is of.
        seed: of the draws.

    Raises:
        UserError: no column of pictures or several, or a folder that cannot be made.
    """

    def __init__(self, joint: Joint, folder: str | os.PathLike[str], rows: Source, seed: int) -> None:
        found = images_of(joint)
        if len(found) != 1:
            what = "several columns of pictures" if found else "no pictures"
            raise UserError(f"{way('watch=', '--watch')}: {joint} draws {what}; leave it out")
        (self.name, self.levels), = found.items()
        self.joint, self.folder, self.seed = joint, os.fspath(folder), seed
        some = rows if isinstance(rows, Columns) else next(iter(rows.batches(1 << 10)))
        spread = np.linspace(0, some.n - 1, _DRAWS).round().astype(int)
        self.conditions = {name: some[name][spread] for name in joint.conditions if name in some}
        self.draws = _DRAWS
        try:
            os.makedirs(self.folder, exist_ok=True)
        except OSError as error:
            raise UserError(f"{self.folder}: cannot be a folder of pictures ({error.strerror})") from None
        self.trainer: Trainer | None = None
        self.written = self.skipped = 0
        self.cost, self.least, self.last = 0.0, 0.0, -1
        self.why = ""

    def __call__(self, trainer: Trainer, part: str = "") -> None:
        """Draw and write, if there is time; `part` names a descent of several."""
        if trainer is not self.trainer:
            self.trainer, self.cost, self.last = trainer, 0.0, -1
        if trainer.step == self.last:
            return
        self.last, spent = trainer.step, min(1.0, max(trainer.spent, 1e-6))
        left = (_FIRST if not self.cost else _SHARE * spent) * trainer.wall / spent - self.cost
        if self.least > left or self.why:
            self.skipped += 1
            return
        began = time.perf_counter()
        try:
            with trainer.averaged_weights(), _at_most(self.joint.eval(), left):
                content = self._sheet()
            write_file(os.path.join(self.folder, f"{part and f'{part}-'}step-{trainer.step:06d}.png"),
                       lambda file: file.write(content))
            self.written, self.least = self.written + 1, time.perf_counter() - began
        except _Late:
            self.skipped, self.least = self.skipped + 1, left if self.draws > _FEW else 2 * left
            self.draws = _FEW
        except (UserError, ArithmeticError) as error:  # a part that is drawn from has not learned yet, or there is no room
            self.skipped, self.why = self.skipped + 1, str(error)
        self.cost += time.perf_counter() - began

    def conclude(self) -> None:
        """Say how many evaluations were left out, and why, if any were."""
        if self.skipped:
            why = self.why or (f"drawing would have taken more than {_SHARE:.0%} of the time; learn longer, or draw when it "
                               "has learned")
            print(f"{self.folder}: {self.written} sheets of draws; {self.skipped} evaluations have none: {why}",
                  file=sys.stderr)

    def _sheet(self) -> bytes:
        query = Query(self.joint, {name: rows[::_DRAWS // self.draws] for name, rows in self.conditions.items()}, {})
        drawn: Any = query.sample(1 if self.conditions else self.draws, seed=self.seed)
        return contact_sheet(drawn.flat()[self.name], levels=self.levels)


def images_of(joint: Joint) -> dict[str, int]:
    """Columns that are pictures, and their levels."""
    return {k: v.space.size for k, v in joint.columns.items() if isinstance(v.space, Finite) and len(v.space.axes) in (2, 3)
            and v.space.ordered}


@contextmanager
def _at_most(joint: nn.Module, seconds: float) -> Iterator[None]:
    """Give up, at a call of one of a model's parts, once so many seconds are over."""
    end = time.perf_counter() + seconds

    def check(*_: Any) -> None:
        if time.perf_counter() > end:
            raise _Late

    hooks = [part.register_forward_pre_hook(check) for part in joint.modules()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()

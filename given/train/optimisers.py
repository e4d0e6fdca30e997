"""Who steps together, and by which optimiser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from given.conditional import Conditional
from given.joint import Joint
from given.lessons import Descend, Loss
from given.nn import Linear
from given.train.adamw import AdamW

__all__ = ["Side", "matrices", "optimisers", "sides"]


class Side(NamedTuple):
    """Lessons that step together."""

    name: str
    steps: int
    betas: tuple[float, float]
    losses: list[tuple[Conditional, Loss]]
    parameters: list[nn.Parameter]


def sides(lessons: Sequence[tuple[Conditional, Descend]]) -> list[Side]:
    """Lessons of the default name as one, any other by itself."""
    found = dict[tuple[object, ...], Side]()
    for f, lesson in lessons:
        name = lesson.name if lesson.name == Descend.name else f"{f}, {lesson.name}"
        key = name, lesson.steps, lesson.betas
        side = found.setdefault(key, Side(*key, [], []))
        side.losses.append((f, lesson.loss))
        side.parameters.extend(lesson.parameters)
    return list(found.values())


def matrices(joint: Joint) -> set[Tensor]:
    """The weights of linear layers between features."""
    return {part.weight for name, part in joint.named_modules() if isinstance(part, nn.Linear | Linear)
            and min(part.weight.shape) > 1 and not any(step.endswith(("head", "heads")) for step in name.split("."))}


def optimisers(side: Side, large: set[Tensor], lr: float, decay: float) -> list[Optimizer | AdamW]:
    """That of the matrices, if there are any, and that of all else. Muon's step is made as large as AdamW's, so that both
    share a learning rate."""
    mine = [p for p in side.parameters if p in large]
    rest = [p for p in side.parameters if p not in large]
    found: list[Optimizer | AdamW] = [torch.optim.Muon(mine, lr, decay, adjust_lr_fn="match_rms_adamw")] if mine else []
    return [*found, AdamW(_groups(rest, decay), lr=lr, betas=side.betas)] if rest else found


def _groups(parameters: list[nn.Parameter], decay: float) -> list[dict[str, object]]:
    """Matrices decay, vectors do not."""
    return [{"params": [p for p in parameters if p.dim() >= 2], "weight_decay": decay},
            {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0}]

"""The loop: how gradients become weights, on a screen or two.

`Trainer.run()` is a generator: it yields after every step, and the body of the caller's `for` is the callback. A step
draws its batch and its noise from (seed, step), so a run taken up from a checkpoint is the run that was not interrupted,
bit for bit under budgets in steps or epochs.

Each step minimises the weighted mean loss of an item, divided by the number of its entries, so that learning rate and
clipping mean the same for a label and for an image.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from given.conditional import Conditional
from given.distributions import Noise
from given.joint import Joint
from given.lessons import Descend
from given.nn import Dropout, seed_dropout
from given.train.ahead import ahead
from given.train.batches import Batches, EncodedBatch
from given.train.optimisers import matrices, optimisers, sides
from given.variables import UserError
from given.ways import way

__all__ = ["Budget", "Diverged", "Trainer"]


class Diverged(UserError):
    """The loss or its gradient is not a number; the weights are those before the step."""


@dataclass(frozen=True)
class Budget:
    """When to stop: at whichever of these comes first. Time includes what the caller does between steps, such as scoring
    held-out rows."""

    steps: int | None = None
    epochs: float | None = None
    minutes: float | None = None
    cpu_seconds: float | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and not (isinstance(value, int | float) and value > 0):
                raise UserError(f"{name}={value!r}; expected more than 0")

    def shared(self, parts: int) -> Budget:
        """One of equal parts."""
        steps = None if self.steps is None else max(1, self.steps // parts)
        return Budget(steps, *(None if v is None else v / parts for v in (self.epochs, self.minutes, self.cpu_seconds)))

    @property
    def timed(self) -> bool:
        """Whether time ends it."""
        return self.minutes is not None or self.cpu_seconds is not None

    def times(self, share: float) -> Budget:
        """One of a share of its time."""
        minutes, seconds = (None if v is None else v * share for v in (self.minutes, self.cpu_seconds))
        return replace(self, minutes=minutes, cpu_seconds=seconds)

    def left(self, wall: float, cpu: float) -> float:
        """Seconds until its time is spent; infinite where time does not end it."""
        return min([limit - used for limit, used in ((self.minutes and 60 * self.minutes, wall), (self.cpu_seconds, cpu))
                    if limit is not None], default=math.inf)

    def without(self, wall: float, cpu: float) -> Budget:
        """One of as much less time, in seconds, a tenth of it at least."""
        minutes = None if self.minutes is None else max(self.minutes / 10, self.minutes - wall / 60)
        seconds = None if self.cpu_seconds is None else max(self.cpu_seconds / 10, self.cpu_seconds - cpu)
        return replace(self, minutes=minutes, cpu_seconds=seconds)

    def spent(self, step: int, epoch: float, wall: float, cpu: float) -> float:
        """The share of the budget that is spent, 1 at its end."""
        shares = [(step, self.steps), (epoch, self.epochs), (wall / 60, self.minutes), (cpu, self.cpu_seconds)]
        return max((used / limit for used, limit in shares if limit is not None), default=0.0)


class Trainer:
    """AdamW, or Muon beside it, with warm-up, cosine decay, clipping and an average of the weights.

    Args:
        joint: what learns.
        batches: the training data.
        lessons: those that descend, each with its factor; of the first stage when left out.
        budget: when to stop.
        seed: of batches, noise and dropout.
        lr: the highest learning rate.
        warm_up: share of the budget with rising learning rate.
        decay: of the weights of matrices.
        clip: the largest norm of a gradient.
        average: the rate at which the averaged weights forget; 0 averages nothing.
        bfloat16: multiply matrices in 16 bits while learning, several times faster where the processor has units for it
            (AMX, AVX-512 BF16) and slower elsewhere; weights and scores stay in 32.
        muon: move the matrices of linear layers, but those of heads, by Muon, which takes fewer steps.
        anew: what is solved as every epoch but the first begins.
        since: when the time of its budget began, by `time.perf_counter` and `time.process_time`; when left out, now.
    """

    def __init__(self, joint: Joint, batches: Batches, budget: Budget, *,
                 lessons: Sequence[tuple[Conditional, Descend]] | None = None, seed: int = 0, lr: float = 4e-3,
                 warm_up: float = 0.05, decay: float = 0.05, clip: float = 1.0, average: float = 0.998,
                 bfloat16: bool = False, muon: bool = False, anew: Sequence[Callable[[], None]] = (),
                 since: tuple[float, float] | None = None) -> None:
        for name, value in (("lr", lr), ("clip", clip)):
            if not isinstance(value, int | float) or not 0 < value < math.inf:
                raise UserError(f"{name}={value!r}; expected more than 0")
        self.joint, self.batches, self.budget, self.seed = joint, batches, budget, seed
        self.lr, self.warm_up, self.clip, self.average, self.bfloat16 = lr, warm_up, clip, average, bfloat16
        self.module: nn.Module = joint  # every loss goes through its call, whatever wraps it
        self.lessons = lessons if lessons is not None else [
            (f, lesson) for run in joint.lessons() for f, lesson in run if isinstance(lesson, Descend) and not lesson.stage]
        self.sides, self.anew = sides(self.lessons), anew
        self.watching = [lesson.progress for _, lesson in self.lessons if lesson.progress is not None]
        large = matrices(joint) if muon else set()
        self.optimisers = [optimisers(side, large, lr, decay) for side in self.sides]
        self.dropouts = [part for part in joint.modules() if isinstance(part, Dropout)]
        self.weights = self._weights()
        self.averaged = {k: v.clone() for k, v in self.weights.items()}
        self.step = self.epoch = self.in_epoch = 0
        self._since = since or (time.perf_counter(), time.process_time())

    @property
    def wall(self) -> float:
        """Seconds of wall time since its budget began."""
        return time.perf_counter() - self._since[0]

    @property
    def cpu(self) -> float:
        """Seconds of processor time since its budget began."""
        return time.process_time() - self._since[1]

    @property
    def seconds(self) -> float:
        """Of the time that its budget counts."""
        return self.wall if self.budget.minutes is not None else self.cpu

    @property
    def spent(self) -> float:
        """The share of the budget that is spent."""
        return self.budget.spent(self.step, self.epoch + self.in_epoch / self.batches.length, self.wall, self.cpu)

    def run(self) -> Generator[float]:
        """Steps until the budget is spent, the loss of each in nats an item; a whole epoch counts when it is over."""
        if self.spent >= 1:
            return
        with ahead(self.batches.epochs(self.epoch, skip=self.in_epoch)) as batches:
            for number, batch in batches:
                if number > self.epoch:
                    self.epoch, self.in_epoch = number, 0
                    if self.anew:
                        self._solve_anew()
                if not self.joint.training:
                    self.joint.train()
                loss = self._take(batch)
                self.step += 1
                self.in_epoch += 1
                yield loss
                if self.spent >= 1:
                    return

    def _weights(self) -> dict[str, Tensor]:
        """What learning moves: parameters, and beside them what is solved anew. What is solved once stands."""
        state = self.joint.state_dict()
        return state if self.anew else {name: state[name] for name, _ in self.joint.named_parameters()}

    def _solve_anew(self) -> None:
        """Solve what depends on weights, from them as they stand. What is solved is not averaged."""
        self.joint.eval()
        for solve in self.anew:
            solve()
        self.weights = self._weights()
        self.averaged |= {name: value.clone() for name, value in self.joint.named_buffers() if name in self.weights}

    @property
    def unselected(self) -> dict[str, Tensor]:
        """The averaged weights that no held-out loss selects."""
        moved = {p for _, lesson in self.lessons if not lesson.selects for p in lesson.parameters}
        return {name: self.averaged[name] for name, p in self.joint.named_parameters() if p in moved}

    def _take(self, batch: EncodedBatch) -> float:
        """One round: every side's steps on one batch. Returns the loss in nats an item."""
        seed_dropout(self.dropouts, self.seed, self.step)
        batch = batch.to(device := self.joint.device)
        noise = Noise.of(self.seed, batch.n, first_row=batch.first, device=device).fold(self.step)
        weight = batch.weight / self.batches.mean_weight
        spent = self.spent
        rate = self._rate(spent)
        for tell in self.watching:
            tell(spent)
        total = 0.0
        for side, movers in zip(self.sides, self.optimisers, strict=True):
            for turn in range(side.steps):
                with torch.autocast(device.type, torch.bfloat16) if self.bfloat16 else nullcontext():
                    losses = self.module(side.losses, batch.entries, batch.n, noise.fold(side.name).fold(turn))
                loss = (weight * batch.total(self.joint, losses)).mean()
                for optimiser in movers:
                    optimiser.zero_grad()
                (loss / self.joint.dimensions).backward()
                norm = nn.utils.clip_grad_norm_(side.parameters, self.clip)
                total = self._finite(losses, norm, loss)
                for optimiser in movers:
                    for group in optimiser.param_groups:
                        group["lr"] = rate
                    optimiser.step()
        self._follow()
        return total

    def _finite(self, losses: dict[str, Tensor], norm: Tensor, loss: Tensor) -> float:
        """The loss, once it is known to be a number, and so its gradient: the one wait of a step."""
        total, *bad = torch.stack([loss.detach(), norm, *(each.detach().sum() for each in losses.values())]).tolist()
        for name, each in losses.items() if not all(map(math.isfinite, bad)) else ():
            if not bool(torch.isfinite(each).all()):
                value = each[~torch.isfinite(each)][0].item()
                never = next((f.never for f, _ in self.lessons if str(f) == name), "") if value == math.inf else ""
                raise Diverged(f"step {self.step + 1}: the loss of {name} is {value}" + (f": {never}" if never else
                               f"; {way(f'lower lr={self.lr}, or ', '')}look for extreme values in its data"))
        if not math.isfinite(bad[0]):
            raise Diverged(f"step {self.step + 1}: a gradient of {self.joint} is not finite; "
                           + way(f"lower lr={self.lr}", "look for extreme values in the data"))
        return float(total)

    def _rate(self, spent: float) -> float:
        """Linear warm-up, then half a cosine to nothing at the end of the budget."""
        warm = min(1.0, spent / self.warm_up, (self.step + 1) / 20) if self.warm_up else 1.0
        return self.lr * max(warm, 1e-3) * 0.5 * (1 + math.cos(math.pi * min(spent, 1.0)))

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the averaged weights; early on they follow closely."""
        keep = min(self.average, (1 + self.step) / (10 + self.step)) if self.average else 0.0
        device = self.joint.device
        real = [name for name, value in self.weights.items() if value.is_floating_point() and value.device == device]
        if real:
            torch._foreach_lerp_([self.averaged[name] for name in real], [self.weights[name] for name in real], 1 - keep)
        for name in self.weights.keys() - set(real):
            self.averaged[name].copy_(self.weights[name])

    @torch.no_grad()
    def put(self, weights: Mapping[str, Tensor]) -> None:
        """Other weights in the joint's place."""
        if self.anew:  # what is solved may be of any size
            self.joint.load_state_dict(weights)
            return
        for name, value in self.weights.items():
            value.copy_(weights[name])

    @contextmanager
    def averaged_weights(self) -> Iterator[None]:
        """The averaged weights in the joint's place, and back."""
        own = {k: v.detach().clone() for k, v in self.weights.items()}
        self.put(self.averaged)
        try:
            yield
        finally:
            self.put(own)

    # What a checkpoint holds

    def state(self) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Tensors and facts from which `restore` goes on."""
        tensors = {f"weights.{k}": v for k, v in self.weights.items()}
        tensors |= {f"averaged.{k}": v for k, v in self.averaged.items()}
        for i, optimiser in enumerate(itertools.chain(*self.optimisers)):
            for j, moments in optimiser.state_dict()["state"].items():
                tensors |= {f"optimiser.{i}.{j}.{k}": v for k, v in moments.items()}
        return tensors, {"step": self.step, "epoch": self.epoch, "in_epoch": self.in_epoch, "wall": self.wall, "cpu": self.cpu}

    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, float]) -> None:
        """Take up from `state()`. Raises `UserError` where it is of another model."""
        part = {name: {k.removeprefix(f"{name}."): v for k, v in tensors.items() if k.startswith(f"{name}.")}
                for name in ("weights", "averaged", "optimiser")}
        for name in ("weights", "averaged"):
            part[name] = {k: v.to(self.weights[k].device) if k in self.weights else v for k, v in part[name].items()}
        then, now = ({name: tuple(w.shape) for name, w in weights.items()} for weights in (part["weights"], self.weights))
        for name in {**now, **then}:
            if then.get(name) != now.get(name):
                old, new = (side.get(name, "not there") for side in (then, now))
                raise UserError(f"checkpoint: is of another model than {self.joint} ({name} is {old}; expected {new}); remove "
                                "it to start anew")
        self.put(part["weights"])
        self.averaged = part["averaged"]
        for i, optimiser in enumerate(itertools.chain(*self.optimisers)):
            state = optimiser.state_dict()
            moments: dict[int, dict[str, Tensor]] = {}
            for key, value in part["optimiser"].items():
                which, j, name = key.split(".", 2)
                if int(which) == i:
                    moments.setdefault(int(j), {})[name] = value.to(self.joint.device)
            optimiser.load_state_dict({**state, "state": moments})
        self.step, self.epoch, self.in_epoch = int(facts["step"]), int(facts["epoch"]), int(facts["in_epoch"])
        self._since = time.perf_counter() - facts["wall"], time.process_time() - facts["cpu"]

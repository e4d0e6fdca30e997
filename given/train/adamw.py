"""AdamW, by torch's fused kernel. The class torch.optim.AdamW loads the compiler torch._dynamo, which takes longer than torch.

Source: Loshchilov, Hutter, Decoupled weight decay regularization, 2019 / https://arxiv.org/abs/1711.05101
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["AdamW"]


class AdamW:
    """What a loop asks of an optimiser of torch.

    Args:
        groups: each with `params` and `weight_decay`.
        lr: the learning rate.
        betas: the rates at which the gradient's mean and its square's are remembered.
    """

    def __init__(self, groups: Sequence[Mapping[str, Any]], *, lr: float, betas: tuple[float, float]) -> None:
        self.param_groups: list[dict[str, Any]] = [{"lr": lr, **group} for group in groups]
        self.betas = betas
        self.state: dict[int, dict[str, Tensor]] = {}

    def zero_grad(self) -> None:
        """Forget gradients."""
        for group in self.param_groups:
            for weight in group["params"]:
                weight.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter that has a gradient."""
        number = 0
        for group in self.param_groups:
            moving = [(weight, self._moments(i, weight)) for i, weight in enumerate(group["params"], number)
                      if weight.grad is not None]
            number += len(group["params"])
            if not moving:
                continue
            mean, square, steps = ([moments[name] for _, moments in moving] for name in ("exp_avg", "exp_avg_sq", "step"))
            weights = [weight for weight, _ in moving]
            torch._foreach_add_(steps, 1)
            torch._fused_adamw_(weights, [weight.grad for weight in weights], mean, square, [], steps,
                                lr=group["lr"], beta1=self.betas[0], beta2=self.betas[1], weight_decay=group["weight_decay"],
                                eps=1e-8, amsgrad=False, maximize=False)

    def _moments(self, number: int, weight: Tensor) -> dict[str, Tensor]:
        if number not in self.state:
            self.state[number] = {"step": torch.zeros((), device=weight.device), "exp_avg": torch.zeros_like(weight),
                                  "exp_avg_sq": torch.zeros_like(weight)}
        return self.state[number]

    def state_dict(self) -> dict[str, Any]:
        """`state`: a parameter's number -> its moments."""
        return {"state": self.state}

    def load_state_dict(self, found: Mapping[str, Any]) -> None:
        """Take up `state_dict()`."""
        self.state = {number: {name: value.clone() for name, value in moments.items()}
                      for number, moments in found["state"].items()}

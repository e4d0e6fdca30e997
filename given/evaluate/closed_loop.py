"""Rollouts: what a policy earns in the world it acts in, closed loop, by receding horizon.

Of all that a policy says it will do, some first steps are done; then it is asked again, with what was observed meanwhile. It
is asked for all worlds at once. A world is anything with `reset` and `step` as gymnasium has them; the policy may be anything
that maps what was observed to actions, so that baselines go round the same loop.

Source: Chi, Feng, Du, Xu, Cousineau, Burchfiel, Song, Diffusion policy: visuomotor policy learning via action diffusion, 2023 /
https://arxiv.org/abs/2303.04137
Towers et al., Gymnasium: a standard interface for reinforcement learning environments, 2024 / https://arxiv.org/abs/2407.17032
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from given.variables import UserError

__all__ = ["Rollouts", "World", "rollouts", "worlds"]

Observed = Mapping[str, np.ndarray]
Act = Callable[[Observed, int], np.ndarray]
"""What was observed, name -> (n, history, ...), and a seed -> actions (n, steps, ...)."""


class World(Protocol):
    """What can be acted in."""

    def reset(self, *, seed: int | None = None) -> tuple[Any, Any]:
        """The first observation, an array or a mapping of them, and whatever else is known."""

    def step(self, action: Any, /) -> tuple[Any, Any, bool, bool, Any]:
        """The observation after an action, the reward, whether it is over or cut short, and whatever else is known."""


@dataclass(frozen=True)
class Rollouts:
    """Of n worlds.

    Attributes:
        rewards: (n, steps), NaN after the end.
        actions: (n, steps, ...), NaN after the end.
        observed: name -> (n, steps + 1, ...), the last one repeated after the end.
    """

    rewards: np.ndarray
    actions: np.ndarray
    observed: Mapping[str, np.ndarray]

    @property
    def best(self) -> np.ndarray:
        """(n,) the highest reward of each."""
        found: np.ndarray = np.nanmax(self.rewards, 1)
        return found

    @property
    def lengths(self) -> np.ndarray:
        """(n,) the steps of each."""
        found: np.ndarray = (~np.isnan(self.rewards)).sum(1)
        return found


def rollouts(act: Act, each: Sequence[World], *, seeds: Sequence[int], history: int = 1, execute: int = 8,
             steps: int = 300, observe: Callable[[dict[str, np.ndarray]], Observed] | None = None, name: str = "state",
             seed: int = 0) -> Rollouts:
    """Act in worlds until all are over.

    Args:
        act: the policy.
        each: n worlds.
        seeds: of the start of each.
        history: how many observations it is shown; the first stands for those before it.
        execute: how many of its actions are done before it is asked again; all, where it gives fewer.
        steps: at most.
        observe: what a policy is shown of observations, name -> (n, ...); by default these.
        name: of an observation that is no mapping.
        seed: of what is drawn.

    Raises:
        UserError: actions that are not numbers, or of too few worlds.
    """
    if len(each) != len(seeds) or not each or min(history, execute, steps) < 1:
        raise UserError(f"rollouts: got {len(each)} worlds, {len(seeds)} seeds, history={history}, execute={execute}, "
                        f"steps={steps}; expected a seed a world, and numbers from 1")

    def shown(raw: Sequence[Any]) -> dict[str, np.ndarray]:
        named = [o if isinstance(o, Mapping) else {name: o} for o in raw]
        found = {k: np.stack([np.asarray(o[k]) for o in named]) for k in named[0]}
        return dict(found if observe is None else observe(found))

    now = [world.reset(seed=s)[0] for world, s in zip(each, seeds, strict=True)]
    seen, done = [shown(now)], list[np.ndarray]()
    rewards, live, t = np.full((len(each), steps), np.nan), np.ones(len(each), dtype=bool), 0
    while t < steps and live.any():
        past = {k: np.stack([seen[max(0, t - i)][k] for i in reversed(range(history))], 1) for k in seen[0]}
        chunk = np.asarray(act(past, seed * steps + t))
        if len(chunk) != len(each) or chunk.ndim < 2 or not np.isfinite(chunk).all():
            raise UserError(f"rollouts, step {t}: the policy gave {chunk.shape} actions, {int((~np.isfinite(chunk)).sum())} of "
                            f"them no number; expected ({len(each)}, steps, ...)")
        for k in range(min(execute, chunk.shape[1], steps - t)):
            done.append(np.where(live.reshape(-1, *[1] * (chunk.ndim - 2)), chunk[:, k], np.nan))
            for i in np.flatnonzero(live).tolist():
                now[i], rewards[i, t], over, cut, _ = each[i].step(chunk[i, k])
                live[i] = not (over or cut)
            t += 1
            seen.append(shown(now))
            if not live.any():
                break
    return Rollouts(rewards[:, :t], np.stack(done, 1), {k: np.stack([s[k] for s in seen], 1) for k in seen[0]})


def worlds(name: str, n: int, **options: Any) -> list[Any]:
    """n worlds of gymnasium, by its name of them, as "gym_pusht/PushT-v0".

    Args:
        name: with a package before a slash, or a colon, that has it.
        n: how many.
        options: of it.

    Raises:
        UserError: gymnasium, the package or the world is not there.
    """
    package = name.partition(":")[0].partition("/")[0]
    try:
        import gymnasium
    except ImportError:
        raise UserError('worlds: gymnasium is not installed; pip install "given[policy]"') from None
    full = name if ":" in name or "/" not in name else f"{package}:{name}"
    try:
        return [gymnasium.make(full, **options) for _ in range(n)]
    except (gymnasium.error.Error, ImportError) as error:
        raise UserError(f"{name}: cannot be made ({' '.join(str(error).split())}); install the package that has it, as "
                        f'pip install "given[policy]" for gym_pusht/PushT-v0') from None

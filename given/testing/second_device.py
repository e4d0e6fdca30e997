"""A second device, played on the processor: a proof without an accelerator that nothing is left on the first.

Its tensors call themselves another device's and hold ordinary ones. Under `SecondDevice` every operation of torch passes by:
one that mixes tensors of both devices is refused, of no dimension, indices and copies too, and whatever waits for the host is
counted: values that are read, and results whose shape depends on values. To go from one device to the other is to say so, by
`to(device)`.
"""

from __future__ import annotations

import functools
import os
import traceback
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["DEVICE", "Mixed", "SecondDevice"]

# A kind that torch knows and no build has, whose gradients are worked out in the thread that asks for them.
DEVICE = torch.device("lazy")

_READS = {"_local_scalar_dense", "equal", "is_nonzero", "item", "nonzero", "masked_select", "_unique2", "unique_dim",
          "unique_consecutive", "bincount", "argwhere", "_linalg_check_errors"}


class Mixed(AssertionError):
    """An operation on tensors of two devices."""


class _There(Tensor):
    """A tensor of the second device: a shell around one of the processor."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> _There:
        shell: _There = torch.Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype, device=DEVICE)
        shell.held = held
        return shell

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
            cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise Mixed(f"{func}: a tensor of the second device outside of its mode")

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"second device: {self.held!r}"


class SecondDevice(TorchDispatchMode):
    """Within, `DEVICE` is a device.

    Args:
        numbers: whether a single number of the host may be mixed in, as torch lets it: of what another package does.

    Attributes:
        reads: where the host waited for it, a line of source each time.
    """

    def __init__(self, *, numbers: bool = False) -> None:
        super().__init__()
        self.numbers = numbers
        self.reads: list[str] = []
        self._before: list[tuple[bool, bool]] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """What torch asks: no, for its guard loads the compiler, which takes seconds, and slows every operation."""
        return False

    def __enter__(self) -> SecondDevice:
        swaps = torch.__future__.get_swap_module_params_on_conversion()
        self._before.append((torch._C._only_lift_cpu_tensors(), swaps))
        torch.__future__.set_swap_module_params_on_conversion(True)  # what moves keeps its parameters, as it does in truth
        torch._C._set_only_lift_cpu_tensors(True)  # so that torch.tensor(numbers, device=) is made, and then copied
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        lifts, swaps = self._before.pop()
        torch._C._set_only_lift_cpu_tensors(lifts)
        torch.__future__.set_swap_module_params_on_conversion(swaps)
        super().__exit__(*error)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, tensors = func.overloadpacket.__name__, list[Tensor]()

        def held(t: Tensor) -> Tensor:
            tensors.append(t)
            return t.held if isinstance(t, _There) else t

        args_held, kwargs = _mapped(held, args), _mapped(held, kwargs or {})
        there = [isinstance(t, _There) for t in tensors if not (self.numbers and t.dim() == 0 and not isinstance(t, _There))]
        if any(there) and not all(there):
            raise Mixed(f"{func}: mixes tensors of two devices, of shapes {[tuple(t.shape) for t in tensors]}; make the new "
                        "tensor where the other one is")
        to = any(there)
        if kwargs.get("device") is not None:
            to = torch.device(kwargs["device"]).type == DEVICE.type
            kwargs["device"] = torch.device("cpu")
        by_mask = name in ("index", "index_put", "index_put_") and any(t.dtype == torch.bool for t in tensors[1:])
        left = name == "_to_copy" and any(there) and not to
        counted = name == "repeat_interleave" and func._overloadname == "Tensor"
        if any(there) and (left or by_mask or counted or name in _READS):
            self.reads.append(_asker(name))
        found = func(*args_held, **kwargs)
        if not to:
            return found
        if _reshapes(func):  # the shell takes the new shape, too
            with torch._C._DisableTorchDispatch():
                args[0].data = _There(args[0].held)
        own = {id(t.held): t for t in tensors if isinstance(t, _There)}  # what is changed in place stays the tensor it is
        return _mapped(lambda t: own[id(t)] if id(t) in own else _There(t), found)


@functools.cache
def _reshapes(func: Any) -> bool:
    """Whether an operation changes the shape of its argument itself."""
    return torch.Tag.inplace_view in func.tags


def _asker(name: str) -> str:
    """The operation, and the innermost line of this package that asked for it."""
    for frame, line in traceback.walk_stack(None):
        file = frame.f_code.co_filename
        if f"{os.sep}given{os.sep}" in file and file != __file__:
            return f"{name} at {os.path.basename(file)}:{line}"
    return name


def _mapped(f: Callable[[Tensor], Tensor], value: Any) -> Any:
    """A value with f of every tensor in its lists, tuples and mappings; torch's walk of any tree takes longer."""
    if isinstance(value, Tensor):
        return f(value)
    if isinstance(value, (list, tuple)):
        return type(value)([_mapped(f, v) for v in value])
    if isinstance(value, dict):
        return {k: _mapped(f, v) for k, v in value.items()}
    return value

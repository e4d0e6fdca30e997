"""Pixels: pictures as a pretrained encoder takes them, by what its folder's preprocessor_config.json says.

Levels in [0, 1] are brought to the encoder's size by averaging over what a pixel covers (linear or cubic, as Pillow does), of
a longer picture the middle is cut out where it says so, and a channel's mean and deviation are taken off. An unseen entry is
the mean; grey counts for all three colours.
"""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given.variables import Entries, Finite, UserError, Variable

__all__ = ["Pixels"]

_WAYS = {2: "bilinear", 3: "bicubic"}  # Pillow's numbers
_FILE = "preprocessor_config.json"
_UNTAKEN = ("do_pad", "do_thumbnail", "do_align_long_axis", "do_image_splitting")


class Pixels(nn.Module):
    """Levels (B, H, W[, 3]) -> (B, 3, *size).

    Args:
        picture: of levels, grey or in colour.
        said: JSON of preprocessor_config.json.
        side: the encoder's image_size, one number or height and width.

    Raises:
        UserError: no picture, or what says how to prepare one is no JSON, or comes to another size than the encoder's.
    """

    def __init__(self, picture: Variable, said: str, side: Any) -> None:
        super().__init__()
        space = picture.space
        if not isinstance(space, Finite) or not space.ordered or len(space.axes) not in (2, 3) or (
                space.shape[2:] not in ((), (3,))):
            raise UserError(f"expected a picture, grey or in colour, got {picture.name}: {space}; pass Image(height, width, "
                            "channels=3, levels=256) as its codec")
        try:
            found = json.loads(said)
        except ValueError as error:
            raise UserError(f"{_FILE}: cannot be read ({error}); save it again") from None
        if not isinstance(found, dict):
            raise UserError(f"{_FILE}: expected what an image processor of transformers writes, got {type(found).__name__}")
        if odd := [name for name in _UNTAKEN if found.get(name)]:
            raise UserError(f"{_FILE}: {odd[0]}={found[odd[0]]!r}; expected pictures that are resized, cut and normalised "
                            "alone")
        if not found.get("do_rescale", True) or abs(found.get("rescale_factor", 1 / 255) * 255 - 1) > 1e-3:
            raise UserError(f"{_FILE}: do_rescale={found.get('do_rescale', True)}, rescale_factor="
                            f"{found.get('rescale_factor', 1 / 255)}; expected levels from 0 to 1, by 1 / 255")
        self.top, self.grey = max(space.size - 1, 1), len(space.axes) == 2
        self.side = _both(side, "config.json, image_size")
        size = found.get("size", self.side)
        cut = bool(found.get("do_center_crop"))
        shortest = size.get("shortest_edge") if isinstance(size, dict) else size if cut and isinstance(size, int) else None
        self.size = self._scaled(shortest, space.shape) if shortest else _both(size, f"{_FILE}, size")
        if not found.get("do_resize", True):
            self.size = space.shape[0], space.shape[1]
        whole = _both(found.get("crop_size", size), f"{_FILE}, crop_size") if cut else self.size
        if whole != self.side or min(a - b for a, b in zip(self.size, whole, strict=True)) < 0:
            raise UserError(f"{_FILE}: pictures of {space.shape[0]} x {space.shape[1]} become {whole[0]} x {whole[1]}; "
                            f"expected {self.side[0]} x {self.side[1]}, which the encoder reads")
        if (way := found.get("resample", 2)) not in _WAYS:
            raise UserError(f"{_FILE}: resample={way!r}; expected 2 or 3, linear or cubic")
        self.way = _WAYS[way]
        plain = not found.get("do_normalize", True)
        mean, std = ([0.0] * 3, [1.0] * 3) if plain else (_three(found, name) for name in ("image_mean", "image_std"))
        self.register_buffer("mean", torch.tensor(mean), persistent=False)
        self.register_buffer("std", torch.tensor(std), persistent=False)

    def forward(self, x: Entries) -> Tensor:
        levels = x.tensor[..., None].expand(*x.tensor.shape, 3) if self.grey else x.tensor
        seen = x.scored[..., None] if self.grey else x.scored
        mean: Tensor = self.mean  # type: ignore[assignment]
        planes = torch.where(seen, levels.to(mean.dtype) / self.top, mean).movedim(3, 1)
        if planes.shape[2:] != self.size:
            planes = F.interpolate(planes, self.size, mode=self.way, antialias=True, align_corners=False)
            planes = planes.clamp(0, 1)  # cubic curves overshoot, and Pillow cuts that off
        top, left = ((a - b) // 2 for a, b in zip(self.size, self.side, strict=True))
        planes = planes[:, :, top:top + self.side[0], left:left + self.side[1]]
        return (planes - mean[:, None, None]) / self.std[:, None, None]  # type: ignore[index]

    @staticmethod
    def _scaled(shortest: int, shape: tuple[int, ...]) -> tuple[int, int]:
        """The size in a picture's proportions whose shorter edge is so long."""
        H, W = shape[:2]
        return (shortest, int(shortest * W / H)) if H <= W else (int(shortest * H / W), shortest)


def _both(size: Any, where: str) -> tuple[int, int]:
    found = (size.get("height"), size.get("width")) if isinstance(size, dict) else (
        size if isinstance(size, list | tuple) else (size, size))
    if len(found) != 2 or not all(isinstance(n, int) and n > 0 for n in found):
        raise UserError(f"{where}: got {size!r}; expected height and width")
    return int(found[0]), int(found[1])


def _three(said: dict[str, Any], name: str) -> list[float]:
    found = said.get(name)
    if not isinstance(found, list) or len(found) != 3 or not all(isinstance(v, int | float) for v in found):
        raise UserError(f"{_FILE}: {name}={found!r}; expected three numbers, red, green and blue")
    return [float(v) for v in found]

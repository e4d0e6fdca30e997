"""PretrainedDiffusion: a text-to-image pipeline of the package diffusers, as one conditional more. It draws alone.

    x = pipeline(caption, seed)

The pipeline (Stable Diffusion, PixArt, Flux) reads the parent as text, removes noise by its own scheduler, and decodes what is
left into a picture in colour. Its noise is drawn by torch's own generator from a seed that each row and each draw has for
itself, so a draw does not depend on those beside it. There is no density: the solver's is of codes, and the decoder's of
none. Nothing is learned.

Weights come from a folder of safetensors, never from a pickle and never from the network. A saved model holds the folder's
configurations, its tokenizer, and the weights.

Source: Rombach, Blattmann, Lorenz, Esser, Ommer, High-resolution image synthesis with latent diffusion models, 2022 /
https://arxiv.org/abs/2112.10752
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from given import distributions
from given.conditional import Conditional
from given.lessons import Lesson
from given.nn import built_pipeline, read_pipeline
from given.variables import Finite, Observed, UserError, Variable

__all__ = ["PretrainedDiffusion"]


class PretrainedDiffusion(Conditional):
    """A pipeline from a caption to a picture.

    Args:
        x: a picture in colour, such as of the codec `Image(512, 512, channels=3, levels=256)`.
        parents: one text, of the codec `Text`. Of an unseen one nothing is read.
        path: the folder with model_index.json.
        files: the contents of its files of words as JSON instead, to build it without weights; what a path holds is kept as
            that.
        size: height and width that the pipeline draws at, in pixels, of x's proportions; by default x's own. Else pictures are
            brought to x's size by averages of what a pixel covers.
        steps: of removing noise; by default the pipeline's own.
        guidance: how much the caption weighs; by default the pipeline's own.
    """

    waits = "its pipeline is one of diffusers, which reads text on the host"

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, path: str | os.PathLike[str] | None = None,
                 files: str | None = None, size: tuple[int, int] | None = None, steps: int | None = None,
                 guidance: float | None = None) -> None:
        super().__init__(x, parents)
        if (path is None) == (files is None):
            raise UserError(f"{self}: expected path=, the folder of a pipeline, or files=, the contents of one without weights")
        self._check()
        try:
            if path is not None:
                self.net, files = read_pipeline(path)
            else:
                self.net = built_pipeline(files or "")
            self.size, self.options = self._sized(size), self._optional(steps, guidance)
        except UserError as error:
            raise error.at(str(self)) from None
        self.arguments = {**{k: v for k, v in self.arguments.items() if k != "path"}, "files": files}

    def _check(self) -> None:
        """Raise `UserError` unless the variables are a picture in colour and a text."""
        space = self.x.space
        if not isinstance(space, Finite) or not space.ordered or len(space.axes) != 3 or space.shape[2] != 3:
            raise UserError(f"{self}: expected a picture in colour, got {self.x.name}: {space}; pass Image(height, width, "
                            "channels=3, levels=256) as its codec")
        texts = [v for v in self.parents if isinstance(v.space, Finite) and len(v.space.axes) == 1]
        if len(self.parents) != 1 or not texts:
            raise UserError(f"{self}: expected one text right of the bar, as in p(image | caption), got "
                            f"{', '.join(f'{v.name}: {v.space}' for v in self.parents) or 'none'}; pass Text() as its codec")

    def _sized(self, size: tuple[int, int] | None) -> tuple[int, int]:
        """Height and width that the pipeline draws at."""
        H, W = self.x.space.shape[:2]
        height, width = size or (H, W)
        if height % self.net.cell or width % self.net.cell or min(height, width) < 1:
            raise UserError(f"size=({height}, {width}); expected multiples of {self.net.cell}; pass size= for a larger one, "
                            f"which is brought to {H} x {W}")
        if height * W != width * H:
            raise UserError(f"size=({height}, {width}) has not the proportions of {self.x.name}, {H} x {W}; expected the same")
        return height, width

    def _optional(self, steps: int | None, guidance: float | None) -> dict[str, Any]:
        """What the pipeline is called with beside the caption."""
        options = {"num_inference_steps": steps, "guidance_scale": guidance}
        found = {name: value for name, value in options.items() if value is not None}
        if unknown := [name for name in found if name not in self.net.accepted]:
            raise UserError(f"the pipeline takes no {unknown[0]}; leave it out")
        return found

    def forward(self, y: Observed) -> distributions.Rendered:
        caption = self.parents[0]
        e = y[caption.name]
        known = e.readable.any(1).tolist()
        texts = [str(text) if there else "" for text, there in zip(caption.codec.decode(e.to("cpu")), known, strict=True)]
        return distributions.Rendered(lambda rows, seeds: self._pictures([texts[i] for i in rows.tolist()], seeds), y.n,
                                      self.x.space, y.device)

    def lessons(self) -> list[Lesson]:
        return []

    def _pictures(self, texts: list[str], seeds: list[int]) -> Tensor:
        """(N, H, W, 3) levels."""
        made = self.net(texts, seeds, self.size, self.options)
        H, W, _ = self.x.space.shape
        if self.size != (H, W):
            made = F.interpolate(made.movedim(3, 1), (H, W), mode="area").movedim(1, 3)
        return (made.double() * (self.x.space.size - 1)).round().long()  # type: ignore[attr-defined]

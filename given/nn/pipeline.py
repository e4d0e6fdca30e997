"""Pipeline: the folder of a text-to-image pipeline of the package diffusers, read as a function of captions and seeds.

Weights come from safetensors, never from a pickle and never from the network. The folder's model_index.json names classes: they
are looked up in diffusers and transformers, no module that it names is imported, and no code that lies beside it is run.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor, nn

from given.nn.checkpoint import plain, quiet
from given.variables import UserError, shown

__all__ = ["TextToImage", "built_pipeline", "read_pipeline", "size_of_pipeline"]

_INDEX = "model_index.json"
_LIBRARIES = ("diffusers", "transformers")
_WORDS = (".json", ".txt")  # what of a folder is kept beside the weights
_NEEDED = ("prompt", "height", "width", "generator", "output_type")
_AT_ONCE = 1 << 19  # pixels


class TextToImage(nn.Module):
    """Captions -> pictures, each by a seed of its own.

    Args:
        pipeline: of diffusers.

    Attributes:
        parts: its networks.
        cell: what heights and widths are multiples of, in pixels.
    """

    def __init__(self, pipeline: Any) -> None:
        super().__init__()
        accepted = inspect.signature(type(pipeline).__call__).parameters
        if missing := [name for name in _NEEDED if name not in accepted]:
            raise UserError(f"{type(pipeline).__name__}: takes no {missing[0]}; expected a pipeline from text to image, such "
                            "as StableDiffusionPipeline")
        self.parts = nn.ModuleDict({name: part for name, part in pipeline.components.items() if isinstance(part, nn.Module)})
        self.requires_grad_(False)
        pipeline.set_progress_bar_config(disable=True)
        self.pipeline, self.accepted = pipeline, tuple(accepted)
        self.cell = math.lcm(8, int(getattr(pipeline, "vae_scale_factor", 8)))  # its own pipelines ask for eights

    @torch.no_grad()
    def forward(self, captions: Sequence[str], seeds: Sequence[int], size: tuple[int, int],
                options: Mapping[str, Any]) -> Tensor:
        """(N, height, width, 3) in [0, 1]; a picture's noise is its seed's, drawn by torch on the host."""
        with _silent():
            self._check_lengths(captions)
        height, width = size
        some, found = max(1, _AT_ONCE // (height * width)), list[Tensor]()
        for start in range(0, len(captions), some):
            generator = [torch.Generator().manual_seed(seed) for seed in seeds[start:start + some]]
            with _silent():
                made = self.pipeline(prompt=list(captions[start:start + some]), height=height, width=width, generator=generator,
                                     output_type="np", **options)
            found.append(torch.from_numpy(made.images))
        return torch.cat(found) if found else torch.zeros(0, height, width, 3)

    def _check_lengths(self, captions: Sequence[str]) -> None:
        """Raise `UserError` at a caption that none of the tokenizers reads to its end."""
        readers = [part for part in self.pipeline.components.values()
                   if isinstance(getattr(part, "model_max_length", None), int)]
        for caption in dict.fromkeys(captions) if readers else ():
            pieces, most = min(((len(part(caption).input_ids), part.model_max_length) for part in readers),
                               key=lambda both: both[0] - both[1])
            if pieces > most:
                raise UserError(f"the caption {shown(caption)} is {pieces} pieces long, and the pipeline reads {most}; "
                                "shorten it")


def size_of_pipeline(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Height and width of the pictures that a folder's pipeline was made for, where its configurations say so."""
    def said(part: str, name: str) -> Any:
        file = Path(path, part, "config.json")
        text = file.read_text(encoding="utf-8") if file.is_file() else "{}"
        return _json({file.name: text}, file.name, str(file.parent)).get(name)

    places = said("unet", "sample_size") or said("transformer", "sample_size")
    halved = said("vae", "block_out_channels") or []
    side = places * 2 ** max(0, len(halved) - 1) if isinstance(places, int) else None
    return None if side is None else (side, side)


def read_pipeline(path: str | os.PathLike[str]) -> tuple[TextToImage, str]:
    """A folder's pipeline in float32; and its files of words, name -> content, as JSON.

    Raises:
        UserError: there is no such folder, a file is missing, or it holds pickles or code.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise UserError(f"{path}: no such folder; expected one with {_INDEX} and *.safetensors (nothing is downloaded)")
    if not (folder / _INDEX).is_file():
        raise UserError(f"{folder}: {_INDEX} is missing; expected a folder that save_pretrained of a pipeline of diffusers "
                        "wrote")
    names = [_INDEX, *sorted(str(file.relative_to(folder).as_posix()) for file in folder.glob("*/*")
                             if file.suffix in _WORDS and not file.name.endswith(".index.json"))]
    try:
        files = {name: (folder / name).read_text(encoding="utf-8") for name in names}
    except ValueError as error:
        raise UserError(f"{folder}: cannot be read ({error}); save it again") from None
    return _made(files, folder, str(folder)), json.dumps(files)


def built_pipeline(files: str) -> TextToImage:
    """A pipeline of its files of words, as `read_pipeline` returns them, its weights at random."""
    try:
        found = json.loads(files)
    except ValueError as error:
        raise UserError(f"files: expected JSON ({error})") from None
    if not isinstance(found, dict) or _INDEX not in found or not all(isinstance(text, str) for text in found.values()):
        raise UserError(f"files: expected names and contents of files as JSON, {_INDEX} among them")
    if outside := [name for name in found if ".." in PurePosixPath(name).parts or PurePosixPath(name).is_absolute()]:
        raise UserError(f"files: {outside[0]!r} is outside of the folder; expected names within it")
    with tempfile.TemporaryDirectory() as folder:
        for name, text in found.items():
            file = Path(folder, name)
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return _made(found, Path(folder), "files", weights=False)


def _made(files: Mapping[str, str], folder: Path, where: str, *, weights: bool = True) -> TextToImage:
    index = _json(files, _INDEX, where)
    name, plans = index.get("_class_name"), {k: v for k, v in index.items() if not k.startswith("_")}
    parts = dict[str, Any]()
    with _silent():
        pipeline = _class("diffusers", name, where)
        for part, said in plans.items():
            if not isinstance(said, list):
                parts[part] = said
            elif said[:1] == [None]:
                parts[part] = None
            elif len(said) != 2 or said[0] not in _LIBRARIES:
                raise UserError(f"{where}: {_INDEX}: {part} is of {said[0]!r}; expected a class of diffusers or transformers, "
                                "for no other is imported")
            else:
                parts[part] = _part(_class(said[0], said[1], where), files, folder, part, where, weights=weights)
        try:
            return TextToImage(pipeline(**parts))
        except (TypeError, ValueError) as error:
            raise UserError(f"{where}: is no whole {name} ({' '.join(str(error).split())[:160]})") from None


def _part(kind: Any, files: Mapping[str, str], folder: Path, part: str, where: str, *, weights: bool) -> Any:
    """A network, a scheduler or a tokenizer."""
    if not issubclass(kind, nn.Module):
        return _tried(kind.from_pretrained, folder / part, where, local_files_only=True, trust_remote_code=False)
    said = plain(_json(files, f"{part}/config.json", where))
    ours = kind.__module__.startswith("diffusers.")
    config = said if ours else kind.config_class.from_dict(said)
    if not weights:
        return kind.from_config(config) if ours else kind(config)
    if not any((folder / part).glob("*.safetensors")):
        raise UserError(f"{where}: {part} has no *.safetensors; expected its weights, which are not read from pickles")
    options = {"torch_dtype": torch.float32, "low_cpu_mem_usage": False} if ours else {"config": config, "dtype": torch.float32}
    model, info = _tried(kind.from_pretrained, folder / part, where, local_files_only=True, use_safetensors=True,
                         output_loading_info=True, **options)
    if lacking := sorted(map(str, info["missing_keys"])):  # which would be filled at random
        raise UserError(f"{where}: {part} lacks {lacking[0]}; expected a whole {kind.__name__}; save it again")
    return model.eval()


def _tried(read: Any, folder: Path, where: str, **options: Any) -> Any:
    try:
        return read(str(folder), **options)
    except Exception as error:  # whatever a foreign file makes of it
        raise UserError(f"{where}: {folder.name} cannot be read ({' '.join(str(error).split())[:160]}); save it "
                        "again") from None


def _json(files: Mapping[str, str], name: str, where: str) -> dict[str, Any]:
    try:
        found = json.loads(files[name])
    except (KeyError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise UserError(f"{where}: {name} is missing or cannot be read; save it again")
    return found


def _class(library: str, name: Any, where: str) -> Any:
    """A class that diffusers or transformers has by this name."""
    known = name if isinstance(name, str) and name.isidentifier() else ""
    found = getattr(_packages()[library], known, None)
    if not inspect.isclass(found) or not hasattr(found, "from_pretrained"):
        raise UserError(f"{where}: {_INDEX}: {name!r} is unknown to this version of {library}; use a newer one")
    return found


def _packages() -> dict[str, Any]:
    try:
        import diffusers
        import transformers
    except ImportError:
        raise UserError("a pretrained pipeline needs the package diffusers; pip install 'given[diffusion]'") from None
    return {"diffusers": diffusers, "transformers": transformers}


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Without bars and remarks of both packages."""
    logging = _packages()["diffusers"].utils.logging
    before = logging.get_verbosity()
    with quiet():
        logging.set_verbosity_error()
        try:
            yield
        finally:
            logging.set_verbosity(before)

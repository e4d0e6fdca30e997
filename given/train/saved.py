"""A joint as a folder: weights in safetensors, everything else in JSON, a card for people.

What a conditional was built with is written down as it was said: variables by name, classes by the floor they live on and
their name, options as JSON. Reading it back builds the same objects and loads the weights. A name in a file is looked up
among the classes of this package, or among those the caller hands in; it is never imported.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
import json
import os
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from given import __version__, codecs, distributions, families, lessons, nn, solve, variables
from given.codecs import BlockCodec
from given.conditional import Conditional
from given.formula import Term
from given.joint import Joint
from given.sources import Crops, Source
from given.train.checkpoint import packed, replace_folder, whole_folder
from given.variables import Codec, UserError, Variable

__all__ = ["LINKED_INDEX", "MODEL_FILES", "fingerprint", "joint_files", "load_joint", "made_with", "save_joint"]

_FLOORS: dict[str, ModuleType] = {
    m.__name__.split(".")[1]: m for m in (codecs, families, distributions, lessons, nn, solve, variables)}
_HASHED = 256  # rows of a run
LINKED_INDEX = "linked.json"  # what a folder of models of linked tables has
MODEL_FILES = ("README.md", "config.json", "model.safetensors")


def save_joint(path: str | os.PathLike[str], joint: Joint, facts: Mapping[str, Any]) -> None:
    """Write a joint and what is known of it, whole or not at all.

    Raises:
        UserError: an argument of a factor cannot be written down.
    """
    replace_folder(path, joint_files(joint, facts))


def joint_files(joint: Joint, facts: Mapping[str, Any]) -> dict[str, bytes]:
    """The files of that folder. Raises as `save_joint`."""
    config: dict[str, Any] = {"given": __version__, **_described(joint), "facts": dict(facts)}
    weights = packed(joint.state_dict())
    config["sha256"] = hashlib.sha256(weights).hexdigest()
    config["checksum"] = _checksum(config)
    content = _card(joint, facts).encode(), (json.dumps(config, indent=1) + "\n").encode(), weights
    return dict(zip(MODEL_FILES, content, strict=True))


def fingerprint(joint: Joint) -> bytes:
    """SHA-256 of all that a joint's distributions depend on: what it was built with and its weights, and not what is known of
    it.

    Raises:
        UserError: an argument of a factor cannot be written down.
    """
    said = json.dumps(_described(joint), sort_keys=True)
    return hashlib.sha256(said.encode() + packed(joint.state_dict())).digest()


def made_with(joint: Joint, data: Source, options: Mapping[str, Any]) -> dict[str, Any]:
    """What a run of learning depends on, by name, for a checkpoint to be compared by: the options of the call, the model, how
    its codecs read the data, and the rows: their number, and a hash of a sample of them."""
    found: dict[str, Any] = {name: value if value is None or isinstance(value, int | float | str) else repr(value)
                             for name, value in options.items()}
    found["formula"] = str(joint)
    if isinstance(data, Crops):
        found["crops"] = f"{data.crop[0]} x {data.crop[1]}{', mirrored by chance' if data.flip else ''}"
    found |= {f"family of {f}": _digest(f, type(f).__name__) for f in joint.declared}
    found |= {f"posterior of {name}": _digest(q, type(q).__name__) for name, q in joint.posteriors.items() if q is not None}
    columns = {name: v for name, v in joint.columns.items() if name not in joint.latents}
    read_by = {f"codec of {name}": _digest(v.codec, repr(v.codec)) for name, v in columns.items()}
    rows, hashes = 0, {name: hashlib.sha256() for name in columns if name in data.names}
    for batch in data.runs():
        some = np.unique(np.linspace(0, batch.n - 1, _HASHED).astype(int))
        for name, hashed in hashes.items():
            values = batch[name][some]
            hashed.update(repr(values.tolist()).encode() if values.dtype.kind == "O" else values.tobytes())
        rows += batch.n
    sampled = {f"column {name}": h.hexdigest()[:12] for name, h in hashes.items()}
    return {**found, "number of rows": rows, **read_by, **sampled}


def _digest(value: Any, said: str) -> str:
    """What a part was built with and has learned from data, in short."""
    try:
        whole = json.dumps(_describe(value, said), sort_keys=True)
    except UserError:  # an object that cannot be saved, such as a function
        whole = said
    return f"{said[:40]} {hashlib.sha256(whole.encode()).hexdigest()[:8]}"


def load_joint(path: str | os.PathLike[str], classes: Sequence[type] = ()) -> tuple[Joint, dict[str, Any]]:
    """What `save_joint` wrote: the joint, ready to be asked, and the facts.

    Raises:
        UserError: a file is missing, changed or foreign, or names an unknown class.
    """
    folder = whole_folder(path)
    if folder is None:
        raise UserError(f"{path}: is a file; expected a folder" if os.path.exists(path) else f"{path}: no such folder")
    present = sorted(f.name for f in folder.iterdir() if not f.name.startswith("."))
    for name in MODEL_FILES[1:]:
        if not (folder / name).is_file():
            raise UserError(f"{folder}: {name} is missing; this is not a whole saved model, save it again")
    foreign = [name for name in present if name not in MODEL_FILES]
    if foreign:
        raise UserError(f"{folder}: {foreign[0]} is not part of a saved model; remove it")
    try:
        config = json.loads((folder / "config.json").read_text())
        intact = isinstance(config, dict) and config.get("checksum") == _checksum(config)
    except (ValueError, OSError) as error:
        raise UserError(f"{folder}/config.json: cannot be read ({error}); save the model again") from None
    if not intact:
        raise UserError(f"{folder}/config.json: was changed since it was saved, or is not a model of given; save it again")
    if hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest() != config.get("sha256"):
        raise UserError(f"{folder}/model.safetensors: was changed since it was saved, or is of another model; save it again")
    if isinstance(classes, type) or not all(isinstance(cls, type) for cls in classes):
        raise UserError(f"load: expected classes to be a list of classes, got {classes!r}")
    known = {f"{floor}.{name}": getattr(module, name) for floor, module in _FLOORS.items() for name in module.__all__}
    known = {name: cls for name, cls in known.items() if isinstance(cls, type)} | {cls.__name__: cls for cls in classes}
    try:
        joint = _joint(config, known)
        joint.load_state_dict(load_file(folder / "model.safetensors"))
        return joint.eval(), config["facts"]
    except UserError as error:
        raise error.at(str(folder)) from None
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{folder}/config.json: describes no model of given {__version__} ({error}); it was saved by "
                        f"given {config.get('given')}; save it again") from None
    except (RuntimeError, SafetensorError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise UserError(f"{folder}/model.safetensors: does not fit {config['formula']} ({reason}); save it again") from None


def _described(joint: Joint) -> dict[str, Any]:
    return {"formula": str(joint), "latents": {name: None if q is None else _describe(q, f"posterior of {name}")
                                                for name, q in joint.posteriors.items()},
            "variables": {name: _describe(v.codec, repr(v.codec)) for name, v in joint.columns.items()},
            "factors": [_describe(f, str(f)) for f in joint.declared]}


def _joint(config: Mapping[str, Any], known: Mapping[str, Any]) -> Joint:
    columns = {name: Variable(name, _build(said, known, {})) for name, said in config["variables"].items()}
    with torch.random.fork_rng(devices=[]):
        return Joint(*(_build(said, known, columns) for said in config["factors"]),
                     latents={name: _build(said, known, columns) for name, said in config["latents"].items()})


def _checksum(config: Mapping[str, Any]) -> str:
    said = json.dumps({k: v for k, v in config.items() if k != "checksum"}, sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()


def _name(cls: type) -> str:
    """`floor.Name` for a public class of this package, `Name` for a class of the user's."""
    for floor, module in _FLOORS.items():
        if cls.__name__ in module.__all__ and getattr(module, cls.__name__) is cls:
            return f"{floor}.{cls.__name__}"
    return cls.__name__


def _class(name: str, known: Mapping[str, Any]) -> Any:
    if name not in known:
        raise UserError(f"load: the class {name} is not known; pass it, given.load(path, classes=[{name.split('.')[-1]}])")
    return known[name]


def _describe(value: Any, where: str) -> Any:
    """An argument as JSON that `_build` can read back."""
    value = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Variable):
        return {"block": list(value.columns)} if value.codec.columns else {"variable": value.name}
    if isinstance(value, list | tuple):
        return {"items": [_describe(v, where) for v in value]}
    if isinstance(value, Mapping):
        return {"names": [str(k) for k in value], "of": [_describe(v, where) for v in value.values()]}
    if inspect.isclass(value):
        return {"class": _name(value)}
    if isinstance(value, functools.partial) and inspect.isclass(value.func) and not value.args:
        return {"partial": _name(value.func), "arguments": {k: _describe(v, where) for k, v in value.keywords.items()}}
    if isinstance(value, Codec | Conditional) or dataclasses.is_dataclass(value):
        fields = value.arguments if isinstance(value, Codec | Conditional) else {
            f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        said = {"class": _name(type(value)), "arguments": {k: _describe(v, where) for k, v in fields.items()}}
        return {**said, "state": value.state()} if isinstance(value, Codec) else said
    raise UserError(f"{where}: cannot save the argument {value!r}; pass a class, a functools.partial of one with keywords, "
                    "a dataclass, or plain numbers and text")


def _build(said: Any, known: Mapping[str, Any], columns: Mapping[str, Variable]) -> Any:
    if not isinstance(said, dict):
        return said
    if "variable" in said:
        return columns[said["variable"]]
    if "block" in said:
        names = tuple(said["block"])
        return Variable(Term(names).name, BlockCodec({name: columns[name].codec for name in names}))
    if "names" in said:
        return {k: _build(v, known, columns) for k, v in zip(said["names"], said["of"], strict=True)}
    if "items" in said:
        return tuple(_build(v, known, columns) for v in said["items"])
    if "arguments" not in said:
        return _class(said["class"], known)
    arguments = {k: _build(v, known, columns) for k, v in said["arguments"].items()}
    if "partial" in said:
        return functools.partial(_class(said["partial"], known), **arguments)
    built = _class(said["class"], known)(**arguments)
    if "state" in said:
        built.restore(said["state"])
    return built


def _card(joint: Joint, facts: Mapping[str, Any]) -> str:
    """README.md: what this is, how good it is, how to use it."""
    lines = [f"# {joint}", "", "A model learned with `given`, as a folder."]
    lines += ["", "| column | codec | entries |", "|---|---|---|"]
    lines += [f"| {name} | {v.codec!r} | {v.space.dimensions} |" for name, v in joint.columns.items()]
    lines += ["", "| factor | family | parameters |", "|---|---|---|"]
    lines += [f"| {f} | {type(f).__name__} | {sum(p.numel() for p in f.parameters()):,} |" for f in joint.declared]
    fit = facts.get("fit", {})
    if fit.get("held_out") is not None:
        lines += ["", f"Held-out items scored {fit['held_out']:.4f} nats an item in the entries' units, after {fit['steps']:,} "
                  f"steps and {fit['cpu_seconds']:.0f} CPU-seconds (seed {fit['seed']})."]
    lines += [f"{name}: {value}." for name, value in facts.get("scores", {}).items()]
    lines += ["", "```python", "import given", "", "model = given.load(path_of_this_folder)", "model.sample(16)", "```", ""]
    return "\n".join(lines)

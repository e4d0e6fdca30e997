"""Sounds on the command line: what is said becomes a WAV, and a WAV what is said."""

from __future__ import annotations

import argparse
import json

import given
from given.app.listing import facts
from given.app.output import write
from given.sources import Columns, recording
from given.tasks import hear as hearing
from given.tasks import speak as speaking
from given.variables import UserError
from given.verbs.sounds import rate_learned

__all__ = ["hear", "speak"]


def speak(a: argparse.Namespace) -> None:
    """`given speak`"""
    one = a.output.lower().endswith(".wav")
    if not one and not a.output.endswith("/"):
        raise UserError(f"{a.output}: expected a .wav, or FOLDER/")
    if one and a.n > 1:
        raise UserError(f"{a.output}: one file holds one sound, got -n {a.n}; write them in a folder, as {a.output[:-4]}/")
    model = given.load(a.model)
    try:
        sounds = speaking.speak(model, a.text, a.n, guidance=a.guidance, length=a.length, seed=a.seed)
    except UserError as error:
        raise error.at(a.model) from None
    (factor,) = model.joint.declared
    name, rate = factor.x.name, rate_learned(model, factor.x.name)
    write(Columns({name: sounds}, dtypes=model.facts["dtypes"]), a.output, model)
    facts({"sound": a.output, "seconds": round(sum(map(len, sounds)) / len(sounds) / rate, 2)}, a.json)


def hear(a: argparse.Namespace) -> None:
    """`given hear`"""
    model = given.load(a.model)
    try:
        sound = hearing.sound_of(model)
    except UserError as error:
        raise error.at(a.model) from None
    said = list[str]()
    for path in a.data:
        samples = recording(path, rate_learned(model, sound))
        try:
            said += hearing.heard(model, [samples])
        except UserError as error:
            raise error.at(path) from None
    print(json.dumps(dict(zip(a.data, said, strict=True))) if a.json else "\n".join(said))

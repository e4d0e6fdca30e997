"""Beside: commands that set one table beside another."""

from __future__ import annotations

import argparse
import json
import sys

import given
from given.app.data import once
from given.verbs.literals import codec_of

__all__ = ["drift", "quality"]


def drift(a: argparse.Namespace) -> None:
    """`given drift`"""
    codecs = {name: codec_of(text) for name, text in once(a.codecs, "--as").items()}
    found = given.drift(a.old, a.new, cpu_seconds=a.cpu_seconds, steps=a.steps, seed=a.seed, codecs=codecs)
    print(json.dumps(found.json()) if a.json else found)


def quality(a: argparse.Namespace) -> None:
    """`given quality`"""
    codecs = {name: codec_of(text) for name, text in once(a.codecs, "--as").items()}
    found = given.quality(a.real, a.synthetic, held_out=a.held_out, target=a.target, seed=a.seed, codecs=codecs)
    print(json.dumps(found.json()) if a.json else found)
    if a.output is not None:
        found.save(a.output)
        print(f"wrote {a.output}", file=sys.stderr)

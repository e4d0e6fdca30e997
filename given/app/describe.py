"""Describe: commands that show what is in data, and what a model found in it."""

from __future__ import annotations

import argparse
import os
import sys

import numpy as np

import given
from given import tasks
from given.app.data import need, observations, read, show
from given.app.output import rows as rows_of
from given.app.output import write
from given.evaluate import scatter
from given.sources import Columns, photograph, write_file
from given.sources.folder import IMAGES
from given.variables import UserError
from given.verbs import plane
from given.verbs.along import latent_pictures

__all__ = ["map", "prototypes", "segments", "strip", "traverse"]

_AXES = {"pca": ("first principal component", "second principal component"), "factors": ("first factor", "second factor"),
         "vae": ("first latent", "second latent"), "neighbours": ("x", "y; near rows are alike, distances are not")}


def map(a: argparse.Namespace) -> None:
    """`given map`"""
    data = read(a.data, a)
    if a.color is not None:
        need([a.color], data.names, a.data)
    output = a.output or "map.svg"
    if not output.endswith((".svg", ".csv", ".tsv", ".jsonl", ".parquet", ".npz")):
        raise UserError(f"{output}: expected .svg for a drawing, or .csv, .tsv, .jsonl, .parquet or .npz for the numbers")
    columns = [name for name in data.names if name != a.color] if a.columns is None else a.columns
    rows = Columns({name: values for name, values in next(data.batches(1 << 62)).items() if name in {*columns, a.color}})
    found = plane(Columns({name: rows[name] for name in columns if name in rows}), method=a.method, seed=a.seed)
    colour = None if a.color is None else rows[a.color]
    if colour is not None and colour.ndim > 1:
        raise UserError(f"--color {a.color}: expected a column of single values, got values of shape {colour.shape[1:]}")
    if output.endswith(".svg"):
        title = f"{os.path.basename(a.data)}: {rows.n:,} rows"
        drawing = scatter(found["x"], found["y"], _AXES[a.method], title, colour, a.color or "")
        write_file(output, lambda file: file.write(drawing.encode()))
    else:
        Columns({**found, **({} if colour is None else {a.color: colour})}, dtypes=data.dtypes).save(output)
    print(f"wrote {output}", file=sys.stderr)


def prototypes(a: argparse.Namespace) -> None:
    """`given prototypes`"""
    model = given.load(a.model, device=a.device)
    data = read(a.data, a, model)
    need([a.column], data.names, a.data)
    found = model.prototypes(data, a.column, n=a.n, seed=a.seed)
    drawn = {name: found[name] for name in found if name != "log_prob" or not (a.output or "").endswith((".png", "/"))}
    show(Columns({**drawn}, dtypes=data.dtypes), a, model)


def segments(a: argparse.Namespace) -> None:
    """`given segments`"""
    model = given.load(a.model, device=a.device)
    data = read(a.data, a, model)
    latent = tasks.segments.LATENT
    need([name for name in model.joint.of_data if latent in model.joint.latents], data.names, a.data)
    found = {**model.segments(data, a.column, seed=a.seed)}
    if a.column == latent and latent in model.joint.latents:
        most = tasks.segments.prototypes(model, data)
        found["prototype"] = np.array([most.get(int(k), "") for k in found["segment"]], dtype=object)
    if a.assign is not None:
        write(tasks.segments.assign(model, data), a.assign, model)
    show(Columns({**found, "share": np.round(found["share"], 4)}), a, model)


def strip(a: argparse.Namespace) -> None:
    """`given strip`"""
    model = given.load(a.model, device=a.device)
    if os.path.splitext(a.data)[1].lower() in IMAGES:
        name = a.column or latent_pictures(model.joint)
        row = Columns({name: photograph(a.data)[None]})
    else:
        rows = next(read(a.data, a, model).batches(1 << 62))
        if not 0 <= a.row < rows.n:
            raise UserError(f"--row {a.row}: {a.data} has rows 0 to {rows.n - 1:,}")
        row = rows.rows(slice(a.row, a.row + 1))
    values = np.linspace(-a.reach, a.reach, a.steps) if a.steps > 1 else np.zeros(1)
    found = model.strip(row, a.column, values.tolist(), most=a.most, **observations(a.given, model))
    found.save(a.output)
    rows_of(Columns({"latent": np.array(found.latents), "moved": np.array(found.moved).round(3)}), a.json)
    print(f"wrote {a.output}", file=sys.stderr)


def traverse(a: argparse.Namespace) -> None:
    """`given traverse`"""
    model = given.load(a.model, device=a.device)
    observed = observations(a.given, model)
    if a.between is None:
        show(model.traverse(a.column, **observed), a, model)
    else:
        show(model.interpolate(a.column, given.read(a.between, learned=model.cells), a.n, **observed), a, model)

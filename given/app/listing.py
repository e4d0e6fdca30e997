"""What can be listed without torch: families by their files' first sentences, tasks as their file writes them down, completion;
and names and values on standard output."""

from __future__ import annotations

import argparse
import ast
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

__all__ = ["completion", "facts", "families", "tasks"]

_PACKAGE = Path(__file__).parents[1]
_PATHS = ("DATA", "FILE", "FOLDER", "MODEL", "SVG")
_TASK = ("name", "what", "baseline", "unit", "example")


def facts(found: Mapping[str, Any], as_json: bool) -> None:
    """Names and values on standard output: lines, or one JSON object."""
    if as_json:
        print(json.dumps(found))
        return
    width = min(40, max(map(len, found)))
    print("\n".join(f"{k.ljust(width)}  {v}".rstrip() for k, v in found.items()))


def families(a: argparse.Namespace) -> None:
    """`given families`"""
    modules = {name.name: node.module.rpartition(".")[2] for node in ast.walk(_parsed("families/__init__.py"))
               if isinstance(node, ast.ImportFrom) and node.module for name in node.names}
    facts({name: _first_line(f"families/{modules[name]}.py") for name in sorted(modules)}, a.json)


def tasks(a: argparse.Namespace) -> None:
    """`given tasks`"""
    found = list(_tasks())
    if a.json:
        print(json.dumps(found))
        return
    for task in found:
        print(f"{task['name']}: {task['what']}\n  {task['example']}    ({task['unit']}, beside {task['baseline']})")


def completion(a: argparse.Namespace) -> None:
    """`given completion`"""
    import shtab

    for listed in a.parser._actions:
        if isinstance(listed, argparse._SubParsersAction):
            listed.help = None  # hidden in --help, which lists commands by groups
            for action in [action for command in listed.choices.values() for action in command._actions]:
                if action.metavar in _PATHS or action.dest == "formula":
                    action.complete = shtab.FILE
    print(shtab.complete(a.parser, a.shell))


def _first_line(file: str) -> str:
    """What a family's file says of it first."""
    return (ast.get_docstring(_parsed(file)) or "").partition(": ")[2].partition("\n\n")[0].replace("\n", " ")


def _tasks() -> Iterator[dict[str, str]]:
    """The plain arguments of every `Task(...)` in the tasks' file."""
    for node in ast.walk(_parsed("tasks/__init__.py")):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Task":
            yield {name: ast.literal_eval(value) for name, value in zip(_TASK, node.args, strict=False)}


def _parsed(file: str) -> ast.Module:
    return ast.parse((_PACKAGE / file).read_text(encoding="utf-8"))

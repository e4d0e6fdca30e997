"""A file imports only from floors above its own; no files of a floor import one another in a circle, and files of codecs,
families and tasks never do at all."""

import ast
import functools
from pathlib import Path

import given

ROOT = Path(given.__file__).parent
FLOORS = ["ways", "variables", "sources", "scales", "tokenizers", "codecs", "nn", "solve", "distributions", "lessons",
          "conditional", "selection", "families", "formula", "latents", "joint", "infer", "train", "evaluate", "verbs", "tasks",
          "testing", "sklearn", "app"]
APART = {"codecs", "families", "tasks"}


@functools.cache
def parsed(path):
    """Every node of a file."""
    return list(ast.walk(ast.parse(path.read_text())))


def imports(path):
    """Modules of the package that a file imports, as tuples of names below `given`."""
    for node in parsed(path):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names = [f"given.{a.name}" for a in node.names] if node.module == "given" else [node.module]
        else:
            continue
        yield from (tuple(name.split(".")[1:]) for name in names if name.startswith("given."))


def test_floors():
    for path in ROOT.rglob("*.py"):
        place = path.relative_to(ROOT).with_suffix("").parts
        if place in (("__init__",), ("__main__",)):
            continue
        floor = FLOORS.index(place[0])
        for found in imports(path):
            if found[0] not in FLOORS:
                assert place[0] == "app" or found == ("__version__",), f"{path}: imports {'.'.join(found)}"
                continue
            assert FLOORS.index(found[0]) <= floor, f"{path}: imports {'.'.join(found)} from below"
            if place[0] in APART and place[-1] != "__init__":
                assert found[0] != place[0] or place[-1] == "infer", f"{path}: imports its neighbour {'.'.join(found)}"


def neighbours(path):
    """Files of its own floor that a file imports, within functions and for types too."""
    def file_of(names):
        stem = ROOT.joinpath(*names)
        return stem / "__init__.py" if stem.is_dir() else stem.with_suffix(".py")

    floor = path.relative_to(ROOT).parts[0]
    for node in parsed(path):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("given"):
            module = tuple(node.module.split(".")[1:])
            inside = [(*module, alias.name) for alias in node.names]
            found = [file_of(names) if file_of(names).exists() else file_of(module) for names in inside]
        elif isinstance(node, ast.Import):
            found = [file_of(alias.name.split(".")[1:]) for alias in node.names if alias.name.startswith("given.")]
        else:
            continue
        yield from (file for file in found if file.relative_to(ROOT).parts[0] == floor)


def circles(imported):
    """The circles of a graph {node: nodes}, each as the set of those that reach one another."""
    def reached(start):
        seen, todo = set(), [start]
        while todo:
            for other in imported.get(todo.pop(), ()):
                if other not in seen:
                    seen.add(other)
                    todo.append(other)
        return seen

    reach = {node: reached(node) for node in imported}
    return {frozenset(other for other in reach[node] if node in reach.get(other, ()))
            for node in imported if node in reach[node]}


def test_no_files_import_one_another_in_a_circle():
    files = [path for path in ROOT.rglob("*.py") if path.parent != ROOT]
    graph = {path: set(neighbours(path)) for path in files}
    found = {tuple(sorted(".".join(path.relative_to(ROOT).with_suffix("").parts) for path in circle))
             for circle in circles(graph)}
    assert not found, "files import one another in a circle"


def test_circles_are_found():
    assert circles({1: {2}, 2: {3}, 3: {1, 4}, 4: {5}, 5: set()}) == {frozenset({1, 2, 3})}
    assert circles({1: {2, 3}, 2: {3}, 3: set()}) == set()


FILE, FUNCTION = 382, 49  # lines; they go down with the longest that stands, and never up


def test_no_file_or_function_is_too_long():
    """Lines of a function are counted without those of its docstring."""
    files, functions = list[tuple[int, str]](), list[tuple[int, str]]()
    for path in ROOT.rglob("*.py"):
        text, name = path.read_text(), str(path.relative_to(ROOT))
        files.append((text.count("\n"), name))
        for node in parsed(path):
            if isinstance(node, ast.FunctionDef):
                said = ast.get_docstring(node, clean=False)
                lines = node.end_lineno - node.lineno + 1 - (0 if said is None else said.count("\n") + 1)
                functions.append((lines, f"{name}: {node.name}"))
    assert not [found for found in sorted(files, reverse=True) if found[0] > FILE]
    assert not [found for found in sorted(functions, reverse=True) if found[0] > FUNCTION]


def test_public_names():
    for name in given.__all__:
        assert getattr(given, name) is not None
    for package in ("codecs", "families", "distributions", "nn", "infer", "train", "evaluate", "sources"):
        module = __import__(f"given.{package}", fromlist=["__all__"])
        assert list(module.__all__) == sorted(module.__all__), f"{package}.__all__ is not sorted"
        assert all(hasattr(module, name) for name in module.__all__)

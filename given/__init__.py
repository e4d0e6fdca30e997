"""given: learn p(x | y) for any data x and any condition y, then ask it anything.

    import given

    data = given.read("digits")
    model = given.model("p(label) p(image | label)", data)
    model.fit(data, minutes=2)
    model.given(image=data["image"][:3]).mode()["label"]

Names are looked up when they are first used: importing the package loads neither torch nor numpy.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Where each public name lives. Only these are looked up.
_HOME = {
    "Beam": "given.infer",
    "Columns": "given.sources",
    "Comparison": "given.evaluate",
    "Conditional": "given.conditional",
    "Diverged": "given.train",
    "Intractable": "given.distributions",
    "JSONSchema": "given.infer",
    "Joint": "given.joint",
    "LinkedModel": "given.verbs",
    "LinkedTables": "given.sources",
    "MaxLength": "given.infer",
    "MinP": "given.infer",
    "Model": "given.verbs",
    "Query": "given.verbs",
    "Regex": "given.infer",
    "RepetitionPenalty": "given.infer",
    "Score": "given.evaluate",
    "Stop": "given.infer",
    "Temperature": "given.infer",
    "TopK": "given.infer",
    "TopP": "given.infer",
    "UserError": "given.variables",
    "Variable": "given.variables",
    "assess": "given.verbs",
    "between": "given.infer",
    "compare": "given.verbs",
    "divergences": "given.verbs",
    "drift": "given.verbs",
    "isin": "given.infer",
    "load": "given.verbs",
    "missing": "given.infer",
    "model": "given.verbs",
    "part": "given.infer",
    "plane": "given.verbs",
    "prefix": "given.infer",
    "present": "given.infer",
    "pretrained": "given.verbs",
    "quality": "given.verbs",
    "read": "given.sources",
    "reliance": "given.verbs",
    "select": "given.lessons",
}

# Reached as given.families and so on.
_FLOORS = ("codecs", "distributions", "evaluate", "families", "nn", "sklearn", "solve", "testing", "variables")

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if name in _FLOORS:
        return import_module(f"given.{name}")
    raise AttributeError(f"module 'given' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]

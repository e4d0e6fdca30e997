"""testing: does it obey the laws? Public, so that a family or a codec of your own can be held to them.

A law is a function that raises `AssertionError` where it is broken, and `DoesNotApply`, with the reason, where it does
not apply. Those of families take a conditional over small spaces; `prepared` lets it learn from related
random data and then moves every parameter away from its start, because at initialisation many mistakes cannot be seen.

    from given.testing import check_family

    print(check_family(Mine(x, parents=y)))
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from given.conditional import Conditional
from given.testing.cases import DoesNotApply, conditions, items, prepared
from given.testing.codecs import CODEC_LAWS
from given.testing.families import FAMILY_LAWS
from given.testing.statistics import perturb
from given.variables import Codec

__all__ = ["CODEC_LAWS", "DoesNotApply", "FAMILY_LAWS", "check_codec", "check_family", "conditions", "items", "perturb",
           "prepared"]


def check_family(conditional: Conditional, seed: int = 0) -> dict[str, str | None]:
    """Hold a conditional over a small space to every law.

    Returns:
        By the law's name why it does not apply, None where it does and is obeyed.

    Raises:
        AssertionError: a law is broken.
    """
    case = prepared(conditional, seed)
    return {name: _reason(law, case) for name, law in FAMILY_LAWS.items()}


def check_codec(make: Callable[[], Codec], raw: Any) -> dict[str, str | None]:
    """The same of a codec, built for every law anew, and raw values (B, ...) it is made for."""
    return {name: _reason(law, make(), raw) for name, law in CODEC_LAWS.items()}


def _reason(law: Any, *case: Any) -> str | None:
    try:
        law(*case)
    except DoesNotApply as reason:
        return str(reason)
    return None

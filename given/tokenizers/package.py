"""The package tokenizers, of the extra `text`, imported where it is needed."""

from __future__ import annotations

from typing import Any

from given.variables import UserError

__all__ = ["tokenizers"]


def tokenizers() -> Any:
    """The package. Raises `UserError` where it is not installed."""
    try:
        import tokenizers
    except ImportError:
        raise UserError("pieces of text need the package tokenizers; pip install 'given[text]', or use Text('bytes')") from None
    return tokenizers

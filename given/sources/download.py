"""Download: the folder of a public language model. Nothing else of the library reaches the network."""

from __future__ import annotations

from given.variables import UserError

__all__ = ["downloaded"]


def downloaded(name: str) -> str:
    """The folder of a public language model, fetched once: JSON, vocabularies and safetensors of it, nothing that runs."""
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise UserError("download=True needs the package huggingface_hub; pip install 'given[pretrained]'") from None
    try:
        return snapshot_download(name, allow_patterns=["*.json", "*.safetensors"])
    except Exception as error:  # a name that is none, no network, no such model
        raise UserError(f"{name}: cannot be downloaded ({' '.join(str(error).split())[:120]}); pass a folder") from None

"""A tokenizer's folder: what cuts text into the symbols of a pretrained language model, and how these are written.

Only `tokenizer.json` is read, the format of the package tokenizers (of the extra `text`), and of the JSON beside it which
symbol ends a text. Neither runs code.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from given.tokenizers.package import tokenizers
from given.variables import UserError

__all__ = ["OTHER_BYTES", "PLAIN_BYTES", "read_tokenizer", "spelled", "uncovered", "unknown"]

_SPACE = "\u2581"  # how SentencePiece writes one
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")


def read_tokenizer(path: str | os.PathLike[str]) -> tuple[Any, int | None]:
    """The tokenizer of a folder, and the number of the symbol that ends a text, None where it has none.

    Raises:
        UserError: there is none, or one that cannot be read.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise UserError(f"{path}: no such folder; expected one with tokenizer.json (nothing is downloaded unasked: "
                        "given.pretrained(name, download=True) does)")
    if not (folder / "tokenizer.json").is_file():
        raise UserError(f"{folder}: tokenizer.json is missing; have transformers write it: "
                        "AutoTokenizer.from_pretrained(...).save_pretrained(...)")
    try:
        tokenizer = tokenizers().Tokenizer.from_file(str(folder / "tokenizer.json"))
    except UserError:
        raise
    except Exception as error:  # the package raises nothing narrower
        said = " ".join(str(error).split())[:80]
        raise UserError(f"{folder}/tokenizer.json: cannot be read ({said}); save it again") from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer, _end(folder, tokenizer)


def _end(folder: Path, tokenizer: Any) -> int | None:
    for name, key in (("tokenizer_config.json", "eos_token"), ("special_tokens_map.json", "eos_token"),
                      ("config.json", "eos_token_id")):
        try:
            said = json.loads((folder / name).read_text(encoding="utf-8")).get(key)
        except FileNotFoundError:
            continue
        except (ValueError, AttributeError) as error:
            raise UserError(f"{folder}/{name}: cannot be read ({error}); save it again") from None
        said = said.get("content") if isinstance(said, dict) else said[0] if isinstance(said, list) else said
        found = tokenizer.token_to_id(said) if isinstance(said, str) else said
        if isinstance(found, int):
            return found
    return None


def spelled(tokenizer: Any, size: int) -> list[bytes]:
    """The bytes of UTF-8 that every symbol writes: (size,), nothing for those that stand for no text. Where words are
    written apart, each begins with its space, the first of a text too, which decoding a whole text leaves out.
    """
    said = json.loads(tokenizer.to_str())
    kinds = {part.get("type") for part in _parts(said.get("decoder"))}
    added = tokenizer.get_added_tokens_decoder()
    found = list[bytes]()
    for v in range(size):
        token = tokenizer.id_to_token(v)
        if token is None or (v in added and added[v].special):
            found.append(b"")
        elif v in added:
            found.append(token.encode(errors="surrogatepass"))
        elif "ByteLevel" in kinds:
            found.append(_piece(token))
        elif "ByteFallback" in kinds and (byte := _BYTE.fullmatch(token)):
            found.append(bytes([int(byte[1], 16)]))
        elif "WordPiece" in kinds:
            found.append((token[2:] if token.startswith("##") else " " + token).encode())
        elif not kinds:  # words, joined by spaces
            found.append(f" {token}".encode())
        else:
            found.append(token.replace(_SPACE, " ").encode(errors="surrogatepass"))
    return found


def _parts(decoder: Any) -> list[dict[str, Any]]:
    return [] if decoder is None else [decoder, *(p for d in decoder.get("decoders", ()) for p in _parts(d))]


PLAIN_BYTES = [*range(33, 127), *range(161, 173), *range(174, 256)]  # bytes that print as a character
OTHER_BYTES = [byte for byte in range(256) if byte not in PLAIN_BYTES]


def _piece(token: str) -> bytes:
    """The bytes of a piece, which is written with a printable character a byte: its own where it is one, else the next from
    256 on, in order."""
    return bytes(code if code < 256 else OTHER_BYTES[code - 256] for code in map(ord, token))


def unknown(tokenizer: Any) -> int | None:
    """The number of the symbol for what has none, None where there is no such symbol."""
    model = json.loads(tokenizer.to_str())["model"]
    return model.get("unk_id") if model.get("unk_token") is None else tokenizer.token_to_id(model["unk_token"])


def uncovered(encoding: Any, text: str, unknown: int | None) -> int | None:
    """The place of the first character that the symbols of a text do not tell, blanks aside; None where there is none."""
    ids, spans = np.array(encoding.ids, dtype=np.int64), np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
    good = spans[ids != unknown] if unknown is not None else spans
    told = np.zeros(len(text) + 1, dtype=np.int64)
    np.add.at(told, good[:, 0], 1)
    np.add.at(told, good[:, 1], -1)
    return next((int(at) for at in np.flatnonzero(told.cumsum()[:-1] == 0) if not text[at].isspace()), None)

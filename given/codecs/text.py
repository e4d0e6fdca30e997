"""Text: characters, bytes, byte-pair pieces or words. Counted.

Where every text that was learned from fits the window, a text is one row and its end is an entry, so its length is modelled.
Where one is longer, texts are cut into pieces of the window's length and their lengths are given, not modelled.
"""

from __future__ import annotations

import codecs
import os
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from given.tokenizers import BytePairs, Bytes, Characters, Pretrained, Tokenizer, Words
from given.variables import Axis, Codec, Entries, Finite, NewValue, UserError, Whole, room, shown
from given.ways import way

__all__ = ["Text", "check_printable"]


class Text(Codec):
    """Text, one item a row.

    Args:
        unit: `characters`, those of the data, another being an error; `bytes` of UTF-8, which write any text; or `pieces`,
            byte-pair encoding learned from the data (of the extra `text`), which writes any text in fewer symbols. A score of
            pieces is that of one way to cut the text, so at most that of the text. Or `words`, marks and line ends, those of
            the data met most, any other being one symbol, written \ufffd; what is blank between them is not kept.
        window: the most symbols a row holds.
        longest: room for texts of so many symbols, or of the longest that is learned from; at most the window. By default there
            is room for twice the longest, and for 32 symbols more at least, within the window.
        stride: a text longer than the window is scored in pieces of so many symbols, each given the window - stride before it,
            or as many as there are; half a window by default.
        size: of the vocabulary of pieces, from 257, or of words, from 2.
        alphabet: the characters, learned (sorted) when left out.
        tokenizer: a folder with the `tokenizer.json` of a pretrained language model, whose pieces are taken. Its symbol for the
            end is that of a text. Before it has seen data the longest text is that of a window.
        unseen: what a word that was not learned means, of text in words: `other` (default), the symbol of all others, or
            `error`, as is then a text without words.
        axis: the name of the axis of its symbols, for other columns to share, such as a tag for every word.
    """

    def __init__(self, unit: str = "characters", *, window: int = 256, stride: int | None = None, size: int = 1024,
                 alphabet: str | None = None, longest: int = 0, tokenizer: str | os.PathLike[str] | None = None,
                 axis: str = "", unseen: str = "other") -> None:
        if unseen not in ("other", "error") or (unseen == "error" and unit != "words"):
            raise UserError(f"Text: unit={unit!r}, unseen={unseen!r}; expected 'other', or 'error' of words")
        self.tokenizer = _tokenizer(unit, size, alphabet, tokenizer, strict=unseen == "error")
        self.unit, self.window, self.axis = self.tokenizer.unit, window, axis
        self.stride = max(1, window // 2) if stride is None else stride
        if not 1 <= self.stride <= window:
            raise UserError(f"Text: window={window}, stride={stride}; expected a stride from 1 to the window")
        self.longest = longest
        if not 0 <= longest <= window:
            raise UserError(f"Text: window={window}, longest={longest}; expected room for at most a window")
        self._stated_room: int | None = None  # of a text that was saved
        if tokenizer is not None:
            self.arguments = {**self.arguments, "tokenizer": os.fspath(tokenizer)}

    @property
    def space(self) -> Finite:
        longest, V, end = self._longest(), self.tokenizer.size, self.tokenizer.end
        if longest > self.window:
            return Finite(V, axes=(Axis(self.axis, self.window, "given", stride=self.stride),))
        axis = Axis(self.axis, self._room + 1, "modelled")
        return Finite(V + 1, end=V, axes=(axis,)) if end is None else Finite(V, end=end, axes=(axis,))

    @property
    def measure(self) -> str:
        return "counting"

    @property
    def item_axes(self) -> int:
        return 0

    @property
    def ragged(self) -> bool:
        return True

    def learn(self, raw: np.ndarray) -> None:
        self.tokenizer.learn(_texts(raw))

    def encode(self, raw: np.ndarray) -> Entries:
        return self._rows(raw, self._symbols(raw))

    def encode_after(self, raw: np.ndarray, begun: Entries) -> Entries:
        """Texts (B,) as entries whose first ones are those that are known of `begun` (1 or B, D): what follows is cut alone.

        Raises:
            UserError: a text begins with something else.
        """
        items = self._symbols(raw)
        for row, item in enumerate(_texts(raw)):
            at = row % len(begun)
            start, symbols = begun.tensor[at][begun.scored[at]].numpy(), items[row]
            if not np.array_equal(symbols[:len(start)], start):
                text = self.tokenizer.decode(start)
                if not item.startswith(text):
                    raise UserError(f"got {shown(item)}; expected a text that begins with what is given, {shown(text)}", row)
                items[row] = np.concatenate([start, self.tokenizer.encode(item[len(text):], row)])
        return self._rows(raw, items)

    def _symbols(self, raw: np.ndarray) -> list[np.ndarray]:
        """The symbols of every text."""
        self._longest()
        return [self.tokenizer.encode(text, row) for row, text in enumerate(_texts(raw))]

    def _rows(self, raw: np.ndarray, items: list[np.ndarray]) -> Entries:
        """Texts and their symbols -> (B, D) entries."""
        if self._longest() > self.window:
            return self._run(items).rows(self.window)
        most, V, end = self._room, self.tokenizer.size, self.tokenizer.end
        values = torch.zeros(len(items), most + 1, dtype=self.space.dtype)
        for row, symbols in enumerate(items):
            if len(symbols) > most:
                items[row] = symbols = self.tokenizer.fewest(raw.tolist()[row])
            if len(symbols) > most:
                more = [r for r in range(row + 1, len(items)) if len(items[r]) > most and self.unit in ("characters", "words")]
                raise NewValue(f"{len(symbols)} {self.unit}; expected at most {most}; {self._more_room(len(symbols))}",
                               [row, *more])
            values[row, : len(symbols)] = torch.from_numpy(symbols.astype(np.int64))
            values[row, len(symbols)] = V if end is None else end
        lengths = torch.tensor([len(symbols) for symbols in items]) + 1
        return Entries(values, valid=torch.arange(values.shape[1]) < lengths[:, None])

    def _more_room(self, length: int) -> str:
        """What to do with a text of more symbols than there is room for."""
        if self._longest() > self.window or isinstance(self.tokenizer, Pretrained):
            return f"give the last of them, or {way('pass', 'learn with --as and')} Text(window=...)"
        window = "" if length <= self.window else f"window={length}, "
        by = way("", " by --as")
        return f"learn again with {'' if window else 'room for it, '}Text({window}longest={length}){by}"

    def _run(self, items: list[np.ndarray]) -> Whole:
        """Texts' symbols, end to end."""
        return Whole(Entries(self.space.narrow(np.concatenate(items))), np.array(list(map(len, items)), dtype=np.int64))

    def known(self, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Texts whose new characters are read as the alphabet's first, and (B,) how many each has. Where texts are cut into
        windows, one that is missing or empty is read as one such character."""
        windows, texts, new = self._longest() > self.window, raw.astype(object), np.zeros(len(raw), dtype=np.int64)
        for row, text in enumerate(raw.tolist()):
            if windows and (text is None or text == ""):
                texts[row], new[row] = self.tokenizer.shortest, 1
            elif isinstance(text, str):
                texts[row], new[row] = self.tokenizer.known(text)
        return (texts if new.any() else raw), new

    def entire(self, raw: np.ndarray) -> Whole:
        return self._run(self._symbols(raw))

    def lengths(self, raw: np.ndarray) -> np.ndarray | None:
        return np.array(list(map(len, raw.tolist()))) if self._longest() <= self.window else None

    def decode(self, x: Entries) -> np.ndarray:
        """(*draws, B, any length) -> (*draws, B)."""
        self._longest()
        V, end, values = self.tokenizer.size, self.tokenizer.end, x.tensor.numpy()
        there = x.valid.numpy() & (values < V if end is None else values != end)  # type: ignore[union-attr]
        shape = values.shape[:-1]
        rows = zip(values.reshape(-1, values.shape[-1]), there.reshape(-1, values.shape[-1]), strict=True)
        texts = [self.tokenizer.decode(row[mask]) for row, mask in rows]
        # Numpy's text would drop a zero byte at the end.
        return np.array(texts, dtype=object if any(text.endswith("\0") for text in texts) else str).reshape(shape)

    def spelled(self) -> list[bytes]:
        """The bytes of UTF-8 that every symbol but the end writes: (V,), together those of the text."""
        self._longest()
        return self.tokenizer.spelled()

    def units(self, raw: np.ndarray) -> dict[str, int]:
        texts = [text for text in raw if isinstance(text, str)]
        return {"characters": sum(map(len, texts)), "bytes": sum(len(text.encode(errors="surrogatepass")) for text in texts)}

    def part(self, raw: np.ndarray, first: float, last: float) -> np.ndarray:
        if not self.axis:
            return super().part(raw, first, last)
        each = self._symbols(raw)  # alike for all on its axis
        return np.array([self.tokenizer.decode(s[round(first * len(s)):round(last * len(s))]) for s in each], dtype=object)

    def spoken(self, blocks: Iterator[Entries]) -> Iterator[str]:
        """Whole characters, each as soon as its last byte is there."""
        symbols, V = self.spelled(), self.space.size
        # Bytes may be no text; characters always are, if not always UTF-8.
        decoder = codecs.getincrementaldecoder("utf-8")("surrogatepass" if self.unit == "characters" else "replace")
        for block in blocks:
            there = block.valid[0] & (block.tensor[0] < min(V, len(symbols)))  # type: ignore[index]
            if more := decoder.decode(b"".join(symbols[v] for v in block.tensor[0][there].tolist())):
                yield more
        if more := decoder.decode(b"", True):
            yield more

    def as_tokenizer(self) -> Any:
        """Its symbols, number by number, as an object of the package tokenizers."""
        self._longest()
        return self.tokenizer.as_tokenizer()

    def state(self) -> dict[str, Any]:
        return {"longest": self._longest(), "room": self._room, **self.tokenizer.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.tokenizer.restore(state)
        self.tokenizer.longest = int(state["longest"])
        self._stated_room = int(state.get("room", self.tokenizer.longest))

    def _longest(self) -> int:
        """How many symbols the longest text has. Raises `UserError` before there was any."""
        longest = self.tokenizer.longest
        if isinstance(self.tokenizer, Pretrained):
            return max(self.window if longest is None else longest, 1)
        if longest is None:
            raise UserError("Text() has not seen data yet; let it learn first")
        if not longest:
            raise UserError("expected some text, got only empty ones")
        return max(longest, self.longest)

    @property
    def _room(self) -> int:
        """The most symbols of a text whose length is modelled: more than of any learned from, since others are longer."""
        longest = self._longest()
        if self._stated_room is not None:
            return max(self._stated_room, longest)
        return longest if self.longest else room(longest, self.window)

    def __repr__(self) -> str:
        if self.tokenizer.longest is None and not isinstance(self.tokenizer, Pretrained):
            return "Text()" if self.unit == "characters" else f"Text({self.unit!r})"
        longest, V = self._longest(), self.tokenizer.size
        length = f"in windows of {self.window} every {self.stride}" if longest > self.window else f"at most {self._room} long"
        return f"Text({V} {self.unit}, {length})"


def _tokenizer(unit: str, size: int, alphabet: str | None, path: str | os.PathLike[str] | None, *, strict: bool) -> Tokenizer:
    """What cuts the texts of a codec, by its arguments."""
    if path is not None:
        if unit not in ("characters", "pieces") or alphabet is not None:
            raise UserError(f"Text: unit={unit!r}, alphabet={alphabet!r}; a tokenizer says what its symbols are; leave "
                            "both out")
        return Pretrained(os.fspath(path))
    if alphabet is not None and unit != "characters":
        raise UserError(f"Text: unit={unit!r}, alphabet={alphabet!r}; an alphabet is of characters; leave one of the two out")
    if unit == "characters":
        return Characters(alphabet)
    if unit == "bytes":
        return Bytes()
    if unit == "pieces":
        return BytePairs(size)
    if unit == "words":
        return Words(size, strict)
    raise UserError(f"Text: unit={unit!r}; expected 'characters', 'bytes', 'pieces' or 'words'")


def check_printable(text: str, who: str, *, besides: str = "\n\t\r") -> None:
    """Raise where a text holds a control character, which nobody types."""
    odd = next((i for i, c in enumerate(text) if unicodedata.category(c) == "Cc" and c not in besides), None)
    if odd is not None:
        raise UserError(f"{who}: a control character {text[odd]!r} at {odd}; leave it out")


def _texts(raw: np.ndarray) -> list[str]:
    if raw.ndim != 1:
        raise UserError(f"expected one text a row, (B,), got shape {raw.shape}")
    for row, item in enumerate(raw.tolist()):
        if not isinstance(item, str):
            raise NewValue(f"expected text, got {shown(item)}", [row])
    return raw.tolist()

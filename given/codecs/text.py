"""Text: characters, bytes, byte-pair pieces or words. Counted.

Where every text that was learned from fits the window, a text is one row and its end is an entry, so its length is modelled.
Where one is longer, texts are cut into pieces of the window's length and their lengths are given, not modelled.

Source (pieces): Sennrich, Haddow, Birch, Neural machine translation of rare words with subword units, 2016 /
https://arxiv.org/abs/1508.07909
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from given.sources.tokenizer import read_tokenizer, spelled, tokenizer_of, tokenizers, uncovered, unknown
from given.variables import Axis, Codec, Entries, Finite, NewValue, Pieces, UserError, shown

__all__ = ["Text", "check_printable", "words_of"]

_AT_ONCE = 1 << 20  # characters
_ROOM = 32  # symbols that a text may have more than the longest learned from, at least
_OTHER = "\ufffd"
_WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]|\n")
_CLOSING = re.compile(r"[.,;:!?)\]}]$")
_BEFORE, _AFTER = re.compile(r" ([.,;:!?)\]}\n])"), re.compile(r"([(\[{\n]) ")


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
    """

    def __init__(self, unit: str = "characters", *, window: int = 256, stride: int | None = None, size: int = 1024,
                 alphabet: str | None = None, longest: int = 0, tokenizer: str | os.PathLike[str] | None = None) -> None:
        if tokenizer is not None:
            if unit not in ("characters", "pieces") or alphabet is not None:
                raise UserError(f"Text: unit={unit!r}, alphabet={alphabet!r}; a tokenizer says what its symbols are; leave "
                                "both out")
            unit = "pieces"
        if unit not in ("characters", "bytes", "pieces", "words"):
            raise UserError(f"Text: unit={unit!r}; expected 'characters', 'bytes', 'pieces' or 'words'")
        self.unit, self.window, self.size = unit, window, size
        self.stride = max(1, window // 2) if stride is None else stride
        if not 1 <= self.stride <= window:
            raise UserError(f"Text: window={window}, stride={stride}; expected a stride from 1 to the window")
        self.longest = longest
        if not 0 <= longest <= window:
            raise UserError(f"Text: window={window}, longest={longest}; expected room for at most a window")
        if unit == "pieces" and size <= 256:
            raise UserError(f"Text: size={size}; expected more than the 256 bytes that pieces are made of")
        if unit == "words" and size < 2:
            raise UserError(f"Text: size={size}; expected two words or more, one of them that of all others")
        self.alphabet, self._stated = alphabet, alphabet is not None
        self._longest: int | None = None
        self._stated_room: int | None = None  # of a text that was saved
        self.tokenizer = None if tokenizer is None else os.fspath(tokenizer)
        if tokenizer is not None:
            self.arguments = {**self.arguments, "tokenizer": self.tokenizer}
        self._tokenizer: Any = None
        self._end: int | None = None  # of a tokenizer; otherwise the end is one symbol more
        self._unknown: int | None = None
        self._pieces = 0
        self._corpus: list[str] = []  # pieces are learned from all of it, when first asked for
        self._counts: Counter[str] = Counter()
        self._words: dict[str, int] = {}

    @property
    def space(self) -> Finite:
        V, longest = self._learned()
        if longest > self.window:
            return Finite(V, axes=(Axis("place", self.window, "given"),))
        axis = Axis("place", self._room + 1, "modelled")
        return Finite(V + 1, end=V, axes=(axis,)) if self._end is None else Finite(V, end=self._end, axes=(axis,))

    @property
    def measure(self) -> str:
        return "counting"

    @property
    def item_axes(self) -> int:
        return 0

    def learn(self, raw: np.ndarray) -> None:
        items = _texts(raw)
        if self.unit == "pieces" and self.tokenizer is None:
            self._corpus += items
            self._tokenizer = None
            return
        if self.unit == "words":
            each = [words_of(item) for item in items]
            self._counts.update(word for words in each for word in words)
            self._longest = max([self._longest or 0, *map(len, each)])
            kept = sorted(self._counts.items(), key=lambda pair: (-pair[1], pair[0]))[: self.size - 1]
            self._words = {word: i for i, word in enumerate([_OTHER, *(word for word, _ in kept)])}
            return
        if self.unit == "characters" and not self._stated:
            self.alphabet = "".join(sorted({*(self.alphabet or ""), *(c for item in items for c in set(item))}))
        known = self.unit == "characters" and not self._stated
        lengths = (len(item if known else self._symbols(item, row)) for row, item in enumerate(items))
        self._longest = max([self._longest or 0, *lengths])

    def encode(self, raw: np.ndarray) -> Entries:
        self._learned()
        return self._rows(raw, [self._symbols(item, row) for row, item in enumerate(_texts(raw))])

    def encode_after(self, raw: np.ndarray, begun: Entries) -> Entries:
        """Texts (B,) as entries whose first ones are those that are known of `begun` (1 or B, D): what follows is cut alone.

        Raises:
            UserError: a text begins with something else.
        """
        items, _ = list[np.ndarray](), self._learned()
        for row, item in enumerate(_texts(raw)):
            at = row % len(begun)
            start, symbols = begun.tensor[at][begun.scored[at]].numpy(), self._symbols(item, row)
            if not np.array_equal(symbols[:len(start)], start):
                text = self._text(start)
                if not item.startswith(text):
                    raise UserError(f"got {shown(item)}; expected a text that begins with what is given, {shown(text)}", row)
                symbols = np.concatenate([start, self._symbols(item[len(text):], row)])
            items.append(symbols)
        return self._rows(raw, items)

    def _rows(self, raw: np.ndarray, items: list[np.ndarray]) -> Entries:
        """Texts and their symbols -> (B, D) entries."""
        V, longest = self._learned()
        cut = longest > self.window
        most = self.window if cut else self._room
        values = torch.zeros(len(items), most + (not cut), dtype=torch.int64)
        for row, symbols in enumerate(items):
            if len(symbols) > most and not cut and self.unit in ("bytes", "pieces") and self.tokenizer is None:
                items[row] = symbols = self._fewest(raw.tolist()[row])
            if len(symbols) > most:
                way = "give the last of them, or pass Text(window=...)" if cut or self.tokenizer is not None else (
                    f"learn again with room for it, Text(longest={len(symbols)})" if len(symbols) <= self.window else
                    f"learn again with Text(window={len(symbols)}, longest={len(symbols)})")
                raise UserError(f"{len(symbols)} {self.unit}; expected at most {most}; {way}", row)
            values[row, : len(symbols)] = torch.from_numpy(symbols.astype(np.int64))
            if not cut:
                values[row, len(symbols)] = V if self._end is None else self._end
        lengths = torch.tensor([len(symbols) for symbols in items]) + (not cut)
        return Entries(values, valid=torch.arange(values.shape[1]) < lengths[:, None])

    def known(self, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Texts whose new characters are read as the alphabet's first, and (B,) how many each has. Where texts are cut into
        windows, one that is missing or empty is read as one such character."""
        alphabet = self.alphabet if self.unit == "characters" else None
        known, first, (_, longest) = set(alphabet or ""), (alphabet or " ")[:1], self._learned()
        texts, new = raw.astype(object), np.zeros(len(raw), dtype=np.int64)
        for row, text in enumerate(raw.tolist()):
            if longest > self.window and (text is None or text == ""):
                texts[row], new[row] = first, 1
            elif alphabet is not None and isinstance(text, str) and not known.issuperset(text):
                texts[row], new[row] = "".join(c if c in known else first for c in text), sum(c not in known for c in text)
        return (texts if new.any() else raw), new

    def pieces(self, raw: np.ndarray, start: int | None = None) -> Pieces | None:
        if self._learned()[1] <= self.window:
            return None
        W, stride, texts, firsts = self.window, self.stride, list[np.ndarray](), list[np.ndarray]()
        for row, text in enumerate(_texts(raw)):
            L = len(symbols := self._symbols(text, row))
            if not L:
                raise UserError("an empty text; expected at least one character; drop the row", row)
            texts.append(symbols)
            if start is None:
                firsts.append(np.arange(0, max(L - W, 0) + stride, stride))
            else:  # whole windows; the outermost overlap their neighbours
                firsts.append(np.unique(np.arange(start % W - W, L, W).clip(0, max(L - W, 0))))
        symbols, lengths = np.concatenate(texts), np.array([len(text) for text in texts])
        begin, first = np.cumsum(lengths) - lengths, np.concatenate(firsts)
        item = np.repeat(np.arange(len(texts)), [len(f) for f in firsts])

        def rows(index: Tensor) -> Entries:
            which = index.numpy()
            own, f = item[which][:, None], first[which][:, None]
            place = f + np.arange(W)
            values = symbols[begin[own] + np.minimum(place, lengths[own] - 1)].astype(np.int64)
            before = (place < f + W - stride) & (f > 0) if start is None else np.zeros(place.shape, dtype=bool)
            valid, context = torch.from_numpy(place < lengths[own]), torch.from_numpy(before)
            return Entries(torch.from_numpy(values), valid=valid, context=context)

        return Pieces(rows, torch.from_numpy(item))

    def lengths(self, raw: np.ndarray) -> np.ndarray | None:
        return np.array(list(map(len, raw.tolist()))) if self._learned()[1] <= self.window else None

    def decode(self, x: Entries) -> np.ndarray:
        """(*draws, B, any length) -> (*draws, B)."""
        V, _ = self._learned()
        values = x.tensor.numpy()
        there = x.valid.numpy() & (values < V if self._end is None else values != self._end)  # type: ignore[union-attr]
        shape = values.shape[:-1]
        rows = zip(values.reshape(-1, values.shape[-1]), there.reshape(-1, values.shape[-1]), strict=True)
        texts = [self._text(row[mask]) for row, mask in rows]
        # Numpy's text would drop a zero byte at the end.
        return np.array(texts, dtype=object if any(text.endswith("\0") for text in texts) else str).reshape(shape)

    @property
    def words(self) -> list[str]:
        """The word of every symbol but the end, where the unit is words; the first stands for all that are none of them."""
        return list(self._words)

    def windows_end(self, text: str) -> Entries:
        """The end of a text that may be longer than the window, (1, window), with room for a symbol more."""
        D = self.space.shape[0]
        symbols = self._symbols(text, 0)[1 - D:]
        values = torch.zeros(1, D, dtype=torch.int64)
        values[0, :len(symbols)] = torch.from_numpy(symbols.astype(np.int64))
        return Entries(values, seen=torch.arange(D)[None] < len(symbols))

    def spelled(self) -> list[bytes]:
        """The bytes of UTF-8 that every symbol but the end writes: (V,), together those of the text."""
        V, _ = self._learned()
        if self.unit == "pieces":
            return spelled(self._tokenizer, V)
        if self.unit == "words":
            return [(word if word == "\n" or _CLOSING.match(word) else f" {word}").encode() for word in self._words]
        return [bytes([v]) for v in range(V)] if self.alphabet is None else [
            c.encode(errors="surrogatepass") for c in self.alphabet]

    def as_tokenizer(self) -> Any:
        """Its symbols, number by number, as an object of the package tokenizers."""
        self._learned()
        if self.unit == "pieces":
            return tokenizers().Tokenizer.from_str(self._tokenizer.to_str())
        if self.unit == "words":
            raise UserError("a text in words has no tokenizer, which keeps blanks; expected characters, bytes or pieces")
        return tokenizer_of(self.alphabet)

    def state(self) -> dict[str, Any]:
        _, longest = self._learned()
        tokenizer = None if self._tokenizer is None else self._tokenizer.to_str()
        return {"alphabet": self.alphabet, "longest": longest, "room": self._room, "tokenizer": tokenizer, "end": self._end,
                **({"words": list(self._words)} if self.unit == "words" else {})}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.alphabet, self._longest = state["alphabet"], int(state["longest"])
        self._stated_room = int(state.get("room", self._longest))
        self._words = {word: i for i, word in enumerate(state.get("words", ()))}
        if state["tokenizer"] is not None:
            self._take(tokenizers().Tokenizer.from_str(state["tokenizer"]), state.get("end"))

    def _learned(self) -> tuple[int, int]:
        """How many symbols there are, and how many of them the longest text has."""
        if self._tokenizer is None and self._corpus:
            self._tokenizer = _trained(self._corpus, self.size)
            self._longest = max(len(self._symbols(item, row)) for row, item in enumerate(self._corpus))
        if self.tokenizer is not None:
            self._read()
            return self._pieces, max(self.window if self._longest is None else self._longest, 1)
        if self._longest is None:
            raise UserError("Text() has not seen data yet; let it learn first")
        if not self._longest:
            raise UserError("expected some text, got only empty ones")
        if self.unit == "pieces":
            return self._tokenizer.get_vocab_size(), max(self._longest, self.longest)
        if self.unit == "words":
            return len(self._words), max(self._longest, self.longest)
        return 256 if self.alphabet is None else len(self.alphabet), max(self._longest, self.longest)

    @property
    def _room(self) -> int:
        """The most symbols of a text whose length is modelled: more than of any learned from, since others are longer."""
        _, longest = self._learned()
        if self._stated_room is not None:
            return max(self._stated_room, longest)
        return longest if self.longest else max(longest, min(self.window, max(2 * longest, longest + _ROOM)))

    def _fewest(self, text: str) -> np.ndarray:
        """The fewest symbols that are read as a text: what is drawn in symbols that fit may be cut anew into more of them.

        A byte that is in no text, 255, is read as \ufffd, which has three of its own.
        """
        content = text.encode(errors="surrogatepass").replace(_OTHER.encode(), b"\xff")
        if self.unit == "bytes":
            return np.frombuffer(content, np.uint8)
        number = {piece: v for v, piece in enumerate(self.spelled()) if piece}
        widest = max(map(len, number))
        best: list[tuple[int, int]] = [(0, 0)]  # of every beginning: how many pieces, and where the last begins
        for end in range(1, len(content) + 1):
            best.append(min((best[begin][0] + 1, begin) for begin in range(max(0, end - widest), end)
                            if content[begin:end] in number))
        symbols, end = list[int](), len(content)
        while end:
            symbols, end = [number[content[best[end][1]:end]], *symbols], best[end][1]
        return np.array(symbols, dtype=np.min_scalar_type(self.size))

    def _read(self) -> None:
        if self._tokenizer is None and self.tokenizer is not None:
            self._take(*read_tokenizer(self.tokenizer))

    def _take(self, tokenizer: Any, end: int | None) -> None:
        self._tokenizer, self._end, self._unknown = tokenizer, end, unknown(tokenizer)
        self._pieces = max(tokenizer.get_vocab().values()) + 1  # numbers may have gaps

    def _symbols(self, text: str, row: int) -> np.ndarray:
        """(L,) unsigned, as small as they go."""
        if self.tokenizer is not None:
            return self._cut(text, row)
        if self.unit == "pieces":
            return np.array(self._tokenizer.encode(text).ids, dtype=np.min_scalar_type(self.size))
        if self.unit == "words":
            return np.array([self._words.get(word, 0) for word in words_of(text)], dtype=np.min_scalar_type(self.size))
        if self.unit == "bytes":
            return np.frombuffer(text.encode(errors="surrogatepass"), np.uint8)
        known = _codes(self.alphabet or "")
        order = known.argsort()
        symbols = np.empty(len(text), np.min_scalar_type(len(known)))
        for first in range(0, len(text), _AT_ONCE):
            codes = _codes(text[first:first + _AT_ONCE])
            found = order[np.minimum(np.searchsorted(known, codes, sorter=order), len(known) - 1)] if len(known) else codes
            wrong = np.flatnonzero(known[found] != codes) if len(known) else np.arange(len(codes))
            if len(wrong):
                at, alphabet = first + int(wrong[0]), self.alphabet or ""
                listed = alphabet if len(alphabet) <= 80 else f"{alphabet[:80]}..."
                raise UserError(f"unseen character {text[at]!r} at {at}; expected one of {listed!r}; Text('bytes') takes all",
                                row)
            symbols[first:first + _AT_ONCE] = found
        return symbols

    def _cut(self, text: str, row: int) -> np.ndarray:
        """Its symbols by a tokenizer that was not learned from the data."""
        self._read()
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        if (at := uncovered(encoding, text, self._unknown)) is not None:
            raise UserError(f"{text[at]!r} at {at}: the tokenizer of {self.tokenizer} has no symbol for it; leave it out, or "
                            "take a tokenizer that writes all bytes", row)
        if self._end in encoding.ids:
            end = self._tokenizer.id_to_token(self._end)
            raise UserError(f"holds {end!r}, which to its tokenizer is the end of a text; expected text alone; cut it there",
                            row)
        return np.array(encoding.ids, dtype=np.uint32)

    def _text(self, symbols: np.ndarray) -> str:
        if self.unit == "pieces":
            return self._tokenizer.decode(symbols.tolist())
        if self.unit == "words":
            return _sentence([*map(list(self._words).__getitem__, symbols.tolist())])
        if self.unit == "bytes":
            return symbols.astype(np.uint8).tobytes().decode(errors="replace")
        return _codes(self.alphabet or "")[symbols].astype("<u4").tobytes().decode("utf-32-le", errors="surrogatepass")

    def __repr__(self) -> str:
        if self._longest is None and not self._corpus and self.tokenizer is None:
            return "Text()" if self.unit == "characters" else f"Text({self.unit!r})"
        V, longest = self._learned()
        length = f"in windows of {self.window} every {self.stride}" if longest > self.window else f"at most {self._room} long"
        return f"Text({V} {self.unit}, {length})"


def check_printable(text: str, who: str, *, besides: str = "\n\t\r") -> None:
    """Raise where a text holds a control character, which nobody types."""
    odd = next((i for i, c in enumerate(text) if unicodedata.category(c) == "Cc" and c not in besides), None)
    if odd is not None:
        raise UserError(f"{who}: a control character {text[odd]!r} at {odd}; leave it out")


def words_of(text: str) -> list[str]:
    """A text's words, marks and line ends, in order."""
    return _WORD.findall(text)


def _sentence(words: list[str]) -> str:
    """Words with the blanks that writing puts between them."""
    text = " ".join(words)
    return _AFTER.sub(r"\1", _BEFORE.sub(r"\1", text))


def _codes(text: str) -> np.ndarray:
    """The code points, (L,) int64."""
    return np.frombuffer(text.encode("utf-32-le", errors="surrogatepass"), "<u4").astype(np.int64)


def _texts(raw: np.ndarray) -> list[str]:
    if raw.ndim != 1:
        raise UserError(f"expected one text a row, (B,), got shape {raw.shape}")
    for row, item in enumerate(raw.tolist()):
        if not isinstance(item, str):
            raise NewValue(f"expected text, got {shown(item)}", [row])
    return raw.tolist()


def _trained(corpus: list[str], size: int) -> Any:
    """Byte-pair encoding of at most `size` pieces, all 256 bytes among them."""
    t = tokenizers()
    tokenizer = t.Tokenizer(t.models.BPE())
    tokenizer.pre_tokenizer = t.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = t.decoders.ByteLevel()
    alphabet = t.pre_tokenizers.ByteLevel.alphabet()
    trainer = t.trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(corpus, trainer)
    return tokenizer

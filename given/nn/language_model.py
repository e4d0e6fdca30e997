"""LanguageModel: a model of the package transformers as a causal net over symbols, with its own keys and values as cache.

The token of a step is the symbol of the step before, a number, and its features are the logits of the symbol to come. What y
holds is read before the first step: as symbols that come first by a causal model, by the encoder of one that has one; or it is
what an encoder of pictures has made of it, to which the decoder attends.
"""

from __future__ import annotations

import copy
import inspect
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given.nn.causal import Causal
from given.nn.context import Condition
from given.variables import Space, UserError

__all__ = ["LanguageModel", "PreviousToken"]

# Shapes: B rows, P symbols of y, s steps now, V symbols.


class PreviousToken(nn.Module):
    """Tokens (B, T, 1): the symbol of the step before, 0 for the first.

    Args:
        space: of a sequence of symbols, drawn from the first on.
    """

    def __init__(self, space: Space) -> None:
        super().__init__()
        if len(space.axes) != 1:
            raise UserError(f"expected a sequence of symbols, got {space}")

    def forward(self, values: Tensor, order: Tensor, steps: slice = slice(None)) -> Tensor:
        """(B, D) values -> (B, len(steps), 1)."""
        return F.pad(values[:, :-1], (1, 0))[:, steps, None]


class LanguageModel(Causal):
    """A net of the package transformers, without dropout.

    y's symbols come as the tokens of a `Condition`, (B, P) int64, with `there`: padding first for a causal model, last for an
    encoder; every row has one. Or they are (B, P, C), already encoded.

    Args:
        model: built by that package.
        start: the symbol that a decoder begins with; None for a model without an encoder.
        symbols: V, the first of the model's symbols, of which there are logits.
    """


    def __init__(self, model: nn.Module, start: int | None, symbols: int) -> None:
        super().__init__()
        self.model, self.first, self.width = model, start, symbols
        takes = inspect.signature(model.forward).parameters
        self.past = "cache" if "cache" in takes else "past_key_values"  # its name up to version 5.23
        self.places, self.masked = "position_ids" in takes, "attention_mask" in takes

    def train(self, mode: bool = True) -> LanguageModel:
        """Its dropout would draw from the global generator: there is none."""
        super().train(mode)
        self.model.eval()
        return self

    def forward(self, h: Tensor, y: Condition, order: Tensor) -> Tensor:
        ids, there = self._read(y)
        symbols = h[..., 0].long()
        if self.first is None:
            logits = self._logits(torch.cat([ids, symbols[:, 1:]], 1), there, None)
            return logits[:, ids.shape[1] - 1:]
        symbols = torch.cat([torch.full_like(symbols[:, :1], self.first), symbols[:, 1:]], 1)
        return self._decoded(symbols, self._encoded(ids, there), there, None)

    def start(self, y: Condition) -> Past:
        from transformers import DynamicCache, EncoderDecoderCache

        ids, there = self._read(y)
        with torch.no_grad():
            if self.first is not None:
                kept: Any = EncoderDecoderCache(DynamicCache(), DynamicCache())
                first = torch.full((len(ids),), self.first, device=ids.device)
                return Past(kept, first, 0, there, self._encoded(ids, there))
            kept = DynamicCache()
            if ids.shape[1] > 1:
                self._logits(ids[:, :-1], there, kept)
            return Past(kept, ids[:, -1], ids.shape[1] - 1, there)

    def step(self, h: Tensor, order: Tensor, t: int, cache: Past) -> Tensor:  # type: ignore[override]
        symbols = h[..., 0].long()
        if t == 0:
            symbols = torch.cat([cache.last[:, None], symbols[:, 1:]], 1)
        with torch.no_grad():
            if cache.encoded is not None:
                return self._decoded(symbols, cache.encoded, cache.there, cache.kept)
            return self._logits(symbols, cache.there, cache.kept)

    @staticmethod
    def _read(y: Condition) -> tuple[Tensor, Tensor]:
        assert y.tokens is not None and y.there is not None
        return y.tokens, y.there

    def _logits(self, ids: Tensor, there: Tensor, kept: Any) -> Tensor:
        """(B, s) symbols after those kept -> (B, s, V)."""
        first = 0 if kept is None else kept.get_seq_length()
        end = first + ids.shape[1]
        seen = F.pad(there, (0, max(0, end - there.shape[1])), value=True)[:, :end].long()
        options = {"position_ids": (seen.cumsum(1) - 1).clamp(min=0)[:, first:]} if self.places else {}
        if kept is not None:
            options[self.past] = kept
        return self.model(input_ids=ids, attention_mask=seen, use_cache=kept is not None, **options).logits[..., :self.width]

    def _encoded(self, ids: Tensor, there: Tensor) -> Tensor:
        """(B, P) -> (B, P, C); what is encoded already as it is."""
        if ids.dim() == 3:
            return ids
        encoder: Any = self.model.get_encoder()  # type: ignore[operator]
        return encoder(input_ids=ids, attention_mask=there.long()).last_hidden_state

    def _decoded(self, ids: Tensor, encoded: Tensor, there: Tensor, kept: Any) -> Tensor:
        options: dict[str, Any] = {} if kept is None else {self.past: kept}
        if self.masked:
            options["attention_mask"] = there.long()
        return self.model(encoder_outputs=(encoded,), decoder_input_ids=ids, use_cache=kept is not None,
                          **options).logits[..., :self.width]


class Past:
    """Keys and values of a language model.

    Args:
        kept: its cache, of y's symbols but the last and of the steps so far.
        last: (B,) the symbol of the first step's token.
        before: how many places of the cache are y's.
        there: (B, P) which of y's symbols are no padding.
        encoded: (B, P, C) what an encoder made of them, if there is one.
    """

    def __init__(self, kept: Any, last: Tensor, before: int, there: Tensor, encoded: Tensor | None = None) -> None:
        self.kept, self.last, self.before, self.there, self.encoded = kept, last, before, there, encoded

    def rows(self, index: Tensor) -> Past:
        """The rows `index`, copied."""
        kept = copy.copy(self.kept)
        if self.encoded is None:
            kept.layers = [_rows(layer, index) for layer in self.kept.layers]
        else:
            kept.is_updated = dict(self.kept.is_updated)
            for name in ("self_attention_cache", "cross_attention_cache"):
                one = copy.copy(getattr(self.kept, name))
                one.layers = [_rows(layer, index) for layer in one.layers]
                setattr(kept, name, one)
        encoded = None if self.encoded is None else self.encoded[index]
        return Past(kept, self.last[index], self.before, self.there[index], encoded)

def _rows(layer: Any, index: Tensor) -> Any:
    chosen = copy.copy(layer)
    if layer.keys is not None and layer.keys.dim() == 4:
        chosen.keys, chosen.values = layer.keys[index], layer.values[index]
    return chosen

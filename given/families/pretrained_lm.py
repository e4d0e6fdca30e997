"""PretrainedLM: a language model of the package transformers, as one conditional more.

    p(x | y) = prod_t p(x_t | l, y, x_0, ..., x_{t-1})

A causal model (GPT-2, Llama) reads the lead l, then what the parents hold, then the symbols before the next; one with an
encoder (T5, BART) encodes l and the parents and decodes x after its own start symbol. The lead is what the model's tokenizer
puts before a text, its beginning symbol as a rule, so that the first symbol of x has a probability too: without it there would
be nothing to read before x. `log_prob` is exact, of the symbols that the codec cut the text into, and
the distribution is that of `Autoregressive`: a chain with a cache, here the model's own keys and values. Numbers of the model's
table beyond x's symbols, which pad it, are left out and the rest normalised. Learned on by maximum likelihood, without dropout.

Weights come from a folder of safetensors, never from a pickle and never from the network; of an architecture that transformers
itself knows by `model_type`, so that no code comes with them. A saved model holds configuration and weights.

Source: Radford et al., Language models are unsupervised multitask learners, 2019
Raffel et al., Exploring the limits of transfer learning with a unified text-to-text transformer, 2020 /
https://arxiv.org/abs/1910.10683
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from given import distributions
from given.conditional import Conditional
from given.nn import Condition, LanguageModel, PreviousToken
from given.nn.checkpoint import begins, built_checkpoint, language_model, lead_of, read_checkpoint
from given.variables import Finite, Observed, UserError, Variable

__all__ = ["PretrainedLM"]


class PretrainedLM(Conditional):
    """A language model.

    Args:
        x: a sequence of the model's symbols, such as a text of the codec `Text(tokenizer=path)`.
        parents: sequences of the same symbols, read one after another before x, or by the encoder. Of an unseen one nothing
            is read.
        path: the folder with config.json and *.safetensors.
        config: JSON of an architecture instead, to learn from scratch; what a path holds is kept as that.
        lead: numbers of the symbols before everything else; by default those the folder's tokenizer puts before a text, and
            for a causal model else its beginning symbol, or its end.
    """

    waits = "its net is one of transformers, which looks at masks"

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, path: str | os.PathLike[str] | None = None,
                 config: str | None = None, lead: Sequence[int] | None = None) -> None:
        super().__init__(x, parents)
        if (path is None) == (config is None):
            raise UserError(f"{self}: expected path=, the folder of a model, or config=, an architecture's JSON to learn from "
                            "scratch")
        try:
            model, found = (read_checkpoint(path, language_model) if path is not None else
                            built_checkpoint(config or "", language_model))
            settings = model.config
            if lead is None:
                lead = lead_of(path, settings) if path is not None else begins(settings)
        except UserError as error:
            raise error.at(str(self)) from None
        self.lead, self.encodes = tuple(int(v) for v in lead), bool(settings.is_encoder_decoder)
        start = settings.decoder_start_token_id if self.encodes else None
        self._check(settings, start)
        self.net = LanguageModel(model, start, x.space.size)  # type: ignore[attr-defined]
        self.embed, self.head = PreviousToken(x.space), distributions.LogitsHead(x.space)
        self.ends = settings.eos_token_id if isinstance(settings.eos_token_id, int) else None
        self.steps = torch.arange(x.space.dimensions)  # a plan of the host
        self.arguments = {**{k: v for k, v in self.arguments.items() if k != "path"}, "config": found, "lead": self.lead}

    def _check(self, settings: Any, start: int | None) -> None:
        """Raise `UserError` unless the variables are sequences of the model's symbols that it has places for."""
        V = settings.get_text_config().vocab_size
        for v in (self.x, *self.parents):
            if not isinstance(v.space, Finite) or len(v.space.axes) != 1:
                raise UserError(f"{self}: expected texts of the model's symbols, got {v.name}: {v.space}; pass "
                                "Text(tokenizer=path) as their codec")
            if v.space.size > V:
                raise UserError(f"{self}: {v.name} has {v.space.size} symbols, its end among them, the model knows {V}; use "
                                "the model's own tokenizer, Text(tokenizer=path), one that says which symbol ends a text")
        if self.encodes and not self.parents:
            raise UserError(f"{self}: the model has an encoder, which reads parents, and there are none; declare one, as in "
                            "p(target | source)")
        if self.encodes and start is None:
            raise UserError(f"{self}: config.json names no decoder_start_token_id; add the symbol its decoder begins with")
        if not self.encodes and not self.lead:
            raise UserError(f"{self}: config.json names neither a beginning nor an end symbol; pass lead=, the symbols read "
                            "before a text")
        D, before = self.x.space.dimensions, len(self.lead) + sum(v.space.dimensions for v in self.parents)
        most = getattr(settings.get_text_config(), "max_position_embeddings", None)
        reads = max(D, before) if self.encodes else D + before - 1
        if most is not None and reads > most:
            raise UserError(f"{self}: its texts take up to {reads} places, the model has {most}; pass "
                            f"Text(tokenizer=..., window=...) of fewer")

    def forward(self, y: Observed) -> distributions.Chain:
        ids, there = self._before(y)
        return distributions.Chain(self.x.space, self.steps, self.embed, self.net, nn.ModuleList([self.head]),
                          Condition(torch.zeros(y.n, 0, device=y.device), tokens=ids, there=there))

    def _before(self, y: Observed) -> tuple[Tensor, Tensor]:
        """(B, P) what is read before x, and which of it is no padding: last for an encoder, else first."""
        ids = [torch.tensor(self.lead, dtype=torch.int64, device=y.device).expand(y.n, -1)]
        there = [torch.ones(y.n, len(self.lead), dtype=torch.bool, device=y.device)]
        for v in self.parents:
            e = y[v.name]
            ids.append(e.tensor)
            # A text that a causal model goes on from is not over.
            there.append(e.readable if self.encodes else e.readable & (e.tensor != v.space.end))
        symbols, told = torch.cat(ids, 1), torch.cat(there, 1)
        if self.encodes:  # of nothing, it reads an end
            symbols, told = (torch.cat([part, more], 1) for part, more in (
                (symbols, torch.full((y.n, 1), self.ends or 0, device=y.device)), (told, ~told.any(1, keepdim=True))))
        order = (told ^ self.encodes).long().argsort(dim=1, stable=True)
        symbols, told = symbols.gather(1, order), told.gather(1, order)
        reached = [y[v.name].reach for v in self.parents]
        known = y.n and min(reached, default=0) >= 0  # an end at most is counted that is not read on from
        P = min(len(self.lead) + sum(reached) + self.encodes, told.shape[1]) if known else told.shape[1]
        kept = slice(0, P) if self.encodes else slice(told.shape[1] - P, None)
        symbols, told = symbols[:, kept], told[:, kept]
        return torch.where(told, symbols, 0), told

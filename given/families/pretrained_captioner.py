"""PretrainedCaptioner: an encoder of pictures and a decoder of texts of the package transformers, as one conditional more.

    p(x | y) = prod_t p(x_t | y, x_0, ..., x_{t-1})

The encoder (ViT, DeiT, Swin) reads the picture; the decoder (GPT-2, TrOCR, BERT) attends to what it makes of it, and decodes x
after its own start symbol. `log_prob` is exact, of the symbols that the codec cut the text into. The distribution is that
of `Autoregressive`, a chain with the model's keys and values as its cache, so it is drawn, ranked and searched alike. Numbers
of the model's table beyond x's symbols are left out and the rest normalised. Learned on by maximum likelihood, without dropout.

Weights come from a folder of safetensors, never from a pickle and never from the network. A saved model holds configuration
and weights.

Source: Vinyals, Toshev, Bengio, Erhan, Show and tell: a neural image caption generator, 2015 / https://arxiv.org/abs/1411.4555
Li et al., TrOCR: transformer-based optical character recognition with pre-trained models, 2021 / https://arxiv.org/abs/2109.10282
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch
from torch import nn

from given import distributions
from given.conditional import Conditional
from given.nn import Condition, LanguageModel, Pixels, PreviousToken
from given.nn.checkpoint import built_checkpoint, captioner, read_checkpoint, words_of
from given.variables import Finite, Observed, UserError, Variable

__all__ = ["PretrainedCaptioner"]

_UNREAD = "encoder.pooler"  # a vector of the whole picture, where the decoder attends to parts


class PretrainedCaptioner(Conditional):
    """A model from a picture to a text.

    Args:
        x: a sequence of the model's symbols, such as a text of the codec `Text(tokenizer=path)`.
        parents: one picture, grey or in colour, of any size: it is brought to the encoder's. What of it is unseen is read as
            the mean.
        path: the folder with config.json, preprocessor_config.json and *.safetensors.
        config: JSON of an architecture instead, to learn from scratch; what a path holds is kept as that.
        pixels: with config, JSON of how a picture is prepared, as of preprocessor_config.json.
    """

    waits = "its net is one of transformers, which looks at masks"

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, path: str | os.PathLike[str] | None = None,
                 config: str | None = None, pixels: str | None = None) -> None:
        super().__init__(x, parents)
        if (path is None) == (config is None) or (config is None) != (pixels is None):
            raise UserError(f"{self}: expected path=, the folder of a model, or config= and pixels=, the JSON of an "
                            "architecture and of how pictures are prepared")
        try:
            self._check()
            if path is not None:
                model, config = read_checkpoint(path, captioner, _UNREAD)
                pixels = words_of(path, "preprocessor_config.json")
            else:
                model, config = built_checkpoint(config or "", captioner)
            settings = model.config
            self.pixels = Pixels(self.parents[0], pixels or "", getattr(settings.encoder, "image_size", None))
            start = self._start(settings)
        except UserError as error:
            raise error.at(str(self)) from None
        self.net = LanguageModel(model, start, x.space.size)  # type: ignore[attr-defined]
        for name, p in model.named_parameters():
            p.requires_grad_(not name.startswith(_UNREAD))
        self.embed, self.head = PreviousToken(x.space), distributions.LogitsHead(x.space)
        self.steps = torch.arange(x.space.dimensions)  # a plan of the host
        self.arguments = {**{k: v for k, v in self.arguments.items() if k != "path"}, "config": config, "pixels": pixels}

    def _check(self) -> None:
        if not isinstance(self.x.space, Finite) or len(self.x.space.axes) != 1:
            raise UserError(f"expected a text of the model's symbols, got {self.x.name}: {self.x.space}; pass "
                            "Text(tokenizer=path) as its codec")
        if len(self.parents) != 1:
            raise UserError("expected one picture right of the bar, as in p(caption | picture), got "
                            f"{', '.join(v.name for v in self.parents) or 'none'}")

    def _start(self, settings: object) -> int:
        """The symbol that the decoder begins with.

        Raises:
            UserError: there is none, or the texts have more symbols or places than the decoder.
        """
        decoder = settings.decoder  # type: ignore[attr-defined]
        space = self.x.space
        assert isinstance(space, Finite)
        if space.size > decoder.vocab_size:
            raise UserError(f"{self.x.name} has {space.size} symbols, its end among them, the model knows "
                            f"{decoder.vocab_size}; use the model's own tokenizer, Text(tokenizer=path), one that says which "
                            "symbol ends a text")
        most = getattr(decoder, "max_position_embeddings", None)
        if most is not None and space.dimensions > most:
            raise UserError(f"its texts take up to {space.dimensions} places, the model has {most}; pass "
                            "Text(tokenizer=..., window=...) of fewer")
        found = [v for of in (settings, decoder) for v in (getattr(of, "decoder_start_token_id", None),) if isinstance(v, int)]
        found += [v for v in (decoder.bos_token_id,) if isinstance(v, int)]
        if not found:
            raise UserError("config.json names no decoder_start_token_id; add the symbol its decoder begins with")
        return found[0]

    def forward(self, y: Observed) -> distributions.Chain:
        encoder = self.net.model.get_encoder()  # type: ignore[operator]
        encoded = encoder(pixel_values=self.pixels(y[self.parents[0].name])).last_hidden_state
        there = torch.ones(encoded.shape[:2], dtype=torch.bool, device=y.device)
        return distributions.Chain(self.x.space, self.steps, self.embed, self.net, nn.ModuleList([self.head]),
                                   Condition(torch.zeros(y.n, 0, device=y.device), tokens=encoded, there=there))

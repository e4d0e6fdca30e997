"""PretrainedContrastive: how well a text goes with a picture, as CLIP learned it, as one conditional more: p(text | picture).

    p(x | y) = exp s(x, y) / sum_k exp s(x_k, y),    over the candidates x_k that x may be

x is one of some texts, the categories of its codec; y a picture. s, the model's own logit, is the cosine of what its two towers
make of text and picture, times a learned scale. It was learned by choosing the true text of a picture among those of others, so
it says how candidates compare, and nothing of how probable a text is among all there are: `log_prob` is exact among the
candidates, and of another list it is another number. `among` gives the same model other candidates, which it need never have
seen: an open vocabulary. Learned on by maximum likelihood.

Weights come from a folder of safetensors, never from a pickle and never from the network. A saved model holds configuration,
tokenizer and weights.

Source: Radford et al., Learning transferable visual models from natural language supervision, 2021 /
https://arxiv.org/abs/2103.00020
Zhai, Mustafa, Kolesnikov, Beyer, Sigmoid loss for language image pre-training, 2023 / https://arxiv.org/abs/2303.15343
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from given import distributions
from given.conditional import Conditional
from given.nn import Pixels
from given.nn.checkpoint import built_checkpoint, matcher, read_checkpoint, words_of
from given.tokenizers import tokenizers
from given.tokenizers.folder import unknown
from given.variables import Entries, Finite, Observed, UserError, Variable, shown

__all__ = ["PretrainedContrastive"]


class PretrainedContrastive(Conditional):
    """A model of pictures and texts that chooses among texts.

    Args:
        x: one of some texts, such as of the codec `Label(["a cat", "a dog"])`.
        parents: one picture, grey or in colour, of any size: it is brought to the encoder's. What of it is unseen is read as
            the mean.
        path: the folder with config.json, preprocessor_config.json, tokenizer.json and *.safetensors.
        template: what is read of a category, which stands for "{}".
        config: JSON of an architecture instead, to learn from scratch; what a path holds is kept as that.
        pixels, tokenizer: with config, JSON of preprocessor_config.json and of tokenizer.json.
    """

    waits = "its net is one of transformers, which looks at masks"

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, path: str | os.PathLike[str] | None = None,
                 template: str = "{}", config: str | None = None, pixels: str | None = None,
                 tokenizer: str | None = None) -> None:
        super().__init__(x, parents)
        if {option is None for option in (config, pixels, tokenizer)} != {path is not None}:
            raise UserError(f"{self}: expected path=, the folder of a model, or config=, pixels= and tokenizer=, the JSON of "
                            "an architecture, of how pictures are prepared and of how texts are cut")
        try:
            if "{}" not in template:
                raise UserError(f"template={template!r}; expected a text with '{{}}', where the category stands")
            if len(self.parents) != 1:
                raise UserError("expected one picture right of the bar, as in p(text | picture), got "
                                f"{', '.join(v.name for v in self.parents) or 'none'}")
            if path is not None:
                self.net, config = read_checkpoint(path, matcher)
                pixels, tokenizer = (words_of(path, name) for name in ("preprocessor_config.json", "tokenizer.json"))
            else:
                self.net, config = built_checkpoint(config or "", matcher)
            for name, p in self.net.eval().named_parameters():
                p.requires_grad_(name != "logit_bias")  # SigLIP's, the same for all candidates
            self.pixels = Pixels(self.parents[0], pixels or "", getattr(self.net.config.vision_config, "image_size", None))
            self.template, self.tokenizer = template, _tokenizer(tokenizer or "")
            self._texts(x)
        except UserError as error:
            raise error.at(str(self)) from None
        self.arguments = {**{k: v for k, v in self.arguments.items() if k != "path"}, "config": config, "pixels": pixels,
                          "tokenizer": tokenizer}

    def among(self, x: Variable) -> PretrainedContrastive:
        """The same weights, of other candidates.

        Args:
            x: one of some texts.

        Raises:
            UserError: a text that is longer than the model reads.
        """
        other = nn.Module.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.x, other.arguments = x, {**self.arguments, "x": x}
        try:
            other._texts(x)
        except UserError as error:
            raise error.at(str(self)) from None
        return other

    def train(self, mode: bool = True) -> PretrainedContrastive:
        """Its dropout would draw from the global generator: there is none."""
        super().train(mode)
        self.net.eval()
        return self

    def forward(self, y: Observed) -> distributions.Categorical:
        ids, there = (t.to(y.device) for t in self._texts(self.x))
        masked = {} if self._padded else {"attention_mask": there}
        found = self.net(input_ids=ids, pixel_values=self.pixels(y[self.parents[0].name]), **masked)
        return distributions.Categorical(found.logits_per_image, self.x.space)  # type: ignore[arg-type]

    @property
    def _padded(self) -> bool:
        """Whether texts are padded to one length and padding is read, as SigLIP learned it."""
        return bool(self.net.config.model_type == "siglip")

    def _texts(self, x: Variable) -> tuple[Tensor, Tensor]:
        """(K, T) symbols of all candidates, and which are no padding.

        Raises:
            UserError: x is no category, or one that the model does not read to its end.
        """
        if not isinstance(x.space, Finite) or x.space.axes:
            raise UserError(f"expected one of some texts, got {x.name}: {x.space}; pass Label([...]) as its codec")
        said = self.net.config.text_config
        texts = [self.template.replace("{}", str(value)) for value in x.codec.decode(Entries(torch.arange(x.space.size)))]
        cut, other = self.tokenizer.encode_batch(texts), unknown(self.tokenizer)
        each = [encoding.ids for encoding in cut]
        for text, ids, encoding in zip(texts, each, cut, strict=True):
            if not ids or len(ids) > said.max_position_embeddings:
                raise UserError(f"{x.name}: {shown(text)} is {len(ids)} pieces long; expected 1 to "
                                f"{said.max_position_embeddings}, which the model reads; "
                                + ("shorten it" if ids else "write a word"))
            if any(v == other and not added for v, added in zip(ids, encoding.special_tokens_mask, strict=True)):
                raise UserError(f"{x.name}: {shown(text)} has what the model has no symbol for; write it otherwise")
            if max(ids) >= said.vocab_size:
                raise UserError(f"{x.name}: {shown(text)} has the symbol {max(ids)}, and the model knows {said.vocab_size}; "
                                "expected the model's own tokenizer")
        most = said.max_position_embeddings if self._padded else max(map(len, each))
        pad = next(v for v in (said.pad_token_id, said.eos_token_id, 0) if isinstance(v, int))
        return (torch.tensor([ids + [pad] * (most - len(ids)) for ids in each]),
                torch.tensor([[1] * len(ids) + [0] * (most - len(ids)) for ids in each]))


def _tokenizer(said: str) -> Any:
    try:
        found = tokenizers().Tokenizer.from_str(said)
    except UserError:
        raise
    except Exception as error:  # the package raises nothing narrower
        raise UserError(f"tokenizer.json: cannot be read ({' '.join(str(error).split())[:80]}); save it again") from None
    found.no_truncation()
    found.no_padding()
    return found

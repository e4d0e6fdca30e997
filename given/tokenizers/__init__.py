"""How is a text cut into symbols? Characters, bytes, words and byte-pair pieces, learned or of a pretrained language model.
No entries, no windows, no probability."""

from given.tokenizers.characters import Bytes, Characters
from given.tokenizers.folder import read_tokenizer, spelled
from given.tokenizers.package import tokenizers
from given.tokenizers.pieces import BytePairs, Pretrained
from given.tokenizers.tokenizer import Tokenizer
from given.tokenizers.words import Words, words_of

__all__ = ["BytePairs", "Bytes", "Characters", "Pretrained", "Tokenizer", "Words", "read_tokenizer", "spelled", "tokenizers",
           "words_of"]

"""In how few bits do rows go? A range coder, distributions walked symbol by symbol, files."""

from given.infer.compression.archive import Compressed, compress, decompress

__all__ = ["Compressed", "compress", "decompress"]

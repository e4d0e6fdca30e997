"""How is a parent read? Readers: each is built for a space and makes of its entries vectors that nets read."""

from given.nn.readers.convolutions import Convolutions, Pyramid
from given.nn.readers.cuts import Patches, Windows
from given.nn.readers.encoder import Encoder
from given.nn.readers.features import Features
from given.nn.readers.interpolated import Interpolated
from given.nn.readers.items import Items
from given.nn.readers.moved import Moved
from given.nn.readers.painted import Painted
from given.nn.readers.reader import Cells, Read, Reader
from given.nn.readers.tokens import Tokens
from given.nn.readers.vectors import Flat, Numbers, Places, Symbols

__all__ = ["Cells", "Convolutions", "Encoder", "Features", "Flat", "Interpolated", "Items", "Moved", "Numbers", "Painted",
           "Patches", "Places", "Pyramid", "Read", "Reader", "Symbols", "Tokens", "Windows"]

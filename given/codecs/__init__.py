"""How does raw data become x? One file a codec; codecs know no model."""

from given.codecs.image import Image
from given.codecs.infer import infer
from given.codecs.label import Label
from given.codecs.number import Number
from given.codecs.plain import Plain
from given.codecs.table import Table
from given.codecs.text import Text

__all__ = ["Image", "Label", "Number", "Plain", "Table", "Text", "infer"]

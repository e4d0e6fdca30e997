"""How does raw data become x? One file a codec; codecs know no model."""

from given.codecs.image import Image
from given.codecs.infer import infer, infer_table
from given.codecs.label import Integer, Label
from given.codecs.number import Number, Time
from given.codecs.plain import Plain
from given.codecs.table import Table
from given.codecs.text import Text

__all__ = ["Image", "Integer", "Label", "Number", "Plain", "Table", "Text", "Time", "infer", "infer_table"]

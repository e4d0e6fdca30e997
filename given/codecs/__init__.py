"""How does raw data become x? One file a codec; codecs know no model."""

from given.codecs.block import BlockCodec
from given.codecs.complex import Complex
from given.codecs.coordinates import Coordinates
from given.codecs.identity import IdentityCodec
from given.codecs.image import Image, Video
from given.codecs.infer import infer, infer_table
from given.codecs.label import Integer, Label
from given.codecs.label_map import LabelMap
from given.codecs.log_mel import LogMel
from given.codecs.mu_law import MuLaw
from given.codecs.number import Number
from given.codecs.series import Series
from given.codecs.set import Set
from given.codecs.text import Text
from given.codecs.time import Time
from given.codecs.voxels import Voxels

__all__ = ["BlockCodec", "Complex", "Coordinates", "IdentityCodec", "Image", "Integer", "Label", "LabelMap", "LogMel",
           "MuLaw", "Number", "Series", "Set", "Text", "Time", "Video", "Voxels", "infer", "infer_table"]

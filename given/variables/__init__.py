"""What is x? Spaces, entries, codecs, variables: the nouns every other floor uses. No distribution, no network, no file
format."""

from given.variables.codec import MISSING, Codec, Variable, built_with, check_pickles
from given.variables.entries import Entries, Observed
from given.variables.errors import NewValue, UserError, nearest, shown
from given.variables.helmert import helmert
from given.variables.item_sets import counted, in_order, log_repeats, most_items, reordered
from given.variables.spaces import Axis, Finite, Product, Real, Space
from given.variables.windows import Cut, Pieces, Whole, last_window, room

__all__ = ["Axis", "Codec", "Cut", "Entries", "Finite", "MISSING", "NewValue", "Observed", "Pieces", "Product", "Real", "Space",
           "UserError", "Variable", "Whole", "built_with", "check_pickles", "counted", "helmert", "in_order",
           "last_window", "log_repeats", "most_items", "nearest", "reordered", "room", "shown"]

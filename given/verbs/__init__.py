"""What can a user do? A model of a joint, and its verbs. The same verbs are the command line's."""

from given.verbs.answer import Answer
from given.verbs.apart import fit_apart
from given.verbs.assessment import assess
from given.verbs.building import default_family, load, model
from given.verbs.checkpoints import pretrained
from given.verbs.comparing import compare
from given.verbs.divergences import Divergences, divergences
from given.verbs.drift import drift
from given.verbs.linked import LinkedModel
from given.verbs.models import Model
from given.verbs.plane import plane
from given.verbs.quality import quality
from given.verbs.query import Query
from given.verbs.shuffling import reliance

__all__ = ["Answer", "Divergences", "LinkedModel", "Model", "Query", "assess", "compare", "default_family", "divergences",
           "drift", "fit_apart", "load", "model", "plane", "pretrained", "quality", "reliance"]

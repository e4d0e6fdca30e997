"""How is it learned? The loop, the batches, the checkpoints."""

from given.train.batches import Batches, EncodedBatch, FactorBatches, encoded
from given.train.checkpoint import check_place, replace_folder, whole_folder
from given.train.em import maximise_expectation
from given.train.exported import EXPORTED_FILES, export_joint
from given.train.fit import FitResult, fit, held_out_score, split
from given.train.loop import Budget, Diverged, Trainer
from given.train.saved import MODEL_FILES, fingerprint, load_joint, save_joint

__all__ = [
    "Batches",
    "Budget",
    "Diverged",
    "EXPORTED_FILES",
    "EncodedBatch",
    "FactorBatches",
    "FitResult",
    "MODEL_FILES",
    "Trainer",
    "check_place",
    "encoded",
    "export_joint",
    "fingerprint",
    "fit",
    "held_out_score",
    "load_joint",
    "maximise_expectation",
    "replace_folder",
    "save_joint",
    "split",
    "whole_folder",
]

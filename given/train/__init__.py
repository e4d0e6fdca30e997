"""How is it learned? The loop, the batches, the checkpoints."""

from given.train.adamw import AdamW
from given.train.ahead import ahead
from given.train.batches import Batches, EncodedBatch, FactorBatches, encoded
from given.train.checkpoint import check_place, replace_folder, whole_folder
from given.train.codes import CodedBatches, coded
from given.train.em import expectation, maximise_expectation
from given.train.exported import EXPORTED_FILES, export_joint
from given.train.fit import FitResult, fit, row_numbers, split
from given.train.judge import Judge, nested, numbered
from given.train.loop import Budget, Diverged, Trainer
from given.train.saved import LINKED_INDEX, MODEL_FILES, fingerprint, joint_files, load_joint, made_with, save_joint

__all__ = [
    "AdamW",
    "Batches",
    "Budget",
    "CodedBatches",
    "Diverged",
    "EXPORTED_FILES",
    "EncodedBatch",
    "FactorBatches",
    "FitResult",
    "Judge",
    "LINKED_INDEX",
    "MODEL_FILES",
    "Trainer",
    "ahead",
    "check_place",
    "coded",
    "encoded",
    "expectation",
    "export_joint",
    "fingerprint",
    "fit",
    "joint_files",
    "load_joint",
    "made_with",
    "maximise_expectation",
    "nested",
    "numbered",
    "replace_folder",
    "row_numbers",
    "save_joint",
    "split",
    "whole_folder",
]

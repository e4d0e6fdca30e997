"""Is it any good? Scores with their errors, comparisons, two-sample tests, a diagnosis, pictures, reports."""

from given.evaluate.assessment import Assessment
from given.evaluate.backtests import Backtest, backtest, crossing, holm, pinball, serial_error, sharpe
from given.evaluate.calibration import Calibration, coverage, reliability
from given.evaluate.chains import chain_figures, chain_geometry, nearest_rmsd, random_walks
from given.evaluate.closed_loop import Rollouts, World, rollouts, worlds
from given.evaluate.compare import Comparison
from given.evaluate.conformal import FalseAlarms
from given.evaluate.discrimination import independent, told_apart
from given.evaluate.divergence import Divergence
from given.evaluate.drift import Drift, Moved, drifted, marginal_p_value
from given.evaluate.energy_score import crps, energy
from given.evaluate.features import Features
from given.evaluate.frames import mean_squared_error, psnr, sharpness
from given.evaluate.latent_factors import Disentanglement, disentanglement, recovery
from given.evaluate.leaderboard import Entrant, Leaderboard
from given.evaluate.leaderboard_page import leaderboard_page
from given.evaluate.matched import Matched, matched
from given.evaluate.molecules import molecule_figures, molecule_table
from given.evaluate.neighbours import Copies, Support, copies, diversity, support
from given.evaluate.one_shot import OneShotEpisode, nearest_hausdorff, one_shot_episodes, one_shot_error
from given.evaluate.page import page
from given.evaluate.picture import contact_sheet, picture
from given.evaluate.quality import Quality, quality_of
from given.evaluate.quality_page import quality_page
from given.evaluate.reliance import Reliance
from given.evaluate.scatter import scatter
from given.evaluate.score import Score, weighted_mean, wilson_interval
from given.evaluate.train_on_draws import Usefulness, usefulness
from given.evaluate.two_sample import ClassifierTest, KernelTest, classifier_two_sample, mmd
from given.evaluate.verdict import Diagnosis, diagnosis, paired, worst
from given.evaluate.voxels import intersection_over_union, rendered

__all__ = [
    "Assessment",
    "Backtest",
    "Calibration",
    "ClassifierTest",
    "Comparison",
    "Copies",
    "Diagnosis",
    "Disentanglement",
    "Divergence",
    "Drift",
    "Entrant",
    "FalseAlarms",
    "Features",
    "KernelTest",
    "Leaderboard",
    "Matched",
    "Moved",
    "OneShotEpisode",
    "Quality",
    "Reliance",
    "Rollouts",
    "Score",
    "Support",
    "Usefulness",
    "World",
    "backtest",
    "chain_figures",
    "chain_geometry",
    "classifier_two_sample",
    "contact_sheet",
    "copies",
    "coverage",
    "crossing",
    "crps",
    "diagnosis",
    "disentanglement",
    "diversity",
    "drifted",
    "energy",
    "holm",
    "independent",
    "intersection_over_union",
    "leaderboard_page",
    "marginal_p_value",
    "matched",
    "mean_squared_error",
    "mmd",
    "molecule_figures",
    "molecule_table",
    "nearest_hausdorff",
    "nearest_rmsd",
    "one_shot_episodes",
    "one_shot_error",
    "page",
    "paired",
    "picture",
    "pinball",
    "psnr",
    "quality_of",
    "quality_page",
    "random_walks",
    "recovery",
    "reliability",
    "rendered",
    "rollouts",
    "scatter",
    "serial_error",
    "sharpe",
    "sharpness",
    "support",
    "told_apart",
    "usefulness",
    "weighted_mean",
    "wilson_interval",
    "worlds",
    "worst",
]

"""Deliberate mistakes, each one line of the source that still passes every check of shapes, each seen to fail a named law.

A mutant replaces one function by its own source with one line changed. That the sound source passes, the tests of the laws and
of the checks show.
"""

import inspect
import textwrap
from dataclasses import dataclass
from functools import partial
from importlib import import_module

import pytest
from test_autoencoder import check_codes, check_unseen, check_wrapped_codes
from test_backbone import check_turns as check_turned_chains
from test_blocks import check_joint_head, check_loss_is_the_chain, check_target_is_hidden
from test_boosted_trees import check_as_grown, check_hazards, check_histogram
from test_classics import (
    check_bandwidth,
    check_few_rows,
    check_gaussian_structures,
    check_kernel_density,
    check_kmeans,
    check_kmeans_weights,
    check_pca,
    check_structures,
    check_varimax,
)
from test_coding import check_counts, check_lengths, check_other_weights, check_tables
from test_complex import check_amplitude, check_rotations, check_tied_scale
from test_conditions import check_length, check_nulls, check_reliance, check_room, check_spread
from test_crops import check_apart, check_covering, check_epochs
from test_crops import pictures as many_sizes
from test_ctc import check_enumerated as check_enumerated_paths
from test_decoding import check_beam, check_by_hand, check_strings, check_truncated_law
from test_describe import check_along, check_complete, check_line, check_strip
from test_divergences import (
    check_categorical,
    check_gan,
    check_normal,
    check_squared_error,
    check_wasserstein,
)
from test_drift import check_expected
from test_events import check_pair, check_step
from test_events import enumerated as check_listed
from test_exemplars import check_apart as check_peel
from test_exemplars import check_by_hand as check_matching
from test_exemplars import check_cut, check_longest
from test_exponential_smoothing import check_dense as check_dense_smoothing
from test_exponential_smoothing import check_draws as check_smoothed_draws
from test_exponential_smoothing import check_learned as check_smoothing_learned
from test_fill import check_chosen as check_choice
from test_fill import check_energy
from test_fill import check_halves as check_sides
from test_finance import check_option, check_runs
from test_forecasting import check_months
from test_gaps import check_dense as check_dense_gaps
from test_gaps import check_enumerated
from test_garch import check_innovations, check_leap, check_learned, check_realized_recursion, check_recursion
from test_grounded import check_any_order
from test_hawkes import check_draws as check_arrivals
from test_hawkes import check_few_at_once, check_intensity, check_quantile, check_scan
from test_hawkes import check_learned as check_arrivals_learned
from test_health import check_damage, check_spans, check_whole
from test_hidden_markov import check_enumeration, check_given, check_rises
from test_importance import check_parts
from test_joint import check_bayes, check_raw_density
from test_known_parts import check_guided_kinds, check_levels, check_view
from test_labelled_few import check_partly_known
from test_latent_factors import check_axes
from test_latent_factors import check_turned as check_turned_codes
from test_latents import check_bound, check_draws, check_factor_posterior, check_packed_bound
from test_laws import CODECS, FAMILIES
from test_lessons import check_quasi_newton
from test_linear_series import check_across, check_correlation, check_ridge, check_season, check_sizes, check_skip
from test_linked import check_facts
from test_mar import check_as_drawn, check_dropped, check_guidance_by_hand, check_layers_are_open
from test_molecules import check_attached, check_rewritten
from test_nearest_neighbour import check_chosen, check_common, check_frequencies, check_scales, check_ties_are_neighbours
from test_nets import check_prediction, check_steps
from test_one_dimensional import check_standard_errors
from test_paths import (
    check_drops,
    check_fine_entries,
    check_learned_parts,
    check_order,
    check_path,
    check_prior_term,
    check_seeded_hutchinson,
    check_weak_order,
)
from test_picture import check_prototypes
from test_pictures import (
    SQUARE,
    check_beta,
    check_entries_of_blocks,
    check_inverse,
    check_penalties,
    check_quantised,
    check_there_and_back,
    check_warm_up,
)
from test_policy import check_chunks, check_horizon, check_left_over, check_ordered
from test_quality import check_gower
from test_quality import check_level as check_chance
from test_referee import (
    check_calibration,
    check_contours,
    check_copies,
    check_diagnosis,
    check_diversity,
    check_interval,
    check_level,
    check_mmd_is_unbiased,
    check_numbers,
    check_support,
    check_ties,
    check_time,
    check_usefulness,
)
from test_scales import check_slopes
from test_selection import check_halves, check_held_out
from test_series import check_shared_length, check_together, check_windows, check_within
from test_series_sources import check_calendar
from test_set_readers import check_compared, check_items, check_painted
from test_sets import check_once, check_pattern, check_volume
from test_shape import check_distinct
from test_state_space import PARTS, check_dense, check_paths
from test_text import check_kneser_ney, check_pieces, check_weights, check_witten_bell
from test_toys import (
    check_factors,
    check_flow_matching,
    check_flowing,
    check_latent_group,
    check_mixture,
    check_padding,
    check_tree,
)
from test_traffic import check_renewal
from test_train import check_followed, check_resume
from test_upscale import check_one_scale, check_shown, check_straight
from test_video import check_goes_on, check_left_after, check_moves, check_shown_long
from test_watching import check_share

import given.codecs
import given.distributions
import given.distributions.continuous_flow
import given.distributions.flow_density
import given.distributions.hidden_markov
import given.evaluate.backtests
import given.evaluate.calibration
import given.evaluate.charts
import given.evaluate.closed_loop
import given.evaluate.discrimination
import given.evaluate.divergence
import given.evaluate.drift
import given.evaluate.energy_score
import given.evaluate.latent_factors
import given.evaluate.leaderboard
import given.evaluate.marginals
import given.evaluate.neighbours
import given.evaluate.privacy
import given.evaluate.train_on_draws
import given.evaluate.two_sample
import given.evaluate.verdict
import given.families
import given.families.factor_analysis
import given.families.transformer_flow
import given.infer.compression.archive
import given.infer.compression.range_coder
import given.infer.constraint
import given.infer.options
import given.infer.posterior
import given.infer.stopping
import given.infer.weighing
import given.infer.within
import given.joint
import given.lessons
import given.nn.adaptive_mlp
import given.nn.attention
import given.nn.context
import given.nn.diagonal_lstm
import given.nn.embedding
import given.nn.fused_step
import given.nn.gated_pixel_cnn
import given.nn.language_model
import given.nn.pixel_cnn
import given.nn.readers.cuts
import given.nn.readers.encoder
import given.nn.readers.features
import given.nn.readers.interpolated
import given.nn.readers.reader
import given.nn.readers.tokens
import given.nn.row_layout
import given.nn.row_lstm
import given.selection
import given.solve
import given.sources.episodes
import given.sources.video_files
import given.tasks.fill
import given.tasks.health
import given.tasks.picture
import given.tasks.traffic
import given.tasks.upscale
import given.train.batches
import given.train.em
import given.train.exported
import given.train.loop
import given.variables
import given.verbs.along
import given.verbs.assessment
import given.verbs.choosing
import given.verbs.completion
import given.verbs.describing
import given.verbs.linked
import given.verbs.linked_rows
import given.verbs.shuffling
from given.testing import CODEC_LAWS, FAMILY_LAWS, prepared


def family(law, case):
    return lambda: FAMILY_LAWS[law](prepared(FAMILIES[case]()))


def pretrained(check, package="transformers"):
    def checked():
        pytest.importorskip(package)
        check()

    return checked


def check_export():
    from test_pretrained import check_export

    check_export()


def check_turns():
    from test_recognise import check_turns

    check_turns()


def codec(law, case):
    return lambda: CODEC_LAWS[law](CODECS[case][0](), CODECS[case][1])


@dataclass(frozen=True)
class Mutant:
    owner: object
    name: str
    line: str
    instead: str
    caught_by: object


MUTANTS = {
    "a frame is given those before the last ones": Mutant(
        given.distributions.markov_chain, "_moved", "window.tensor[:, 1:], values[:, None]",
        "window.tensor[:, :1], values[:, None]", check_goes_on),
    "what is moved comes from the other side": Mutant(
        given.families.DynamicFilter, "_near", "range(2 * self.reach + 1)", "reversed(range(2 * self.reach + 1))", check_moves),
    "what is left over is learned beside what it is left of": Mutant(
        given.families.Residual, "lessons", "lesson.stage + 1", "lesson.stage", check_left_after),
    "a change is scored in its own units": Mutant(
        given.distributions.Affine, "log_prob", "seed=seed) - volume", "seed=seed)",
        family("density_is_normalised", "Change")),
    "an entry's own error is known before it": Mutant(
        given.nn.AdaptivePrediction, "forward", "(self.block, -1)", "(self.block - 1, 0)",
        family("steps_are_the_whole", "Autoregressive levels, predicted by the last")),
    "levels of mu-law are all as wide": Mutant(
        given.codecs.MuLaw, "log_volume", "np.diff(self.edges())", "np.full(self.levels, 2 / self.levels)",
        codec("volume_is_the_derivative", "MuLaw")),
    "phases are as they fall": Mutant(
        given.codecs.LogMel, "_sounding", "range(_ROUNDS)", "range(0)", codec("decoding_undoes_encoding", "LogMel")),
    "a set is as probable as one of its orders": Mutant(
        given.distributions.Unordered, "log_prob", "_summed(each, orders, n)", "each[0]",
        family("density_is_normalised", "Unordered")),
    "an order that is drawn again counts again": Mutant(
        given.distributions.unordered, "_summed", ".masked_fill(again, -torch.inf)", "", check_once),
    "neighbours that are alike are two symbols": Mutant(
        given.distributions.CTC, "_after", "torch.where(again, paths.blank, _either(paths))", "_either(paths)",
        check_enumerated_paths),
    "frames of padding say something": Mutant(
        given.distributions.CTC, "_after", "enters.masked_fill(~self.last[paths.row], _NEVER)", "enters",
        check_enumerated_paths),
    "an item that is no more is pointed at": Mutant(
        given.distributions.Pointer, "__init__", "masked_fill(~there, -torch.inf)", "masked_fill(~there & there, -torch.inf)",
        check_any_order),
    "what is left over is scored in units of its own": Mutant(
        given.distributions.Affine, "log_prob", "seed=seed) - volume", "seed=seed)", check_left_over),
    "a past reaches into the episode before": Mutant(
        given.sources.episodes, "chunks", "np.maximum(here[:, None] - np.arange(history)[::-1], first[:, None])",
        "np.maximum(here[:, None] - np.arange(history)[::-1], 0)", check_chunks),
    "steps of an episode stand as a table has them": Mutant(
        given.sources.episodes, "in_order", 'np.argsort(item, kind="stable")', "np.arange(len(item))", check_ordered),
    "a frame that is shown longer is one frame": Mutant(
        given.sources.video_files, "_gif", "round(time / min(shown))", "1", check_shown_long),
    "all actions that are said are done": Mutant(
        given.evaluate.closed_loop, "rollouts", "min(execute, chunk.shape[1], steps - t)", "min(chunk.shape[1], steps - t)",
        check_horizon),
    "a pattern is forgotten": Mutant(
        given.distributions.Sequential, "_ending", "distribution.keep(self.possible[place])", "pass",
        check_pattern),
    "what stands where no item is is read": Mutant(
        given.nn.readers.items._Items, "forward", "place < counted(x, self.space)[:, None]", "place[None] < 9", check_items),
    "items are compared with what stands where no item is": Mutant(
        given.nn.readers.items._Compared, "forward", "~both[..., None], -torch.inf", "~both[..., None], 0.0", check_compared),
    "items are laid over the grid's mirror": Mutant(
        given.nn.readers.painted._Painted, "forward", "zip(self.cells, self.edges,", "zip(self.cells, self.edges[::-1],",
        check_painted),
    "items in one bin are one item": Mutant(
        given.codecs.Set, "log_volume", "return of_item + apart", "return of_item", check_volume),
    "children are drawn given another parent": Mutant(
        given.verbs.linked.LinkedModel, "_children", "[column][rows if table == of", "[column][rows[::-1] if table == of",
        check_facts),
    "a child is drawn as if it were the first": Mutant(
        given.verbs.linked.LinkedModel, "_children", "[at] if number else", "[at] if number < 0 else", check_facts),
    "a parent has a child fewer": Mutant(
        given.verbs.linked.LinkedModel, "_children", "range(counts.max(initial=0))", "range(counts.max(initial=0) - 1)",
        check_facts),
    "a child is its own sibling before": Mutant(
        given.verbs.linked_rows, "_previous", "[values[:1], values[:-1]]", "[values]", check_facts),
    "a row left out keeps its own kernel": Mutant(
        given.families.KernelDensity, "_leave_one_out", "weights[own, some] - 1", "weights[own, some] - 0",
        check_bandwidth),
    "copies of a row are rows of their own": Mutant(
        given.families.KernelDensity, "_leave_one_out", "- 1).clamp", "- 0.5).clamp", check_bandwidth),
    "kernels of few rows grow without end": Mutant(
        given.families.KernelDensity, "_choose", "min(h * ratio**k, _BROADEST)", "h * ratio**k", check_few_rows),
    "distances are expanded": Mutant(
        given.distributions.Kernels, "_normal", "donot_use_mm_for_euclid_dist", "use_mm_for_euclid_dist", check_kernel_density),
    "kernels of parts keep what is unseen": Mutant(
        given.distributions.Kernels, "_block", "total + each, total)", "total + each, total + each)",
        family("marginals_are_sums", "KernelDensity of symbols")),
    "a number is chosen by rows it was learned from": Mutant(
        given.selection, "_choose", "_some(rows, f, held=False)", "_some(rows, -1, held=False)", check_held_out),
    "rows that choose have one weight": Mutant(
        given.selection, "_choose", "total += float(weight.double() @ ", "total += float(torch.ones(len(weight)).double() @ ",
        check_halves),
    "a number is held out by the place of a row": Mutant(
        given.selection, "_rows", "key < share)", "key < share + flat.tensor[:, 0])", check_halves),
    "PCA takes the least directions": Mutant(
        given.families.PCA, "_solve", "vectors = vectors.flip(1)", "vectors = vectors", check_pca),
    "darts are thrown whatever the rows weigh": Mutant(
        given.families.Autoencoder, "_measure", ".double()), weight, self", ".double()), weight.sign() + 1, self", check_codes),
    "an autoencoder's error counts what is unseen": Mutant(
        given.families.Autoencoder, "reconstruction_error", "flat.scored, ", "flat.valid, ", check_unseen),
    "an autoencoder reads what is unseen": Mutant(
        given.families.Autoencoder, "_encoded", "torch.where(flat.scored, flat.tensor, 0.0)", "flat.tensor", check_unseen),
    "a latent is gone along by units": Mutant(
        given.verbs.along, "_along", "torch.diag(spread[0])", "torch.diag(spread[0] ** 0)", check_along),
    "what a row has is not kept along a latent": Mutant(
        given.verbs.along, "_along", "if around is not None:", "if around is None and False:", check_along),
    "a line between two rows goes the other way": Mutant(
        given.verbs.describing, "interpolated", "(1 - t) * ends[0] + t * ends[1]", "(1 - t) * ends[1] + t * ends[0]",
        check_line),
    "what moves a picture least comes first": Mutant(
        given.verbs.describing, "strip", "descending=True", "descending=False", check_strip),
    "parts of many draws weigh as one": Mutant(
        given.distributions.Latent, "importance", "noise.fold(first) if first else noise", "noise", check_parts),
    "a wrapped family reads levels for points": Mutant(
        given.families.Dequantised, "_encode", "middles(x, self.space)", "x.of(x.tensor.double())", check_wrapped_codes),
    "a row without a column is a prototype": Mutant(
        given.verbs.describing, "_prototypes", "(rows[by] == value) & whole", "rows[by] == value", check_complete),
    "what lacks a feature goes right": Mutant(
        given.families.boosted_trees, "leaves_left", "lacking_left == 0", "lacking_left >= 0", check_as_grown),
    "leaves that one node rules out are left": Mutant(
        given.families.boosted_trees, "leaves_left", "& left[", "| left[", check_as_grown),
    "a hazard forgets the classes before": Mutant(
        given.families.BoostedTrees, "_distribution", "F.logsigmoid(scores), (0, 1)) + none_before",
        "F.logsigmoid(scores), (0, 1))", check_hazards),
    "a tail has the other end's width": Mutant(
        given.distributions.Histogram, "each", "[self.below[None], self.widths, self.above[None]]",
        "[self.above[None], self.widths, self.below[None]]", check_histogram),
    "a rise is of half a span": Mutant(given.tasks.health, "shown", "12 * lean", "6 * lean", check_spans),
    "damage is beside the end of a life": Mutant(
        given.tasks.health, "_followed", "x[:_SMOOTH].mean(0)", "x[-_SMOOTH:].mean(0)", check_damage),
    "rows of one value are held out one by one": Mutant(
        given.train, "split", "if values is None else", "if n else", check_whole),
    "a row left out is its own neighbour": Mutant(
        given.families.NearestNeighbour, "_left_out", "rows] -= 1", "rows] -= 0", check_chosen),
    "of rows as near as the k-th some are neighbours": Mutant(
        given.families.NearestNeighbour, "_near", "squared <= rising", "squared < rising", check_ties_are_neighbours),
    "one neighbour more": Mutant(
        given.families.NearestNeighbour, "_near", "(mass < k / _TIE)", "(mass <= k)", check_frequencies),
    "distances are in raw units": Mutant(
        given.families.NearestNeighbour, "_standardise", "unit.repeat", "unit.sign().repeat", check_scales),
    "what is unseen brings rows nearer": Mutant(
        given.families.NearestNeighbour, "_squared", "total / common", "total", check_common),
    "a ball's variance is a row's": Mutant(
        given.families.KMeans, "_pass", "entries + float(amount.sum())", "entries + float(weight.sum())", check_kmeans),
    "a centre is the mean of rows whatever their weight": Mutant(
        given.families.KMeans, "_pass", "amount = weight[:, None] * seen", "amount = (weight[:, None] > 0) * seen.double()",
        check_kmeans_weights),
    "a ball's share counts rows whatever their weight": Mutant(
        given.families.KMeans, "_pass", "rows.index_add_(0, nearest, weight)",
        "rows.index_add_(0, nearest, torch.ones_like(weight))", check_kmeans_weights),
    "squares count rows whatever their weight": Mutant(
        given.families.KMeans, "_pass", "float(weight @ least)", "float(least.sum())", check_kmeans_weights),
    "tied covariances count components alike": Mutant(
        given.distributions.Tied, "likeliest", "counts / counts.sum()", "torch.ones_like(counts) / len(counts)",
        partial(check_structures, ["tied"])),
    "low rank takes the noise of its start": Mutant(
        given.distributions.LowRank, "likeliest", "own - (loading**2).sum(-1), least)", "noise, least)",
        check_gaussian_structures),
    "a Gaussian forgets its structure": Mutant(
        given.families.Gaussian, "_maximise", "self.structure.likeliest(torch.stack(found), counts)", "torch.stack(found)",
        check_gaussian_structures),
    "varimax scales": Mutant(
        given.distributions.Varimax, "turned", "turn, rise = u @ v,", "turn, rise = 2 * u @ v,", check_varimax),
    "varimax turns nothing": Mutant(
        given.distributions.Varimax, "turned", "turn, rise = u @ v,", "turn, rise = turn,", check_varimax),
    "standard errors forget how numbers go together": Mutant(
        given.families.Gamma, "_deviations", "torch.linalg.inv(information).diagonal()", "1 / information.diagonal()",
        check_standard_errors),
    "a standard error is of one row": Mutant(
        given.families.Gamma, "_surprise", "-(weight @ made.log_prob(x))", "-(weight @ made.log_prob(x)) / weight.sum()",
        check_standard_errors),
    "a ball has the variance of a first entry": Mutant(
        given.distributions.Spherical, "likeliest", ".mean(-1)", "[..., 0]", partial(check_structures, ["spherical"])),
    "the log-determinant is added, not taken away": Mutant(
        given.distributions.Normal, "log_prob", "- log_det", "+ log_det", family("density_is_normalised", "Gaussian")),
    "dequantisation forgets its volume's sign": Mutant(
        given.distributions.Dequantised, "log_prob", "+ scored *", "- scored *",
        family("density_is_normalised", "Dequantised")),
    "every row's points are scored with the first rows' noise": Mutant(
        given.distributions.Dequantised, "log_prob", 'fold), seed=fold.fold("inner"))', "fold))",
        family("rows_are_their_own", "Dequantised VAE")),
    "what is dequantised learns levels, not points": Mutant(
        given.families.Dequantised, "_points", 'dequantise(x, self.space, noise.fold("cell"))', "x",
        family("wrapped_learns_as_bare", "Gaussian")),
    "a mixture's last part learns nothing": Mutant(
        given.families.Ensemble, "lessons", "in self.parts)", "in self.parts[:1])", family("wrapped_learns_as_bare", "NGram")),
    "a wrapper drops a lesson": Mutant(
        given.families.Dequantised, "lessons", "self.inner.lessons()]", "self.inner.lessons()[1:]]",
        family("wrapped_learns_as_bare", "Gaussian")),
    "a wrapper swaps the order of lessons": Mutant(
        given.families.Dequantised, "lessons", "self.inner.lessons()]", "reversed(self.inner.lessons())]",
        family("wrapped_learns_as_bare", "GAN")),
    "lessons side by side are each in another order": Mutant(
        given.families.ensemble, "side_by_side", "lessons.pop(0)", "lessons.pop()", family("wrapped_learns_as_bare", "VQVAE")),
    "a mapped lesson ignores the rows' weights": Mutant(
        given.lessons, "_each", "device=y.device)), weight",
        "device=y.device)), weight * 0 + 1", family("wrapped_learns_as_bare", "Gaussian")),
    "a bound is called exact": Mutant(
        given.distributions.Dequantised, "__init__", "self.kind = _bound_of(distribution)", "self.kind = 'exact'",
        family("density_is_normalised", "Dequantised")),
    "a drawn entry is written one step late": Mutant(
        given.distributions.Chain, "advance", "self.entries[state.t]", "self.entries[state.t - 1]",
        family("steps_are_the_whole", "Autoregressive")),
    "the cache is written one step late": Mutant(
        given.nn.attention.Attention, "forward", "memory.kept[0, :, :, M + t:end], memory.kept[1, :, :, M + t:end] = k, v",
        "memory.kept[0, :, :, max(M + t - 1, 0):max(end - 1, 1)], memory.kept[1, :, :, M + t:end] = k, v",
        family("steps_are_the_whole", "Autoregressive after a prefix")),
    "a single step writes its keys one step late": Mutant(
        given.nn.fused_step._One, "step", "select(3, t)", "select(3, max(t - 1, 0))",
        family("steps_are_the_whole", "Autoregressive")),
    "a single step forgets to turn its keys": Mutant(
        given.nn.fused_step._One, "step", "if turn is not None", "if turn is not None and t % 2",
        family("steps_are_the_whole", "Autoregressive column by column")),
    "a cached step takes another step's offsets": Mutant(
        given.nn.RelativeBias, "bias", "order[:, t:t + s, None]", "order[:, :s, None]",
        family("steps_are_the_whole", "Autoregressive")),
    "attention sees one step ahead": Mutant(
        given.nn.Transformer, "_seen", "hidden = (back < 0) if", "hidden = (back < -1) if",
        family("steps_are_the_whole", "Autoregressive")),
    "a window is one step too wide": Mutant(
        given.nn.Transformer, "_seen", "back >= self.window", "back > self.window",
        family("steps_are_the_whole", "Autoregressive with a window")),
    "a ring is read one step late": Mutant(
        given.nn.CausalConvolution, "_one", "ring[t % R].copy_(x)", "ring[(t + 1) % R].copy_(x)",
        family("steps_are_the_whole", "Autoregressive by convolution")),
    "a ring is not turned to where it begins": Mutant(
        given.nn.CausalConvolution, "step", "ring.roll(-(t % R), 0)", "ring", partial(check_steps, "CausalConvolution")),
    "a mask lets the next pixel through": Mutant(
        given.nn.pixel_cnn._Block, "__init__", "mask[:, :, r, r + 1:] = 0", "mask[:, :, r, r + 2:] = 0",
        family("density_is_normalised", "Autoregressive PixelCNN")),
    "red reads green": Mutant(
        given.nn.row_layout.RowLayout, "mask", ".tril()", "",
        family("density_is_normalised", "Autoregressive PixelCNN in colour")),
    "a line above is read a line late": Mutant(
        given.nn.pixel_cnn.PixelLines, "begin", "self.kept[:, :, 1:].clone()", "self.kept[:, :, :-1].clone()",
        family("steps_are_the_whole", "Autoregressive PixelCNN")),
    "the vertical stack begins on its own line": Mutant(
        given.nn.GatedPixelCNN, "forward", "F.pad(x[:, :-1], (0, 0, 0, 0, 1, 0))", "x",
        family("density_is_normalised", "Autoregressive GatedPixelCNN")),
    "the horizontal stack keeps no line": Mutant(
        given.nn.gated_pixel_cnn.Stacks, "begin", "v = self.line[0, :, r * size:]", "v = self.line[0, :, :self.W * size]",
        family("steps_are_the_whole", "Autoregressive GatedPixelCNN")),
    "the lines above begin with their own": Mutant(
        given.nn.PixelResNet, "forward", "F.pad(x[:, :-1], (0, 0, 0, 0, 1, 0))", "x",
        family("density_is_normalised", "Autoregressive PixelResNet, predicted")),
    "a step is not moved to where it is expected": Mutant(
        given.distributions.chain.Chain, "next", "self._moved(head(last), last, state.values, slice(entry, entry + 1))",
        "head(last)", family("steps_are_the_whole", "Autoregressive reals, predicted")),
    "a pixel's features know all of its entries": Mutant(
        given.nn.PixelResNet, "forward", "F.pad(x[:, :, :-1], (0, 0, 1, 0))", "x",
        family("density_is_normalised", "Autoregressive PixelResNet, predicted")),
    "a prediction goes by red for blue": Mutant(
        given.nn.prediction, "_start", "own[c, c - 1]", "own[c, 0]", check_prediction),
    "a row's memory comes from the left": Mutant(
        given.nn.row_lstm.Rows, "_look", "self.c[n, :, own:own + C]", "self.c[n, :, :C]",
        family("steps_are_the_whole", "Autoregressive RowLSTM")),
    "states from the right stay on their line": Mutant(
        given.nn.diagonal_lstm._Layer, "forward", "[:-1], (0, 0, 0, 0, 0, 0, 1, 0))", ", (0, 0, 0, 0))",
        family("density_is_normalised", "Autoregressive DiagonalLSTM")),
    "a diagonal's states are read a line too low": Mutant(
        given.nn.diagonal_lstm.Cells, "take", "h[above]", "h[above + 1]",
        family("steps_are_the_whole", "Autoregressive DiagonalLSTM diagonal by diagonal")),
    "a line begins with the memory of the last": Mutant(
        given.nn.diagonal_lstm.Sides, "_begin", "self.c.zero_()", "pass",
        family("steps_are_the_whole", "Autoregressive DiagonalLSTM")),
    "entries of one step see one another": Mutant(
        given.nn.Embedding, "__init__", "torch.searchsorted(drawn, drawn) - 1", "torch.arange(len(drawn)) - 1",
        family("steps_are_the_whole", "Autoregressive diagonal by diagonal")),
    "a token holds its own entry": Mutant(
        given.nn.Embedding, "forward", "self._told(self.values, last, _pick(padded, last)[..., None], (last == D)[..., None])",
        "self._told(self.values, last, _pick(padded, entry)[..., None], (last == -1)[..., None])",
        family("density_is_normalised", "Autoregressive")),
    "padding is attended to": Mutant(
        given.nn.attention.CrossAttentionLayer, "forward", "y.values, y.there)", "y.values)",
        check_padding),
    "padding of a prefix is attended to": Mutant(
        given.nn.attention.Attention, "forward", "masked_fill(~memory.there, -torch.inf)", "masked_fill(~memory.there, 0)",
        partial(check_padding, context="prefix")),
    "a patch ignores which of its entries are seen": Mutant(
        given.nn.readers.features.Features, "forward", "torch.where(x.scored, value, 0.0)", "value", check_nulls),
    "the null of a number is that of a value seen": Mutant(
        given.nn.readers.features.Features, "forward", "(value, x.scored, *at", "(value, x.scored | True, *at",
        partial(check_nulls, "numbers end to end", "pooled")),
    "a reader of symbols ignores what is unseen": Mutant(
        given.nn.readers.features.Symbol, "forward", "torch.where(x.scored, x.tensor, self.unseen)", "x.tensor",
        partial(check_nulls, "a text", "tokens")),
    "a network of one's own reads what is unseen": Mutant(
        given.nn.readers.encoder._Encoder, "forward", "torch.where(x.scored, x.tensor, 0)", "x.tensor",
        partial(check_nulls, "a network of one's own", "pooled")),
    "a network of one's own has no null": Mutant(
        given.nn.readers.encoder._Encoder, "forward", "torch.where(seen, h, self.null)", "h",
        partial(check_nulls, "a network that reads no mask", "pooled")),
    "pieces of padding are attended to": Mutant(
        given.nn.readers.cuts._Cut, "forward", "self.among(h + total, there)", "self.among(h + total, there | True)",
        check_room),
    "the length of what is unseen is read": Mutant(
        given.nn.readers.tokens._Tokens, "forward", "seen_cells(valid, x.scored)", "valid", check_length),
    "what is unseen is read with the rows' own waves": Mutant(
        given.nn.readers.features.Features, "forward", "wave(value * k) * x.scored", "wave(x.tensor * k)",
        family("unseen_parents_are_nulls", "Autoregressive by readers")),
    "a map at another resolution is laid without its last cell's share": Mutant(
        given.nn.readers.reader, "_overlap", "shared.clamp(min=0)", "shared.clamp(min=-1)", check_spread),
    "a condition is shuffled in neither score": Mutant(
        given.verbs.shuffling, "reliance", "some[v.name][other])", "some[v.name])", check_reliance),
    "padding's own tokens are attended to": Mutant(
        given.nn.readers.reader._Attention, "forward", "attention(q, k, v, there[:, None, None])", "attention(q, k, v)",
        check_padding),
    "the end of a sequence is left to chance": Mutant(
        given.distributions.Categorical, "__init__", "space.shape[-1] - 1", "space.shape[-1] + 1",
        family("density_is_normalised", "Autoregressive sequence")),
    "the end of a sequence is left to chance step by step": Mutant(
        given.distributions.Sequential, "_ending", "at == (D - 1 if", "at == (D + 1 if",
        family("density_is_normalised", "Ensemble sequences, gated")),
    "an aligned condition is read at the wrong entries": Mutant(
        given.distributions.Chain, "_tokens", "at = orders[:, steps, None]", "at = orders[:, :tokens.shape[1], None]",
        family("steps_are_the_whole", "Autoregressive aligned")),
    "a row's own order is not undone": Mutant(
        given.distributions.Chain, "_features", "features.gather(1, back[..., None].expand_as(features))", "features",
        family("marginals_are_normalised", "Autoregressive in any order")),
    "a conditional is a ratio of two orders": Mutant(
        given.infer.posterior.Enumeration, "_in_turn", "chain.append(chain[-1].condition(part))", "raise Intractable('')",
        family("questions_have_one_answer", "Autoregressive block")),
    "responsibilities are not used": Mutant(
        given.families.GaussianMixture, "_add", "amount * joint.softmax(0)", "amount + 0 * joint", check_mixture),
    "a net beside ridge has a scale of its own": Mutant(
        given.distributions.NormalMixture, "moved", "scales=self.scales * scale", "scales=self.scales", check_skip),
    "months are days": Mutant(
        given.sources.clock, "_steps", "for shift in (0 * _DAY, _DAY)", "for shift in ()", check_months),
    "a week begins a day late": Mutant(given.sources.Clock, "calendar", "+ 3) % 7", "+ 4) % 7", check_calendar),
    "the first lag is read last": Mutant(
        given.distributions.ladder, "regressors", "before.flip(-1).mT", "before.mT", check_ridge),
    "later innovations say nothing of a gap": Mutant(
        given.distributions.ladder.Ladder, "matrix", "found[t, :, t - order:t] = lags", "found[t, :, t - order:t] = 0 * lags",
        check_dense_gaps),
    "a proposal is taken for a draw": Mutant(
        given.distributions.bridge._Gap, "draw", "< its - weight", "< -torch.inf", check_enumerated),
    "a quarter turn forgets the real parts": Mutant(
        given.distributions, "turned", "(2.0 * (at % 2) - 1)", "(2.0 * (at % 2) - at % 2)",
        check_rotations),
    "a part's size says nothing of the other's": Mutant(
        given.distributions.Ladder, "components", "range(c - c % self.group, c)", "range(c, c)", check_amplitude),
    "parts have scales of their own": Mutant(given.scales.Line, "learn", "if self.tied:", "if False:", check_tied_scale),
    "a season is several seasons": Mutant(
        given.families.linear_autoregressive, "period_of", "for lag in peaks if share", "for lag in peaks[::-1] if share",
        check_season),
    "an innovation's size is foretold by itself": Mutant(
        given.distributions.spread.Spread, "features", "totals[:, first - a + 1:last - a + 1] - totals[:, first - b:last - b]",
        "totals[:, first - a + 2:last - a + 2] - totals[:, first - b + 1:last - b + 1]", check_sizes),
    "drawn innovations are all alike": Mutant(
        given.distributions.LinearChain, "_size", "L.spread.at(memory.totals, t, t + 1)[:, 0]",
        "torch.ones_like(memory.expected)", check_sizes),
    "one step says whose past is read": Mutant(
        given.families.linear_autoregressive, "missed", "log().mean((1, 2))", "log().mean((1, 2)).neg()", check_across),
    "series stray each by itself": Mutant(
        given.families.linear_autoregressive, "correlated", ".tril(-1)", ".tril(-2)", check_correlation),
    "EM forgets who is responsible": Mutant(
        given.train.em, "expectation", "log_p.softmax(1)", "log_p.softmax(1) * 0 + 1", check_latent_group),
    "a latent's prior is left out of the bound": Mutant(
        given.distributions.Latent, "_weighed", "(prior - below)", "(-below)",
        family("density_is_normalised", "VAE of levels")),
    "a row that has a label is summed over others too": Mutant(
        given.joint.Joint, "agreeing", "same | ~x.scored.reshape(n, 1)", "same | True", check_partly_known),
    "a latent's entropy is left out of the bound": Mutant(
        given.distributions.Latent, "_weighed", "(prior - below)", "prior", check_packed_bound),
    "the entropy of a product's latent is left out": Mutant(
        given.joint.Joint, "bound", "log_p - log_q", "log_p", check_bound),
    "p(z) learns the means of a posterior": Mutant(
        given.joint.Joint, "encoded", 'sample(seed=noise.fold("posterior").fold(name))', "mean()", check_draws),
    "a posterior of factors forgets what is unseen": Mutant(
        given.families.FactorAnalysis, "encode", "flat.scored / self.noise", "1 / self.noise + 0 * flat.tensor",
        check_factor_posterior),
    "the divergence has the wrong sign": Mutant(
        given.distributions.continuous_flow, "by_equation", "+ gathered.mean(1)", "- gathered.mean(1)", check_flowing),
    "noise and data are swapped in the velocity": Mutant(
        given.distributions.Path, "target", "a * x + s * z", "a * z + s * x", check_flow_matching),
    "alpha and sigma are swapped": Mutant(
        given.distributions.Straight, "mix", "return 1 - sigma, sigma", "return sigma, 1 - sigma",
        lambda: check_path(given.distributions.Straight())),
    "a path turns at the pace of another": Mutant(
        given.distributions.Karras, "angle", "/ root / (1 + ratio**2)", "/ root / (1 + ratio)",
        lambda: check_path(given.distributions.Karras())),
    "a multistep solver drops its second order": Mutant(
        given.solve.DPMSolver, "run", "step / (2 * last) * (data - before)", "0 * (data - before)",
        lambda: check_order(given.solve.DPMSolver, 2)),
    "an ancestral step adds all of the noise": Mutant(
        given.solve.Ancestral, "run", "sigma**2 - (alpha / beta * rho) ** 2", "sigma**2",
        lambda: check_weak_order(given.solve.Ancestral)),
    "churn adds noise and takes none away": Mutant(
        given.solve.EulerMaruyama, "run", "(1 + self.churn) * down", "down",
        lambda: check_weak_order(given.solve.EulerMaruyama)),
    "the bound leaves out its prior": Mutant(
        given.distributions.flow_density, "_closed", "return -prior - steps", "return -steps",
        check_prior_term),
    "a random sign meets another in the divergence": Mutant(
        given.distributions.continuous_flow, "by_equation", "retain_graph=k < K - 1)[0] * e)",
        "retain_graph=k < K - 1)[0] * e.roll(1, 1))", check_seeded_hutchinson),
    "a field is not shown where x is known": Mutant(
        given.distributions.ContinuousFlow, "_inputs", "known.where.to(x)", "0 * known.where.to(x)", check_learned_parts),
    "the clock of scores is that of learning": Mutant(
        given.distributions.flow_density, "_along", "span * (share + _FINE) *", "span * share *", check_fine_entries),
    "a part is learned with y, as a rule": Mutant(
        given.families.FlowMatching, "_drop", "max(self.drop, _BESIDE_PART)", "self.drop", check_drops),
    "levels keep their kind when they are guided": Mutant(
        given.distributions.Dequantised, "_by", "kind=_bound_of(inner)", "kind=self.kind", check_guided_kinds),
    "levels are too close at the last noise": Mutant(
        given.distributions.flow_density, "_log_mass", "step = 2 * math", "step = math", check_levels),
    "a view is added to what is there": Mutant(
        given.distributions.continuous_flow.Known, "put", "x - self.of(x) + self.value", "x + self.value", check_view),
    "an average of weights remembers its start": Mutant(
        given.train.loop.Trainer, "_follow", "min(self.average, (1 + self.step) / (10 + self.step))", "self.average",
        check_followed),
    "a flow forgets its determinant": Mutant(
        given.distributions.Transformed, "log_prob", "+ ladj.double()", "+ 0 * ladj.double()",
        family("density_is_normalised", "SplineFlow")),
    "a place matches what is drawn after it": Mutant(
        given.distributions.efros_leung._Peel, "known", "< step, curve", "<= step, curve", check_matching),
    "a square is copied but for its corner": Mutant(
        given.distributions.Windows, "completes", "same.sum((1, 2)) >= k * k", "same.sum((1, 2)) > 2 * k * k", check_longest),
    "windows match by all places alike": Mutant(
        given.distributions.efros_leung, "_curve", "-0.5 *", "-0.0 *", check_matching),
    "neighbours are drawn at once": Mutant(
        given.nn.OnionPeel, "steps", "near.max() + 1", "near.max()", check_peel),
    "a quilt is cut anywhere": Mutant(
        given.distributions.quilting, "cut", "row, torch.inf).argmin(1)", "0 * row, torch.inf).argmin(1)", check_cut),
    "a critic is penalised at the data alone": Mutant(
        given.families.GAN, "_teach", "for part in slope.chunk(2)", "for part in slope.chunk(2)[:1]", check_penalties),
    "a generator is compared with nothing": Mutant(
        given.families.GAN, "_fool", "standard - self._judge(drawn, c)", "-self._judge(drawn, c)", check_penalties),
    "z has its whole weight from the start": Mutant(
        given.families.VAE, "_warm", "min(1.0, spent / self.warm_up)", "1.0", check_warm_up),
    "what is scored is warm": Mutant(
        given.families.VAE, "loss", "self.warmth if self.training else 1.0", "self.warmth", check_warm_up),
    "beta weighs nothing": Mutant(
        given.families.VAE, "loss", "self.beta * ", "", check_beta),
    "what is complete is what is disentangled": Mutant(
        given.evaluate.latent_factors, "_entropies", "focus(R.T)", "focus(R)", check_axes),
    "entropies are in nats": Mutant(
        given.evaluate.latent_factors, "_entropies", " / math.log(R.shape[1])", "", check_turned_codes),
    "levels of a code are counted in one base": Mutant(
        given.nn.FSQ, "vectors", "codes[..., None] // self.strides", "codes[..., None]", check_quantised),
    "what is rounded is not reached": Mutant(
        given.nn.FSQ, "forward", "at + (at.round() - at).detach()", "at.round()", check_quantised),
    "channels stand where places do": Mutant(
        given.nn.convolutional._Resolutions, "_entries", "{i: 2 + K + k for k, i in enumerate(self.rest)}",
        "{i: 2 + K + k for k, i in enumerate(reversed(self.rest))}", partial(check_there_and_back, SQUARE)),
    "a patch is moved by itself": Mutant(
        given.families.transformer_flow._Transform, "forward", "F.pad(self.enter(u[:, :-1]), (0, 0, 1, 0))", "self.enter(u)",
        family("density_is_normalised", "TransformerFlow")),
    "a transform reads the patches of another order": Mutant(
        given.families.transformer_flow._Transform, "inverse", "z, u = z[:, self.order], list[Tensor]()", "u = list[Tensor]()",
        check_inverse),
    "an entry of a patch is mapped by itself": Mutant(
        given.nn.EntriesOfBlocks, "forward", "self.before.weight * self.reads", "self.before.weight", check_entries_of_blocks),
    "the book of codes learns nothing": Mutant(
        given.nn.Book, "forward", "((e.detach() - b) ** 2)", "((e.detach() - b.detach()) ** 2)",
        family("loss_moves_every_parameter", "VQVAE")),
    "factors explain without their noise": Mutant(
        given.families.factor_analysis, "factor_step", "eye + across @ loading, across)", "eye, across)",
        check_factors),
    "padding is scored": Mutant(
        given.distributions.Distribution, "_scored", "return x.scored if", "return x.seen if",
        family("what_is_unseen_moves_nothing", "Independent")),
    "the order of drawing is not the order of the grid": Mutant(
        given.distributions.Chain, "_features", "features[:, back[0]]", "features",
        family("steps_are_the_whole", "Autoregressive reversed")),
    "conditioning a mixture forgets to weigh its items": Mutant(
        given.distributions.Empirical, "condition", "weights = self.log_weights + ", "weights = self.log_weights + 0 * ",
        family("conditions_are_ratios", "Empirical")),
    "conditioning a normal keeps its covariance": Mutant(
        given.distributions.Normal, "condition", "self.covariance - gain @ across.mT", "self.covariance",
        family("conditions_are_ratios", "Gaussian")),
    "dropout goes on after training": Mutant(
        given.nn.Dropout, "forward", "not self.training or self.p == 0", "self.p == 0",
        family("scores_are_float64", "Autoregressive")),
    "columns of a block are averaged": Mutant(
        given.distributions.ProductDistribution, "log_prob", ".sum(0)", ".mean(0)",
        family("density_is_normalised", "Independent block")),
    "weights of rows are ignored": Mutant(
        given.distributions.Moments, "add", "amount[:, None, None] * outer", "outer",
        family("weights_are_repetitions", "Gaussian")),
    "a draw depends on its batch": Mutant(
        given.distributions.Noise, "uniform", "keys[:, None] + place", "keys[:, None] + keys.sum() + place",
        family("rows_are_their_own", "Independent")),
    "a tensor is made on the processor": Mutant(
        given.distributions.Chain, "start", ", device=self.device", "", family("serves_any_device", "Autoregressive")),
    "a plan stays on the processor": Mutant(
        given.nn.Embedding, "_plan", "torch.arange(D, device=order.device)", "torch.arange(D)",
        family("serves_any_device", "Autoregressive in any order")),
    "a draw asks after every entry whether it is over": Mutant(
        given.distributions.Sequential, "run", 'self.device.type == "cpu" or t % LOOKS == 0', "True",
        family("serves_any_device", "Autoregressive sequence")),
    "a loss looks at what is told of its masks": Mutant(
        given.distributions.Transformed, "log_prob", "if not x.plain", "if not bool(x.scored.all())",
        family("serves_any_device", "SplineFlow")),
    "Bayes' rule without the prior": Mutant(
        given.infer.posterior.Enumeration, "weigh", "for factor in factors:", "for factor in factors[1:]:", check_bayes),
    "an atom is a density": Mutant(
        given.distributions.Atomic, "each", "torch.where(there, mass, ", "(",
        family("density_is_normalised", "Independent with atoms")),
    "the density of a number is left in standard units": Mutant(
        given.scales.Line, "log_slope", "-np.log(", "0 * np.log(", check_raw_density),
    "a tail that turned widens as before": Mutant(
        given.scales.Tail, "log_slope", "slope + 0.5 * np.log1p", "slope + 0 * np.log1p", check_slopes),
    "bins of a set are as wide as the first": Mutant(
        given.codecs.Set, "log_volume", "[x.tensor.long()]", "[x.tensor.long() * 0]", check_volume),
    "a curve's volume forgets its slope": Mutant(
        given.scales.Curve, "log_slope", "np.log(slope[", "np.log(0 * slope[0] + slope[0 * ",
        codec("volume_is_the_derivative", "Number on a curve")),
    "a curve of whole numbers forgets its slope": Mutant(
        given.scales.Curve, "log_slope", "np.log(slope[", "np.log(0 * slope[0] + slope[0 * ",
        codec("volume_is_the_derivative", "Number of whole numbers")),
    "a time's volume is per unit of its resolution": Mutant(
        given.scales.Measured, "log_volume", "scale.log_slope(x", "-np.log(1000) + scale.log_slope(x",
        codec("volume_is_the_derivative", "Time of datetimes")),
    "an atom has a volume": Mutant(
        given.scales.Curve, "log_slope", "np.isin(z, at), 0.0", "np.isin(z, at), 1.0",
        codec("volume_is_the_derivative", "Number with atoms")),
    "log_volume has the wrong sign": Mutant(
        given.scales.Line, "log_slope", "-np.log(", "np.log(",
        codec("volume_is_the_derivative", "Number vector")),
    "decoding forgets the mean": Mutant(
        given.scales.Line, "r", "* scale + mean", "* scale", codec("decoding_undoes_encoding", "Number")),
    "what stands before a piece is scored again": Mutant(
        given.variables.Cut, "pieces", "& (first > 0)", "& (first < 0)", check_pieces),
    "shorter grams are counted as often as they occur": Mutant(
        given.distributions.KneserNey, "share", "torch.where(counted.begin, count, counted.different)", "count",
        check_kneser_ney),
    "Witten-Bell forgets the number of types": Mutant(
        given.distributions.WittenBell, "share", "+ types", "+ 1", check_witten_bell),
    "an item's own counts hold the symbol they are asked for": Mutant(
        given.distributions.CacheNGram, "each", "+ _earlier(gram, real))", "+ _earlier(gram, real) + 1)",
        family("density_is_normalised", "NGram, adaptive")),
    "an item's own counts go on past a branch": Mutant(
        given.distributions.cache_ngram._Read, "rows", "{past: dict(found) for past, found in self.counts[i].items()}",
        "self.counts[i]", family("draws_follow_the_density", "NGram, adaptive")),
    "a message leaves a child out": Mutant(
        given.distributions.Tree, "_up", "below.index_add(1, self.parent[some], message)",
        "below.index_copy(1, self.parent[some], message)", family("marginals_are_sums", "ChowLiuTree")),
    "a tree draws each entry without its parent": Mutant(
        given.distributions.Tree, "_down", "* (self.parent[some] >= 0)", "* 0",
        family("draws_follow_the_density", "ChowLiuTree")),
    "the tree of least information": Mutant(
        given.families.tree, "_information", "xlogy(pair, pair) -", "xlogy(pair, apart) -", check_tree),
    "a past is found one symbol late": Mutant(
        given.distributions.InterpolatedNGram, "moved", "past = torch.from_numpy(nodes[:, n])",
        "past = torch.from_numpy(nodes[:, n + 1])",
        family("steps_are_the_whole", "NGram")),
    "context is scored again": Mutant(
        given.distributions.Sequential, "log_prob", "x.flat(self.space).scored", "x.flat(self.space).readable",
        family("context_is_only_read", "NGram")),
    "what the order draws first is refused": Mutant(
        given.distributions.Sequential, "_comes_first", "return not bool", "return bool",
        family("context_is_only_read", "NGram")),
    "parts are mixed without their weights": Mutant(
        given.distributions.StepwiseMixture, "each", "self.gate.log_weights(entropies) + each", "each",
        family("density_is_normalised", "Ensemble sequences")),
    "a gate reads the symbol it weighs": Mutant(
        given.distributions.StepwiseMixture, "part_log_probs", "_entropies(distributions)])",
        "-distributions.gather(2, index)[:, :, 0]])",
        family("density_is_normalised", "Ensemble windows, gated")),
    "the whole and a step are weighed by other entropies": Mutant(
        given.distributions.StepwiseMixture, "_mixed", "_entropies(distributions)", "2 * _entropies(distributions)",
        family("steps_are_the_whole", "Ensemble windows, gated")),
    "a gate's corners do not share a place": Mutant(
        given.distributions.EntropyGate, "_corners", "share * (1 - above)", "share * (1 + above)",
        family("density_is_normalised", "Ensemble windows, gated")),
    "weights forget what they were": Mutant(
        given.distributions, "best_weights", "weights * ((amount", "((amount", check_weights),
    "top-p drops one symbol too many": Mutant(
        given.TopP, "cut", "before >= self.p", "before + p >= self.p", lambda: check_by_hand(given.TopP(0.7))),
    "top-k keeps one symbol too many": Mutant(
        given.TopK, "cut", "self.k:]", "self.k + 1:]", lambda: check_by_hand(given.TopK(2))),
    "a repetition is looked for one entry too far back": Mutant(
        given.RepetitionPenalty, "steer", "place.t - self.window)", "place.t - self.window - 1)",
        lambda: check_by_hand(given.RepetitionPenalty(2.0, window=2))),
    "a truncated law scores what it cut away": Mutant(
        given.distributions.StepwiseTransform, "each", "self.next(state)", "self.distribution.next(state.cache.state)",
        check_truncated_law),
    "a text goes on when it is over": Mutant(
        given.distributions.StepwiseTransform, "over", "self.how.done(state.cache.memory)",
        "self.distribution.over(state.cache.state)",
        lambda: check_truncated_law(length="given", how="Stop")),
    "a string is looked for from its first byte alone": Mutant(
        given.infer.stopping, "_automaton", "table[fail[node]] if node else 0", "0", check_strings),
    "a constraint may end anywhere": Mutant(
        given.infer.constraint, "_automaton", "np.where(final[:ended], ended, dead)", "ended",
        lambda: check_truncated_law(how="Regex")),
    "a constraint forgets what room there is": Mutant(
        given.Regex, "steer", "place.left <= self.most", "place.left < 0",
        lambda: check_truncated_law(length="given", how="Regex")),
    "a beam does not reorder its cache": Mutant(
        given.distributions.BeamSearched, "search", "state, over, valid = state.rows(index),", "state, over, valid = state,",
        check_beam),
    "a model's first step reads another symbol of its prompt": Mutant(
        given.nn.LanguageModel, "start", "ids[:, -1]", "ids[:, 0]",
        pretrained(family("steps_are_the_whole", "PretrainedLM after a prompt"))),
    "one picture of a pair is turned alone": Mutant(
        given.sources.Pairs, "_run", "_turned(both[1], turns)", "both[1]", check_turns),
    "what is unseen of a picture is read": Mutant(
        given.nn.Pixels, "forward", "torch.where(seen,", "torch.where(seen | True,",
        pretrained(family("unseen_parents_are_nulls", "PretrainedCaptioner"))),
    "a decoder is not told its picture": Mutant(
        given.nn.LanguageModel, "_decoded", "encoder_outputs=(encoded,)", "encoder_outputs=(encoded * 0,)",
        pretrained(family("loss_moves_every_parameter", "PretrainedCaptioner"))),
    "every row of a pipeline has the first one's caption": Mutant(
        given.families.PretrainedDiffusion, "forward", "texts[i]", "texts[0]",
        pretrained(family("rows_are_their_own", "PretrainedDiffusion"), "diffusers")),
    "an unseen caption is read": Mutant(
        given.families.PretrainedDiffusion, "forward", "if there else", "if True else",
        pretrained(family("unseen_parents_are_nulls", "PretrainedDiffusion"), "diffusers")),
    "a model reads the padding of its prompt": Mutant(
        given.families.PretrainedLM, "_before", "e.readable & (", "e.seen & (",
        pretrained(family("padding_of_y_moves_nothing", "PretrainedLM after a prompt"))),
    "exported queries and keys keep their pairs together": Mutant(
        given.train.exported, "_halves", ".transpose(1, 2)", "", pretrained(check_export)),
    "an exported layer adds what the one before it does": Mutant(
        given.train.exported, "_llama", "added[i + 1]", "added[i]", pretrained(check_export)),
    "an exported text begins with what never begins one": Mutant(
        given.train.exported, "_llama", "symbols[begin] = table[-1]", "symbols[begin] = table[begin]",
        pretrained(check_export)),
    "resuming begins the epoch again": Mutant(
        given.train.loop.Trainer, "run", "skip=self.in_epoch", "skip=0", check_resume),
    "a symbol gets nothing of a table": Mutant(
        given.infer.compression.range_coder, "tables", "(total - V)) + 1", "(total - V))", check_tables),
    "a code of another model is read": Mutant(
        given.infer.compression.archive, "_opened",
        "!= fingerprint[:_FINGERPRINT]", "!= body[:_FINGERPRINT]", check_other_weights),
    "a code has one entry more of an item than there is": Mutant(
        given.infer.compression.archive, "_there", "< each[:, None]", "<= each[:, None]", lambda: check_lengths("p(t)")),
    "a window's context is one entry short": Mutant(
        given.variables.Cut, "pieces", "self.window - self.stride)", "self.window - self.stride - 1)",
        check_windows),
    "the context of a window is scored": Mutant(
        given.variables.Cut, "pieces", "x.valid & there, context)", "x.valid & there)", check_windows),
    "columns that share an axis are cut apart": Mutant(
        given.train.batches, "_pieces", "plan.pieces(whole)",
        "plan.pieces(type(whole)(whole.entries.map(lambda t: t.roll(len(name), 0)), lengths))", lambda: check_together(3)),
    "a column off the axis is scored in every window": Mutant(
        given.train.batches.EncodedBatch, "borne", "return self.share if whole", "return 1 + 0 * self.share if whole",
        check_windows),
    "tags end where they please": Mutant(
        given.distributions.Chain, "_distribution", "place, ends)", "place)",
        check_shared_length),
    "a classifier is scored on rows that it learned from": Mutant(
        given.evaluate.two_sample, "classifier_two_sample", "test = np.setdiff1d(np.arange(2 * n), learn)", "test = learn",
        check_interval),
    "a p-value is that of the other tail": Mutant(
        given.evaluate.two_sample, "_p_value", ">= values[0] - 1e-12", "<= values[0] + 1e-12", lambda: check_level("mmd", 100)),
    "a kernel's rows are compared with themselves": Mutant(
        given.evaluate.two_sample, "mmd", "np.fill_diagonal(kernel, 0.0)", "pass", check_mmd_is_unbiased),
    "recall takes the balls of the data": Mutant(
        given.evaluate.neighbours, "support", "(across <= of_drawn[:, None]).any(0)", "inside.any(0)", check_support),
    "balls reach to the row itself": Mutant(
        given.evaluate.neighbours, "_radius", "[:, k]", "[:, k - 1]", check_support),
    "a copy is whatever is near": Mutant(
        given.evaluate.neighbours, "copies", " & (near < _own(train, which) / 2)", "", check_copies),
    "a repeat is a copy": Mutant(
        given.evaluate.neighbours, "copies", "near * (1 + 1e-9), side=\"right\"", "near, side=\"left\"", check_copies),
    "a copy is of a row of a sample": Mutant(
        given.evaluate.neighbours.Copies, "of_rows", "int(numbers[row])", "row", check_numbers),
    "draws stand beside rows as they were held out": Mutant(
        given.verbs.assessment._Assessing, "all", "rows=tuple(self.numbers.tolist())", "rows=tuple(range(len(self.numbers)))",
        check_numbers),
    "rows are asked for however long that takes": Mutant(
        given.verbs.assessment._Assessing, "_parts", "min(most, int(share / each))", "most", check_time),
    "diversity is of draws of all conditions": Mutant(
        given.evaluate.neighbours, "diversity", "_mean_apart(its) / usual", "_mean_apart(drawn) / usual", check_diversity),
    "a sure answer is right": Mutant(
        given.evaluate.calibration, "reliability", "probabilities.argmax(1) == truth", "probabilities.max(1) > 0.5",
        check_calibration),
    "an interval is the lower tail": Mutant(
        given.evaluate.calibration, "coverage", "np.abs(2 * u - 1) <= level", "u <= level / 2", check_calibration),
    "a forest is scored on draws": Mutant(
        given.evaluate.train_on_draws, "usefulness", ".score(*test)", ".score(*drawn)", check_usefulness),
    "what is lost is of the gain on held-out rows": Mutant(
        given.evaluate.verdict, "_likelihoods", "figures[\"gap\"] / own", "figures[\"gap\"] / other", check_diagnosis),
    "a tie goes to the higher mean": Mutant(
        given.evaluate.leaderboard.Leaderboard, "above", "mean > _Z * error", "mean > 0", check_ties),
    "the spread over seeds is left out of a difference": Mutant(
        given.evaluate.leaderboard.Leaderboard, "difference",
        "math.hypot(error, self.entrants[a].spread, self.entrants[b].spread)", "error", check_ties),
    "one row that makes the difference widens its interval": Mutant(
        given.evaluate.leaderboard.Leaderboard, "above", "len(apart) == 1 or", "True or", check_ties),
    "a contour's ends are the middles of sides": Mutant(
        given.evaluate.charts, "contours", "(level - field[a, b]) / (field[c, d] - field[a, b])", "0.5",
        check_contours),
    "KL leaves the ratio of volumes out": Mutant(
        given.evaluate.divergence, "normal_kl", "+ _log_det(other_covariance) - _log_det(covariance)", "", check_normal),
    "KL of categories is weighted by the other": Mutant(
        given.evaluate.divergence, "categorical_kl", "p * (log_p - log_q)", "np.exp(log_q) * (log_p - log_q)",
        check_categorical),
    "Jensen-Shannon forgets that the middle is half of both": Mutant(
        given.evaluate.divergence, "jensen_shannon", "log_p - np.logaddexp(log_p, log_q) + math.log(2)",
        "log_p - np.logaddexp(log_p, log_q)", check_categorical),
    "Wasserstein's covariances are thought to commute, and add": Mutant(
        given.evaluate.divergence, "normal_wasserstein2", "- 2 * across", "- across", check_normal),
    "directions are not of length one": Mutant(
        given.evaluate.divergence, "sliced_wasserstein2", "directions /= np.linalg.norm(directions, axis=0)", "pass",
        check_wasserstein),
    "a critic's draws are taken for rows": Mutant(
        given.evaluate.divergence, "gan_objective", "((-1, real), (1, drawn))", "((-1, real), (-1, drawn))", check_gan),
    "a constant is of one column": Mutant(
        given.evaluate.divergence, "squared_error_and_constant", "D * (math.log(scale)", "1 * (math.log(scale)",
        check_squared_error),
    "a hole within a series is kept": Mutant(
        given.verbs.completion, "mended", "present(values)", "np.ones(values.shape, bool)",
        check_within),
    "what two windows share is counted twice": Mutant(
        given.distributions.CacheNGram, "advance", "0 if again else", "", check_counts),
    "ranges cut each of two dependent columns by itself": Mutant(
        given.infer.weighing.Weighing, "propose", "repeated(self.query, size, values, first), name)",
        "repeated(self.query, size, {}, first), name)", check_pair),
    "a second range is drawn within and not weighed": Mutant(
        given.infer.weighing.Weighing, "propose", "if i:", "if False:", check_pair),
    "a symbol's probabilities leave out what weighs them": Mutant(
        given.infer.Query, "_stepped", "share[:, None] * ", "0.9 * ", check_step),
    "a block's entries are independent": Mutant(
        given.distributions.NormalHead, "forward", "root.tril(-1) + ", "", check_joint_head),
    "a block of symbols is scored from its last entry to its first": Mutant(
        given.distributions.Table, "log_prob", "* self.place", "* self.place.flip(0)",
        family("draws_follow_the_density", "Autoregressive blocks of symbols")),
    "a mask leaks what is asked for": Mutant(
        given.nn.BlockEmbedding, "forward", "unknown.expand_as(held)", "unknown.expand_as(held) & False",
        check_target_is_hidden),
    "a masked net reads the group that it is asked for": Mutant(
        given.distributions.BlockChain, "_scores", "self.step < k", "self.step <= k",
        family("density_is_normalised", "Autoregressive blocks of symbols")),
    "a group is drawn from what follows it": Mutant(
        given.distributions.BlockChain, "next", "self.step < k", "self.step > k",
        family("steps_are_the_whole", "Autoregressive blocks of symbols")),
    "what is unknown is learned without its weight": Mutant(
        given.distributions.BlockChain, "_some_known", "(n / (n - t).clamp(min=1))", "(n / n)", check_loss_is_the_chain),
    "a layer's gate starts closed": Mutant(
        given.nn.adaptive_mlp._Layer, "forward", "1 + gate", "gate", check_layers_are_open),
    "what a draw asks for is known while learning": Mutant(
        given.distributions.BlockChain, "_as_drawn", "self.step < (", "self.step <= (", check_as_drawn),
    "half of the unknown weighs half": Mutant(
        given.distributions.BlockChain, "_some", "picked * (weight.sum", "picked + 0 * (weight.sum", check_as_drawn),
    "y is kept where it should be dropped": Mutant(
        given.families.Autoregressive, "loss", "< self.drop", ">= self.drop", check_dropped),
    "guided flows of blocks read y twice": Mutant(
        given.distributions.BlockChain, "_law", "else read(null)", "else read(y)", check_guidance_by_hand),
    "a curve stands a place beside": Mutant(
        given.nn.readers.interpolated._Interpolated, "forward", "cubic(size // self.times, size)",
        "cubic(size // self.times, size).roll(1, 0)", check_straight),
    "blocks learn what a straight line says": Mutant(
        given.nn.ConvolutionalMap, "forward", "+ self.straight(", "+ 0 * self.straight(", check_straight),
    "a half hides the middle twice": Mutant(
        given.tasks.fill, "side_hidden", "place >= size // 2", "place >= size // 2 - 1", check_sides),
    "draws that are alike are rewarded": Mutant(
        given.evaluate.energy_score, "energy", "off - apart", "off + 0 * apart", check_energy),
    "what is chosen has the whole budget again": Mutant(
        given.verbs.choosing, "choose", "value * (1 - _SHARE)", "value", check_choice),
    "what is covered are draws, by pictures": Mutant(
        given.tasks.picture, "_beside", "support(true, found)", "support(found, true)", check_prototypes),
    "a draw shows another small picture": Mutant(
        given.tasks.upscale, "_shown", "back[0] @ (small - ", "0.5 * back[0] @ (small - ", check_shown),
    "one scale an entry where there is to be one a column": Mutant(
        given.distributions.FactorizedHead, "_part", "self.scales[int(key)]", "self.scales[int(key)] + h[..., 0]",
        check_one_scale),
    "every epoch has the same crops": Mutant(
        given.sources.Crops, "_places", "[*self.epoch, number]", "[self.epoch[0], number]",
        lambda: check_epochs(given.read({"image": many_sizes()}, crop=8))),
    "crops of one picture are learned from and held out": Mutant(
        given.sources.Crops, "some", "self.chosen[chosen]", "self.chosen",
        lambda: check_apart(given.read({"image": many_sizes()}, crop=8))),
    "levels are learned from fixed crops alone": Mutant(
        given.sources.Crops, "_fitting", "-(-sizes // self.crop) if", "sizes // self.crop if", check_covering),
    "sheets of draws cost nothing": Mutant(
        given.verbs.watching.Watch, "__call__", "self.cost += time.perf_counter() - began", "self.cost += 0", check_share),
    "what was excited does not fade while an item is scored": Mutant(
        given.distributions.Excitation, "excited", "decay = (-F.pad", "decay = (-0.5 * F.pad", check_intensity),
    "a mark excites as the next one would": Mutant(
        given.distributions.Excitation, "moved", "[:, mark].transpose", "[:, 1 - mark].transpose", check_arrivals),
    "an integral leaves out what decays": Mutant(
        given.distributions.Wait, "hazard", "(self.excited / self.rate * gone)", "(0 * self.excited / self.rate * gone)",
        check_intensity),
    "a wait is drawn before its root is found": Mutant(
        given.distributions.Wait, "pick", "range(_NEWTON)", "range(2)", check_quantile),
    "a scan's factors do not move on": Mutant(
        import_module("given.distributions.linear_scan"), "linear_scan", "factor[:, step:] * factor[:, :-step]",
        "factor[:, step:]", check_scan),
    "the slopes of the last part alone are followed": Mutant(
        given.families.hawkes, "in_parts", "[slope + more for", "[more for", check_few_at_once),
    "padding moves what is learned of arrivals": Mutant(
        given.families.Hawkes, "_arrivals", "flat.scored[:, order] *", "torch.ones_like(flat.scored[:, order]) *",
        check_arrivals_learned),
    "a season follows an innovation a moment late": Mutant(
        given.distributions.Innovations, "moments", "((place + 1) % m == 0)", "(place % m == 0)", check_dense_smoothing),
    "a slope is not damped": Mutant(
        given.distributions.Innovations, "moments", "(place + 1)).cumsum(1)", "(0 * place)).cumsum(1)", check_dense_smoothing),
    "a path goes on from the mean of all": Mutant(
        given.distributions.ExponentialSmoothing, "_expected", "+ state.cache.z", "+ 0 * state.cache.z", check_smoothed_draws),
    "padding moves what is learned of a level": Mutant(
        given.families.ExponentialSmoothing, "_series", "scored.reshape(", "torch.ones_like(scored).reshape(",
        check_smoothing_learned),
    "a renewal forgets which mark was before": Mutant(
        given.tasks.traffic, "_renewal", "last = np.concatenate([[K - 1], then[:-1]])", "last = then", check_renewal),
    "a chain forgets what is to come": Mutant(
        given.distributions.HiddenMarkov, "_begun", "weights = weights + log_p", "weights = weights + 0 * log_p", check_given),
    "a chain of states goes backwards": Mutant(
        given.distributions.hidden_markov, "predicted", "A = log_A.exp()", "A = log_A.exp().T", check_enumeration),
    "means move away from what they should be": Mutant(
        given.families.HiddenMarkov, "_maximised", 'start["means"] + off', 'start["means"] - off', check_rises),
    "what rises moves the scale as what falls": Mutant(
        given.distributions.Volatility, "news", "(e < 0)", "(e > 0)", check_recursion),
    "a scale follows from the moment itself": Mutant(
        given.distributions.Volatility, "scales", "self.news(r - mean)[:, :-1]], 1)",
        "self.news(r - mean)[:, 1:]], 1)", check_recursion),
    "leverage beside a measure is of one side only": Mutant(
        given.distributions.RealizedVolatility, "news", "self.leverage * e *", "self.leverage * e.abs() *",
        check_realized_recursion),
    "what follows an exceedance counts as what does not": Mutant(
        given.evaluate.backtests, "backtest", "hit[1:][hit[:-1]]", "hit[1:][~hit[:-1]]", check_runs),
    "a missing number is as far from a missing one as from any": Mutant(
        given.evaluate.privacy, "gower", "np.where(both, 0,", "np.where(both, 1,", check_gower),
    "a statistic's chance is of one table's rows": Mutant(
        given.evaluate.marginals, "_chance", "1.3581 * math.sqrt(1 / n + 1 / m)", "1.3581 * math.sqrt(1 / n)", check_chance),
    "what a model expects of new rows is a surprise": Mutant(
        given.evaluate.drift, "drifted", 'found["new"] - found["new expected"]', 'found["new"]', check_expected),
    "an area's error is that of one side": Mutant(
        given.evaluate.discrimination, "_area", "for v in (a, b))", "for v in (a,))", check_chance),
    "what is known of a scale is read but for its end": Mutant(
        given.distributions.GARCH, "read", "self.numbers.last(r), r[:, -1]", "self.numbers.last(r), r[:, 0]", check_leap),
    "an option's strike is paid today": Mutant(given.infer.options, "european", "strike * discount", "strike", check_option),
    "innovations lean about another middle": Mutant(
        given.distributions.SkewedStudent, "_side", "+ self.a", "+ 2 * self.a", check_innovations),
    "padding moves what is learned of a scale": Mutant(
        given.families.GARCH, "_solve", "amount = weight[:, None, None] * there",
        "amount = weight[:, None, None] * (there | True)", check_learned),
    "an epoch writes molecules as the one before": Mutant(
        given.sources.RandomSmiles, "batches", "default_rng(self.epoch)", "default_rng(self.epoch[0])", check_rewritten),
    "a scaffold ends elsewhere than where its star is": Mutant(
        given.sources.molecules, "scaffold_prefix", 'if text.endswith("*"):', 'if "*" in text:', check_attached),
    "a state drifts before it moves": Mutant(
        given.distributions.LinearGaussian, "moved", "@ self.transition.T + self.drift", "@ self.transition.T + 2 * self.drift",
        partial(check_dense, PARTS)),
    "what comes later moves a state without its drift": Mutant(
        given.distributions.LinearGaussian, "to_come", "eye + L @ self.drift", "eye + 0 * L @ self.drift",
        partial(check_dense, {"latent": 3})),
    "a path is drawn from its past alone": Mutant(
        given.distributions.StateSpace, "next", "later = None if self.later is None else", "later = None if True else",
        check_paths),
    "a quasi-Newton step forgets how the slope turned": Mutant(
        given.lessons, "quasi_newton", "ahead = -inverse @ slope", "ahead = -slope", check_quasi_newton),
    "a product of directions that does not turn with them": Mutant(
        given.nn.chain_field._Stage, "_directions", "torch.linalg.cross(first, second)", "first * second", check_turned_chains),
    "an order of items that forgets their weights": Mutant(
        given.distributions.distinct._WithoutReplacement, "draw", "turn = law.log_weights -", "turn = 0 * law.log_weights -",
        check_distinct),
    "scores given events are those together with them": Mutant(
        given.infer.within.Within, "_log_prob", "return top - self.weighing.log_prob(seed), kind", "return top, kind",
        lambda: check_listed("Independent")),
}


def mutated(mutant):
    """The function with one line changed, in the same module and class."""
    function = inspect.getattr_static(mutant.owner, mutant.name)
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(mutant.line) == 1, f"expected {mutant.line!r} once in {mutant.name}"
    source = source.replace(mutant.line, mutant.instead)
    lines = source.splitlines()
    body = textwrap.indent("\n".join(line for line in lines if not line.startswith("@")), "    ")
    # super() without arguments looks its class up in a cell of this name
    code = f"from __future__ import annotations\ndef make(__class__):\n{body}\n    return {mutant.name}"
    space = dict(inspect.getmodule(mutant.owner if inspect.isclass(mutant.owner) else function).__dict__)
    exec(compile(code, "mutant", "exec"), space)
    return space["make"](mutant.owner)


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught(name, monkeypatch):
    mutant = MUTANTS[name]
    monkeypatch.setattr(mutant.owner, mutant.name, mutated(mutant))
    with pytest.raises(AssertionError):
        mutant.caught_by()

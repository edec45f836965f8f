"""Fit the weights of session/likelihood.py on the public log, training users only, and print them as they stand there.

    python -m tests.benchmarks.fit_likelihood [--log PATH] [--check]

A row is a draft at one of `SILENCES` that it outlived, counted in the session's median gaps; it asks whether
SUBMIT came next. The weights are the most likely ones, with a normal prior of variance 1/2 around `PRIOR_LOG_ODDS` and
0, under the condition that no slope is negative: Newton's method, with slopes that would be negative held at 0. The
features come from `Typist` itself.
"""

import argparse
import sys
from dataclasses import dataclass

import numpy as np
from forefill_service.session import likelihood
from forefill_service.session.endings import Ending
from forefill_service.session.likelihood import Typist
from numpy.typing import NDArray

from .people_log import Sitting, drafts, log_path, read_sittings

Floats = NDArray[np.float64]

SILENCES = 2.0 ** np.array([-9, -0.75, -0.25, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.5, 4.5])
PRIOR_LOG_ODDS = dict.fromkeys(Ending, -3.0) | {Ending.CLOSING: -2.0}
PRIOR_WEIGHT = 2.0
ENDINGS = list(Ending)
GROUPS = list(likelihood.RISES)
BENDS = len(next(iter(likelihood.RISES.values())))
DECIMALS = 2
CHANCES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)


@dataclass(frozen=True)
class Rows:
    """Drafts of the log: the ending's number, the features, and the time to the next event in median gaps."""

    endings: NDArray[np.int64]
    features: Floats
    outlived: Floats
    ended: Floats


def rows_of(sittings: list[Sitting]) -> Rows:
    """Return the drafts of these sittings, as `Typist` sees them."""
    endings, features, outlived, ended = [], [], [], []
    for sitting in sittings:
        typist = Typist()
        for message in sitting.messages:
            for index, (at, draft, removed, seconds) in enumerate(drafts(message), start=1):
                typist.changed(draft, removed=removed, now=at)
                if draft:
                    endings.append(ENDINGS.index(typist.ending))
                    features.append(typist.features)
                    outlived.append(seconds / typist.median_gap_seconds)
                    ended.append(float(index == len(message.changes)))
            typist.submitted(message.text, message.enter_at)
    return Rows(np.array(endings), np.array(features), np.array(outlived), np.array(ended))


def design(rows: Rows) -> tuple[Floats, Floats]:
    """Return the rows of the regression, and whether each ended."""
    blocks = []
    for silence in SILENCES:
        kept = rows.outlived > silence
        doublings = np.log2(silence) - likelihood.FIRST_BEND - np.arange(BENDS)
        rise = np.clip(doublings, 0, 1)
        groups = np.array([GROUPS.index(likelihood.RISE_OF[ending]) for ending in ENDINGS])[rows.endings[kept]]
        risen = np.kron(np.eye(len(GROUPS))[groups], rise[None, :])
        one_hot = np.eye(len(ENDINGS))[rows.endings[kept]]
        blocks.append((np.hstack([one_hot, rows.features[kept], risen]), rows.ended[kept]))
    return np.vstack([block for block, _ in blocks]), np.concatenate([ended for _, ended in blocks])


def fit(design_rows: Floats, ended: Floats) -> Floats:
    """Return the weights: endings, features, slopes of each group."""
    count = design_rows.shape[1]
    slopes = np.arange(count) >= count - len(GROUPS) * BENDS
    prior = np.zeros(count)
    prior[: len(ENDINGS)] = [PRIOR_LOG_ODDS[ending] for ending in ENDINGS]
    weights, free = prior + 0.2 * slopes, np.ones(count, bool)
    while True:
        weights = _newton(design_rows, ended, weights, prior, free)
        negative = slopes & free & (weights < 0)
        if not negative.any():
            return weights
        free &= ~negative
        weights[negative] = 0.0


def _newton(rows: Floats, ended: Floats, weights: Floats, prior: Floats, free: NDArray[np.bool_]) -> Floats:
    for _ in range(30):
        chances = 1 / (1 + np.exp(-np.clip(rows @ weights, -30, 30)))
        gradient = rows.T @ (chances - ended) + PRIOR_WEIGHT * (weights - prior)
        curvature = (rows * (chances * (1 - chances))[:, None]).T @ rows + PRIOR_WEIGHT * np.eye(len(weights))
        step = np.zeros(len(weights))
        step[free] = np.linalg.solve(curvature[np.ix_(free, free)], gradient[free])
        largest = float(abs(step).max())
        weights = weights - step * min(1.0, 2 / max(largest, 1e-9))
        if largest < 1e-4:
            break
    return weights


def tables(weights: Floats) -> dict[str, dict[str, tuple[float, ...]]]:
    """Return the weights as the module's tables have them."""
    rounded = [round(float(weight), DECIMALS) + 0.0 for weight in weights]
    first_slope = len(ENDINGS) + len(likelihood.FEATURE_WEIGHTS)
    features = zip(likelihood.FEATURE_WEIGHTS, rounded[len(ENDINGS) : first_slope], strict=True)
    slopes = [rounded[first_slope + row * BENDS :][:BENDS] for row in range(len(GROUPS))]
    return {
        "ENDING_WEIGHTS": {e.name: (w,) for e, w in zip(ENDINGS, rounded[: len(ENDINGS)], strict=True)},
        "FEATURE_WEIGHTS": {name: (weight,) for name, weight in features},
        "RISES": {group.name: tuple(row) for group, row in zip(GROUPS, slopes, strict=True)},
    }


def module_tables() -> dict[str, dict[str, tuple[float, ...]]]:
    """Return the weights that the module has."""
    return {
        "ENDING_WEIGHTS": {ending.name: (weight,) for ending, weight in likelihood.ENDING_WEIGHTS.items()},
        "FEATURE_WEIGHTS": {name: (weight,) for name, weight in likelihood.FEATURE_WEIGHTS.items()},
        "RISES": {group.name: slopes for group, slopes in likelihood.RISES.items()},
    }


def judge(sittings: list[Sitting]) -> None:
    """Print how often drafts were the end by the chance that the module gave them, and how near Enter was foreseen."""
    chances, ended, foreseen = [], [], []
    for sitting in sittings:
        typist = Typist()
        for message in sitting.messages:
            for index, (at, draft, removed, _) in enumerate(drafts(message), start=1):
                typist.changed(draft, removed=removed, now=at)
                if draft:
                    chances.append(typist.p_end(0.0))
                    ended.append(index == len(message.changes))
                    foreseen.append(typist.seconds_to_enter() / max(0.05, message.enter_at - at))
            typist.submitted(message.text, message.enter_at)
    bins, means, shares = np.digitize(chances, CHANCES), np.array(chances), np.array(ended)
    print(
        "Users kept for judging, with the module's weights: drafts, mean p(end) at no silence, share that was the end"
    )
    for each in range(len(CHANCES) + 1):
        kept = bins == each
        print(f"  {kept.sum()}  {means[kept].mean():.4f}  {shares[kept].mean():.4f}")
    quartiles = np.percentile(foreseen, [25, 50, 75])
    print("seconds_to_enter() over the actual seconds, quartiles:", ", ".join(f"{value:.2f}" for value in quartiles))


def main() -> None:
    """Print the fitted weights; with --check, exit with 1 if the module has others."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log", help="the log's CSV file; the installed package's by default")
    parser.add_argument("--check", action="store_true", help="exit with 1 if the module has other weights")
    options = parser.parse_args()
    sittings = read_sittings(log_path(options.log))
    training = [sitting for sitting in sittings if not sitting.for_judging]
    fitted = tables(fit(*design(rows_of(training))))
    for table, weights in fitted.items():
        print(f"{table}:")
        for name, values in weights.items():
            print(f"  {name}: {', '.join(f'{value:.{DECIMALS}f}' for value in values)}")
    judge([sitting for sitting in sittings if sitting.for_judging])
    if options.check and fitted != module_tables():
        sys.exit("The module has other weights.")


if __name__ == "__main__":
    main()

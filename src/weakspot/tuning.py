"""How peaks are sought best in a trained network's maps, told by counted images alone, and kept beside the run."""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import weakspot
from weakspot.detection import candidates_in
from weakspot.detection.peaks import SIZE_VOX
from weakspot.detection.smoothing import as_good, root_differences, sigmas_for, smoothing_by_counts
from weakspot.errors import InputError
from weakspot.evaluation.operating_point import whole_counts
from weakspot.files import write_text
from weakspot.predict_files import File, FileSettings, blocks, predict_files
from weakspot.seeding import generator
from weakspot.settings import from_dict, json_ready, to_dict
from weakspot.training.run import Run

LEAST = 10  # images: of fewer, chance tells more
FORMAT = 1
_MOST_VOXELS = 40_000_000  # which take minutes to smooth and search a dozen times
_FILE = "tuned.json"

Scores = Sequence[NDArray[np.float64]]  # by smoothing


@dataclass(frozen=True)
class Sought:
    """How peaks are sought: the method, the maximum filter's size in "voxels" or "mm", the axis across the slice."""

    method: str
    size: float = SIZE_VOX
    unit: str = "voxels"
    slice_axis: int | None = None

    def __str__(self) -> str:
        within = "" if self.slice_axis is None else f", in a slice across {'ijk'[self.slice_axis]}"
        return f"{self.method} maps and a maximum filter of {self.size:g} {self.unit}{within}"


@dataclass(frozen=True)
class Tuned:
    """What counted images tell of seeking.

    Attributes
    ----------
    sought : how peaks were, but for the smoothing
    images : that told
    sigma_vox : standard deviation of the Gaussian that maps are smoothed with
    threshold : the score above which a candidate counts as an object; None where it is best that none does
    by_threshold : whether counting by it is better than by the network's output, by more than a standard error of the
        mean difference of `weakspot.detection.smoothing.root_differences`
    count_error : mean absolute difference of the numbers of candidates that count from the counts, by thresholds found
        without the image
    unsmoothed_count_error : the same of maps as they are
    network_count_error : the same of the network's output, to the nearest whole number
    """

    sought: Sought
    images: int
    sigma_vox: float
    threshold: float | None
    by_threshold: bool
    count_error: float
    unsmoothed_count_error: float
    network_count_error: float

    def number_of(self, scores: NDArray[np.float64] | None) -> int:
        """Return how many candidates of these scores (n,) count by the threshold."""
        return 0 if scores is None or self.threshold is None else int(np.count_nonzero(scores > self.threshold))


def tune(
    run: Run,
    files: Sequence[File],
    counts: Mapping[str, float],
    settings: FileSettings,
    done: Callable[[], None] = lambda: None,
    leave_out: Callable[[str], None] = lambda reason: None,
) -> Tuned:
    """Find how far to smooth maps, and above which score peaks are objects, see `weakspot.detection.smoothing`.

    Parameters
    ----------
    run : trained under regression
    files : images, best ones that the network was not trained on, such as those it was validated on
        As many are taken, in random order, as have 40 million voxels, and ten at least.
    counts : of objects by id; with ``settings.slice_axis``, of the slice
    settings : how peaks are sought; the method must be named
    done : called after each image
    leave_out : called with the reason for each image that cannot be read

    Raises
    ------
    InputError
        For classification, whose outputs count nothing, and fewer than ten images that can be read.
    """
    if run.objective != "regression":
        raise InputError(
            "the network was trained to notice, not to count (--objective classification): nothing to tune"
        )
    sigmas = sigmas_for(max(run.shape))
    plain = replace(settings, keep_maps=True, smooth=0.0, score="height")
    scores: list[Scores] = []
    counted, outputs, voxels = [], [], 0
    files = [files[index] for index in generator(0, "tuned").permutation(len(files))]
    for block in blocks(files, run.architecture.dims):
        if voxels >= _MOST_VOXELS and len(scores) >= LEAST:
            break
        within = {file.identifier: file.slice_index for file in block}
        for each in predict_files(run, block, plain):
            done()
            if each.attention is None:
                leave_out(f"id {each.identifier}: {each.problem}")
                continue
            spacing = None if settings.size_mm is None else each.spacing_mm
            place = None if settings.slice_axis is None else (settings.slice_axis, within[each.identifier])
            size = settings.size_mm or settings.size
            scores.append(scores_at(sigmas, each.attention, place, spacing_mm=spacing, size=size))
            counted.append(counts[each.identifier])
            outputs.append(each.count)
            voxels += each.attention.size
    if len(scores) < LEAST:
        raise InputError(f"{len(scores)} images to tune by: expected {LEAST} or more, for of fewer chance tells more")
    return tuned_by(sigmas, scores, counted, outputs, sought_in(settings))


def scores_at(
    sigmas: Iterable[float], attention: NDArray[Any], place: tuple[int, float] | None = None, **detection: Any
) -> Scores:
    """Return the scores of a map's candidates under each smoothing, see `weakspot.detection.candidates_in`."""
    return [candidates_in(attention, place, smooth=sigma, **detection).scores for sigma in sigmas]


def tuned_by(
    sigmas: Sequence[float], scores: Sequence[Scores], counts: ArrayLike, outputs: ArrayLike, sought: Sought
) -> Tuned:
    """Return what scores of images tell.

    Parameters
    ----------
    sigmas : ascending from 0
    scores : of each image, as of `scores_at`
    counts : (images,) of objects
    outputs : (images,) of the network
    sought : how peaks were
    """
    told = smoothing_by_counts({sigma: [each[index] for each in scores] for index, sigma in enumerate(sigmas)}, counts)
    network, counted = whole_counts(outputs), np.asarray(counts, float)
    threshold = told.threshold if np.isfinite(told.threshold) else None
    by_network, by_threshold = (root_differences(each, counted) for each in (network, told.numbers))
    better = threshold is not None and not as_good(by_network, by_threshold)
    errors = (float(np.abs(each - counted).mean()) for each in (told.numbers, told.unsmoothed, network))
    return Tuned(sought, len(scores), told.sigma_vox, threshold, better, *errors)


def sought_in(settings: FileSettings) -> Sought:
    """Return how peaks are sought in files; the method must be named."""
    assert settings.method is not None
    size, unit = (settings.size, "voxels") if settings.size_mm is None else (settings.size_mm, "mm")
    return Sought(settings.method, size, unit, settings.slice_axis)


def check_writable(folder: Path) -> None:
    """Refuse a run folder that nothing can be written into."""
    if not os.access(folder, os.W_OK):
        raise InputError(f"{folder} may not be written by this user: copy the run folder, and tune the copy")


def keep_in(folder: Path, tuned: Tuned) -> None:
    """Write down in a run folder what was told, beside what was of peaks sought otherwise."""
    others = [each for each in kept_in(folder) if each.sought != tuned.sought]
    described = {
        "format": FORMAT,
        "weakspot": weakspot.__version__,
        "tuned": [json_ready(to_dict(each)) for each in (*others, tuned)],
    }
    write_text(folder / _FILE, json.dumps(described, indent=2, allow_nan=False) + "\n")


def kept_in(folder: Path) -> list[Tuned]:
    """Return what a run folder keeps, the latest last.

    Raises
    ------
    InputError
        It is damaged, of a newer version, or may not be read.
    """
    path = folder / _FILE
    if not path.exists():
        return []
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
        if described["format"] > FORMAT:
            raise InputError(
                f"{path} was written by weakspot {described.get('weakspot')} in format {described['format']}, and this "
                f"is weakspot {weakspot.__version__}, which reads up to format {FORMAT}: update weakspot"
            )
        kept = [from_dict(Tuned, each, str(path)) for each in described["tuned"]]
        for each in kept:
            threshold = 1.0 if each.threshold is None and not each.by_threshold else each.threshold
            if not 0 <= each.sigma_vox < np.inf or threshold is None or not 0 < threshold < np.inf:
                raise ValueError(f"a smoothing of {each.sigma_vox} and a threshold of {each.threshold}")
    except PermissionError as error:
        raise InputError(f"{path} may not be read by this user: ask its owner for leave") from error
    except InputError:
        raise
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path} is damaged ({error}): remove it, and tune again (weakspot tune)") from error
    return kept

"""The volumes of one region under one condition: phantoms, cut to the region, with the truth and a rater's points."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from weakspot.data.cohort import Cohort, read_cohort
from weakspot.data.geometry import geometry_of
from weakspot.data.images import ImageStore, load_images
from weakspot.data.phantom.files import write_phantoms
from weakspot.data.points import Points, points_of, read_points
from weakspot.data.region_files import prepare, tasks_of, write_cohorts
from weakspot.data.region_points import read_region_points, write_region_points
from weakspot.data.regions import RegionSettings
from weakspot.evaluation import Conventions, Detections, Truth, agree, detections_in_slices, truth_in_slices
from weakspot.evaluation.scene import IntArray
from weakspot.files import write_text
from weakspot.scenes import make_detections, make_truth
from weakspot.settings import to_dict
from weakspot.studies.brain_settings import MAX_FP, SLICE_AXIS, SLICED, BrainSettings, Sizes, phantom_settings
from weakspot.studies.recording import of_figures, short
from weakspot.studies.units import Place
from weakspot.training.settings import Examples

_TABLES = ("points", "rater_1", "rater_2")


def conventions_of(sizes: Sizes) -> Conventions:
    """Return how detections are judged: the paper's reach, in voxels of this study (section 3.7)."""
    return Conventions(reach="radius_vox", radius=sizes.reach_vox, max_fp=MAX_FP)


@dataclass(frozen=True)
class Phantoms:
    """The phantoms of one region under one condition, kept as volumes of the region.

    Attributes
    ----------
    study, region, condition : what they hang on
    labels : a folder of label maps; nilearn's MNI152 unless given
    """

    study: BrainSettings
    region: str
    condition: str
    labels: Path | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        """Its name."""
        return f"phantoms-{self.condition}-{self.region}"

    @property
    def kind(self) -> str:
        """Phantoms of one region take the same time."""
        return f"phantoms {self.region}"

    @property
    def needs(self) -> tuple[str, ...]:
        """Nothing."""
        return ()

    @property
    def settings(self) -> dict[str, Any]:
        """Return what they hang on."""
        return {
            "made": _made_with(self.study.sizes, self.condition, self.region),
            "region": self.region,
            "number": self.study.sizes.phantoms,
            "volume": self.study.sizes.volume(self.region),
            "label_maps": self.study.label_maps,
            "data_seed": self.study.data_seed,
        }

    def ready(self, place: Place) -> bool:
        """Say whether the volumes are there."""
        return (place.work_of(self) / "complete").exists()

    def run(self, place: Place, tell: Callable[[float], None]) -> dict[str, Any]:
        """Make them, going on with what is there; return what was made, and how the simulated rater agrees.

        The rater rates the test phantoms twice. ``rater``: with itself, each rating the reference in turn (section
        3.8). ``rater_truth``: each rating with the truth, which is what methods are held against.
        """
        folder, number = place.work_of(self), self.study.sizes.phantoms
        made = 0

        def one() -> None:
            nonlocal made
            made += 1
            tell(made / (2 * number))

        settings = phantom_settings(self.study.sizes, self.condition)
        write_phantoms(folder / "phantoms", number, settings, [self.region], self.labels, self.study.data_seed, one)
        tasks = tasks_of(read_cohort(folder / "phantoms" / "cohort.csv", counts=False), [self.region])
        cut = {self.region: RegionSettings(self.study.sizes.volume(self.region))}
        records = []
        for task in tasks:
            records.append(prepare(task, folder, cut)[0])
            one()
        write_cohorts(folder, tasks, records, [self.region])
        for table in _TABLES:
            (folder / table).mkdir(exist_ok=True)
            points = read_region_points(folder / "phantoms" / f"{table}.csv", tasks, [self.region])
            write_region_points(folder / table, points, tasks, records)
        write_text(folder / "complete", "")
        volumes = read_volumes(self, place)
        inside, *ratings = (volumes.truth(table) for table in _TABLES)
        conventions = conventions_of(self.study.sizes)
        rated = agree(ratings[0], ratings[1], conventions)
        right = [agree(inside, each, conventions).first_as_reference for each in ratings]
        return {
            "phantoms": number,
            "test": len(volumes.cohort),
            "counts": short(volumes.cohort.counts.astype(int)),
            "outside": int(volumes.cohort.counts.sum()) - len(inside.points),
            "rater": [of_figures(each) for each in (rated.first_as_reference, rated.second_as_reference)],
            "rater_truth": [of_figures(each) for each in right],
        }


@dataclass(frozen=True, eq=False)
class Volumes:
    """Volumes of a region, and what is known of them.

    Attributes
    ----------
    folder : of the unit that made them
    region : their region
    cohort : their table
    """

    folder: Path
    region: str
    cohort: Cohort

    def images(self) -> ImageStore:
        """Return the volumes, mapped into memory."""
        return load_images(self.cohort, cache=self.folder / "cache")

    def examples(self) -> Examples:
        """Return volumes and counts, no locations."""
        return Examples(self.images(), self.cohort.counts, self.cohort.ids)

    def points(self, table: str = "points") -> tuple[Points, ...]:
        """Return the points of each volume in a table, the truth or a rater's, as voxel indices of the volume."""
        found = read_points(self.folder / table / f"points_{self.region}.csv")
        own = set(self.cohort.ids)
        return points_of(found.without(found.keys() - own), self.cohort.ids, 3)

    @property
    def slices(self) -> IntArray | None:
        """The annotated slice of each volume, None where all of it is annotated."""
        if self.region not in SLICED:
            return None
        return geometry_of(self.cohort, 3, slice_axis=SLICE_AXIS).slices

    def truth(self, table: str = "points") -> Truth:
        """Return the points of all volumes for evaluation, those in the annotated slices where there are such."""
        whole = make_truth(self.points(table), self.cohort.ids, self.cohort.subjects)
        return whole if self.slices is None else truth_in_slices(whole, SLICE_AXIS, self.slices)

    def detections(self, found: Sequence[Points], counts: Sequence[float]) -> Detections:
        """Return what was found in each volume, for evaluation against `truth`."""
        whole = make_truth(self.points(), self.cohort.ids, self.cohort.subjects)
        detections = make_detections(found, whole, counts)
        return detections if self.slices is None else detections_in_slices(detections, SLICE_AXIS, self.slices)

    def fullest(self) -> tuple[int, int]:
        """Return the volume and the slice with the most PVS, the first of several."""
        truth = self.points()
        best, shown = -1, (0, 0)
        for index, each in enumerate(truth):
            heights = np.floor(each.coordinates[:, SLICE_AXIS] + 0.5).astype(int)
            chosen = heights if self.slices is None else heights[heights == self.slices[index]]
            if len(chosen):
                values, numbers = np.unique(chosen, return_counts=True)
                if (most := int(numbers.max())) > best:
                    best, shown = most, (index, int(values[np.argmax(numbers)]))
        return shown


def read_volumes(phantoms: Phantoms, place: Place, split: str = "test") -> Volumes:
    """Return the volumes of one split."""
    folder = place.work_of(phantoms)
    cohort = read_cohort(folder / f"cohort_{phantoms.region}.csv")
    return Volumes(folder, phantoms.region, cohort.with_split(split))


@lru_cache
def _made_with(sizes: Sizes, condition: str, region: str) -> dict[str, Any]:
    """Return the numbers that phantoms of one region hang on; those of other regions change nothing in it."""
    made = to_dict(phantom_settings(sizes, condition))
    return {name: made[name] for name in (region, "scan", "variation")}


def filter_size(sizes: Sizes) -> int:
    """Return the size of the maximum filter, the paper's in voxels of this study."""
    return max(math.floor(sizes.reach_vox + 0.5), 1)

"""The figures of the brain study, from its records alone."""

from collections.abc import Iterator

from matplotlib.figure import Figure

from weakspot.data.phantom.settings import REGIONS
from weakspot.report.study_figures import Tile, curves_figure, maps_figure
from weakspot.studies.brain import METHODS
from weakspot.studies.brain_claims import NAMES, curves_of
from weakspot.studies.brain_results import BrainResults
from weakspot.studies.brain_settings import BrainSettings
from weakspot.studies.brain_units import CURVE_FP

PHANTOMS = "phantoms, not patients"
_CIRCLE = 1.5  # diameter of a circle around a PVS, in reaches of a hit


def heading(region: str) -> str:
    """Return a region's name as a heading.

    >>> heading("basal_ganglia")
    'Basal ganglia'
    """
    return region.replace("_", " ").capitalize()


def figures(results: BrainResults, study: BrainSettings) -> Iterator[tuple[str, str, Figure]]:
    """Yield the name of each figure of the paper's brain study, a caption and the figure; it says what was not run."""
    panels = {heading(region): curves_of(results, region) for region in REGIONS}
    rated = {
        heading(region): [(each["fp_avg"]["value"], each["sensitivity"]["value"]) for each in made["rater"]]
        for region in REGIONS
        if (made := results.phantoms.get(("default", region)))
    }
    figure = curves_figure(panels, CURVE_FP, NAMES, rated, f"Ours: {PHANTOMS}", columns=2)
    caption = (
        f"FROC curves on {PHANTOMS}, against the truth. Triangles: the simulated rater against itself, each of two "
        "ratings of the test phantoms being the reference in turn, as in the paper"
    )
    yield "figure_7", caption, figure
    for number, region in enumerate(REGIONS, 8):
        if region not in results.images:
            continue
        image = results.images[region]
        first = Tile(f"{heading(region)}, PVS circled", image, "image")
        tiles = [first, *(Tile(NAMES[method], results.maps.get((method, region))) for method in METHODS)]
        rows = [tiles[:4], tiles[4:]]
        targets = results.targets(region)
        shape = image.shape[0], image.shape[1]
        diameter = _CIRCLE * study.sizes.reach_vox
        drawn = maps_figure(rows, [targets, targets], shape, diameter, circled=True, title="A phantom, not a patient")
        caption = (
            f"Attention maps in the {region.replace('_', ' ')} of a phantom, the slice of the test set with most PVS. "
            "PVS whose centre lies in it are circled. Left is left, the front is up. Maps are not moved back. "
            "Each has its own scale, from zero to its 99.95th percentile"
        )
        yield f"figure_{number}", caption, drawn

"""What of the brain study was run, in what time, and how it stands, in words and numbers."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from weakspot.data.phantom.settings import REGIONS
from weakspot.report.tables import Table
from weakspot.studies.brain import EVALUATED, METHODS
from weakspot.studies.brain_claims import AHEAD, NAMES, OUTSHONE, WEAK, BesideRater, beside_rater
from weakspot.studies.brain_figures import PHANTOMS, heading
from weakspot.studies.brain_results import BrainResults, Difference, centred
from weakspot.studies.brain_settings import CONDITIONS, BrainSettings
from weakspot.studies.cells import figure_of
from weakspot.studies.fauc import ranking
from weakspot.studies.mnist_summary import left_out, machines_of

MOST_HOURS = 12  # that the whole study is to take on two cores


def what_was_run(study: BrainSettings, results: BrainResults) -> str:
    """Return a list: how much, with which phantoms and recipes, on which machines, in what time."""
    sizes = study.sizes
    trainings = [each for seeds in results.trainings.values() for each in seeds]
    whole = len(EVALUATED) * len(METHODS) * len(REGIONS)
    spacing = " x ".join(f"{each:g}" for each in sizes.spacing_mm)
    volumes = ", ".join(f"{heading(region).lower()} {'x'.join(map(str, sizes.volume(region)))}" for region in REGIONS)
    lines = [
        f"{len(results.evaluations)} of {whole} cells (method, region, condition); the others say “not run”.",
        f"All images are {PHANTOMS}: {sizes.phantoms} of each region and condition, of every eleven five to train, one "
        f"to validate, five to test, seed {study.data_seed}, from {', '.join(study.label_maps)}; voxels of {spacing} "
        f"mm (the paper's times {sizes.coarser}); volumes: {volumes} voxels.",
        f"A hit is within {sizes.reach_vox:g} voxels, which is the paper's distance in mm, and so is the maximum "
        "filter; basal ganglia and centrum semiovale are judged in the annotated slice.",
        f"Networks have {sizes.width} filters in the first scale (the paper: 32).",
        *_recipes(study),
        *(f"{number} trainings on {machine}." for machine, number in machines_of(trainings).items()),
        *_outside(results),
        *_times(results),
        *left_out(results.left_out),
    ]
    return "\n".join(f"- {line}" for line in lines)


def _recipes(study: BrainSettings) -> Iterator[str]:
    stages = {
        "first": "The midbrain, from random weights",
        "further": "The other regions, from the midbrain's weights",
        "changed": "Another condition, from the region's own weights",
    }
    for stage, text in stages.items():
        recipe = getattr(study.recipes, stage)
        length = f"{recipe.steps} steps" if recipe.steps else f"until {recipe.patience} epochs without improvement"
        yield (
            f"{text}: {recipe.optimizer}, {length} of {recipe.batch_size}, learning rate {recipe.learning_rate:g}, "
            f"{'flips to the end' if recipe.flipped_until == 1 else f'flips until {recipe.flipped_until:.0%}'}, "
            + (
                "rotations."
                if recipe.resampled_until == 1
                else "no rotations."
                if not recipe.resampled_until
                else f"rotations until {recipe.resampled_until:.0%}."
            )
        )


def _outside(results: BrainResults) -> Iterator[str]:
    lost = [
        f"{heading(region).lower()} {made['outside']} of {int(np.sum(made['counts']))}"
        for (condition, region), made in results.phantoms.items()
        if condition == "default" and made["outside"]
    ]
    if lost:
        yield f"PVS of the test phantoms that are counted, but lie outside of the volumes: {', '.join(lost)}."


def _times(results: BrainResults) -> Iterator[str]:
    taken: dict[str, list[float]] = {"making phantoms of a region": [m["seconds"] for m in results.phantoms.values()]}
    for what, done in (("training", results.trainings), ("evaluation", results.evaluations)):
        for (condition, _, region), seeds in done.items():
            again = "" if condition == "default" else " again" if what == "training" else " elsewhere"
            taken.setdefault(f"{what}{again}, {heading(region).lower()}", []).extend(each["seconds"] for each in seeds)
    total = sum(map(sum, taken.values())) / 3600
    each = "; ".join(f"{what} {np.mean(times) / 60:.1f}" for what, times in taken.items() if times)
    yield f"Minutes of one, beside whatever else ran: {each}."
    yield (
        f"In all {total:.1f} h of one worker; two at a time that comes to {total / 2:.1f} h (computed; the target: "
        f"under {MOST_HOURS})."
    )


def standing(results: BrainResults) -> Iterator[str]:
    """Yield where the methods stand: rankings, targets against intensity and the simulated rater."""
    lines = []
    for region in REGIONS:
        found = {method: figure_of(results, ("default", method, region), "fauc")[0] for method in METHODS}
        run = {NAMES[method]: 100 * value for method, value in found.items() if value is not None}
        if run:
            lines.append(f"{heading(region)}, FAUC 0-15 (%) on phantoms: {ranking(run)}")
    for region in OUTSHONE:
        ahead = Difference.of_fauc(results, "default", region, WEAK, ("intensity",))
        if ahead is not None:
            reached = "reached" if ahead.value >= AHEAD else "missed"
            lines.append(
                f"{heading(region)}: the best weakly supervised method is {ahead.value:.1f} points of FAUC ahead of "
                f"intensity ({ahead.ends[0]:.1f} to {ahead.ends[1]:.1f}); the target of {AHEAD:g} is {reached}"
            )
    back = centred(results)
    for region in REGIONS:
        itself, truth = (beside_rater(results, region, against) for against in ("rater", "rater_truth"))
        moved = beside_rater(back, region, "rater_truth")
        if itself is not None and truth is not None and moved is not None:
            lines += [
                f"{heading(region)}: the simulated rater finds {100 * itself.sensitivity:.1f} % of its own other marks "
                f"at {itself.fp:.2f} false positives (Figure 7); the best method at so many, {NAMES[itself.method]}, "
                f"{_beside(itself)} of the PVS: "
                f"{'no worse' if itself.points >= 0 else 'worse'} than the rater agrees with itself",
                f"{heading(region)}: held against the truth, as methods are, the rater finds "
                f"{100 * truth.sensitivity:.1f} % at {truth.fp:.2f}; the best method at so many, "
                f"{NAMES[truth.method]}, {_beside(truth)} of the PVS; with maps moved back, {NAMES[moved.method]} "
                f"{_beside(moved)}",
            ]
    yield "\n".join(f"- {line}." for line in lines) or "- Nothing yet."


def _beside(rater: BesideRater) -> str:
    than = "more" if rater.points >= 0 else "fewer"
    return f"finds {abs(rater.points):.1f} points {than}"


def conditions_table(results: BrainResults, by: str = "") -> Table:
    """Return FAUC of every method under every condition, by networks fine-tuned there and by the default's.

    Parameters
    ----------
    results : what was evaluated
    by : what the title says of it
    """
    rows: list[tuple[str, ...]] = []
    bold = set()
    for region in REGIONS:
        for condition in EVALUATED:
            found = {method: figure_of(results, (condition, method, region), "fauc") for method in METHODS}
            known = {method: value for method, (value, _, _) in found.items() if value is not None}
            if not known:
                continue
            best = max(known, key=lambda method: known[method])
            bold.add((len(rows), 3 + list(METHODS).index(best)))
            name = condition.removesuffix("_unseen")
            network = "default's" if name != condition else "fine-tuned" if condition != "default" else "own"
            cells = (f"{100 * known[method]:.1f}" if method in known else "not run" for method in METHODS)
            rows.append((heading(region), CONDITIONS[name].text, network, *cells))
    title = f"FAUC, 0-15 false positives a scan (%), under other conditions{by}; {PHANTOMS}"
    note = (
        "The same brains, PVS in the same places. Networks: those of the default condition, which have not seen the "
        "other, and those fine-tuned under it, which have had 200 more steps. What these alone do shows in the "
        "midbrain without distractors: it has none, and so is a control. A volume is divided by its highest "
        "value, so where PVS or distractors are the brightest, the tissue's values change with them. A network that "
        "has not seen the condition may do better there than one fine-tuned. Bold: the highest."
    )
    return Table(title, ("region", "condition", "network", *NAMES.values()), tuple(rows), frozenset(bold), note)


def widths_table(results: BrainResults) -> Table:
    """Return how wide each method's response to a PVS is, and how far off it lies: means over phantoms in mm."""
    rows = []
    for region in REGIONS:
        widths, offsets = [], []
        for method in METHODS:
            seeds: list[dict[str, Any]] = results.evaluations.get(("default", method, region), [])
            known = np.array([each["width_mm"] for each in seeds], float)
            none = "none found" if seeds else "not run"
            widths.append(f"{np.nanmean(known):.1f}" if np.isfinite(known).any() else none)
            away = [np.linalg.norm(each["offset_mm"]) for each in seeds if each["offset_mm"]]
            offsets.append(f"{np.mean(away):.1f}" if away else none)
        rows += [(heading(region), "width", *widths), ("", "offset", *offsets)]
    title = f"Width of the response around a PVS, lower is sharper, and its offset (mm); {PHANTOMS}"
    note = (
        "Of the PVS that the method itself finds at the predicted count, so of others for each. Width: diameter of a "
        "disk as large as the connected part of the slice, around the highest response within reach of the PVS, that "
        "is at least half as high. Offset: length of the mean vector from PVS to detection; a map that is not "
        "displaced has 0."
    )
    return Table(title, ("region", "", *NAMES.values()), tuple(rows), note=note)


def versions(results: BrainResults) -> str:
    """Name the versions of weakspot that evaluated."""
    found = Counter(each["weakspot"] for seeds in results.evaluations.values() for each in seeds if each["weakspot"])
    return ", ".join(f"{number} by weakspot {version}" for version, number in sorted(found.items()))

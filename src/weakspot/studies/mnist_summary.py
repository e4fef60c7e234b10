"""What of the MNIST study was run, in what time, and where it stands beside the paper, in words and numbers."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from weakspot.report.tables import Table
from weakspot.studies.fauc import NAMES, Fauc, digit_list, digits_of, mean_fauc, ranking
from weakspot.studies.mnist import ALL, CELLS, COMPARED, METHODS, OBJECTIVES, VARIANTS, objective_of
from weakspot.studies.results import Cell, Results
from weakspot.studies.units import Place


def what_was_run(place: Place, results: Results) -> str:
    """Return a list: how much, with which seeds, images and recipe, on which machines, in what time."""
    settings = place.settings()
    recipe = ", ".join(f"{name} {value}" for name, value in settings["recipe"].items() if value is not None)
    sizes = " / ".join(map(str, settings["sizes"]))
    trainings = [each for seeds in results.trainings.values() for each in seeds]
    versions = Counter(each["weakspot"] for seeds in results.evaluations.values() for each in seeds if each["weakspot"])
    evaluated = ", ".join(f"{number} by weakspot {version}" for version, number in sorted(versions.items()))
    others = "" if is_whole(results.evaluations) else "; the others say “not run”"
    lines = [
        f"{len(results.evaluations)} of {len(CELLS)} cells{others}. {_seeds(results.evaluations)}",
        f"Images to train / validate / test: {sizes}, made of {settings['digits']} (how many, and a hash of them); the "
        "same images under all seeds.",
        f"Recipe, in the terms of `weakspot.training.recipes.Recipe`: {recipe}.",
        *(f"{number} trainings on {machine}." for machine, number in machines_of(trainings).items()),
        *([f"Evaluations whose version is recorded: {evaluated}."] if evaluated else []),
        *_times(results),
        *left_out(results.left_out),
    ]
    return "\n".join(f"- {line}" for line in lines)


def is_whole(cells: Collection[Cell]) -> bool:
    """Say whether all cells of the study are there."""
    return set(CELLS) <= set(cells)


def machines_of(trainings: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Return how many trainings ran in which environment, in words."""
    return Counter(
        f"{each['environment']['device']}, {each['environment']['processor']}, {each['environment']['platform']}, "
        f"Python {each['environment']['python']}, torch {each['environment']['torch']}, "
        f"weakspot {each['environment']['weakspot']}, {each['environment']['threads']} thread(s) each"
        for each in trainings
    )


def left_out(found: Mapping[str, str]) -> list[str]:
    """Return a line for each reason, with the records that are left out for it."""
    reasons: dict[str, list[str]] = {}
    for name, reason in found.items():
        reasons.setdefault(reason, []).append(name)
    return [f"Left out, {reason}: {', '.join(names)}." for reason, names in reasons.items()]


def _seeds(evaluations: Mapping[Cell, list[dict[str, Any]]]) -> str:
    """Name the seeds, and how many cells are the mean over which."""
    sets = Counter(tuple(each["seed"] for each in seeds) for seeds in evaluations.values())
    if len(sets) == 1 and len(next(iter(sets))) == 1:
        return f"One training of each, seed {next(iter(sets))[0]}."
    named = "; ".join(f"seeds {digit_list(seeds)} in {number} cells" for seeds, number in sorted(sets.items()))
    return f"A cell is the mean over its seeds: {named}."


def _times(results: Results) -> Iterator[str]:
    """Say what trainings and evaluations took, apart and in all, and what those of one seed would take."""
    spent = 0.0
    whole = 0.0
    trainings = dict.fromkeys((objective, ALL[method][0], digit) for objective, method, digit in CELLS)
    for what, done, asked in (("training", results.trainings, trainings), ("evaluation", results.evaluations, CELLS)):
        taken: dict[str, list[float]] = {}
        for (_, name, _), seeds in done.items():
            taken.setdefault(name, []).extend(each["seconds"] for each in seeds)
        if not taken:
            return
        means = {name: float(np.mean(seconds)) for name, seconds in taken.items()}
        each = ", ".join(f"{name} {seconds / 60:.1f}" for name, seconds in means.items())
        hours = sum(map(sum, taken.values())) / 3600
        number = sum(map(len, taken.values()))
        yield f"Minutes of one {what}, beside whatever else ran: {each}. All {number}: {hours:.1f} h."
        spent += hours
        typical = float(np.mean(list(means.values())))  # where none of its kind was run
        whole += sum(means.get(name, typical) for _, name, _ in asked) / 3600
    yield (
        f"In all {spent:.1f} h of one worker. At these rates the {len(trainings)} trainings and {len(CELLS)} "
        f"evaluations of one seed take {whole:.1f} h one after the other, {whole / 2:.1f} h two at a time."
    )


def standing(ours: Fauc, theirs: Fauc) -> list[str]:
    """Return the means beside each other, how many intervals lie apart, and the rankings."""
    rows: list[tuple[str, ...]] = []
    for group in COMPARED:
        for method in COMPARED[group] if group != "architecture" else VARIANTS:
            column = objective_of(group), method
            name = f"{NAMES[method]}, {column[0]}"
            digits = digits_of(ours, column)
            if not digits:
                rows.append((name, "not run", *("",) * 5))
                continue
            pairs = [(ours[*column, digit], theirs[*column, digit]) for digit in digits]
            above = sum(mine[1] > published[2] for mine, published in pairs)
            below = sum(mine[2] < published[1] for mine, published in pairs)
            means = (f"{mean_fauc(each, column, digits):.1f}" for each in (ours, theirs))
            counted = (above, len(digits) - above - below, below)
            rows.append((name, digit_list(digits), *means, *map(str, counted)))
    whole = is_whole(ours)
    header = ("FAUC (%)", "digits", "ours", "paper" if whole else "paper, same digits", "above", "overlapping", "below")
    title = (
        f"Mean over the digits{'' if whole else ' run'}, and the number of digits where our 95 % interval lies above "
        "the paper's, overlaps it, or lies below it"
    )
    note = (
        "Intervals are over resampled test images, the paper's as well. They tell nothing of how far another training "
        "would move a cell."
    )
    if not whole:
        note += " Compare within a row: rows of other digits are not to be compared."
    compared = [(objective, tuple(METHODS)) for objective in OBJECTIVES] + [("regression", ("gp_unet", *VARIANTS))]
    rankings = [f"- {line}" for columns in compared for line in _rankings(ours, theirs, *columns)]
    over = "" if whole else ", each over the digits that all methods in it were run on"
    return [
        Table(title, header, tuple(rows), note=note).markdown(),
        f"Ranking by mean FAUC{over}:",
        "\n".join(rankings or ["- not run"]),
    ]


def _rankings(ours: Fauc, theirs: Fauc, objective: str, methods: Sequence[str]) -> Iterator[str]:
    """Rank methods over the digits that they have in common, then those left without the ones run on the fewest."""
    left = {method: digits for method in methods if (digits := digits_of(ours, (objective, method)))}
    ranked = 0
    while len(left) > 1:
        digits = digits_of(ours, *((objective, method) for method in left))
        if len(digits) > ranked:
            ranked = len(digits)
            missing = [NAMES[method] for method in methods if method not in left]
            without = f", without {', '.join(missing)}" if missing else ""
            for whose, fauc in (("ours", ours), ("paper", theirs)):
                means = {NAMES[method]: mean_fauc(fauc, (objective, method), digits) for method in left}
                which = "digits" if len(digits) > 1 else "digit"
                yield f"{objective}, {which} {digit_list(digits)}{without}, {whose}: {ranking(means)}"
        fewest = min(map(len, left.values()))
        left = {method: digits for method, digits in left.items() if len(digits) > fewest}

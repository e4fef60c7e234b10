"""``weakspot phantom``."""

from pathlib import Path
from typing import Annotated

import typer


def phantom(
    out: Annotated[
        Path, typer.Option(help="Folder to write; what was made there before, with the same settings, stays.")
    ],
    n: Annotated[int, typer.Option("--n", min=1, help="How many.")] = 200,
    region: Annotated[
        list[str] | None,
        typer.Option(
            help="midbrain, hippocampi, basal_ganglia or centrum_semiovale; again for more; all unless given."
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="Folder of segmentations with FreeSurfer's codes; nilearn's MNI152 unless given."),
    ] = None,
    spacing: Annotated[str | None, typer.Option(help="Voxel size in mm; 0.49,0.49,0.8 unless given.")] = None,
    orientation: Annotated[str | None, typer.Option(help="Where the voxel axes point: RAS, LPI ...")] = None,
    oblique: Annotated[float | None, typer.Option(help="Degrees that the slices are turned.")] = None,
    counts: Annotated[float, typer.Option(help="Factor of the mean counts.")] = 1,
    size: Annotated[float, typer.Option(help="Factor of the diameters, which stay within 3 mm.")] = 1,
    contrast: Annotated[float, typer.Option(help="Factor of the contrast of perivascular spaces.")] = 1,
    distractors: Annotated[
        float, typer.Option(help="Factor of the numbers of hyperintensities, lacunes and sulci; 0 removes them.")
    ] = 1,
    settings: Annotated[
        Path | None, typer.Option(help="JSON with any of the numbers in settings.json, to replace the defaults.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same phantoms.")] = 0,
) -> None:
    """Make phantoms: T2-weighted volumes with perivascular spaces in known places, in the form that real data has.

    They are no patients. Writes scans, segmentations, cohort.csv, points.csv, and two ratings by a simulated rater.
    Factors change nothing else: --distractors 0 leaves the same perivascular spaces in the same brains.
    """
    from weakspot.cli.console import counting_bar, say
    from weakspot.data.phantom.files import write_phantoms
    from weakspot.data.phantom.settings import REGIONS, PhantomSettings, scaled, with_changes

    scan = {"spacing_mm": _numbers(spacing), "orientation": orientation, "oblique_deg": oblique}
    chosen = with_changes(PhantomSettings(), _read(settings))
    chosen = with_changes(chosen, {"scan": {name: value for name, value in scan.items() if value is not None}})
    chosen = scaled(chosen, count=counts, size=size, contrast=contrast, distractors=distractors)
    with counting_bar("phantoms", n) as advance:
        write_phantoms(out, n, chosen, region or REGIONS, labels, seed, advance)
    say(f"{n} phantoms, not patients: {out}/cohort.csv, points.csv, rater_1.csv, rater_2.csv")


def _numbers(text: str | None) -> tuple[float, ...] | None:
    from weakspot.errors import InputError

    try:
        return None if text is None else tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"spacing {text!r}: expected three numbers, such as 0.49,0.49,0.8") from error


def _read(path: Path | None) -> dict[str, object]:
    import json

    from weakspot.data.problems import file_problem
    from weakspot.errors import InputError

    if path is None:
        return {}
    if problem := file_problem(path):
        raise InputError(f"{path}: {problem}")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error})") from error
    if not isinstance(found, dict):
        raise InputError(f"{path}: expected an object with regions, scan and variation; found {type(found).__name__}")
    return found

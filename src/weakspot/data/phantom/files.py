"""A folder of phantoms: scans, segmentations and tables in the form that real data has."""

import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from weakspot.data.phantom.anatomy import Sources
from weakspot.data.phantom.make import Phantom, make_phantom
from weakspot.data.phantom.settings import REGIONS, PhantomSettings
from weakspot.data.phantom.template import check_installed
from weakspot.data.tables import write_table
from weakspot.errors import InputError
from weakspot.files import is_whole, read_record, write_atomically, write_text
from weakspot.seeding import generator
from weakspot.settings import differences, to_dict

FloatArray = NDArray[np.float64]
Row = dict[str, Any]

# Of every eleven phantoms five train, one validates and five test: the paper's 1000, 202 and 1000 scans (3.5, 4.3).
FORMAT = 1  # of what is made; no folder holds phantoms of two
_ROWS = ("cohort", "points", "objects", "rater_1", "rater_2")  # of a record: what the tables are made of
SPLITS = ("train", "test") * 5 + ("val",)
POINT = ("id", "i", "j", "k", "x_mm", "y_mm", "z_mm", "region")
OF_PVS = ("diameter_mm", "length_mm", "contrast")
README = """These are phantoms, not patients: T2-weighted volumes computed by weakspot {version} from label maps, with
perivascular spaces (PVS), and things that look like them, drawn at known places. Nothing here was seen in a human
being, and no figure reached on them is one reached on patients.

cohort.csv      a row a phantom: scan, segmentation (FreeSurfer's codes), counts by region, annotated slices
points.csv      the annotated PVS: voxel indices of the scan (whole at voxel centres) and world mm (RAS+)
rater_1.csv, rater_2.csv   what a simulated rater marked, who misses and adds PVS: the first time, and again
objects.csv     everything that was drawn: all PVS, those outside of the annotated slice too, and all distractors
settings.json   what they were made with; the same settings and seed make the same bytes
records/        the rows of each phantom, from which the tables are made
"""


def write_phantoms(
    out: Path,
    n: int,
    settings: PhantomSettings,
    regions: Sequence[str] = REGIONS,
    labels: Path | None = None,
    seed: int = 0,
    done: Callable[[], None] = lambda: None,
) -> None:
    """Make ``n`` phantoms in a folder; those that are there already are kept.

    Phantom ``i`` depends on the settings, the seed and ``i``, not on ``n``: its stream is ``"phantom", i``. A run that
    was cut off goes on where it was.

    Parameters
    ----------
    out
        The folder. If it holds phantoms, they must be of the same settings.
    n
        How many.
    settings
        All numbers.
    regions
        Which of ``REGIONS``.
    labels
        A folder of segmentations; nilearn's MNI152 unless given.
    seed
        Of everything.
    done
        Called after each phantom.

    Raises
    ------
    InputError
        The folder holds phantoms of other settings, or something else, or another process writes there; a
        segmentation cannot be used.
    """
    from weakspot import __version__

    if wrong := [name for name in regions if name not in REGIONS] or ([] if regions else ["none"]):
        raise InputError(f"no region {', '.join(wrong)}; there are {', '.join(REGIONS)}")
    regions = [name for name in REGIONS if name in regions]
    if labels is None:
        check_installed()
    sources = Sources(labels)
    what = {
        "phantoms": True,
        "format": FORMAT,
        "seed": seed,
        "regions": regions,
        "label_maps": sources.describe(),
        **to_dict(settings),
    }
    what = json.loads(json.dumps(what))
    out.mkdir(parents=True, exist_ok=True)
    records: list[dict[str, Any]] = []
    try:
        with FileLock(out / ".lock", blocking=False):
            _begin(out, what)
            write_text(out / "README.txt", README.format(version=__version__))
            for number in range(n):
                records.append(_one(out, number, settings, regions, sources, seed))
                done()
            _tables(out, records, regions)
    except Timeout as error:
        raise InputError(f"{out}: another process makes phantoms there; wait for it, or name another folder") from error


def name_of(number: int) -> str:
    """Return the id of a phantom."""
    return f"phantom_{number:04d}"


def _begin(out: Path, what: dict[str, Any]) -> None:
    path = out / "settings.json"
    if path.exists():
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{path}: not JSON ({error}); name another folder") from error
        if not isinstance(before, dict) or before.get("phantoms") is not True:
            raise InputError(f"{out} holds a settings.json of something else; name a new folder")
        if before != what and any((out / "records").glob("*.json")):  # where nothing was made, nothing is mixed
            raise InputError(
                f"{out} holds phantoms of other settings: {', '.join(differences(before, what))}; name another folder"
            )
    elif others := sorted(each.name for each in out.iterdir() if each.name != ".lock"):
        raise InputError(f"{out} holds {others[0]} and no phantoms; name a new folder")
    for part in ("scans", "segmentations", "records"):
        (out / part).mkdir(exist_ok=True)
    write_text(path, json.dumps(what, indent=2) + "\n")


def _one(
    out: Path, number: int, settings: PhantomSettings, regions: Sequence[str], sources: Sources, seed: int
) -> dict[str, Any]:
    """Make one phantom and return its record, which is written last, and says that it is complete."""
    name = name_of(number)
    scan, segmentation = f"scans/{name}_T2w.nii.gz", f"segmentations/{name}_aseg.nii.gz"
    record = out / "records" / f"{name}.json"
    if (known := read_record(record, *_ROWS)) and is_whole(out / scan) and is_whole(out / segmentation):
        return known
    source, anatomy = sources.of(number)
    try:
        phantom = make_phantom(anatomy.labels, anatomy.affine, settings, generator(seed, "phantom", number), regions)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    _write_nifti(out / scan, phantom.values, phantom.affine)
    _write_nifti(out / segmentation, phantom.labels, phantom.labels_affine)
    row: Row = {"id": name, "subject": name, "image": scan, "segmentation": segmentation}
    row |= {"label_map": source, "split": SPLITS[number % len(SPLITS)]}
    spacing = np.linalg.norm(phantom.affine[:3, :3], axis=0).round(6)
    row |= {f"spacing_{axis}": float(each) for axis, each in zip("ijk", spacing, strict=True)}
    row |= {f"size_{axis}": each for axis, each in zip("ijk", phantom.values.shape, strict=True)}
    row |= _by_region("count", regions, [len(each.points) for each in phantom.regions.values()])
    slices = [each.slice for each in phantom.regions.values()]
    if any(each is not None for each in slices):
        row |= _by_region("slice", regions, ["" if each is None else each for each in slices])
    ratings = [list(_ratings(name, phantom, again)) for again in (0, 1)]
    rows = {"cohort": [row], "points": list(_points(name, phantom)), "objects": list(_objects(name, phantom))}
    rows |= {"rater_1": ratings[0], "rater_2": ratings[1]}
    write_text(record, json.dumps(rows, indent=1) + "\n", lasting=False)
    return rows


def _by_region(what: str, regions: Sequence[str], values: Sequence[Any]) -> Row:
    """Return a column a region, and one without a region's name where only one was asked for."""
    row = {f"{what}_{name}": value for name, value in zip(regions, values, strict=True)}
    return {what: values[0], **row} if len(regions) == 1 else row


def _place(name: str, phantom: Phantom, region: str, index: FloatArray) -> Row:
    world = phantom.affine[:3, :3] @ index + phantom.affine[:3, 3]
    values = [name, *(float(each) for each in index.round(4)), *(float(each) for each in world.round(4)), region]
    return dict(zip(POINT, values, strict=True))


def _points(name: str, phantom: Phantom) -> Iterator[Row]:
    for region, truth in phantom.regions.items():
        for point, pvs in zip(truth.points, truth.pvs, strict=False):  # the annotated come first
            yield _place(name, phantom, region, point) | {each: round(getattr(pvs, each), 3) for each in OF_PVS}


def _objects(name: str, phantom: Phantom) -> Iterator[Row]:
    for region, truth in phantom.regions.items():
        for pvs in truth.pvs:
            row = _place(name, phantom, region, phantom.index(pvs.point))
            yield (
                row
                | {"kind": "pvs", "annotated": int(pvs.annotated)}
                | {each: round(getattr(pvs, each), 3) for each in OF_PVS}
            )
        for each in truth.distractors:
            row = _place(name, phantom, region, phantom.index(each.point)) | {"kind": each.kind, "annotated": 0}
            yield row | {
                "diameter_mm": round(each.diameter_mm, 3),
                "length_mm": "",
                "contrast": round(each.contrast, 3),
            }


def _ratings(name: str, phantom: Phantom, again: int) -> Iterator[Row]:
    for region, truth in phantom.regions.items():
        for point in truth.ratings[again]:
            yield _place(name, phantom, region, point)


def _tables(out: Path, records: Sequence[dict[str, list[Row]]], regions: Sequence[str]) -> None:
    headers = {
        "cohort": list(records[0]["cohort"][0]) if records else ["id"],
        "points": [*POINT, *OF_PVS],
        "objects": [*POINT, "kind", "annotated", *OF_PVS],
        "rater_1": list(POINT),
        "rater_2": list(POINT),
    }
    for table, header in headers.items():
        rows = [[row[column] for column in header] for record in records for row in record[table]]
        write_table(out / f"{table}.csv", header, rows)


def _write_nifti(path: Path, values: NDArray[np.int16], affine: FloatArray) -> None:
    """Write a NIfTI-1 file, gzipped without a time, so that the same values are the same bytes."""
    import nibabel

    image = nibabel.Nifti1Image(values, affine)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = b"phantom, not a patient (weakspot)"
    image.set_qform(affine, code=1)
    image.set_sform(affine, code=1)
    content = gzip.compress(image.to_bytes(), compresslevel=6, mtime=0)
    write_atomically(path, lambda temporary: temporary.write_bytes(content), lasting=False)

"""Patches of two patients' FLAIR scans with their lesion counts, ready for ``weakspot train`` (docs/ms_lesions.md).

    python examples/ms_patches.py SCANS OUT

SCANS holds ``patientNN_flair.nii.gz`` and ``lesions.json``: the connected components of the consensus masks of Lesjak
et al. 2017 (doi:10.1007/s12021-017-9348-7). OUT gets the patches as NIfTI with their affines, ``cohort.csv`` and
``truth.csv``, which nothing but evaluation reads.
"""

import csv
import itertools
import json
import sys
from pathlib import Path

import nibabel as nib
import numpy as np

SIZE = 32  # voxels of 1 mm
STEP = {"train": 12, "test": SIZE}  # patches to train on overlap, those to test on do not
PATIENTS = {"patient19": "train", "patient07": "test"}
BRAIN = 0.6  # at least this share of a patch is brain
LEAST = 3  # voxels of a lesion that counts


def main(scans: Path, out: Path) -> None:
    """Cut out the patches and write the tables."""
    out.mkdir(parents=True, exist_ok=True)
    lesions = json.loads((scans / "lesions.json").read_text())
    cohort, truth = [], []
    for patient, split in PATIENTS.items():
        scan = nib.load(scans / f"{patient}_flair.nii.gz")
        voxels = np.asarray(scan.dataobj)
        points = np.array([each["centroid_ijk"] for each in lesions[patient] if each["voxels"] >= LEAST])
        corners = itertools.product(*(range(0, size - SIZE + 1, STEP[split]) for size in voxels.shape))
        for corner in corners:
            patch = voxels[tuple(slice(start, start + SIZE) for start in corner)]
            if (patch > 0).mean() < BRAIN:
                continue
            name = f"{patient}_{'_'.join(map(str, corner))}"
            inside = points[np.all((points >= corner) & (points < np.add(corner, SIZE)), axis=1)] - corner
            affine = scan.affine.copy()
            affine[:3, 3] = nib.affines.apply_affine(scan.affine, corner)
            # All divided by the one largest value that the scans can have: patches by their own would not compare.
            nib.save(nib.Nifti1Image((patch / 4000).astype(np.float32), affine), out / f"{name}.nii.gz")
            # Slabs along the first axis to validate on, so that they overlap few of the others.
            part = "val" if split == "train" and corner[0] >= 108 else split
            cohort.append((name, f"{name}.nii.gz", len(inside), part, 1, 1, 1))
            truth += [(name, *point) for point in inside]
    spacing = [f"spacing_{axis}" for axis in "ijk"]
    for name, header, rows in (
        ("cohort.csv", ["id", "image", "count", "split", *spacing], cohort),
        ("truth.csv", ["id", "i", "j", "k"], truth),
    ):
        with (out / name).open("w", newline="") as file:
            csv.writer(file).writerows([header, *rows])
    print(f"{len(cohort)} patches, {len(truth)} lesions in them: {out}/cohort.csv, {out}/truth.csv")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

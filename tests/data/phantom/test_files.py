import json

import nibabel
import numpy as np
import pytest

from weakspot.data.cohort import read_cohort
from weakspot.data.geometry import geometry_of
from weakspot.data.phantom.files import write_phantoms
from weakspot.data.phantom.settings import PhantomSettings, with_changes
from weakspot.data.points import read_points
from weakspot.data.scan_files import ScanWarning
from weakspot.errors import InputError

from .conftest import COARSE, box_brain

SETTINGS = with_changes(PhantomSettings(), COARSE)


@pytest.fixture(scope="module")
def maps(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    labels, affine = box_brain()
    nibabel.save(nibabel.Nifti1Image(labels.astype(np.int16), affine), folder / "box_aseg.nii.gz")
    return folder


@pytest.fixture(scope="module")
def made(maps, tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "phantoms"
    write_phantoms(out, 3, SETTINGS, ("basal_ganglia",), maps, 5)
    return out


def content(out):
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.name[0] != "." and path.is_file()
    }


def test_the_tables_are_those_of_real_data(made):
    cohort = read_cohort(made / "cohort.csv")
    assert cohort.ids == ("phantom_0000", "phantom_0001", "phantom_0002")
    assert list(cohort.table["split"]) == ["train", "test", "train"]
    geometry = geometry_of(cohort, 3, spacing=True, slice_axis=2)
    np.testing.assert_allclose(geometry.spacing_mm, [[0.8, 0.9, 1.2]] * 3)
    points = read_points(made / "points.csv")
    for name, count, path, size, at in zip(
        cohort.ids, cohort.counts, cohort.paths, geometry.sizes, geometry.slices, strict=True
    ):
        image = nibabel.load(path)
        assert image.shape == tuple(size)
        assert "phantom" in str(image.header["descrip"])
        own = points.get(name, points.none)
        assert len(own) == count
        np.testing.assert_array_equal(own.coordinates[:, 2], at)
        expected = nibabel.affines.apply_affine(image.affine, own.coordinates)
        np.testing.assert_allclose(own.world_mm, expected, atol=1e-3)
    row = cohort.table.iloc[0]
    segmentation = nibabel.load(made / row["segmentation"])
    assert {11, 50, 12, 51, 2, 41} <= set(np.unique(np.asanyarray(segmentation.dataobj)))
    assert int(row["count_basal_ganglia"]) == row["count"]
    assert "not patients" in (made / "README.txt").read_text()


def test_a_phantom_depends_on_seed_and_number_alone(made, maps, tmp_path):
    write_phantoms(tmp_path / "fewer", 2, SETTINGS, ("basal_ganglia",), maps, 5)
    before, fewer = content(made), content(tmp_path / "fewer")
    assert all(before[name] == each for name, each in fewer.items() if not name.endswith(".csv"))
    assert before["points.csv"].startswith(fewer["points.csv"])
    write_phantoms(tmp_path / "other", 1, SETTINGS, ("basal_ganglia",), maps, 6)
    name = "scans/phantom_0000_T2w.nii.gz"
    assert content(tmp_path / "other")[name] != before[name]


def test_a_run_that_was_cut_off_goes_on_to_the_same_bytes(made, maps, tmp_path):
    out = tmp_path / "again"

    class Cut(Exception):
        pass

    def cut() -> None:
        raise Cut

    with pytest.raises(Cut):
        write_phantoms(out, 3, SETTINGS, ("basal_ganglia",), maps, 5, cut)
    assert not (out / "cohort.csv").exists()
    first = out / "scans" / "phantom_0000_T2w.nii.gz"
    when = first.stat().st_mtime_ns
    (out / "segmentations" / "phantom_0001_aseg.nii.gz").write_bytes(b"half")  # has no record yet: not believed
    write_phantoms(out, 3, SETTINGS, ("basal_ganglia",), maps, 5)
    assert content(out) == content(made)
    assert first.stat().st_mtime_ns == when  # kept, not made again
    for name, left in (("0000", b""), ("0001", b'{"cohort": ['), ("0002", b"{}")):  # as a power cut may leave them
        (out / "records" / f"phantom_{name}.json").write_bytes(left)
    first.write_bytes(b"")
    write_phantoms(out, 3, SETTINGS, ("basal_ganglia",), maps, 5)
    assert content(out) == content(made)


def test_other_settings_and_foreign_folders_are_refused(made, maps, tmp_path):
    before = content(made)
    with pytest.raises(InputError, match=r"seed \(5 then, 6 now\)"):
        write_phantoms(made, 3, SETTINGS, ("basal_ganglia",), maps, 6)
    changed = with_changes(SETTINGS, {"basal_ganglia": {"count": 9}})
    with pytest.raises(InputError, match=r"basal_ganglia\.count \(4\.6 then, 9 now\)"):
        write_phantoms(made, 3, changed, ("basal_ganglia",), maps, 5)
    assert content(made) == before
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match=r"thesis\.txt and no phantoms"):
        write_phantoms(tmp_path, 1, SETTINGS, ("basal_ganglia",), maps)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name[0] != ".") == ["thesis.txt"]
    (tmp_path / "run").mkdir()
    for other in ('{"format": 1, "network": "gp_unet"}', "[]"):
        (tmp_path / "run" / "settings.json").write_text(other)
        with pytest.raises(InputError, match=r"settings\.json of something else"):
            write_phantoms(tmp_path / "run", 1, SETTINGS, ("basal_ganglia",), maps)
        assert (tmp_path / "run" / "settings.json").read_text() == other
    with pytest.raises(InputError, match="no region pons"):
        write_phantoms(tmp_path / "new", 1, SETTINGS, ("pons",), maps)


def test_label_maps_that_cannot_be_used_are_refused(tmp_path):
    def refused(said):
        with pytest.raises(InputError, match=said):
            write_phantoms(tmp_path / "out", 1, SETTINGS, ("midbrain",), tmp_path / "maps")

    refused("not a folder")
    (tmp_path / "maps").mkdir()
    refused("holds no segmentation")
    path = tmp_path / "maps" / "a.nii.gz"
    path.write_bytes(b"nonsense")
    refused(r"a\.nii\.gz: by its name \.nii\.gz expected gzip")
    nibabel.save(nibabel.Nifti1Image(np.full((8, 8, 8), 0.5, np.float32), np.eye(4)), path)
    refused("whole numbers")
    nibabel.save(nibabel.Nifti1Image(np.full((8, 8, 8), 2, np.uint8), np.eye(4)), path)
    cut = path.read_bytes()[:-4]
    path.write_bytes(cut)
    refused("cut off")
    path.unlink()
    nibabel.save(nibabel.Nifti1Image(np.zeros((8, 8, 8), np.uint8), np.eye(4)), path)
    refused(r"a\.nii\.gz: a segmentation without a single voxel of brain")
    nowhere = nibabel.Nifti1Image(box_brain()[0].astype(np.int16), None)
    nibabel.save(nowhere, path)
    with pytest.warns(ScanWarning):
        refused(r"a\.nii\.gz: its header says neither spacing nor position")


def test_the_command(maps, tmp_path, monkeypatch, capsys):
    from weakspot.cli.app import main

    changes = tmp_path / "changes.json"
    changes.write_text(json.dumps(COARSE))
    out = tmp_path / "out"
    options = ["--n", "1", "--region", "midbrain", "--labels", str(maps), "--settings", str(changes), "--seed", "5"]
    monkeypatch.setattr("sys.argv", ["weakspot", "phantom", "--out", str(out), *options, "--distractors", "0"])
    main_ended(main)
    assert "1 phantoms, not patients" in capsys.readouterr().out
    written = json.loads((out / "settings.json").read_text())
    assert written["scan"]["spacing_mm"] == [0.8, 0.9, 1.2]
    assert written["hippocampi"]["sulci"] == 0
    monkeypatch.setattr("sys.argv", ["weakspot", "phantom", "--out", str(out), *options, "--spacing", "thin"])
    assert main_ended(main) == 1
    assert "expected three numbers" in capsys.readouterr().err


def main_ended(main) -> int | None:
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code

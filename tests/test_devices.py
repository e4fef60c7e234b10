"""What is computed with."""

from collections.abc import Iterator

import pytest
import torch

from weakspot.devices import cores, use_cpu


@pytest.fixture(autouse=True)
def own_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("asked", "given", "expected"),
    [
        (None, None, cores()),
        ("3", None, 3),
        ("3,2", None, 3),
        ("3", 1, 1),
        ("0", None, cores()),
        ("many", None, cores()),
    ],
)
def test_threads_are_those_given_or_asked_for_by_the_environment_or_one_a_core(
    asked: str | None, given: int | None, expected: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if asked is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    use_cpu(given)
    assert torch.get_num_threads() == expected

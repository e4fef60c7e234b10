"""Fixtures that more than one folder of tests uses."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Give the folder of real data sets, which lies beside the repository and is not part of it."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real data sets are not here (../shared/data beside the repository)")
    return folder

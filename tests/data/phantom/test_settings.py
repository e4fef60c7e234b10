import json

import pytest

from weakspot.data.phantom.settings import PhantomSettings, scaled, with_changes
from weakspot.errors import InputError
from weakspot.settings import to_dict


def test_settings_survive_json():
    settings = with_changes(PhantomSettings(), {"midbrain": {"contrast": (0.1, 0.2)}, "scan": {"orientation": "LPI"}})
    assert with_changes(PhantomSettings(), json.loads(json.dumps(to_dict(settings)))) == settings


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pons": {"count": 1}}, "unknown pons"),
        ({"midbrain": {"number": 1}}, "unknown number"),
        ({"midbrain": 3}, "not a mapping"),
        ({"midbrain": {"count": -1}}, "count is -1"),
        ({"midbrain": {"count": "many"}}, "count is 'many'"),
        ({"midbrain": {"count": float("nan")}}, "count is nan"),
        ({"midbrain": {"diameter_mm": [1, 3.5]}}, "more than 3 mm"),
        ({"midbrain": {"contrast": [0.9, 0.2]}}, "from low to high"),
        ({"midbrain": {"contrast": [0.9]}}, "2 numbers"),
        ({"midbrain": {"missed": 1.5}}, "more than 1"),
        ({"midbrain": {"shape": 0}}, "shape holds 0"),
        ({"scan": {"spacing_mm": [0.5, 0.5]}}, "3 numbers"),
        ({"scan": {"spacing_mm": [0.5, 0.5, 0]}}, "from 0.1 to 5"),
        ({"scan": {"orientation": "RSA"}}, "orientation is 'RSA'"),
        ({"scan": {"orientation": "RRS"}}, "orientation is 'RRS'"),
        ({"scan": {"oblique_deg": 60}}, "not be axial"),
    ],
)
def test_what_cannot_be_is_refused(changes, said):
    with pytest.raises(InputError, match=said):
        with_changes(PhantomSettings(), changes)


def test_factors():
    before = PhantomSettings()
    after = scaled(before, count=2, size=2, contrast=0.5, distractors=0)
    assert after.hippocampi.count == 7.6
    assert after.hippocampi.diameter_mm == (2.4, 3.0)  # never above 3 mm
    assert after.hippocampi.contrast == (0.175, 0.275)
    assert scaled(before, contrast=4).hippocampi.contrast == (1, 1)
    own = after.centrum_semiovale
    assert (own.wmh, own.lacunes, own.sulci) == (0, 0, 0)
    assert scaled(before) == before
    with pytest.raises(InputError, match="factor of contrast"):
        scaled(before, contrast=-1)

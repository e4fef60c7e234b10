import numpy as np

from weakspot.data.points import Points
from weakspot.evaluation import Conventions, evaluate
from weakspot.scenes import make_scenes


def test_objects_of_volumes_have_extents_and_volumes_without_objects_need_none():
    found = [Points(np.array([[1.0, 2, 3]]), np.array([0.5])), Points(np.array([[9.0, 9, 9]]), np.array([0.2]))]
    truth = [Points(np.array([[1.0, 2, 4]]), extents=np.full((1, 3), 4.0)), Points(np.zeros((0, 3)))]
    detections, objects = make_scenes(found, truth, ["a", "b"])
    result = evaluate(detections, objects, Conventions(reach="inside", resamples=0))
    assert (result.sensitivity.value, result.fp_avg.value) == (1.0, 0.5)

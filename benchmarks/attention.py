"""Time of one attention map: weakspot against Captum, MONAI, pytorch-grad-cam and TorchCAM on the same network.

    python benchmarks/attention.py [--threads 1] [--repeats 7] [--only 3D] [--json FILE]

GP-Unet with random weights, in 3D on one volume of 88x88x12 and in 2D on 16 images of 196x140, each in two forms: as
weakspot has it, and written out of ``nn.Conv`` and ``nn.ReLU`` modules (tests/networks/plain.py), which is what other
packages expect and the only form in which they see ReLUs. All calls take turns in one process, and the median counts.
Peers return raw maps wherever they can be told to. Those that are not installed are left out. They belong into a
virtual environment of their own, with weakspot:

    python3 -m venv peers
    peers/bin/pip install -e . captum monai opencv-python-headless scikit-learn tqdm
    peers/bin/pip install --no-deps grad-cam torchcam ttach
"""

import argparse
import json
import statistics
import sys
import time
import types
import warnings
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.networks.plain import plain

from weakspot.attention import attend
from weakspot.networks import build

Call = Callable[[], Any]
Calls = dict[tuple[str, str], Call]  # (method, package) -> the call to time

METHODS = ("cam", "grad_cam", "grad", "guided_backprop")
SETTINGS = {"3D": (3, 32, (1, 1, 88, 88, 12)), "2D": (2, 8, (16, 1, 196, 140))}
PACKAGES = ("captum", "monai", "grad-cam", "torchcam")


class Scalar(nn.Module):
    """A network of weakspot's as others want it: (batch, 1)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images).count[:, None]


def one_by_one(call: Callable[[Tensor], Any], images: Tensor) -> Call:
    """Call what takes one image only for each; without a gradient that an earlier turn left on it."""
    return lambda: torch.cat([call(image[None].clone()) for image in images])


def captum(model: nn.Module, layer: nn.Module, images: Tensor, has_relus: bool) -> Calls:
    from captum.attr import GuidedBackprop, LayerGradCam, Saliency

    inputs = images.clone().requires_grad_()
    calls: Calls = {
        ("grad_cam", "captum"): lambda: LayerGradCam(model, layer).attribute(images),
        ("grad", "captum"): lambda: Saliency(model).attribute(inputs, abs=False),
    }
    if has_relus:
        calls["guided_backprop", "captum"] = lambda: GuidedBackprop(model).attribute(inputs)
    return calls


def monai(model: nn.Module, layer: nn.Module, images: Tensor, has_relus: bool) -> Calls:
    from monai.visualize import CAM, GradCAM, GuidedBackpropGrad, VanillaGrad

    name = next(name for name, module in model.named_modules() if module is layer)
    raw = {"postprocessing": lambda maps: maps}
    calls: Calls = {
        ("grad_cam", "monai"): lambda: GradCAM(model, name, **raw)(images, class_idx=0),
        ("grad", "monai"): one_by_one(lambda image: VanillaGrad(model)(image, index=0), images),
    }
    if has_relus:
        everyone = [0] * len(images)
        calls["cam", "monai"] = lambda: CAM(model, name, fc_layers="head", **raw)(images, class_idx=everyone)
        calls["guided_backprop", "monai"] = one_by_one(lambda image: GuidedBackpropGrad(model)(image, index=0), images)
    return calls


def grad_cam(model: nn.Module, layer: nn.Module, images: Tensor, has_relus: bool) -> Calls:
    stub_torchvision()
    from pytorch_grad_cam import GradCAM, GuidedBackpropReLUModel
    from pytorch_grad_cam.utils.model_targets import RawScoresOutputTarget

    targets = [RawScoresOutputTarget()] * len(images)

    def maps() -> Any:
        with GradCAM(model=model, target_layers=[layer]) as method:
            return method(input_tensor=images, targets=targets)

    calls: Calls = {("grad_cam", "grad-cam"): maps}
    if has_relus and images.ndim == 4:
        guided = GuidedBackpropReLUModel(model)
        calls["guided_backprop", "grad-cam"] = one_by_one(
            lambda image: torch.from_numpy(guided(image, target_category=0)), images
        )
    return calls


def torchcam(model: nn.Module, layer: nn.Module, images: Tensor, has_relus: bool) -> Calls:
    stub_torchvision()
    from torchcam.methods import GradCAM

    def maps() -> Any:
        with GradCAM(model, target_layer=layer) as method:
            return method(targets=lambda score: score, scores=model(images), normalized=False)

    return {("grad_cam", "torchcam"): maps}


def stub_torchvision() -> None:
    """Stand in for torchvision, which two packages import and none of the timed calls uses."""

    class Stub(types.ModuleType):
        __path__: list[str] = []  # noqa: RUF012

        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            return type(name, (), {})

    for name in ("torchvision", "torchvision.transforms", "torchvision.transforms.functional", "torchvision.models"):
        if name not in sys.modules:
            stub = Stub(name)
            stub.__spec__ = types.SimpleNamespace(name=name, origin="stub")  # type: ignore[assignment]
            sys.modules[name] = stub


def weakspot(network: nn.Module, images: Tensor, layer: str | None) -> Calls:
    methods = METHODS if layer is None else METHODS[1:]
    return {
        (method, "weakspot"): lambda method=method: attend(
            method, network, images, layer=layer if method == "grad_cam" else None
        )
        for method in methods
    }


def forms(dims: int, width: int, shape: tuple[int, ...]) -> Iterator[tuple[str, Calls, Call]]:
    """Yield each form of the network with all calls on it, and its forward pass."""
    torch.manual_seed(0)
    network = build("gp_unet", dims, width).eval()
    images = torch.rand(shape)
    written_out = plain("gp_unet", network, dims, width).eval()
    wrapped = Scalar(network)
    for form, model, layer, ours in [
        ("weakspot's", wrapped, network.conv5, weakspot(network, images, None)),
        ("written out", written_out, written_out.last, weakspot(written_out, images, "last")),
    ]:
        calls = dict(ours)
        for package, make in zip(PACKAGES, (captum, monai, grad_cam, torchcam), strict=True):
            try:
                calls |= make(model, layer, images, model is written_out)
            except ImportError as error:
                print(f"{package} is left out: {error}", file=sys.stderr)
        yield form, calls, torch.no_grad()(lambda model=model: model(images))


def measure(calls: dict[Any, Call], repeats: int) -> dict[Any, float]:
    """Return the median seconds of each call; they take turns, so that what disturbs the machine disturbs all."""
    seconds: dict[Any, list[float]] = {key: [] for key in calls}
    for repeat in range(repeats + 1):
        for key, call in calls.items():
            start = time.perf_counter()
            call()
            if repeat:  # the first round warms up
                seconds[key].append(time.perf_counter() - start)
    return {key: statistics.median(values) for key, values in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--only", choices=SETTINGS)
    parser.add_argument("--json", type=Path, help="also write the seconds per map there")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    warnings.filterwarnings("ignore")

    rows: list[dict[str, Any]] = []
    for setting, (dims, width, shape) in SETTINGS.items():
        if arguments.only not in (None, setting):
            continue
        for form, calls, forward in forms(dims, width, shape):
            seconds = measure({("forward", ""): forward, **calls}, arguments.repeats)
            rows += [
                {"setting": setting, "network": form, "method": method, "package": package, "seconds": value / shape[0]}
                for (method, package), value in seconds.items()
            ]
    versions = {package: version(package) for package in ("torch", "weakspot", *PACKAGES)}
    if arguments.json:
        arguments.json.write_text(json.dumps({"versions": versions, "rows": rows}, indent=1) + "\n")
    print(table(rows))
    print("\n" + ", ".join(f"{package} {number}" for package, number in versions.items()), end="; ")
    print(f"threads {arguments.threads}, median of {arguments.repeats}")


def table(rows: list[dict[str, Any]]) -> str:
    """Return milliseconds per map as Markdown; in brackets how many forward passes that is."""
    columns = ("weakspot", *PACKAGES)
    lines = [
        "| images | network | method | " + " | ".join(columns) + " |",
        "| --- | --- | --- |" + " ---: |" * len(columns),
    ]
    for setting, network in dict.fromkeys((row["setting"], row["network"]) for row in rows):
        here = {
            (row["method"], row["package"]): row["seconds"]
            for row in rows
            if (row["setting"], row["network"]) == (setting, network)
        }
        forward = here.pop(("forward", ""))
        for method in dict.fromkeys(method for method, _ in here):
            cells = [
                f"{here[key] * 1e3:.1f} ({here[key] / forward:.2f})" if (key := (method, column)) in here else "–"
                for column in columns
            ]
            lines.append(f"| {setting} | {network} | {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


if __name__ == "__main__":
    main()

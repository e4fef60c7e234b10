"""Attention of a large volume: whole and in tiles, against the plain network; and the estimate of its memory.

    python benchmarks/volumes.py [--threads 1] [--repeats 3] [--only time|memory]

The CAM of GP-Unet with 32 filters at 168x128x84. "Plain" is tests/networks/plain.py in contiguous float32: its features
weighed by its head. "Tiled" is in the tile that a quarter of plain's peak memory holds, as `choose_tile` picks it. The
kinds take turns in one process; the fastest turn counts, in processor time, which other work on the machine disturbs
less. Memory is the growth of the peak resident set, each in a process of its own, and beside it the estimate of
`weakspot.attention.memory`.
"""

import argparse
import multiprocessing
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.training_step import kilobytes
from tests.networks.plain import plain

from weakspot.attention import attend_and_count
from weakspot.attention.memory import choose_tile, peak_bytes
from weakspot.devices import use_cpu
from weakspot.networks import build

SHAPE = (168, 128, 84)
Tile = tuple[int, ...] | None
# Besides those of the table: what else the estimate is held against.
ESTIMATES: list[tuple[str, str, tuple[int, ...], Tile]] = [
    ("gp_unet", "cam", SHAPE, (64, 64, 64)),
    ("gp_unet", "grad", (120, 96, 84), None),
    ("gp_unet_no_residual", "cam", SHAPE, None),
    ("gated_attention", "gated", SHAPE, None),
    ("base", "grad_cam", SHAPE, None),
    ("base", "guided_backprop", (3000, 2000), None),
]


def call_of(name: str, method: str, shape: tuple[int, ...], tile: Tile, is_plain: bool) -> Callable[[], Tensor]:
    torch.manual_seed(0)
    network = build(name, len(shape)).eval()
    image = torch.rand(1, 1, *shape)
    if not is_plain:
        return lambda: attend_and_count(method, network, image, tile=tile).maps
    model = plain(name, network, len(shape), 32).eval()

    def cam() -> Tensor:
        with torch.inference_mode():
            [features] = model.features(image)
            return torch.tensordot(features, model.head.weight[0], dims=([1], [0]))

    return cam


def measure_peak(
    name: str,
    method: str,
    shape: tuple[int, ...],
    tile: Tile,
    is_plain: bool,
    threads: int,
    queue: "multiprocessing.Queue[float]",
) -> None:
    use_cpu(threads, keep_memory=False)
    call = call_of(name, method, shape, tile, is_plain)
    call_of(name, method, (16,) * len(shape), None, is_plain)()  # loads the kernels
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far, which would be the parent's
    before = kilobytes("VmRSS")
    call()
    queue.put((kilobytes("VmHWM") - before) * 1024)


def peak(*arguments: object) -> float:
    context = multiprocessing.get_context("spawn")
    queue: multiprocessing.Queue[float] = context.Queue()
    process = context.Process(target=measure_peak, args=(*arguments, queue))
    process.start()
    value = queue.get()
    process.join()
    return value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=("time", "memory"))
    given = parser.parse_args()
    use_cpu(given.threads, keep_memory=False)
    print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, {given.threads} threads", flush=True)
    network = build("gp_unet", 3).eval()
    plain_peak = peak("gp_unet", "cam", SHAPE, None, True, given.threads)
    tile = choose_tile("cam", network, SHAPE, plain_peak / 4)
    print(f"a quarter of plain's {plain_peak / 1e6:.0f} MB holds the tile {tile}", flush=True)

    if given.only != "memory":
        kinds: dict[str, tuple[Tile, bool]] = {"plain": (None, True), "whole": (None, False), "tiled": (tile, False)}
        calls = {kind: call_of("gp_unet", "cam", SHAPE, *how) for kind, how in kinds.items()}
        seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
        maps: dict[str, Tensor] = {}
        for _ in range(given.repeats):
            for kind, call in calls.items():
                start = time.process_time()
                maps[kind] = call()
                seconds[kind].append(time.process_time() - start)
        for kind, values in seconds.items():
            difference = float((maps[kind] - maps["plain"]).abs().max())
            print(
                f"{kind}: {min(values):.2f} s of processor time, {min(values) / min(seconds['plain']):.2f} of plain, "
                f"largest difference {difference:.1e}",
                flush=True,
            )

    if given.only != "time":
        print("| network | method | size | tile | peak MB | estimate MB | measured / estimate |")
        print("| --- | --- | --- | --- | ---: | ---: | ---: |")
        for name, method, shape, each in [("gp_unet", "cam", SHAPE, None), ("gp_unet", "cam", SHAPE, tile), *ESTIMATES]:
            measured = peak(name, method, shape, each, False, given.threads)
            estimate = peak_bytes(method, build(name, len(shape)).eval(), shape, each)
            size, cut = ("x".join(map(str, sizes)) if sizes else "whole" for sizes in (shape, each))
            figures = f"{measured / 1e6:.0f} | {estimate / 1e6:.0f} | {measured / estimate:.2f}"
            print(f"| {name} | {method} | {size} | {cut} | {figures} |", flush=True)


if __name__ == "__main__":
    main()

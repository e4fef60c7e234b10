"""Time and memory of one training step: weakspot's networks against the same function written out plainly.

    python benchmarks/training_step.py [--threads 2] [--batch 64] [--repeats 7] [--size 196x140] [--width 8]

GP-Unet and GP-Unet no residual on random images: forward pass, squared error, backward pass. "Plain" is
tests/networks/plain.py in contiguous float32; "weakspot" is the same function; "weakspot, norms" is the step of the
fast recipe, which normalises as well; "bfloat16" is mixed precision. Times are medians of turns taken in one process.
Memory is the growth of the peak resident set from before network and images are made, each in a process of its own.
"""

import argparse
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.networks.plain import plain

from weakspot.devices import use_cpu
from weakspot.networks import build
from weakspot.networks.normalisation import standardise

KINDS = ("plain", "weakspot", "weakspot, norms", "weakspot, bfloat16", "weakspot, norms, bfloat16")


Case = tuple[int, tuple[int, ...], int]  # images, their size, filters


def step_of(name: str, kind: str, case: Case) -> Callable[[], None]:
    batch, size, width = case
    torch.manual_seed(0)
    network = build(name, len(size), width)
    model = plain(name, network, len(size), width) if kind == "plain" else network
    images, counts = torch.rand(batch, 1, *size), torch.rand(batch)
    if "norms" in kind:
        standardise(network, lambda: [images[:1]])

    def step() -> None:
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled="bfloat16" in kind):
            output = model(images)
        output = output[:, 0] if kind == "plain" else output.count
        (output - counts).square().mean().backward()

    return step


def peak_mb(name: str, kind: str, case: Case, threads: int, queue: "multiprocessing.Queue[float]") -> None:
    use_cpu(threads)
    step_of(name, kind, (1, (16,) * len(case[1]), case[2]))()  # loads the kernels
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far, which would be the parent's
    before = kilobytes("VmRSS")
    step_of(name, kind, case)()  # norms look at the images first, and what that freed would be used again
    queue.put((kilobytes("VmHWM") - before) / 1024)


def kilobytes(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--size", default="196x140")
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--repeats", type=int, default=7)
    given = parser.parse_args()
    use_cpu(given.threads)
    machine = f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}"
    print(f"{machine}, {given.threads} threads, batch {given.batch}, {given.size}, {given.width} filters")
    case = given.batch, tuple(map(int, given.size.split("x"))), given.width
    first = given.kinds[0]
    print(f"| network | step | s | of {first} | peak MB | of {first} |\n| --- | --- | ---: | ---: | ---: | ---: |")
    context = multiprocessing.get_context("spawn")
    for name in ("gp_unet", "gp_unet_no_residual"):
        steps = {kind: step_of(name, kind, case) for kind in given.kinds}
        times: dict[str, list[float]] = {kind: [] for kind in given.kinds}
        for turn in range(given.repeats + 1):
            for kind, step in steps.items():
                start = time.perf_counter()
                step()
                if turn:  # the first is a warm-up
                    times[kind].append(time.perf_counter() - start)
        peaks = {}
        for kind in given.kinds:
            queue: multiprocessing.Queue[float] = context.Queue()
            process = context.Process(target=peak_mb, args=(name, kind, case, given.threads, queue))
            process.start()
            peaks[kind] = queue.get()
            process.join()
        seconds = {kind: statistics.median(values) for kind, values in times.items()}
        for kind in given.kinds:
            shares = seconds[kind] / seconds[first], peaks[kind] / peaks[first]
            print(f"| {name} | {kind} | {seconds[kind]:.2f} | {shares[0]:.2f} | {peaks[kind]:.0f} | {shares[1]:.2f} |")


if __name__ == "__main__":
    main()

"""The layout: imports only descend, siblings leave each other alone, one idea a file."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "weakspot"

# From the bottom to the top; a layer imports from those below it alone. Layers of one row do not import each other.
LAYERS = [
    {"errors"},
    {"files", "geometry", "seeding", "slices", "types"},
    {"settings", "devices", "processes"},
    {"data", "networks"},
    {"attention", "detection", "evaluation"},
    {"training"},
    {"predict", "scenes", "report"},
    {"predict_files"},
    {"tuning"},
    {"studies"},
    {"cli"},
    {"__main__"},
]
HEIGHT = {name: height for height, layer in enumerate(LAYERS) for name in layer}
FILES = sorted(PACKAGE.rglob("*.py"))


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Return the modules of weakspot that a file imports, anywhere in it."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {module for module in modules if module.startswith("weakspot.")}


@pytest.mark.parametrize("path", [path for path in FILES if path.parent != PACKAGE or path.stem != "__init__"], ids=str)
def test_imports_only_descend(path: Path):
    own = layer_of(path)
    for module in imported(path):
        other = module.split(".")[1]
        if other not in (own, "__version__"):
            assert HEIGHT[other] < HEIGHT[own], f"{own} imports {module}"


def test_no_file_is_long():
    assert not {str(path): n for path in FILES if (n := len(path.read_text().splitlines())) > 400}


def test_no_circle_within_a_layer():
    names = {".".join(("weakspot", *path.relative_to(PACKAGE).with_suffix("").parts)): path for path in FILES}
    graph = {
        name: {
            other for module in imported(path) for other in names if module == other or module.startswith(f"{other}.")
        }
        - {name}
        for name, path in names.items()
    }
    done: set[str] = set()
    while ready := {name for name, needs in graph.items() if name not in done and needs <= done}:
        done |= ready
    # Packages' own __init__ files name what is in them, and are named by what imports from them.
    assert not {name for name in graph.keys() - done if names[name].stem != "__init__"} & circular(graph)


def circular(graph: dict[str, set[str]]) -> set[str]:
    """Return the modules that reach themselves."""

    def reach(start: str) -> set[str]:
        seen, waiting = set(), [start]
        while waiting:
            for other in graph[waiting.pop()] - seen:
                seen.add(other)
                waiting.append(other)
        return seen

    return {name for name in graph if name in reach(name)}


def test_help_imports_nothing_heavy():
    code = "import sys, weakspot.cli.app; print({'torch', 'pandas', 'matplotlib', 'scipy', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"

"""The layout holds: linked packages, who imports whom, what stays light."""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# room -> the parts of topodelin that it may import besides itself
MAY_IMPORT = {
    "graphs": set(),
    "losses": {"graphs"},
    "volumes": set(),
    "models": set(),
    "refinement": set(),
    "prediction": {"models", "volumes", "refinement", "report"},
    "classical": {"models"},
    "annotation": {"graphs", "volumes"},
    "report": {"graphs", "volumes"},
    "training": {"classical", "models", "annotation", "losses", "graphs", "volumes"},
    "delineation": {"models", "volumes", "graphs"},
    "export": {"delineation", "annotation", "volumes", "graphs"},
    "presets": {"volumes"},
}


@pytest.mark.parametrize("name", ["losses", "graphs"])
def test_root_folder_is_the_subpackage(name: str) -> None:
    link = ROOT / "topodelin" / name
    assert link.is_symlink() and link.resolve() == ROOT / name
    module = importlib.import_module(f"topodelin.{name}")
    assert Path(module.__path__[0]).resolve() == ROOT / name


def imported(path: Path) -> Iterator[str]:
    """Every module that a file names in an import, at any depth."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_rooms_import_only_what_the_table_allows(room: str) -> None:
    files = list((ROOT / "topodelin" / room).resolve().rglob("*.py"))
    found = {
        name.split(".")[1]
        for path in files
        for name in imported(path)
        if name.startswith("topodelin.") and name != "topodelin.__version__"
    }
    assert files
    assert found <= MAY_IMPORT[room] | {room}


def test_losses_take_only_the_graph_record_from_graphs() -> None:
    names = {
        name
        for path in (ROOT / "losses").rglob("*.py")
        for name in imported(path)
        if name.startswith("topodelin.graphs")
    }
    assert all(name.startswith("topodelin.graphs.neurite_graph.") for name in names)


@pytest.mark.parametrize("module", ["topodelin", "topodelin.graphs", "topodelin.volumes"])
def test_what_only_measures_never_imports_torch(module: str) -> None:
    code = f"import sys; sys.modules['torch'] = None; import {module}"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_the_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['topodelin', '--help']\n"
        "from topodelin.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'numpy', 'scipy', 'zarr', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)

"""The house has floors: a file imports from lower ones only, never in a circle."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = (
    ("cards", "files", "isolation", "lab_server", "lazy", "modules", "options", "text"),
    ("papers", "networks", "cost"),
    ("figures", "training"),
    ("explorers", "lesson"),
    ("tools", "experiments", "benchmarks"),
)
HEIGHT = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
# The door of the package: names that are imported when they are first used.
DOOR = "inception_edu/__init__.py"


def files():
    for folder in ("inception_edu", "tools", "experiments"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path.relative_to(ROOT).as_posix() != DOOR:
                yield path


def room(module):
    """The room that a dotted module name belongs to, None for other packages."""
    parts = module.split(".")
    if parts[0] == "inception_edu":
        return parts[1] if len(parts) > 1 else None
    return parts[0] if parts[0] in HEIGHT else None


def imports(path):
    """The rooms that a file imports from, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {room(alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module]
            if node.module == "inception_edu":
                names = [f"inception_edu.{alias.name}" for alias in node.names]
            found |= {room(name) for name in names}
    return found & HEIGHT.keys()


def home(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[1] if parts[0] == "inception_edu" else parts[0]


GRAPH = {}
for file in files():
    GRAPH.setdefault(home(file), set()).update(imports(file) - {home(file)})


@pytest.mark.parametrize("name", sorted(GRAPH))
def test_a_room_imports_from_no_higher_floor(name):
    assert name in HEIGHT, f"{name} has no floor; add it to docs/architecture.md"
    above = {other for other in GRAPH[name] if HEIGHT[other] > HEIGHT[name]}
    assert not above


def test_rooms_never_import_in_a_circle():
    list(TopologicalSorter(GRAPH).static_order())  # raises CycleError


def test_the_architecture_names_every_room():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for name in HEIGHT:
        assert f"{name}/" in text or f"{name}.py" in text, name

"""The rooms of the package know each other in one order, and no modules in a circle.

Imports inside functions count; those for type checkers alone (`if TYPE_CHECKING`) do not.
"""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import cascade

PACKAGE = Path(cascade.__file__).parent
ROOMS = [  # a room imports from those before it
    ["errors", "forks", "lazy", "processes", "progress", "resources", "values", "version"],
    ["config"],
    ["items", "predictions"],
    ["io"],
    ["taxonomy"],
    ["foodex2", "confidence"],
    ["models"],
    ["retrieval", "generation"],  # these do not know each other
    ["features"],
    ["scoring"],
    ["pipeline"],
    ["annotation"],
    ["tracking"],
    ["evaluation"],
    ["training"],
    ["labelling"],
    ["api"],
    ["serving"],
    ["review"],
    ["cli"],
]
MOST_MODULES = 13  # in one folder


def modules():
    """Every module by its dotted name."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imported(tree):
    """What a module imports when it runs, function by function too: (module, name or None)."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.ImportFrom):
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        else:
            yield from imported(node)


@pytest.fixture(scope="module")
def graph():
    """The modules of the package that each of them imports."""
    paths = dict(modules())
    found = {}
    for name, path in paths.items():
        found[name] = set()
        for module, member in imported(ast.parse(path.read_text("utf-8"))):
            whole = f"{module}.{member}"
            target = whole if whole in paths else module
            if target in paths and target != name:
                found[name].add(target)
    return found


def room(module):
    return module.split(".")[1] if "." in module else ""


def test_rooms_import_only_from_rooms_below_them(graph):
    height = {name: at for at, level in enumerate(ROOMS) for name in level}
    height |= {"": len(ROOMS), "__main__": len(ROOMS)}
    wrong = [
        f"{module} imports {other}"
        for module, others in graph.items()
        for other in others
        if room(module) != room(other)
        and height[room(module)] <= height[room(other)]
        and (module, other) != ("cascade", "cascade.version")
    ]
    assert wrong == []


def test_no_modules_import_each_other_in_a_circle(graph):
    # A package's __init__ runs before its modules, which may all be imported from it.
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_every_folder_says_what_belongs_there_and_is_small_enough_to_look_through():
    for folder in {path.parent for _, path in modules()}:
        doc = ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8")))
        assert doc, f"{folder}/__init__.py has no docstring"
        files = [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(files) <= MOST_MODULES, f"{folder} holds {len(files)} modules"


def test_no_module_is_longer_than_a_sitting():
    lengths = {name: path.read_text("utf-8").count("\n") for name, path in modules()}
    assert {name: n for name, n in lengths.items() if n > 430} == {}

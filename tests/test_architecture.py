"""The rules of the house, read from the source: arrows of import, length, public names, docstrings."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "affekt"

ROOMS = [
    *("errors", "concepts", "models", "vectors", "reading", "steering", "engines", "scoring"),
    *("quality", "explaining", "guards", "audit", "studies", "server", "cli"),
]
"""From the ground up; a room imports itself and rooms below it."""

GROUND = {"version": -1, "errors": 0, "atomic": 0, "progress": 0}
"""Single files that any room may import, since they import next to nothing."""

LONGEST = 300
HEAVY = {"torch", "transformers", "accelerate", "safetensors"}

MODULES = sorted(path for path in SOURCE.rglob("*.py"))


def name_of(path: Path) -> str:
    """`affekt.concepts.corpus`; a package's `__init__` has the package's name."""
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def level(module: str) -> int:
    """How high a module of Affekt stands; the package itself stands above everything."""
    parts = module.split(".")
    if len(parts) == 1 or parts[1] == "__main__":
        return len(ROOMS)
    room = parts[1]
    if room in GROUND:
        return GROUND[room]
    if room not in ROOMS:
        raise AssertionError(f"{module}: no such room; add {room!r} to ROOMS where it belongs")
    return ROOMS.index(room)


def imports(tree: ast.Module) -> Iterator[str]:
    """Every module imported anywhere in the file, in functions and under TYPE_CHECKING too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"line {node.lineno}: a relative import"
            submodules = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from submodules if node.module == "affekt" else [node.module]


def upward(module: str, tree: ast.Module) -> list[str]:
    """Imports of Affekt's own modules that stand higher than `module`."""
    own = [name for name in imports(tree) if name.split(".")[0] == "affekt"]
    return [name for name in own if level(name) > level(module)]


def undocumented(tree: ast.AST, inside: str = "") -> Iterator[str]:
    """Public functions, classes and methods without a docstring; private and nested ones need none."""
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if isinstance(node, ast.If | ast.Try | ast.With):
                yield from undocumented(node, inside)
            continue
        if node.name.startswith("_") or any(ast.unparse(each) == "overload" for each in node.decorator_list):
            continue
        if not ast.get_docstring(node):
            yield inside + node.name
        if isinstance(node, ast.ClassDef):
            yield from undocumented(node, f"{inside}{node.name}.")


def exports(tree: ast.Module) -> list[str] | None:
    """The names in `__all__`, or None where there is none."""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            return list(ast.literal_eval(node.value))
    return None


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


@pytest.fixture(params=MODULES, ids=name_of)
def module(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_nothing_is_imported_from_above(module: Path) -> None:
    assert upward(name_of(module), parse(module)) == []


def test_public_names_are_listed(module: Path) -> None:
    names = exports(parse(module))
    if module.name == "__main__.py":
        return
    assert names is not None, "no __all__"
    assert len(names) == len(set(names))
    assert not [name for name in names if name.startswith("_") and name != "__version__"]


def test_everything_public_is_documented(module: Path) -> None:
    tree = parse(module)
    assert ast.get_docstring(tree), "no docstring of the module"
    assert list(undocumented(tree)) == []


def test_a_package_only_re_exports(module: Path) -> None:
    if module.name != "__init__.py":
        return
    defined = [node for node in ast.walk(parse(module)) if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    assert [node.name for node in defined if not node.name.startswith("__")] == []


def test_concepts_know_no_network(module: Path) -> None:
    if level(name_of(module)) > ROOMS.index("concepts"):
        return
    assert not {name.split(".")[0] for name in imports(parse(module))} & HEAVY


def test_no_file_is_too_long() -> None:
    files = [path for folder in ("src", "tests", "bench") for path in (ROOT / folder).rglob("*.py")]
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in files
    }
    assert len(lengths) > 10
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


def test_an_import_from_above_would_be_found() -> None:
    code = "def f():\n    from affekt.vectors.extraction import extract\n    import affekt.errors, torch\n"
    assert upward("affekt.models.opening", ast.parse(code)) == ["affekt.vectors.extraction"]
    assert upward("affekt.reading.reading", ast.parse(code)) == []
    assert upward("affekt.concepts.corpus", ast.parse("from affekt import cli, errors")) == ["affekt.cli"]
    assert upward("affekt.errors", ast.parse("from affekt.concepts import Corpus")) == ["affekt.concepts"]
    assert upward("affekt.vectors.card", ast.parse("import affekt")) == ["affekt"]
    with pytest.raises(AssertionError, match="relative import"):
        upward("affekt.models.opening", ast.parse("from . import residual"))
    with pytest.raises(AssertionError, match="add 'utils' to ROOMS"):
        upward("affekt.models.opening", ast.parse("from affekt.utils import x"))


def test_a_missing_docstring_or_list_of_names_would_be_found() -> None:
    code = "class A:\n    '''Said.'''\n    def b(self): ...\n    def _c(self): ...\nasync def d(): ...\n"
    assert list(undocumented(ast.parse(code))) == ["A.b", "d"]
    assert exports(ast.parse("x = 1")) is None and exports(ast.parse("__all__ = ['x']")) == ["x"]

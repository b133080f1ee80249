"""How files and functions are cut: their size, their parameters, what an `__init__` holds, that each file says what it is."""

import ast
from collections.abc import Callable, Iterator

import pytest

from tests.house.sources import ROOT, Module, module, modules

FILE_LINES = 400
FUNCTION_LINES = 50
PARAMETERS = 5
POSITIONAL = 2

Function = ast.FunctionDef | ast.AsyncFunctionDef


def is_too_long(found: Module) -> Iterator[str]:
    lines = len(found.text.splitlines())
    if lines > FILE_LINES:
        yield f"{found.name}: {lines} lines"


def has_too_long_a_function(found: Module) -> Iterator[str]:
    for function in _functions(found):
        first = min([function.lineno, *(decorator.lineno for decorator in function.decorator_list)])
        lines = (function.end_lineno or first) - first + 1
        if lines > FUNCTION_LINES:
            yield f"{found.at(function)}: {function.name}: {lines} lines"


def takes_too_much(found: Module) -> Iterator[str]:
    """More than five parameters are for those whose parameters are an address's, or are named where they are given."""
    if found.is_in("incident_manager/api/", "cli/"):
        return
    for function in _functions(found):
        names = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
        positional = len([name for name in names if name not in {"self", "cls"}])
        total = positional + len(function.args.kwonlyargs)
        if total > PARAMETERS and positional > POSITIONAL:
            yield f"{found.at(function)}: {function.name}: {total} parameters, {positional} of them by position"


def lacks_a_docstring(found: Module) -> Iterator[str]:
    text = ast.get_docstring(found.tree) or ""
    if not text.partition("\n")[0].rstrip().endswith((".", ":")):
        yield f"{found.name}: its first line must be a sentence that says what lives there"


def has_a_busy_init(found: Module) -> Iterator[str]:
    """A docstring, imports, and at most one `load(...)`; `__all__` names what an import is for."""
    if not found.name.endswith("/__init__.py"):
        return
    loads = 0
    for node in found.tree.body[1:]:
        if isinstance(node, ast.Import | ast.ImportFrom):
            continue
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            continue
        called = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        loads += isinstance(called, ast.Call) and ast.unparse(called.func) == "load"
        if loads != 1 or not isinstance(called, ast.Call):
            yield f"{found.at(node)}: {ast.unparse(node)[:60]}"


CHECKS = [is_too_long, has_too_long_a_function, takes_too_much, lacks_a_docstring, has_a_busy_init]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_no_file_breaks_the_form(check: Callable[[Module], Iterator[str]]) -> None:
    assert [wrong for found in modules() for wrong in check(found)] == []


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (is_too_long, "pass\n" * 401),
        (has_too_long_a_function, "def f():\n" + "    pass\n" * 50),
        (has_too_long_a_function, "class A:\n    @decorated\n    async def f():\n" + "        pass\n" * 49),
        (takes_too_much, "def f(a, b, c, d, e, f): ..."),
        (takes_too_much, "class A:\n    def f(self, a, b, c, *, d, e, f): ..."),
        (lacks_a_docstring, "import os"),
        (lacks_a_docstring, '"""Things\nand more."""'),
        (has_a_busy_init, '"""Doc."""\n\ndef f(): ...'),
        (has_a_busy_init, '"""Doc."""\nA = load(a)\nB = load(b)'),
        (has_a_busy_init, '"""Doc."""\nLIMIT = 5'),
    ],
)
def test_a_breach_is_seen(check: Callable[[Module], Iterator[str]], text: str) -> None:
    assert len(list(check(module(text, "incident_manager/example/__init__.py")))) == 1


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (is_too_long, "pass\n" * 400),
        (has_too_long_a_function, "def f():\n" + "    pass\n" * 49),
        (takes_too_much, "def f(a, b, *, c, d, e, g): ..."),
        (takes_too_much, "class A:\n    def f(self, a, b, c, d, e): ..."),
        (lacks_a_docstring, '"""Things."""'),
        (has_a_busy_init, '"""Doc."""\nimport sys\nA: Final = load(sys.modules[__name__], "A", int)\n__all__ = ["A"]'),
    ],
)
def test_what_keeps_to_the_form_passes(check: Callable[[Module], Iterator[str]], text: str) -> None:
    assert list(check(module(text, "incident_manager/example/__init__.py"))) == []


def test_no_file_is_called_for_nothing_in_particular() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "core", "manager", "misc", "service", "services"}
    stems = [(found.name, part) for found in modules() for part in found.name.removesuffix(".py").split("/")]
    assert [name for name, part in stems if part in vague] == []


def test_every_folder_of_the_package_says_what_it_is() -> None:
    folders = {path.parent for path in (ROOT / "incident_manager").rglob("*.py")}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


def _functions(found: Module) -> Iterator[Function]:
    return (node for node in ast.walk(found.tree) if isinstance(node, Function))

"""The figures of CONTRIBUTING, measured on the code."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[2]
PRODUCT = ("shared/pfi", "functions", "infra")
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def _sources(*tops: str) -> list[Path]:
    return sorted(path for top in tops for path in (ROOT / top).rglob("*.py"))


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _functions(path: Path) -> Iterator[Function]:
    return (node for node in ast.walk(_tree(path)) if isinstance(node, Function))


def _length(path: Path, function: Function) -> int:
    """Lines that are not blank, from `def` to the end."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return sum(bool(line.strip()) for line in lines[function.lineno - 1 : function.end_lineno])


def test_functions_are_short():
    lengths = sorted(_length(p, each) for p in _sources(*PRODUCT) for each in _functions(p))
    assert median(lengths) <= 9
    assert lengths[int(len(lengths) * 0.9)] <= 30


def test_no_python_file_is_longer_than_400_lines():
    sizes = {_name(p): len(p.read_text(encoding="utf-8").splitlines())
             for p in _sources(*PRODUCT, "tests")}  # fmt: skip
    assert {name: size for name, size in sizes.items() if size > 400} == {}


def test_a_handler_is_ten_lines_or_less():
    handlers = [p for p in _sources("functions") if p.name == "handler.py"]
    sizes = {_name(p): len(p.read_text(encoding="utf-8").splitlines()) for p in handlers}
    assert handlers
    assert {name: size for name, size in sizes.items() if size > 10} == {}


def test_no_module_or_folder_has_a_name_that_says_nothing():
    names = {(_name(p), part) for p in _sources(*PRODUCT, "tests")
             for part in p.relative_to(ROOT).with_suffix("").parts}  # fmt: skip
    assert {where for where, part in names if part in FORBIDDEN_NAMES} == set()


def test_everything_public_in_the_product_has_a_docstring():
    missing = [f"{_name(p)} {name}" for p in _sources("shared/pfi")
               for name in _undocumented(_tree(p).body)]  # fmt: skip
    assert missing == []


def _undocumented(nodes: list[ast.stmt], *, protocol: bool = False) -> Iterator[str]:
    for node in nodes:
        if not isinstance(node, Function | ast.ClassDef) or node.name.startswith("_"):
            continue
        declared = protocol and _is_property(node)
        if not ast.get_docstring(node) and not declared:
            yield node.name
        if isinstance(node, ast.ClassDef):
            ports = any(isinstance(b, ast.Name) and b.id == "Protocol" for b in node.bases)
            yield from _undocumented(node.body, protocol=ports)


def _is_property(node: Function | ast.ClassDef) -> bool:
    """A property of a port says only its type."""
    return any(isinstance(d, ast.Name) and d.id == "property" for d in node.decorator_list)


ACCEPTED = {
    "shared/pfi/mail/archives.py": "zipfile raises whatever it likes on junk; the answer is no",
    "infra/rehearsal/trial.py": "a mail that breaks a reader is a line of the report, not its end",
}
"""Broad nets outside `pfi/edge`, each with its reason."""


def test_a_broad_except_stands_only_at_the_edge():
    """A net that raises again after cleaning up catches nothing, so it does not count."""
    found = {_name(p) for p in _sources(*PRODUCT) for node in ast.walk(_tree(p))
             if isinstance(node, ast.ExceptHandler) and _is_broad(node)}  # fmt: skip
    inside = {name for name in found if name.startswith("shared/pfi/edge/")}
    assert inside
    assert found - inside == set(ACCEPTED)


def _is_broad(node: ast.ExceptHandler) -> bool:
    kind = node.type.id if isinstance(node.type, ast.Name) else ""
    broad = node.type is None or kind in {"Exception", "BaseException"}
    last = node.body[-1]
    return broad and not (isinstance(last, ast.Raise) and last.exc is None)


def test_no_module_of_the_product_is_mocked():
    """Doubles are first-class files behind ports; a patch of our own code hides drift."""
    patched = [_name(p) for p in _sources("tests")
               if any(isinstance(n, ast.Call) and ast.unparse(n.func).endswith("patch")
                      and n.args and isinstance(n.args[0], ast.Constant)
                      and str(n.args[0].value).startswith(("pfi.", "functions.", "infra."))
                      for n in ast.walk(_tree(p)))]  # fmt: skip
    assert patched == []

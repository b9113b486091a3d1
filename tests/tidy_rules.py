"""The rules of the house, as functions from source text to findings ("path:line: what, and what to do")."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeGuard

FILE_LINES_MAX = 350
FUNCTION_LINES_MAX = 60
CLASS_METHODS_MAX = 20

Function = ast.FunctionDef | ast.AsyncFunctionDef

LEFTOVER = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
MACHINE_PATH = re.compile(
    r"(?<![\w.~$}/-])(/wor[k]/|/roo[t]/|/home/(?!ray\b)|/Users/|/mnt/|[A-Z]:\\\\?Users)"
)
CLOCKS = {
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
    "time": {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "sleep"},
}
CHANCE = {"np": {"random"}, "numpy": {"random"}, "os": {"urandom", "getrandom"}}
CHANCE_MODULES = {"random", "secrets", "uuid"}


def says_what_it_is_for(path: str, source: str) -> list[str]:
    """The first line of a module is a docstring with a sentence in it."""
    first = source.split("\n", 1)[0]
    if re.match(r'r?"""\S+( \S+){2,}', first):
        return []
    return [f"{path}:1: begin the module with a docstring whose first line says what it is for"]


def file_is_short(path: str, source: str, allowed: Mapping[str, int]) -> list[str]:
    """A file has at most `FILE_LINES_MAX` lines, or the number `allowed` for it."""
    lines = len(source.splitlines())
    limit = allowed.get(path, FILE_LINES_MAX)
    if lines <= limit:
        return _stale(path, f"{path}:1", lines, limit, allowed)
    return [f"{path}:{limit}: {lines} lines, the limit is {limit}; give the second idea its own file"]


def functions_are_short(path: str, source: str, allowed: Mapping[str, int]) -> list[str]:
    """A function has at most `FUNCTION_LINES_MAX` lines without its docstring, or what is `allowed`."""
    findings = []
    for name, function in _functions(ast.parse(source)):
        lines = _body_lines(function)
        key = f"{path}::{name}"
        limit = allowed.get(key, FUNCTION_LINES_MAX)
        where = f"{path}:{function.lineno}"
        if lines > limit:
            findings.append(f"{where}: {name} has {lines} lines, the limit is {limit}; split it")
        findings += _stale(key, where, lines, limit, allowed)
    return findings


def classes_are_small(path: str, source: str, allowed: Mapping[str, int]) -> list[str]:
    """A class has at most `CLASS_METHODS_MAX` methods, or the number `allowed` for it."""
    findings = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            methods = sum(isinstance(child, Function) for child in node.body)
            key = f"{path}::{node.name}"
            limit = allowed.get(key, CLASS_METHODS_MAX)
            where = f"{path}:{node.lineno}"
            if methods > limit:
                findings.append(f"{where}: {node.name} has {methods} methods, the limit is {limit}; split it")
            findings += _stale(key, where, methods, limit, allowed)
    return findings


def swallows_nothing(path: str, source: str, allowed: Mapping[str, int]) -> list[str]:
    """No handler catches everything: not bare, not Exception, not by contextlib.suppress.

    `except BaseException` is right where it cleans up and ends with a bare `raise`. `allowed` counts the
    handlers of a file that stand at a border where any fault becomes one of ours.
    """
    broad = [node for node in ast.walk(ast.parse(source)) if _catches_everything(node)]
    limit = allowed.get(path, 0)
    if len(broad) > limit:
        return [f"{path}:{node.lineno}: catches everything; name the errors you can act on" for node in broad]
    return _stale(path, f"{path}:1", len(broad), limit, allowed)


def does_not_print(path: str, source: str) -> list[str]:
    """No call of print."""
    return [
        f"{path}:{node.lineno}: print; say it with an event, a log line of the shell, or return it"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and _dotted(node.func) == "print"
    ]


def leaves_nothing_over(path: str, source: str) -> list[str]:
    """No note to do something later."""
    return [
        f"{path}:{number}: {match.group()} left in the source; do it, or delete it"
        for number, line in enumerate(source.splitlines(), 1)
        if (match := LEFTOVER.search(line))
    ]


def names_no_machine(path: str, source: str) -> list[str]:
    """No absolute path of somebody's machine."""
    return [
        f"{path}:{number}: the path {match.group()}... is of one machine; make it relative or a setting"
        for number, line in enumerate(source.splitlines(), 1)
        if (match := MACHINE_PATH.search(line))
    ]


def reads_no_clock_or_dice(path: str, source: str) -> list[str]:
    """No clock and no randomness: time comes from the log, chance is an input."""
    return [
        f"{path}:{line}: {what}; below the actors time comes from `entry.at` and chance from an input event"
        for line, what in _clock_uses(ast.parse(source))
    ]


def unreachable(sources: Mapping[str, str], entry_points: Iterable[str]) -> list[str]:
    """The modules of `sources` (dotted name to text) that no entry point imports, even late."""
    missing = [f"{name}: this entry point does not exist" for name in entry_points if name not in sources]
    reached: set[str] = set()
    ahead = [name for name in entry_points if name in sources]
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            ahead += _imported(name, sources)
    return missing + [
        f"{name}: no entry point imports this module; wire it in or delete it"
        for name in sorted(sources.keys() - reached)
    ]


def module_name(path: str) -> str:
    """The dotted name of a source file, `firm/bus/__init__.py` being `firm.bus`."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _catches_everything(node: ast.AST) -> TypeGuard[ast.ExceptHandler | ast.Call]:
    caught: Iterable[ast.expr | None] = ()
    if isinstance(node, ast.ExceptHandler):
        last = node.body[-1]
        cleans_up = isinstance(last, ast.Raise) and last.exc is None
        if cleans_up and _dotted(node.type) == "BaseException":
            return False
        caught = node.type.elts if isinstance(node.type, ast.Tuple) else (node.type,)
    elif isinstance(node, ast.Call) and _dotted(node.func) in {"suppress", "contextlib.suppress"}:
        caught = node.args
    return any(kind is None or _dotted(kind) in {"Exception", "BaseException"} for kind in caught)


def _stale(key: str, where: str, found: int, limit: int, allowed: Mapping[str, int]) -> list[str]:
    if key in allowed and found < limit:
        return [
            f"{where}: now {found}, the exception allows {limit}; lower or remove it in tests/test_tidy.py"
        ]
    return []


def _functions(tree: ast.AST, within: str = "") -> Iterator[tuple[str, Function]]:
    for node in ast.iter_child_nodes(tree):
        name = f"{within}{node.name}" if isinstance(node, Function | ast.ClassDef) else ""
        if isinstance(node, Function):
            yield name, node
        yield from _functions(node, f"{name}." if name else within)


def _body_lines(function: Function) -> int:
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    ):
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def _dotted(node: ast.AST | None) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _clock_uses(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=attribute):
                owner = _dotted(node.value).rsplit(".", 1)[-1]
                if attribute in CLOCKS.get(owner, set()) | CHANCE.get(owner, set()):
                    yield node.lineno, f"{owner}.{attribute}"
            case ast.ImportFrom(module=str(module)):
                for alias in node.names:
                    if alias.name in CLOCKS.get(module, set()) | CHANCE.get(module, set()):
                        yield node.lineno, f"{module}.{alias.name}"
                if module.split(".")[0] in CHANCE_MODULES or module.startswith("numpy.random"):
                    yield node.lineno, module
            case ast.Import():
                for alias in node.names:
                    if alias.name.split(".")[0] in CHANCE_MODULES or alias.name.startswith("numpy.random"):
                        yield node.lineno, alias.name


def _imported(name: str, sources: Mapping[str, str]) -> list[str]:
    """The modules of ours that `name` imports when it runs, with the packages around them."""
    found: set[str] = set()
    for node in _running(ast.parse(sources[name])):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(name, node, sources)
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    packages = {".".join(dotted.split(".")[:end]) for dotted in found | {name} for end in range(1, 9)}
    return sorted(packages & sources.keys())


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only a type checker sees."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and _dotted(node.test).endswith("TYPE_CHECKING"):
            yield from (found for branch in node.orelse for found in (branch, *_running(branch)))
            continue
        yield node
        yield from _running(node)


def _absolute(name: str, node: ast.ImportFrom, sources: Mapping[str, str]) -> str:
    if not node.level:
        return node.module or ""
    is_package = any(other.startswith(f"{name}.") for other in sources)
    parts = name.split(".")
    parents = parts[: len(parts) - node.level + is_package]
    return ".".join([*parents, node.module] if node.module else parents)

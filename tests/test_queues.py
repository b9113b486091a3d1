"""The tables of queues in docs/scaling.md are true: bounds, policies, tests, and that none is left out."""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8").partition("\n## Queues\n")[2]
POLICIES = set(re.findall(r"^- \*\*(\w+)\*\*:", TEXT, re.MULTILINE))
UNBOUNDED = {"deque": "maxlen", "Queue": "maxsize", "LifoQueue": "maxsize", "PriorityQueue": "maxsize"}
NEVER_BOUNDED = {"SimpleQueue", "heappush"}


def rows(heading: str) -> list[list[str]]:
    """The cells of the table whose first column is called so."""
    lines = TEXT[TEXT.index(f"| {heading} |") :].partition("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


BETWEEN = rows("queue")


def code(cell: str) -> list[str]:
    """What is in backquotes."""
    return re.findall(r"`([^`]+)`", cell)


def named(path: str) -> Any:
    """What a dotted name stands for."""
    module, found = path.split("."), []
    while module:
        try:
            value: Any = import_module(".".join(module))
        except ModuleNotFoundError:
            found.insert(0, module.pop())
            continue
        for name in found:
            value = getattr(value, name)
        return value
    raise AssertionError(f"{path} is nowhere")


def unbounded(path: Path) -> Iterator[int]:
    """The lines that make a queue without a number."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            bound = UNBOUNDED.get(name)
            if name in NEVER_BOUNDED or (bound and bound not in {each.arg for each in node.keywords}):
                yield node.lineno


def test_there_is_a_table_of_them_with_every_policy_said():
    assert len(BETWEEN) >= 20
    assert len(POLICIES) == 7
    assert {policy for row in BETWEEN for policy in re.findall(r"\*\*(\w+)\*\*", row[3])} == POLICIES


@pytest.mark.parametrize("row", BETWEEN, ids=lambda row: row[0])
def test_each_is_bounded_as_it_says(row: list[str]):
    _, bound, held_by, policy, test = row

    (holder,) = [named(path) for path in code(held_by)]
    if isinstance(holder, int):
        assert f"{holder:,}" in re.findall(r"[\d,]*\d", bound)
    assert re.search(r"\*\*\w+\*\*", policy)
    (file,) = code(test)
    assert (ROOT / file).is_file()


def test_no_queue_of_the_firm_is_left_out():
    told = {path for row in rows("where") for path in code(row[0])}
    found = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): list(unbounded(path))
        for path in sorted((ROOT / "firm").rglob("*.py"))
    }

    assert {name for name, lines in found.items() if lines} == told

"""Reads the YAML files of the stress tests strictly: each key once, none unknown, errors with their place."""

from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, Field, Strict, ValidationError

from firm.errors import ConfigError

Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
"""A finite number: an integer will do, a text or a yes will not."""

Text = Annotated[str, Strict(), Field(min_length=1)]

Model = TypeVar("Model", bound=BaseModel)


class _EachKeyOnce(yaml.SafeLoader):
    """Refuses a key given twice in one section, of which YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key {key.value!r} is given twice; remove one", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def parse_file(model: type[Model], text: str, origin: str) -> Model:
    """The checked content of a YAML text; `origin` names it in errors.

    Raises
    ------
    ConfigError
        If it is no YAML or no mapping, or a key is unknown, missing, doubled or of the wrong type: all at
        once, each with its place.
    """
    try:
        content = yaml.load(text, _EachKeyOnce)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise ConfigError(f"{origin} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{origin} needs a mapping of keys, found {content!r}; see docs/stress.md")
    try:
        return model.model_validate(content)
    except ValidationError as error:
        lines = "\n".join(_line(content, problem) for problem in error.errors())
        raise ConfigError(f"{origin} is wrong (see docs/stress.md):\n{lines}") from error


def read_text(path: Path) -> str:
    """The text of a file, or ConfigError with the reason why it cannot be had."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"a stress file needs to be readable UTF-8, {path} is not: {error}") from error


def _line(content: dict[str, Any], problem: Any) -> str:
    place = _place(content, problem["loc"])
    match problem["type"]:
        case "missing":
            return f"  {place}: needed, not found"
        case "extra_forbidden":
            return f"  {place}: unknown key (found {problem['input']!r}); remove it or correct its name"
        case _:
            return f"  {place}: {problem['msg']} (found {problem['input']!r})"


def _place(content: dict[str, Any], location: tuple[int | str, ...]) -> str:
    """The path to the value; an entry of a list that has a name is called by it."""
    value: Any = content
    words: list[str] = []
    for step in location:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            value = None
        named = isinstance(step, int) and isinstance(value, dict) and "name" in value
        words.append(repr(value["name"]) if named else str(step))
    return ".".join(words)

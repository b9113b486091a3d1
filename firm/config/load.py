"""Reading a configuration: YAML, `--set` overrides, and errors that name each key."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from firm.config.settings import Settings
from firm.errors import ConfigError


class _EachKeyOnce(yaml.SafeLoader):
    """Refuses a key that is given twice in one section, of which YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for key, _ in node.value:
            if keys.count(key.value) > 1:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key {key.value!r} is given twice; remove one", problem_mark=key.start_mark
                )
        return super().construct_mapping(node, deep)


def load_settings(path: Path, overrides: Sequence[str] = ()) -> Settings:
    """Read the YAML file, apply `section.key=value` overrides (values are YAML), and check everything."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _EachKeyOnce)  # noqa: S506 - a SafeLoader
    except FileNotFoundError as error:
        raise ConfigError(
            f"configuration needs a YAML file, found nothing at {path}; copy config/paper.yaml"
        ) from error
    except OSError as error:
        raise ConfigError(
            f"configuration needs a YAML file, {path} cannot be read: {error.strerror}"
        ) from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"configuration {path} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"configuration {path} needs sections (see config/paper.yaml), found {content!r}")
    for override in overrides:
        _apply(content, override)
    _read_scenarios(content, path.parent)
    return parse_settings(content, str(path))


def parse_settings(content: dict[str, Any], source: str) -> Settings:
    """Check a configuration that was already read; errors name each key, what was needed and found."""
    try:
        return Settings.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"configuration {source} is wrong:\n" + "\n".join(_lines(error))) from error


def _read_scenarios(content: dict[str, Any], folder: Path) -> None:
    """Put the text of `risk.stress.file` (relative to the configuration's folder) beside its name."""
    risk = content.get("risk")
    stress = risk.get("stress") if isinstance(risk, dict) else None
    if not isinstance(stress, dict) or not isinstance(stress.get("file"), str):
        return
    file = folder / stress["file"]
    try:
        stress["scenarios"] = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"risk.stress.file needs stress scenarios in YAML, cannot read {file}: {error}"
        ) from error


def _lines(error: ValidationError) -> list[str]:
    lines = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        match problem["type"]:
            case "missing":
                lines.append(f"  {key}: needed, not found; every key is required (see config/paper.yaml)")
            case "extra_forbidden":
                lines.append(
                    f"  {key}: unknown key (found {problem['input']!r}); remove it or correct its name"
                )
            case _:
                lines.append(f"  {key}: {problem['msg']} (found {problem['input']!r})")
    return lines


def _apply(content: dict[str, Any], override: str) -> None:
    path, separator, value = override.partition("=")
    keys = path.split(".")
    if not separator or len(keys) < 2 or not all(keys):
        raise ConfigError(
            f"--set needs section.key=value, found {override!r}; e.g. --set risk.max_leverage=1.5"
        )
    target = content
    for key in keys[:-1]:
        if not isinstance(target.get(key), dict):
            raise ConfigError(f"--set {override}: there is no section {key!r} in the configuration")
        target = target[key]
    try:
        target[keys[-1]] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override}: {value!r} is not a YAML value: {error}") from error

"""YAML files that people write, read without surprises: no key twice, no unknown one, nothing converted in silence.

Errors name file, key path and cure.
"""

import datetime as dt
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from thingmint.errors import ConfigError

FOLDER = Path(__file__).resolve().parent.parent / "config"
_IS_KEY = "[key]"  # pydantic's way to say that it is not the value but its key


def fits(pattern: str, what: str) -> AfterValidator:
    """A value that matches as a whole; `what` it has to be is said where it does not."""

    def validate(value: str) -> str:
        if not re.fullmatch(pattern, value, re.ASCII):
            raise ValueError(f"{value!r} is not {what}")
        return value

    return AfterValidator(validate)


class Section(BaseModel):
    """A part of a file: its keys and no others."""

    # strict: YAML has its own ideas of what 350457791791735879 and NO mean; nothing is converted behind the user's back.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def read(file: Path, section: str, *, instead: Iterable[str]) -> dict[str, Any]:
    """What is in it: sections, of which `section` is one. Raises ConfigError; `instead` cures a missing file."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"the configuration file {file} does not exist.", things_to_try=instead) from None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"the configuration file {file} cannot be read: {why}.") from None
    try:
        values = yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise ConfigError(
            f"{file} is no valid YAML.",
            detail=str(error),
            things_to_try=["mend the line named above (indentation by spaces, `key: value`, quotes closed)"],
        ) from None
    except ValueError as error:  # PyYAML's own converters: a date like 2026-99-99
        raise ConfigError(f"{file} is no valid YAML: {error}.", things_to_try=["quote that value"]) from None
    if not isinstance(values, dict):
        raise ConfigError(f"{file} holds no settings: sections like `{section}:` were expected at its top.")
    return values


def explain(
    error: ValidationError,
    file: Path,
    overrides: Mapping[str, str],
    *,
    released: str,
    never_quoted: Collection[str] = (),
) -> ConfigError:
    """Each slip by its key path, or by the variable that `overrides` has for it. `released` shows every key.

    What stands at the paths `never_quoted` is not repeated.
    """
    lines = []
    variables: dict[str, None] = {}  # ordered, each once
    cures: dict[str, None] = {}
    for problem in error.errors():
        parts = [str(part) for part in problem["loc"]]
        path = ".".join(part for part in parts if part != _IS_KEY and not part.startswith("function-"))
        where = f"{overrides[path]} (environment)" if path in overrides else path
        given, kind = problem["input"], problem["type"]
        variables |= {overrides.get(path, ""): None}
        if kind == "missing":
            lines.append(f"{where}: is missing")
            cures[f"add `{path.rpartition('.')[2]}:`; config/{released} as released shows every key"] = None
        elif kind == "extra_forbidden":
            lines.append(f"{where}: is no known key")
            cures["remove it, or mend its spelling; docs/reference/configuration.md lists the keys"] = None
        elif path in never_quoted:
            lines.append(f"{where}: {problem['msg'].removeprefix('Value error, ')}")
            cures[f"mend {where}"] = None
        elif kind == "string_type" and isinstance(given, bool | int | float | dt.date):
            what = "key" if parts[-1] == _IS_KEY else "value"
            lines.append(f"{where}: YAML read this {what} as {given!r} ({type(given).__name__}), not as text")
            quoted = f'"{path}":' if what == "key" else f'{path.rpartition(".")[2]}: "…"'
            cures[f"quote it, as in  {quoted}"] = None
        else:
            message = problem["msg"].removeprefix("Value error, ")
            lines.append(f"{where}: {message}" if repr(given) in message else f"{where}: {message}; found {given!r}")
            cures[f"mend {where}"] = None
    at_fault = str(file) if "" in variables else f"the environment ({', '.join(variables)})"
    return ConfigError(f"{at_fault} is invalid.", detail="\n".join(lines), things_to_try=cures)


class _UniqueKeyLoader(yaml.SafeLoader):
    """PyYAML lets the last of two equal keys win without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = key_node.value
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(
                    "while reading a section", node.start_mark, "a list or section cannot be a key", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    "while reading a section", node.start_mark, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)

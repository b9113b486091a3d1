"""One table per message: the same rows drive decoding and encoding, for every protocol version.

A message is a sequence of rows. A `Field` is one wire field; a `Count` is a number followed by so many
groups; a `When` is a group that is only there if the values before it say so; a `Rest` takes the rest, for
requests that are recognised but not served.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from firm.errors import GatewayProtocol
from firm.gateway_sim.codec.kinds import TEXT, Kind

NO_VERSION_LIMIT = 10_000
GROUPS_MAX = 10_000
Values: TypeAlias = dict[str, Any]


class _Required:
    """Marks a field that has no default."""


REQUIRED = _Required()


@dataclass(frozen=True, slots=True)
class Field:
    """One field, on the wire for versions `since <= version < until`; `default` is written when not given."""

    name: str
    kind: Kind
    default: Any = REQUIRED
    since: int = 0
    until: int = NO_VERSION_LIMIT

    def spoken(self, version: int) -> bool:
        """Whether this version has the field."""
        return self.since <= version < self.until


@dataclass(frozen=True, slots=True)
class Count:
    """A number of groups, then the groups: a list of dicts under `name`."""

    name: str
    rows: "tuple[Row, ...]"
    kind: Kind


@dataclass(frozen=True, slots=True)
class When:
    """Rows that are only there if `test` holds for the values so far, in versions `since` and later."""

    test: Callable[[Mapping[str, Any]], bool]
    rows: "tuple[Row, ...]"
    since: int = 0


@dataclass(frozen=True, slots=True)
class Rest:
    """All remaining fields, or `most` of them, as a list of texts."""

    name: str = "rest"
    most: int = 1_000_000


Row: TypeAlias = Field | Count | When | Rest


@dataclass(frozen=True, slots=True)
class Message:
    """A message of the protocol: its number, its name, its rows."""

    id: int
    name: str
    rows: tuple[Row, ...] = field(default=())

    def decode(self, fields: Sequence[str], version: int) -> Values:
        """The values in `fields` (without the message number); nothing may be missing or left over."""
        reader = _Reader(self.name, fields)
        values: Values = {}
        _decode(self.rows, reader, version, values)
        if reader.left:
            raise GatewayProtocol(
                f"{self.name} at version {version} has {len(fields) - reader.left} fields, found "
                f"{reader.left} more, the first of them {fields[-reader.left][:40]!r}"
            )
        return values

    def names(self) -> set[str]:
        """The names of its fields and groups, those inside groups left out."""
        return {row.name for row in self.rows if isinstance(row, Field | Count)}

    def read(self, name: str, text: str) -> Any:
        """A value of the field `name` from its spelling (of groups only `[]`); ValueError if it is none."""
        row = next(row for row in self.rows if isinstance(row, Field | Count) and row.name == name)
        if isinstance(row, Count):
            if text != "[]":
                raise ValueError(f"{name} can only be made empty, [], found {text[:40]!r}")
            return []
        return row.kind.read(text)

    def encode(self, version: int, values: Mapping[str, Any]) -> list[str]:
        """The wire fields, the message number first."""
        fields = [str(self.id)]
        _encode(self.name, self.rows, version, values, fields)
        return fields


class _Reader:
    def __init__(self, message: str, fields: Sequence[str]) -> None:
        self.message, self.fields, self.at = message, fields, 0

    @property
    def left(self) -> int:
        return len(self.fields) - self.at

    def take(self, name: str, kind: Kind) -> Any:
        if not self.left:
            raise GatewayProtocol(f"{self.message} ends after {self.at} fields, before {name}")
        text = self.fields[self.at]
        self.at += 1
        try:
            return kind.read(text)
        except (ValueError, OverflowError) as error:
            raise GatewayProtocol(f"{self.message}, field {self.at} ({name}): {error}") from None


def _decode(rows: Sequence[Row], reader: _Reader, version: int, values: Values) -> None:
    for row in rows:
        match row:
            case Field(name=name, kind=kind):
                if row.spoken(version):
                    values[name] = reader.take(name, kind)
            case Count(name=name, rows=group, kind=kind):
                values[name] = _decode_groups(name, group, reader, version, kind)
            case When(test=test, rows=group, since=since):
                if version >= since and test(values):
                    _decode(group, reader, version, values)
            case Rest(name=name, most=most):
                values[name] = list(reader.fields[reader.at : reader.at + most])
                reader.at += len(values[name])


def _decode_groups(name: str, rows: Sequence[Row], reader: _Reader, version: int, kind: Kind) -> list[Values]:
    count = reader.take(name, kind) or 0
    if not 0 <= count <= min(GROUPS_MAX, reader.left):
        raise GatewayProtocol(f"{reader.message} announces {count} {name} with {reader.left} fields left")
    groups: list[Values] = []
    for _ in range(count):
        group: Values = {}
        _decode(rows, reader, version, group)
        groups.append(group)
    return groups


def _encode(
    message: str, rows: Sequence[Row], version: int, values: Mapping[str, Any], fields: list[str]
) -> None:
    for row in rows:
        match row:
            case Field():
                if row.spoken(version):
                    fields.append(row.kind.write(_value(message, row, values)))
            case Count(name=name, rows=group):
                groups = values.get(name, ())
                fields.append(str(len(groups)))
                for element in groups:
                    _encode(message, group, version, element, fields)
            case When(test=test, rows=group, since=since):
                if version >= since and test(values):
                    _encode(message, group, version, values, fields)
            case Rest(name=name):
                fields += [TEXT.write(text) for text in values.get(name, ())]


def _value(message: str, row: Field, values: Mapping[str, Any]) -> Any:
    value = values.get(row.name, row.default)
    assert not isinstance(value, _Required), f"{message} needs a value for {row.name}"
    return value

"""Days as text: values by position, so that years of them take little space."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import cache
import json
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

DIGITS = 4  # 0.1 Wh


def pack(value: object) -> str:
    """Return a frozen dataclass as text."""
    return json.dumps(_plain(value), separators=(",", ":"), ensure_ascii=False)


def unpack[T](kind: type[T], text: str) -> T:
    """Return what `pack` wrote; raises ValueError or TypeError where it cannot be understood.

    Fields that an older version did not know take their defaults; those of a newer one are left
    out.
    """
    made: T = _made(kind, json.loads(text))
    return made


def _plain(value: object) -> object:
    if is_dataclass(value):
        found = [_plain(getattr(value, each.name)) for each in fields(value)]
        while found and found[-1] in ([], None):
            found.pop()  # empty lists at the end cost space, and say nothing
        return found
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, datetime):
        return round(value.timestamp(), 1)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float):
        return int(value) if value.is_integer() else round(value, DIGITS)
    return value


@cache
def _fields_of(kind: type) -> Mapping[str, Any]:
    hints = get_type_hints(kind)
    return {each.name: hints[each.name] for each in fields(kind)}


def _made(kind: Any, value: object) -> Any:  # noqa: ANN401 - the type is the argument
    if isinstance(kind, UnionType):
        if value is None:
            return None
        return _made(next(each for each in get_args(kind) if each is not NoneType), value)
    if get_origin(kind) is tuple:
        return tuple(_made(get_args(kind)[0], each) for each in _listed(value))
    if is_dataclass(kind):
        known = _fields_of(kind)  # type: ignore[arg-type]
        found = dict(zip(known, _listed(value), strict=False))
        return kind(**{name: _made(known[name], each) for name, each in found.items()})  # type: ignore[operator]
    if isinstance(kind, type) and issubclass(kind, datetime):
        return datetime.fromtimestamp(float(str(value)), UTC)
    if not isinstance(value, str | int | float):
        raise TypeError(value)
    return kind(value)


def _listed(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError(value)
    return value

"""What is kept is what comes back."""

from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
import json
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.export_monitor.storage import Record, decode, encode


def _values(kind: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401
    """Return a strategy for anything that a record is made of."""
    if isinstance(kind, UnionType):
        return st.one_of(st.none(), *(_values(a) for a in get_args(kind) if a is not NoneType))
    if get_origin(kind) is tuple:
        return st.lists(_values(get_args(kind)[0]), max_size=3).map(tuple)
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return st.builds(kind, **{f.name: _values(hints[f.name]) for f in fields(kind)})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(kind)
    if kind is datetime:
        return st.datetimes(timezones=st.just(UTC))
    if kind is float:
        return st.floats(allow_nan=False, allow_infinity=False)
    return {bool: st.booleans(), int: st.integers(-(2**53), 2**53), str: st.text()}[kind]


@settings(max_examples=100, deadline=None)
@given(_values(Record))
def test_a_record_comes_back_from_json_as_it_was(record: Record) -> None:
    assert decode(Record, json.loads(json.dumps(encode(record)))) == record


@settings(max_examples=30, deadline=None)
@given(_values(Record))
def test_a_record_with_fields_of_a_later_version_is_read(record: Record) -> None:
    data: Any = encode(record)
    data["later"] = 1
    data["meter"]["later"] = [1]
    assert decode(Record, json.loads(json.dumps(data))) == record


@settings(max_examples=30, deadline=None)
@given(_values(Record), st.sampled_from([f.name for f in fields(Record) if f.default is MISSING]))
def test_a_record_without_one_of_its_fields_is_refused(record: Record, field: str) -> None:
    data: Any = encode(record)
    del data[field]
    with pytest.raises(TypeError):
        decode(Record, data)


@settings(max_examples=50, deadline=None)
@given(_values(Record))
def test_the_state_of_a_record_holds_what_was_kept(record: Record) -> None:
    state = record.state()
    assert (state.phase, state.meter, state.session) == (record.phase, record.meter, record.session)
    assert state.starting is None
    assert state.faults == frozenset(record.faults)

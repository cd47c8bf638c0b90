"""The wire format as protobuf's specification and its own implementation give it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import AttributeProto

from cnnlint.frontends.onnx.wire import TruncatedError, WireError, fields, signed, text, varint, varints
from cnnlint.frontends.sources import Memory


def encoded(value: int) -> bytes:
    """What protobuf itself writes for `value` as a varint: the `i` of an attribute, without its tag."""
    return AttributeProto(i=signed(value)).SerializeToString()[1:]


@given(value=st.integers(0, 2**64 - 1), before=st.binary(max_size=3), after=st.binary(max_size=3))
def test_decodes_the_varints_that_protobuf_writes(value, before, after):
    data = before + encoded(value) + after
    assert varint(data, len(before)) == (value, len(data) - len(after))


@given(values=st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_decodes_packed_varints(values):
    data = b"".join(AttributeProto(i=value).SerializeToString()[1:] for value in values)
    assert [signed(value) for value in varints(data)] == values


@pytest.mark.parametrize("data", [b"\x80" * 10 + b"\x00", b"\xff" * 10, b"\xff" * 9 + b"\x7f"])
def test_refuses_varints_of_more_than_ten_bytes_or_64_bits(data):
    with pytest.raises(WireError, match=r"10 bytes|64 bits"):
        varint(data, 0)


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff\xff\xff"])
def test_a_varint_that_is_cut_off_is_truncated(data):
    with pytest.raises(TruncatedError):
        varint(data, 0)


def test_walks_fields_of_every_wire_type():
    data = b"\x08\x96\x01" + b"\x12\x03abc" + b"\x1d\x01\x02\x03\x04" + b"\x21" + bytes(8) + b"\xca\x01\x00"
    found = [(tag >> 3, tag & 7, data[start:stop]) for tag, start, stop in fields(Memory(data), 0, len(data))]
    assert found == [
        (1, 0, b"\x96\x01"),
        (2, 2, b"abc"),
        (3, 5, b"\x01\x02\x03\x04"),
        (4, 1, bytes(8)),
        (25, 2, b""),
    ]


@given(lengths=st.lists(st.integers(0, 9000), max_size=20))
def test_walks_fields_of_any_length(lengths):
    data = b"".join(b"\x12" + encoded(length) + b"x" * length for length in lengths)
    assert [stop - start for _, start, stop in fields(Memory(data), 0, len(data))] == lengths


@pytest.mark.parametrize("wire", [3, 4, 6, 7])
def test_refuses_groups_and_unknown_wire_types(wire):
    data = bytes([1 << 3 | wire, 0])
    with pytest.raises(WireError, match="group" if wire < 5 else "wire type"):
        list(fields(Memory(data), 0, len(data)))


@pytest.mark.parametrize("tag", [b"\x00", b"\x02", b"\x05", b"\xff\xff\xff\xff\x7f"])
def test_refuses_field_numbers_that_protobuf_does_not_have(tag):
    data = tag + bytes(8)
    with pytest.raises(WireError, match="not the tag of a field"):
        list(fields(Memory(data), 0, len(data)))


@pytest.mark.parametrize(
    "data", [b"\x0a\x05abc", b"\x0a\xff\xff\xff\xff\x0f", b"\x0d\x01", b"\x09\x01", b"\x08", b"\x0a"]
)
def test_a_field_that_reaches_beyond_its_message_is_truncated(data):
    with pytest.raises(TruncatedError):
        list(fields(Memory(data), 0, len(data)))


def test_text_that_is_not_utf8_stays_distinct_and_printable():
    assert text("größe".encode()) == "größe"
    one, other = text(b"a\xff"), text(b"a\xfe")
    assert one != other
    assert one.encode("utf-8")

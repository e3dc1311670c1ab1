"""JSON that comes in: what is taken, and that it can be written again."""

import json

import pytest

from export_monitor.domain.strict_json import MAX_DEPTH, depth, parse, without_lone_surrogates


def nested(levels: int, opening: str, closing: str) -> str:
    return opening * levels + "0" + closing * levels


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_json_may_be_nested_so_deeply_and_no_deeper(opening: str, closing: str) -> None:
    levels = MAX_DEPTH // (opening.count("[") + opening.count("{"))
    value = parse(nested(levels, opening, closing))
    assert depth(value) == MAX_DEPTH
    assert parse(json.dumps(value)) == value
    with pytest.raises(ValueError, match="nested too deeply"):
        parse(nested(levels + 1, opening, closing))


@pytest.mark.parametrize("levels", [990, 5_000, 100_000])
def test_depth_beyond_the_parser_s_own_limit_is_refused_alike(levels: int) -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        parse(nested(levels, '{"a":', "}"))


@pytest.mark.parametrize("text", ["[" + "[]," * 600 + "0]", json.dumps({"a": "[{" * 600})], ids=["broad", "quoted"])
def test_brackets_side_by_side_or_in_a_string_are_no_depth(text: str) -> None:
    assert parse(text) == json.loads(text)


@pytest.mark.parametrize(
    ("value", "deep"), [(1, 0), ("[[", 0), ([], 1), ({}, 1), ([{}], 2), ({"a": [], "b": {"c": [1]}, "d": 1}, 3)]
)
def test_depth_counts_objects_and_arrays_inside_one_another(value: object, deep: int) -> None:
    assert depth(value) == deep


def test_bytes_are_utf_8_with_or_without_a_byte_order_mark() -> None:
    assert parse(b'"\xc3\xbc"') == parse(b'\xef\xbb\xbf"\xc3\xbc"') == "ü"


@pytest.mark.parametrize("content", [b'"\xfc"', b'"\xed\xa0\x80"', '"a"'.encode("utf-16"), '"a"'.encode("utf-32-be")])
def test_bytes_of_another_encoding_are_no_json(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 -- a decoder or the parser finds it first, each in its own words
        parse(content)


def test_lone_surrogates_are_replaced_in_strings_and_names() -> None:
    value = {"\ud800": ["a\udc00", {"b": "\ud83e-\uddec"}], "c": "\U0001f9ec", "d": [1.5, None, True]}
    written = without_lone_surrogates(value)
    assert written == {"\ufffd": ["a\ufffd", {"b": "\ufffd-\ufffd"}], "c": "\U0001f9ec", "d": [1.5, None, True]}

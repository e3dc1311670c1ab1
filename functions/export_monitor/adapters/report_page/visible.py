"""Shows what a browser would hide, reorder or reject: control characters, text direction marks and lone surrogates."""

from functools import cache

_SYMBOL_OF_NUL = 0x2400
_DELETE, _SYMBOL_OF_DELETE = 0x7F, 0x2421
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_CONTROLS = range(0x20)
_C1_CONTROLS = range(0x80, 0xA0)
_SURROGATES = range(0xD800, 0xE000)
# Embeddings, overrides and isolates, with which a name can look like another one.
_DIRECTIONS = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))


def visible(value: object) -> object:
    """The value as the page shows it. Values that are no text, and text that is markup already, stay as they are."""
    if type(value) is not str or value.isprintable():
        return value
    return value.translate(_table())


@cache
def _table() -> dict[int, str]:
    return {
        **dict.fromkeys((*_C1_CONTROLS, *_SURROGATES), _REPLACEMENT),
        **{code: chr(_SYMBOL_OF_NUL + code) for code in _CONTROLS},
        **{
            code: f"\N{MATHEMATICAL LEFT ANGLE BRACKET}U+{code:04X}\N{MATHEMATICAL RIGHT ANGLE BRACKET}"
            for code in _DIRECTIONS
        },
        _DELETE: chr(_SYMBOL_OF_DELETE),
    }

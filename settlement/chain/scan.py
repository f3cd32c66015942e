"""Byte scanner: checks that CBOR is in the one accepted form, before anything is allocated for it.

The accepted form is narrower than RFC 8949 section 4.2.1 (core deterministic encoding): unsigned and negative integers,
byte and text strings, arrays and maps with unsigned-integer keys, shortest lengths, strictly ascending keys, bounded
depth, definite lengths, nothing behind the item. No floats, tags, booleans, nulls or undefined.
"""

from settlement.chain.quickscan import MAX_DEPTH, surely_sound
from settlement.core.reasons import Reason, Refusal, RefusedError, refuse

MAX_RECORD_BYTES = 64 * 1024

_UINT, _NINT, _BYTES, _TEXT, _ARRAY, _MAP, _TAG = range(7)
_BEHIND_UNSIGNED = 1 << 64
_TINY = 24  # bytes below this are whole unsigned integers, by far the commonest item
_INDEFINITE = 31
_BYTES_OF_8_BITS, _UINT_OF_64_BITS, _ZEROS = 0x58, 0x1B, bytes(4)
_ARGUMENT_BYTES = {24: 1, 25: 2, 26: 4, 27: 8}
_LEAST = {1: 24, 2: 1 << 8, 4: 1 << 16, 8: 1 << 32}
_WIDTHS = tuple(
    -1 if head >> 5 >= _TAG else 0 if head & 0x1F < _TINY else _ARGUMENT_BYTES.get(head & 0x1F, -1)
    for head in range(256)
)
"""Number of argument bytes behind each head byte; -1 where no accepted item begins with it."""


def _fail(reason: Reason, clause: str, offset: int, required: str) -> RefusedError:
    return RefusedError(refuse(reason, f"cbor.{clause}", f"at byte {offset}", required))


def read_head(data: bytes, offset: int) -> tuple[int, int, int]:
    """Read one item head: (major type, argument, offset behind the head). Raises RefusedError."""
    if offset >= len(data):
        raise _fail(Reason.MALFORMED, "truncated", offset, "a whole item")
    head = data[offset]
    width = _WIDTHS[head]
    if width == 0:
        return head >> 5, head & 0x1F, offset + 1
    if width < 0:
        raise _bad_head(head, offset)
    end = offset + 1 + width
    if end > len(data):
        raise _fail(Reason.MALFORMED, "truncated", offset, "a whole head")
    argument = int.from_bytes(data[offset + 1 : end], "big")
    if argument < _LEAST[width]:
        raise _fail(Reason.NONCANONICAL, "length", offset, "the shortest form")
    return head >> 5, argument, end


def _bad_head(head: int, offset: int) -> RefusedError:
    if head >> 5 >= _TAG:
        return _fail(Reason.FORBIDDEN_TYPE, "type", offset, "integer, string, array or map")
    if head & 0x1F == _INDEFINITE:
        return _fail(Reason.NONCANONICAL, "indefinite", offset, "a definite length")
    return _fail(Reason.MALFORMED, "reserved", offset, "additional information 0-27")


def _scan_string(data: bytes, major: int, length: int, offset: int) -> int:
    end = offset + length
    if end > len(data):
        raise _fail(Reason.MALFORMED, "truncated", offset, f"{length} bytes")
    if major == _TEXT:
        try:
            data[offset:end].decode("utf-8")
        except UnicodeDecodeError as exc:
            raise _fail(Reason.MALFORMED, "utf8", offset, "valid UTF-8") from exc
    return end


def _scan_map(data: bytes, pairs: int, offset: int, depth: int, *, signed_keys: bool) -> int:
    previous, size = -1, len(data)
    for _ in range(pairs):
        if offset < size and data[offset] < _TINY:
            major, argument, behind = _UINT, data[offset], offset + 1
        else:
            major, argument, behind = read_head(data, offset)
        if major != _UINT and not (signed_keys and major == _NINT):
            raise _fail(Reason.FORBIDDEN_TYPE, "key", offset, "an unsigned integer key")
        # The bytewise order of shortest heads: by value, negative keys behind the others.
        rank = argument if major == _UINT else argument + _BEHIND_UNSIGNED
        if rank == previous:
            raise _fail(Reason.MALFORMED, "duplicate", offset, "each key once")
        if rank < previous:
            raise _fail(Reason.NONCANONICAL, "order", offset, "ascending keys")
        previous = rank
        offset = _end_of_common(data, behind, size) or _scan_item(data, behind, depth, signed_keys=signed_keys)
    return offset


def _end_of_common(data: bytes, offset: int, size: int) -> int:
    """Return the end of an item in one of the three commonest forms; 0 where it is another, or not surely accepted."""
    if offset + 1 >= size:
        return 0
    head = data[offset]
    if head < _TINY:
        return offset + 1
    if head == _BYTES_OF_8_BITS and data[offset + 1] >= _TINY:
        end = offset + 2 + data[offset + 1]
    elif head == _UINT_OF_64_BITS and data[offset + 1 : offset + 5] != _ZEROS:
        end = offset + 9
    else:
        return 0
    return end if end <= size else 0


def _scan_item(data: bytes, offset: int, depth: int, *, signed_keys: bool) -> int:
    if offset < len(data) and data[offset] < _TINY:
        return offset + 1
    major, argument, behind = read_head(data, offset)
    if major <= _NINT:
        return behind
    if major in (_BYTES, _TEXT):
        return _scan_string(data, major, argument, behind)
    if depth >= MAX_DEPTH:
        raise _fail(Reason.TOO_LARGE, "depth", offset, f"at most {MAX_DEPTH} levels")
    if argument * (1 if major == _ARRAY else 2) > len(data) - behind:
        raise _fail(Reason.MALFORMED, "truncated", offset, "as many items as announced")
    if major == _MAP:
        return _scan_map(data, argument, behind, depth + 1, signed_keys=signed_keys)
    for _ in range(argument):
        behind = _scan_item(data, behind, depth + 1, signed_keys=signed_keys)
    return behind


def scan(data: bytes, *, signed_keys: bool = False, limit: int = MAX_RECORD_BYTES) -> Refusal | None:
    """Check one CBOR item end to end; None when it is in the accepted form.

    Args: data: the bytes. limit: the size cap. signed_keys: allow negative integer map keys (COSE headers hold a
    COSE_Key, RFC 9052 section 7, whose parameters are negative). Source: RFC 8949 sections 3 and 4.2.1.
    """
    if len(data) > limit:
        return refuse(Reason.TOO_LARGE, "cbor.size", len(data), f"<= {limit} bytes")
    if surely_sound(data):
        return None
    try:
        end = _scan_item(data, 0, 0, signed_keys=signed_keys)
    except RefusedError as exc:
        return exc.refusal
    if end != len(data):
        return refuse(Reason.MALFORMED, "cbor.trailing", f"{len(data) - end} bytes behind the item", "none")
    return None

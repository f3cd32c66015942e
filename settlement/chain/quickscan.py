"""A fast check of CBOR bytes: True if they are surely in the accepted form, False if `scan` has to decide.

Nearly all items that nodes exchange have a few forms. This check knows only those, does not say what is wrong and
allocates nothing; whatever it is not sure of, `scan` reads item by item and decides.
"""

MAX_DEPTH = 8
_NOT_SURE = -1
_NO_ZEROS = bytes(4)


def surely_sound(data: bytes) -> bool:
    """True for a map or an array in the accepted form with keys below 256; False leaves the decision to `scan`."""
    try:
        head = data[0]
        if 0xA0 <= head < 0xB8:
            return _behind(data, 1, head - 0xA0, 1, keyed=True) == len(data)
        return 0x80 <= head < 0x98 and _behind(data, 1, head - 0x80, 1, keyed=False) == len(data)
    except (IndexError, UnicodeDecodeError):
        return False


def _behind(data: bytes, at: int, count: int, depth: int, *, keyed: bool) -> int:  # noqa: C901, PLR0912 - one case a form
    """Return the offset behind `count` items, each with its key before it where `keyed`.

    The caller compares the offset with the length of the bytes. Raises IndexError where the bytes end first,
    UnicodeDecodeError for a string that is not UTF-8.
    """
    key = -1
    for _ in range(count):
        if keyed:
            before, key = key, data[at]
            at += 1
            if key == 0x18 and data[at] >= 24:
                key = data[at]
                at += 1
            elif key >= 24:
                return _NOT_SURE
            if key <= before:
                return _NOT_SURE
        head = data[at]
        at += 1
        if head < 0x18 or 0x20 <= head < 0x38:
            continue
        if head == 0x58:
            size = data[at]
            if size < 24:
                return _NOT_SURE
            at += 1 + size
        elif head in (0x1B, 0x3B):
            if data[at : at + 4] == _NO_ZEROS:
                return _NOT_SURE
            at += 8
        elif head in (0x1A, 0x3A):
            if not data[at] and not data[at + 1]:
                return _NOT_SURE
            at += 4
        elif 0x40 <= head < 0x58:
            at += head - 0x40
        elif 0xA0 <= head < 0xB8 or 0x80 <= head < 0x98:
            if depth >= MAX_DEPTH:
                return _NOT_SURE
            at = _behind(data, at, head & 0x1F, depth + 1, keyed=head >= 0xA0)
            if at < 0:
                return _NOT_SURE
        elif 0x60 <= head < 0x79:
            end = at + head - 0x60
            if head == 0x78:
                at += 1
                end = at + data[at - 1]
                if data[at - 1] < 24:
                    return _NOT_SURE
            data[at:end].decode()
            at = end
        elif head in (0x19, 0x39, 0x59):
            if not data[at]:
                return _NOT_SURE
            at += 2 if head != 0x59 else 2 + (data[at] << 8) + data[at + 1]
        elif head in (0x18, 0x38):
            if data[at] < 24:
                return _NOT_SURE
            at += 1
        else:
            return _NOT_SURE
    return at

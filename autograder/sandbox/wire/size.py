"""The number of values in a message, found without decoding it: decoded, many small values need much memory."""

from __future__ import annotations

from autograder.sandbox.wire.wire_error import WireError

_SMALL = 2**16
"""bytes of a message that need not be looked at: whatever is in it, it needs few megabytes"""
_MOST = 50_000
"""most values in a message; hidden tests ask for some thousands at most"""

# MessagePack: the first byte of a value says what it is. For each such byte, how many bytes follow it; or, as a
# negative number, how many bytes hold the length of what follows.
_FIXED = {0xC0: 0, 0xC2: 0, 0xC3: 0, 0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4}
_FIXED |= {0xD3: 8, 0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17}
_BYTES = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
_LISTS = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}


def refuse_many(data: bytes) -> None:
    """Raise WireError if a message of MessagePack holds more values than a hidden test can ask for.

    Anything else that is wrong with it is left to the decoder.
    """
    if len(data) <= _SMALL:
        return
    at, waiting, found, end = 0, 1, 0, len(data)
    while waiting and at < end:
        waiting -= 1
        found += 1
        sign = data[at]
        at += 1
        if sign < 0x80 or sign >= 0xE0:  # a small number
            pass
        elif sign < 0x90:
            waiting += 2 * (sign & 15)
        elif sign < 0xA0:
            waiting += sign & 15
        elif sign < 0xC0:
            at += sign & 31
        elif sign in _FIXED:
            at += _FIXED[sign]
        elif sign in _BYTES:
            width = _BYTES[sign]
            at += width + int.from_bytes(data[at : at + width], "big")
        elif sign in _LISTS:
            width, times = _LISTS[sign]
            waiting += times * int.from_bytes(data[at : at + width], "big")
            at += width
        else:
            return  # an extension or an unused byte: no message contains one, and the decoder says so
        if found + waiting > _MOST and found + min(waiting, end - at) > _MOST:
            raise WireError(f"it holds more than {_MOST} values")

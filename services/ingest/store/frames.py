"""How a record stands in a file of the spill: marker, length, checksum, msgpack.

A frame that cannot be read never hides those behind it: the marker finds the next one.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import msgspec

MARKER = b"\xf5SP1"
HEADER = struct.Struct(">4sII")  # marker, bytes of payload, CRC-32 of payload
MOST_BYTES = 2 * 1024 * 1024  # of a payload; twice what Kafka takes in one record


class Framed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A record as it waits for Kafka. `spilled_at` is UTC in seconds of the epoch."""

    spilled_at: float
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


class Fault(StrEnum):
    """Why a stretch of a file is no frame."""

    TORN = "torn"  # the end of an append that was cut short; nobody was told that it stands
    BROKEN = "broken"  # it stood here once, or something wrote over it


@dataclass(frozen=True, slots=True)
class Stretch:
    """Part of a file from `start` to `end`, not included: a frame, or what is none."""

    start: int
    end: int
    fault: Fault | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Framed).decode


def encoded(framed: Framed) -> bytes:
    """The frame of a record."""
    payload = _encode(framed)
    return HEADER.pack(MARKER, len(payload), zlib.crc32(payload)) + payload


def decoded(buffer: bytes, frame: Stretch) -> Framed:
    """The record of a frame that `walk` found in `buffer`."""
    return _decode(memoryview(buffer)[frame.start + HEADER.size : frame.end])


def walk(buffer: bytes, start: int = 0) -> Iterator[Stretch]:
    """Every frame from `start` on, and what lies between and behind them that is none."""
    at = start
    while at < len(buffer):
        end = _frame_end(buffer, at)
        if end is None:
            end = _next_frame(buffer, at + 1)
            is_torn = end == len(buffer) and _is_cut_short(buffer, at)
            yield Stretch(at, end, Fault.TORN if is_torn else Fault.BROKEN)
        else:
            yield Stretch(at, end)
        at = end


def _frame_end(buffer: bytes, at: int) -> int | None:
    """Where the frame that begins at `at` ends; None where no whole frame begins there."""
    if len(buffer) - at < HEADER.size:
        return None
    marker, length, checksum = HEADER.unpack_from(buffer, at)
    end = at + HEADER.size + length
    if marker != MARKER or length > MOST_BYTES or end > len(buffer):
        return None
    payload = memoryview(buffer)[at + HEADER.size : end]
    return end if zlib.crc32(payload) == checksum else None


def _next_frame(buffer: bytes, start: int) -> int:
    """Where the next whole frame begins; the end of the buffer where there is none."""
    at = buffer.find(MARKER, start)
    while at >= 0 and _frame_end(buffer, at) is None:
        at = buffer.find(MARKER, at + 1)
    return len(buffer) if at < 0 else at


def _is_cut_short(buffer: bytes, at: int) -> bool:
    """Whether what begins at `at` is the beginning of a frame whose end was never written.

    After a power cut a file may also have grown without its bytes: those read as zeros.
    """
    left = len(buffer) - at
    if not any(buffer[at:]):
        return True
    if left < HEADER.size:
        return MARKER.startswith(buffer[at : at + len(MARKER)])
    marker, length, _ = HEADER.unpack_from(buffer, at)
    return bool(marker == MARKER and left - HEADER.size < length <= MOST_BYTES)

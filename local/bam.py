"""Small BAM files: sound ones, and one that only a check of its whole content finds damaged."""

import random
import struct
import zlib

_BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_READS_PER_BLOCK = 200


def bam(blocks: int = 0) -> bytes:
    """A BAM whose reads fill this many BGZF blocks, after that of its header and before the end-of-file marker."""
    header = b"BAM\x01" + struct.pack("<ii", 0, 0)
    chance = random.Random(blocks)  # noqa: S311 -- reads, not secrets
    reads = (b"".join(_read(chance) for _ in range(_READS_PER_BLOCK)) for _ in range(blocks))
    return b"".join(map(_bgzf_block, (header, *reads))) + _BGZF_END


def with_a_flipped_bit(content: bytes) -> bytes:
    """The same with one bit flipped in its middle: as long as before, and with the same beginning and end."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def _read(chance: random.Random) -> bytes:
    """An unmapped read of 100 bases, as the SAM specification (4.2) has it."""
    name = f"read-{chance.getrandbits(32):08x}\0".encode()
    fixed = struct.pack("<iiBBHHHiiii", -1, -1, len(name), 0, 4680, 0, 4, 100, -1, -1, 0)
    read = fixed + name + chance.randbytes(50) + bytes(chance.choices(range(2, 41), k=100))
    return struct.pack("<i", len(read)) + read


def _bgzf_block(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    deflated = compressor.compress(data) + compressor.flush()
    subfield = b"BC" + struct.pack("<HH", 2, len(deflated) + 25)
    block = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff" + struct.pack("<H", len(subfield)) + subfield + deflated
    return block + struct.pack("<II", zlib.crc32(data), len(data))

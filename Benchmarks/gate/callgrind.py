"""What callgrind's dumps say: instructions executed, and how many of them were atomic read-modify-writes.

An atomic one is an instruction with a lock prefix, or an exchange with memory: taking a lock is one, and so is retaining or
releasing an object. callgrind says how often the instruction at each address ran; what it is, is read from the object file.
"""
import functools
import re
import struct

HEAD = re.compile(r"^desc: Trigger: (?:Client Request: )?gate end (\w+) (\d+)")


class Image:
    """The code of an ELF file, by the addresses it is linked for."""

    def __init__(self, path):
        self.bytes = open(path, "rb").read()
        offset, = struct.unpack_from("<Q", self.bytes, 32)
        size, count = struct.unpack_from("<HH", self.bytes, 54)
        self.segments = []
        for number in range(count):
            kind, _, start, address, _, length = struct.unpack_from("<IIQQQQ", self.bytes, offset + number * size)
            if kind == 1:  # PT_LOAD
                self.segments.append((address, address + length, start))

    @functools.lru_cache(maxsize=None)
    def is_atomic(self, address):
        code = self.at(address)
        while code[:1] in (b"\x66", b"\xf2", b"\xf3", b"\x2e", b"\x3e", b"\x64", b"\x65"):
            code = code[1:]
        if code[:1] == b"\xf0":
            return True
        if code[:1] and 0x40 <= code[0] <= 0x4F:  # REX
            code = code[1:]
        return code[:1] in (b"\x86", b"\x87") and code[1] >> 6 != 3

    def at(self, address):
        for first, last, start in self.segments:
            if first <= address < last:
                return self.bytes[start + address - first:start + address - first + 15]
        raise ValueError(f"no code at {address:#x}")


@functools.lru_cache(maxsize=None)
def image(path):
    try:
        return Image(path)
    except (OSError, struct.error):
        return None  # the kernel's page of code


def parts(text):
    """The dumps in one file of callgrind's --combine-dumps."""
    return text.split("\npart: ")[1:]


def read(text, instructions_only=False):
    """Of each counted dump: side, calls, instructions, atomic read-modify-writes."""
    for part in parts(text):
        head = next(filter(None, map(HEAD.match, part.splitlines())), None)
        if head is None:
            continue
        total = int(re.search(r"^(?:totals|summary): (\d+)", part, re.MULTILINE)[1])
        yield head[1], int(head[2]), total, None if instructions_only else atomics(part)


def atomics(part):
    count, binary, skip = 0, None, False
    for line in part.splitlines():
        if line.startswith("0x"):
            if not skip and binary is not None:
                address, *_, times = line.split()
                if binary.is_atomic(int(address, 16)):
                    count += int(times)
            skip = False
        elif line.startswith("ob="):
            binary = image(line[3:].split(") ")[-1])
        elif line.startswith("calls="):
            skip = True  # the next line is what the callee cost
    return count

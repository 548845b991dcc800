#!/usr/bin/env python3
"""interleaved.py SOCKETS CORES THREADS: an ACPI table of the guest's CPUs, for the kernel to use instead of QEMU's.

Linux numbers CPUs in the order in which this table (APIC, "MADT") lists them. QEMU lists all threads of a core, all
cores of a socket, and so on; most servers list the first thread of each socket's first core first, and siblings are
far apart. Everything else is as on QEMU's q35 machine. The table goes to standard output as it has to lie in the
kernel's first archive: kernel/firmware/acpi/apic.aml (Documentation/admin-guide/acpi/initrd_table_override.rst).
"""
import struct
import sys


def width(count: int) -> int:
    """How many bits of an APIC id number `count` things."""
    return (count - 1).bit_length()


def table(sockets: int, cores: int, threads: int) -> bytes:
    order = [
        ((socket << width(cores) | core) << width(threads) | thread, (socket * cores + core) * threads + thread)
        for thread in range(threads)
        for core in range(cores)
        for socket in range(sockets)
    ]
    body = struct.pack("<II", 0xFEE00000, 1)  # the local APICs' address; there is a PIC besides
    for apic, processor in order:
        body += struct.pack("<BBBBI", 0, 8, processor, apic, 1)
    body += struct.pack("<BBBBII", 1, 12, 0, 0, 0xFEC00000, 0)  # the I/O APIC
    body += struct.pack("<BBBBIH", 2, 10, 0, 0, 2, 0)  # the timer's interrupt is its input 2
    for interrupt in (5, 9, 10, 11):
        body += struct.pack("<BBBBIH", 2, 10, 0, interrupt, interrupt, 0xD)  # active high, by level
    body += struct.pack("<BBBHB", 4, 6, 0xFF, 0, 1)  # NMI is every CPU's LINT1
    # QEMU's names and a higher revision than its 1: so the kernel takes this table for a newer one of the same.
    header = struct.pack("<4sIBB6s8sI4sI", b"APIC", 36 + len(body), 3, 0, b"BOCHS ", b"BXPC    ", 2, b"BXPC", 1)
    whole = bytearray(header + body)
    whole[9] = -sum(whole) & 0xFF
    return bytes(whole)


sys.stdout.buffer.write(table(*map(int, sys.argv[1:4])))

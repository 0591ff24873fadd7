"""Runs a program to which the kernel denies io_uring, as many containers do: EPERM by seccomp."""

import ctypes
import errno
import os
import platform
import struct
import sys

IO_URING_SETUP = 425  # The same number on every architecture (asm-generic/unistd.h).
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
LOAD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06


def deny_io_uring():
    steps = [
        (LOAD, 0, 0, 4),  # The architecture.
        (JUMP_EQUAL, 0, 2, ARCHITECTURES[platform.machine()]),
        (LOAD, 0, 0, 0),  # The number of the call.
        (JUMP_EQUAL, 1, 0, IO_URING_SETUP),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, ERRNO | errno.EPERM),
    ]
    program = b"".join(struct.pack("HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(program)
    filter_program = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        sys.exit("no_new_privs is refused")
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter_program, 0, 0) != 0:
        sys.exit(f"seccomp is refused: {os.strerror(ctypes.get_errno())}")


deny_io_uring()
os.execv(sys.argv[1], sys.argv[1:])

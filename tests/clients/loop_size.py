"""Makes a loop device end after so many octets, or (0) where its file ends: `loop_size.py DEVICE OCTETS`.

Whatever touches octets behind the end gets EIO from the kernel's block layer, reads and writes alike, also under a
mounted file system. The octets stay where they are.
"""

import fcntl
import struct
import sys

LOOP_SET_STATUS64, LOOP_GET_STATUS64 = 0x4C04, 0x4C05
LOOP_INFO64_OCTETS, SIZE_LIMIT_AT = 232, 32

with open(sys.argv[1], "rb") as device:
    info = bytearray(LOOP_INFO64_OCTETS)
    fcntl.ioctl(device, LOOP_GET_STATUS64, info)
    struct.pack_into("=Q", info, SIZE_LIMIT_AT, int(sys.argv[2]))
    fcntl.ioctl(device, LOOP_SET_STATUS64, info)

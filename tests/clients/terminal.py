"""Types into a program on a terminal: waits for a text on the screen, then types, and so on.

usage: terminal.py STEPS PROGRAM [WORD ...]

STEPS is a JSON list of pairs: a regular expression to be seen, and what is typed then. The program
must end by itself after the last one; its exit status is ours. Programs throw away what was typed
before they ask: so nothing is typed before they wait for it, which the kernel tells.
"""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

import pyte

ROWS, COLUMNS, SECONDS_MAX = 50, 132, 60
# How often the kernel is asked, in seconds.
TICK = 0.01
# read, poll, select, epoll_wait, pselect6, ppoll, epoll_pwait of x86_64.
WAITING = {"0", "7", "23", "232", "270", "271", "281"}


class Terminal:
    """A program on a terminal of its own, and what its screen shows."""

    def __init__(self, words):
        self.screen = pyte.Screen(COLUMNS, ROWS)
        self.stream = pyte.ByteStream(self.screen)
        self.deadline = time.monotonic() + SECONDS_MAX
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execvp(words[0], words)
        size = struct.pack("HHHH", ROWS, COLUMNS, 0, 0)
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, size)

    def text(self):
        return "\n".join(line.rstrip() for line in self.screen.display)

    def is_waiting(self):
        """Whether the program sleeps until something is there to be read, and shows nothing new."""
        with open(f"/proc/{self.pid}/syscall", encoding="ascii") as told:
            return told.read().split()[0] in WAITING and not self.has_more(0)

    def has_more(self, seconds):
        return bool(select.select([self.terminal], [], [], seconds)[0])

    def read(self):
        """Lets the screen take what comes next; False at the end of the program."""
        left = self.deadline - time.monotonic()
        if left <= 0 or not self.has_more(left):
            os.kill(self.pid, signal.SIGKILL)
            raise SystemExit(f"nothing more comes; the screen shows:\n{self.text()}")
        try:
            octets = os.read(self.terminal, 65536)
        except OSError:
            return False
        self.stream.feed(octets)
        return bool(octets)

    def wait_for(self, wanted):
        while not (re.search(wanted, self.text()) and self.is_waiting()):
            if (self.has_more(TICK) or not re.search(wanted, self.text())) and not self.read():
                raise SystemExit(f"it ended before {wanted!r}; the screen shows:\n{self.text()}")

    def type(self, keys):
        os.write(self.terminal, keys.encode())

    def end(self):
        while self.read():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def main():
    terminal = Terminal(sys.argv[2:])
    for wanted, keys in json.loads(sys.argv[1]):
        terminal.wait_for(wanted)
        terminal.type(keys)
    status = terminal.end()
    if status:
        print(f"the screen shows:\n{terminal.text()}", file=sys.stderr)
    sys.exit(status)


main()

"""A user's day with Python's poplib: STLS, CAPA, UTF8, LIST, UIDL, TOP, RETR, DELE, RSET, two days."""

import os
import poplib
import ssl

ALICE, PASSWORD = "alice@example.test", os.environ["PASSWORD"]
CONTEXT = ssl.create_default_context(cafile=os.environ["CA_FILE"])


def login(pop):
    assert b"ready" in pop.getwelcome()
    capabilities = pop.capa()
    for name in ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE"]:
        assert name in capabilities, capabilities
    assert "USER" in capabilities and "PLAIN" in capabilities["SASL"], capabilities
    pop.utf8()
    pop.user(ALICE)
    pop.pass_(PASSWORD)


def day(pop):
    login(pop)
    count, octets = pop.stat()
    _, listing, _ = pop.list()
    assert len(listing) == count
    sizes = [int(line.split()[1]) for line in listing]
    assert sum(sizes) == octets
    ids = pop.uidl()[1]
    for number, size in enumerate(sizes, 1):
        _, lines, _ = pop.retr(number)
        assert sum(len(line) + 2 for line in lines) == size, number
        head = pop.top(number, 0)[1]
        assert lines[: len(head)] == head and head[-1] == b"", head
        assert pop.uidl(number).split()[1:] == ids[number - 1].split()
    pop.dele(1)
    try:
        pop.retr(1)
        raise AssertionError("a deleted message was sent")
    except poplib.error_proto as error:
        assert b"-ERR" in error.args[0]
    pop.rset()
    assert pop.stat() == (count, octets)
    pop.dele(2)
    pop.noop()
    pop.quit()
    return [line.split()[1] for line in ids]


clear = poplib.POP3("localhost", int(os.environ["POP3_PORT"]), timeout=60)
assert "STLS" in clear.capa()
try:
    clear.user(ALICE)
    raise AssertionError("a name was taken in clear")
except poplib.error_proto:
    pass
clear.stls(context=CONTEXT)
before = day(clear)
after = day(poplib.POP3_SSL("localhost", int(os.environ["POP3S_PORT"]), context=CONTEXT, timeout=60))
assert after == before[:1] + before[2:], (before, after)
wrong = poplib.POP3_SSL("localhost", int(os.environ["POP3S_PORT"]), context=CONTEXT, timeout=60)
wrong.user(ALICE)
try:
    wrong.pass_("wrong")
    raise AssertionError("a wrong password was taken")
except poplib.error_proto as error:
    assert b"[AUTH]" in error.args[0], error

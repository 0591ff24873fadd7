"""IMAPClient over what it knows of our extensions: CONDSTORE, IDLE, QUOTA, ACL, SORT, THREAD."""

import os
import ssl

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError, LoginError

ALICE, BOB, PASSWORD = "alice@example.test", "bob@example.test", os.environ["PASSWORD"]
CONTEXT = ssl.create_default_context(cafile=os.environ["CA_FILE"])
IMAPS, IMAP = int(os.environ["IMAPS_PORT"]), int(os.environ["IMAP_PORT"])


def message(number, subject, reply_to=None):
    head = f"From: a@remote.test\r\nMessage-ID: <{number}@remote.test>\r\nSubject: {subject}\r\n"
    head += f"Date: Mon, 7 Feb 1994 21:52:{number:02} -0800\r\n"
    if reply_to is not None:
        head += f"In-Reply-To: <{reply_to}@remote.test>\r\n"
    return f"{head}\r\nbody of {number}\r\n".encode()


def opened(user=ALICE):
    client = IMAPClient("localhost", port=IMAPS, ssl_context=CONTEXT)
    client.login(user, PASSWORD)
    return client


def ways_in():
    clear = IMAPClient("localhost", port=IMAP, ssl=False)
    try:
        clear.login(ALICE, PASSWORD)
        raise AssertionError("a password was taken in clear")
    except (LoginError, IMAPClientError):
        pass
    clear.starttls(CONTEXT)
    clear.plain_login(ALICE, PASSWORD)
    assert clear.folder_exists("INBOX")
    clear.logout()
    wrong = IMAPClient("localhost", port=IMAPS, ssl_context=CONTEXT)
    try:
        wrong.login(ALICE, "wrong")
        raise AssertionError("a wrong password was taken")
    except LoginError:
        wrong.shutdown()


def folders(client):
    assert client.namespace().personal == (("", "/"),), client.namespace()
    assert b"Ringpost" in str(client.id_({"name": "day"})).encode()
    client.create_folder("Arbeit/Größe 漢字")
    client.subscribe_folder("Arbeit/Größe 漢字")
    assert "Arbeit/Größe 漢字" in [name for _, _, name in client.list_folders()]
    assert [name for _, _, name in client.list_sub_folders("", "Arb*")] == ["Arbeit/Größe 漢字"]
    client.rename_folder("Arbeit", "Werk")
    assert client.folder_exists("Werk/Größe 漢字") and not client.folder_exists("Arbeit")
    assert client.find_special_folder(rb"\Drafts") == "Drafts"
    client.delete_folder("Werk/Größe 漢字")


def messages(client):
    client.select_folder("INBOX")
    for number, subject, reply_to in [(1, "beta", None), (2, "Re: beta", 1), (3, "alpha", None)]:
        client.append("INBOX", message(number, subject, reply_to), flags=[rb"\Seen", "$Label"])
    assert client.search(["SUBJECT", "beta", "SEEN"]) == [1, 2]
    assert client.search(["KEYWORD", "$Label", "NOT", ["FROM", "nobody"]]) == [1, 2, 3]
    assert client.search(["TEXT", "größe"], charset="UTF-8") == []
    assert client.sort(["SUBJECT", "REVERSE DATE"]) == [3, 2, 1]
    assert client.thread("REFERENCES") == ((1, 2), (3,)), client.thread("REFERENCES")
    assert client.thread("ORDEREDSUBJECT") == ((1, 2), (3,)), client.thread("ORDEREDSUBJECT")
    items = ["ENVELOPE", "BODYSTRUCTURE", "RFC822.SIZE", "BODY.PEEK[]<0.10>"]
    fetched = client.fetch([1], items)[1]
    assert fetched[b"ENVELOPE"].subject == b"beta"
    assert fetched[b"BODYSTRUCTURE"][:2] == (b"text", b"plain"), fetched[b"BODYSTRUCTURE"]
    assert fetched[b"BODY[]<0>"] == message(1, "beta")[:10]
    assert fetched[b"RFC822.SIZE"] == len(message(1, "beta"))


def changes(client):
    """CONDSTORE by STATUS, FETCH and SEARCH; what changed is all that is told."""
    before = client.folder_status("INBOX", ["HIGHESTMODSEQ"])[b"HIGHESTMODSEQ"]
    assert ours(client.add_flags(2, rb"\Flagged")) == {2: {rb"\Seen", rb"\Flagged", b"$Label"}}
    told = client.fetch(client.search(), ["FLAGS"], [f"CHANGEDSINCE {before}"])
    assert list(told) == [2] and rb"\Flagged" in told[2][b"FLAGS"], told
    assert told[2][b"MODSEQ"][0] > before
    assert client.search(["MODSEQ", str(before + 1)]) == [2]
    assert ours(client.remove_flags(2, [rb"\Flagged", "$Label"])) == {2: {rb"\Seen"}}
    answered = {rb"\Answered"}
    assert ours(client.set_flags([1, 3], answered)) == {1: answered, 3: answered}


def ours(told):
    """The flags by message, without the one that nobody can set."""
    return {number: set(flags) - {rb"\Recent"} for number, flags in told.items()}


def moves(client):
    client.create_folder("Away")
    client.copy([1], "Away")
    client.move([3], "Away")
    client.delete_messages([2])
    client.uid_expunge([2])
    assert client.search() == [1]
    client.select_folder("Away", readonly=True)
    assert client.search() == [1, 2]
    assert client.fetch([1, 2], ["FLAGS", "BODY.PEEK[TEXT]"])[2][b"BODY[TEXT]"] == b"body of 3\r\n"
    client.unselect_folder()
    if client.has_capability("MULTIAPPEND"):
        client.multiappend("Away", [message(number, "many") for number in range(4, 9)])
    assert client.folder_status("Away", ["MESSAGES"])[b"MESSAGES"] == 7


def hears(client):
    """IDLE tells what somebody else does, without being asked."""
    other = opened()
    client.select_folder("INBOX")
    client.idle()
    other.append("INBOX", message(20, "while idle"))
    told = []
    while not any(b"EXISTS" in line for line in told):
        told += client.idle_check(timeout=30) or [(b"EXISTS", b"never came")]
    assert (2, b"EXISTS") in told, told
    other.select_folder("INBOX")
    other.delete_messages([1])
    other.expunge()
    told = []
    while not any(b"EXPUNGE" in line for line in told):
        told += client.idle_check(timeout=30) or [(b"EXPUNGE", b"never came")]
    assert (1, b"EXPUNGE") in told, told
    client.idle_done()
    other.logout()


def quotas_and_rights(client):
    roots, quotas = client.get_quota_root("INBOX")
    assert roots.quota_roots == [ALICE], roots
    assert {quota.resource for quota in quotas} == {"MAILBOX"}, quotas
    assert client.get_quota("INBOX") == quotas, client.get_quota("INBOX")
    client.setacl("Away", BOB, "lr")
    assert dict(client.getacl("Away"))[BOB.encode()] == b"lr", client.getacl("Away")
    bob = opened(BOB)
    shared = [name for _, _, name in bob.list_folders() if name.endswith("Away")]
    assert len(shared) == 1, shared
    bob.select_folder(shared[0], readonly=True)
    assert len(bob.search()) == 7
    bob.logout()


def main():
    ways_in()
    client = opened()
    folders(client)
    messages(client)
    changes(client)
    moves(client)
    hears(client)
    quotas_and_rights(client)
    client.unselect_folder()
    assert client.enable("CONDSTORE", "QRESYNC")
    client.logout()


main()

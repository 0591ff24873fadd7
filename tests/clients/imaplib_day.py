"""A user's day with Python's imaplib: folders, APPEND, FETCH, STORE, SEARCH, COPY, IDLE-free."""

import imaplib
import os
import ssl

ALICE, PASSWORD = "alice@example.test", os.environ["PASSWORD"]
CONTEXT = ssl.create_default_context(cafile=os.environ["CA_FILE"])
MESSAGE = b"From: a@remote.test\r\nSubject: by imaplib\r\n\r\nline\r\n.dot\r\n" + b"x" * 5000 + b"\r\n"


def good(answer):
    """The data of an answer that must be OK."""
    status, data = answer
    assert status == "OK", answer
    return data


def day(imap):
    imap.login(ALICE, PASSWORD)
    good(imap.create("Work"))
    good(imap.create('"Two words/and more"'))
    names = b"\n".join(good(imap.list()))
    assert b"Work" in names and b"Two words/and more" in names, names
    good(imap.subscribe("Work"))
    assert b"Work" in b"\n".join(good(imap.lsub()))
    good(imap.append("Work", r"(\Seen)", '"17-Feb-1994 21:52:25 -0800"', MESSAGE))
    assert good(imap.select("Work")) == [b"1"]
    assert good(imap.fetch("1", "(UID RFC822)"))[0][1] == MESSAGE
    assert b"-Feb-1994 " in good(imap.fetch("1", "(INTERNALDATE)"))[0]
    good(imap.store("1", "+FLAGS", r"(\Flagged $Urgent)"))
    assert good(imap.search(None, "FLAGGED", "KEYWORD", "$Urgent")) == [b"1"]
    assert good(imap.search("UTF-8", "SUBJECT", '"by imaplib"')) == [b"1"]
    assert good(imap.uid("SEARCH", "UNSEEN")) == [b""]
    good(imap.copy("1", "INBOX"))
    good(imap.store("1", "+FLAGS", r"(\Deleted)"))
    assert good(imap.expunge()) == [b"1"]
    good(imap.close())
    assert good(imap.select("INBOX", readonly=True)) == [b"1"]
    flags = good(imap.fetch("1", "(FLAGS)"))[0]
    assert rb"\Flagged" in flags and b"$Urgent" in flags, flags
    good(imap.unselect())
    good(imap.rename("Work", "Play"))
    good(imap.delete("Play"))
    assert good(imap.namespace())
    assert b"MESSAGES 1" in good(imap.status("INBOX", "(MESSAGES UNSEEN)"))[0]
    good(imap.enable("IMAP4rev2")) if "ENABLE" in imap.capabilities else None
    assert imap.logout()[0] == "BYE"


def clean(imap):
    imap.login(ALICE, PASSWORD)
    good(imap.select("INBOX"))
    good(imap.store("1:*", "+FLAGS.SILENT", r"(\Deleted)"))
    good(imap.expunge())
    good(imap.delete('"Two words/and more"'))
    imap.logout()


def main():
    port = int(os.environ["IMAPS_PORT"])
    day(imaplib.IMAP4_SSL("localhost", port, ssl_context=CONTEXT))
    clean(imaplib.IMAP4_SSL("localhost", port, ssl_context=CONTEXT))
    clear = imaplib.IMAP4("localhost", int(os.environ["IMAP_PORT"]))
    try:
        clear.login(ALICE, PASSWORD)
        raise AssertionError("a password was taken in clear")
    except imaplib.IMAP4.error:
        pass
    clear.starttls(CONTEXT)
    day(clear)
    wrong = imaplib.IMAP4_SSL("localhost", port, ssl_context=CONTEXT)
    try:
        wrong.login(ALICE, "wrong")
        raise AssertionError("a wrong password was taken")
    except imaplib.IMAP4.error as error:
        assert "AUTHENTICATIONFAILED" in str(error), error


main()

"""imaplib2, threads and all, over COMPRESS=DEFLATE: commands in flight together, and IDLE."""

import os
import threading

import imaplib2

ALICE, PASSWORD = "alice@example.test", os.environ["PASSWORD"]
PORT, CA = int(os.environ["IMAPS_PORT"]), os.environ["CA_FILE"]
COUNT = 200


def opened():
    imap = imaplib2.IMAP4_SSL("localhost", PORT, ca_certs=CA, ssl_version="tls1_2")
    good(imap.login(ALICE, PASSWORD))
    imap.enable_compression()
    return imap


def good(answer):
    status, data = answer
    assert status == "OK", answer
    return data


def message(number):
    head = f"From: a@remote.test\r\nSubject: number {number}\r\n\r\n"
    return (head + f"line {number} of a body that compresses well\r\n" * 300).encode()


def together(imap):
    """Many commands on their way at once, each answered to whoever asked."""
    for number in range(3):
        good(imap.append("INBOX", None, None, message(number)))
    done, told = threading.Semaphore(0), []

    def answered(result):
        told.append(result)
        done.release()

    good(imap.select("INBOX"))
    for number in range(COUNT):
        item = "(BODY.PEEK[HEADER.FIELDS (SUBJECT)] UID)"
        imap.fetch(str(number % 3 + 1), item, callback=answered, cb_arg=number)
    for _ in range(COUNT):
        assert done.acquire(timeout=60), "an answer is missing"
    assert len(told) == COUNT
    for (response, number, error) in told:
        assert error is None and response[0] == "OK", (response, error)
        assert f"number {number % 3}".encode() in response[1][0][1], (number, response)


def whole(imap):
    for number in range(3):
        assert good(imap.fetch(str(number + 1), "(BODY.PEEK[])"))[0][1] == message(number)


def idles(imap):
    woken = threading.Event()
    imap.idle(timeout=60, callback=lambda _: woken.set())
    other = opened()
    good(other.append("INBOX", None, None, message(3)))
    assert woken.wait(60), "IDLE told nothing"
    assert good(imap.noop()) is not None
    assert good(imap.search(None, "SUBJECT", '"number 3"')) == [b"4"]
    other.logout()


def main():
    imap = opened()
    together(imap)
    whole(imap)
    idles(imap)
    imap.logout()


main()

"""imap_tools: its own query language, folders, moves, and bodies taken apart."""

import os
import ssl

from imap_tools import AND, NOT, OR, MailBox, MailMessageFlags

ALICE, PASSWORD = "alice@example.test", os.environ["PASSWORD"]
CONTEXT = ssl.create_default_context(cafile=os.environ["CA_FILE"])
MESSAGE = (
    "From: =?utf-8?q?J=C3=BCrgen?= <j@remote.test>\r\nTo: alice@example.test\r\n"
    "Subject: =?utf-8?q?Gr=C3=B6=C3=9Fe_{0}?=\r\nDate: Mon, 7 Feb 1994 21:52:0{0} -0800\r\n"
    "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    "--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\ntext of {0}\r\n"
    "--b\r\nContent-Type: application/octet-stream\r\n"
    "Content-Disposition: attachment; filename=a{0}.bin\r\n"
    "Content-Transfer-Encoding: base64\r\n\r\nAAEC\r\n--b--\r\n"
)


def main():
    with MailBox("localhost", int(os.environ["IMAPS_PORT"]), ssl_context=CONTEXT).login(
        ALICE, PASSWORD
    ) as box:
        for number in range(6):
            box.append(MESSAGE.format(number).encode(), "INBOX", flag_set=[MailMessageFlags.SEEN])
        box.folder.create("Ablage/Fertig")
        assert box.folder.exists("Ablage/Fertig")
        found = list(box.fetch(AND(subject="Größe 3"), charset="UTF-8", mark_seen=False))
        assert [mail.subject for mail in found] == ["Größe 3"], found
        assert found[0].from_values.name == "Jürgen"
        assert found[0].text.strip() == "text of 3"
        assert [part.payload for part in found[0].attachments] == [b"\0\1\2"]
        uids = box.uids(OR(AND(subject="Größe 1"), AND(subject="Größe 2")), charset="UTF-8")
        assert uids == ["2", "3"], uids
        box.flag(uids, [MailMessageFlags.FLAGGED], True)
        assert box.uids(AND(flagged=True)) == ["2", "3"]
        box.move("2", "Ablage/Fertig")
        box.copy(["1", "4"], "Ablage/Fertig")
        box.delete("6")
        assert box.uids(NOT(flagged=True)) == ["1", "4", "5"]
        assert box.folder.status("Ablage/Fertig")["MESSAGES"] == 3
        box.folder.set("Ablage/Fertig", readonly=True)
        assert {mail.subject for mail in box.fetch(bulk=True, mark_seen=False)} == {
            "Größe 0",
            "Größe 1",
            "Größe 3",
        }
        box.folder.set("INBOX")
        box.folder.rename("Ablage", "Archiv 2")
        names = sorted(folder.name for folder in box.folder.list("Archiv 2"))
        assert names == ["Archiv 2", "Archiv 2/Fertig"], names
        box.folder.delete("Archiv 2/Fertig")


main()

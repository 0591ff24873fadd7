"""A day of sending with Python's smtplib: port 25, submission, LMTP, 8BITMIME, SMTPUTF8."""

import imaplib
import os
import smtplib
import ssl
from email.message import EmailMessage

ALICE, BOB, PASSWORD = "alice@example.test", "bob@example.test", os.environ["PASSWORD"]
CONTEXT = ssl.create_default_context(cafile=os.environ["CA_FILE"])


def message(subject):
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = ALICE, BOB, subject
    made.set_content("Grüße\n.\n..two dots\n" + "long " * 300 + "\n")
    made.add_attachment(bytes(range(256)) * 40, maintype="application", subtype="octet-stream")
    return made


def port(name):
    return int(os.environ[name])


def main():
    with smtplib.SMTP("localhost", port("SMTP_PORT")) as smtp:
        smtp.ehlo("client.test")
        assert smtp.has_extn("pipelining") and smtp.has_extn("8bitmime")
        assert smtp.has_extn("chunking") and int(smtp.esmtp_features["size"]) > 0
        assert smtp.verify(BOB)[0] == 252
        refused = smtp.send_message(message("to two"), "a@remote.test", [BOB, "nobody@example.test"])
        assert list(refused) == ["nobody@example.test"], refused
        try:
            smtp.sendmail("a@remote.test", "x@elsewhere.test", b"Subject: x\r\n\r\n")
            raise AssertionError("an open relay")
        except smtplib.SMTPRecipientsRefused as error:
            assert error.recipients["x@elsewhere.test"][0] == 550
    with smtplib.SMTP("localhost", port("SUBMISSION_PORT")) as smtp:
        smtp.starttls(context=CONTEXT)
        smtp.login(ALICE, PASSWORD)
        smtp.send_message(message("by submission"))
    with smtplib.SMTP_SSL("localhost", port("SUBMISSIONS_PORT"), context=CONTEXT) as smtp:
        try:
            smtp.login(ALICE, "wrong")
            raise AssertionError("a wrong password was taken")
        except smtplib.SMTPAuthenticationError as error:
            assert error.smtp_code == 535
        smtp.login(ALICE, PASSWORD)
        smtp.send_message(message("Grüße"), mail_options=["SMTPUTF8", "BODY=8BITMIME"])
    lmtp = smtplib.LMTP("localhost", port("LMTP_PORT"))
    lmtp.ehlo_or_helo_if_needed()
    lmtp.send_message(message("by LMTP"), "a@remote.test", [BOB])
    lmtp.quit()
    imap = imaplib.IMAP4_SSL("localhost", port("IMAPS_PORT"), ssl_context=CONTEXT)
    imap.login(BOB, PASSWORD)
    status, data = imap.select("INBOX")
    assert (status, data) == ("OK", [b"4"]), data
    status, data = imap.fetch("1:4", "(BODY.PEEK[])")
    bodies = [item[1] for item in data if isinstance(item, tuple)]
    assert len(bodies) == 4
    for body in bodies:
        lines = body.replace(b"\r\n", b"")
        assert b"\n" not in lines and b"\r" not in lines, "a bare line end"


main()

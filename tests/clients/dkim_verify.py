"""dkimpy checks the signatures of messages: dkim_verify.py RECORDS SIGNATURES FILE...

RECORDS holds lines of a name and the text of its TXT record, a tab between them. Each message must
have so many SIGNATURES. Prints one line a message, the verdicts of its signatures from the top.
"""

import sys

import dkim

records = dict(line.rstrip("\n").split("\t") for line in open(sys.argv[1]))


def txt(name, timeout=5):
    return records.get(name.decode().rstrip("."), "").encode()


def verdict(message, number):
    try:
        if number == "arc":
            return dkim.ARC(message).verify(dnsfunc=txt)[0].decode()
        return "pass" if dkim.DKIM(message).verify(number, dnsfunc=txt) else "fail"
    except Exception as why:  # whatever it is, it is no pass
        return f"{type(why).__name__} {why}".replace("\n", " ").replace(",", " ")


numbers = ["arc"] if sys.argv[2] == "arc" else range(int(sys.argv[2]))
for name in sys.argv[3:]:
    with open(name, "rb") as file:
        message = file.read()
    verdicts = [verdict(message, number) for number in numbers]
    print(",".join(verdicts))

"""Python's email package reads a delivery status notification from standard input.

Prints the types of its parts, the fields of each recipient, and every defect it finds.
"""

import email
import email.policy
import sys

message = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.SMTPUTF8)
print("report", message["Content-Type"].params["report-type"], message["Auto-Submitted"])
print("parts", *(part.get_content_type() for part in message.iter_parts()))
text, status, returned = message.iter_parts()
print("text", len(text.get_content().splitlines()) > 5)
for block in status.get_payload()[1:]:
    for name in ("Final-Recipient", "Action", "Status", "Diagnostic-Code"):
        print(name, block[name])
if returned.get_content_type() == "message/rfc822":
    print("returned", returned.get_payload()[0]["Subject"])
else:
    print("returned", email.message_from_string(returned.get_content())["Subject"])
for part in message.walk():
    for defect in part.defects:
        print("defect", part.get_content_type(), type(defect).__name__)

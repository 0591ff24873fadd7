"""Postfix that delivers to Dovecot by LMTP, from Debian's packages, in a scratch directory on loopback.

Settings follow the tuning pages of both: no chroot, no logging of each step, many processes, one delivery
process reused, mdbox with the default fsync ("optimized": durable before LMTP answers).
"""

import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import time

MAIN_CF = """
compatibility_level = 3.6
queue_directory = {spool}
data_directory = {data}
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = peer.example.test
mydestination =
alias_maps =
local_recipient_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
virtual_mailbox_domains = example.test
virtual_mailbox_maps = static:ok
virtual_transport = lmtp:unix:{lmtp}
lmtp_destination_concurrency_limit = 50
lmtp_destination_recipient_limit = 1
lmtp_connection_cache_on_demand = yes
lmtp_connection_cache_destinations = unix:{lmtp}
default_process_limit = 200
default_destination_concurrency_limit = 50
initial_destination_concurrency = 50
qmgr_message_active_limit = 40000
in_flow_delay = 0
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_client_message_rate_limit = 0
smtpd_peername_lookup = no
smtpd_recipient_restrictions = permit_mynetworks, reject
maillog_file = /dev/null
maillog_file_prefixes = /dev
"""

MASTER_CF = """
{port} inet n - n - 200 smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
lmtp unix - - n - 50 lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

DOVECOT_CONF = """
base_dir = {base}/run
log_path = {base}/dovecot.log
protocols = lmtp imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
mail_location = mdbox:{base}/mail/%u
mail_uid = {uid}
mail_gid = {gid}
first_valid_uid = 1
default_internal_user = dovecot
default_login_user = dovenull
default_client_limit = 4000
default_process_limit = 400
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={base}/mail/%u
}}
service lmtp {{
  process_min_avail = 10
  service_count = 0
  unix_listener lmtp {{
    mode = 0666
  }}
}}
service imap-login {{
  service_count = 0
  inet_listener imap {{
    address = 127.0.0.1
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service imap {{
  service_count = 1000
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""


class PostfixDovecot:
    """Both servers; `smtp` and `imap` are their ports."""

    name = "Postfix + Dovecot"

    def __init__(self, base):
        self.base = pathlib.Path(base)
        self.smtp = free_port()
        self.imap = free_port()

    def start(self):
        base = self.base
        for part in ("etc", "spool", "data", "run", "mail"):
            (base / part).mkdir(parents=True, exist_ok=True)
        base.chmod(0o755)
        user = pwd.getpwnam("mail")
        lmtp = base / "run" / "lmtp"
        os.chown(base / "mail", user.pw_uid, user.pw_gid)
        shutil.chown(base / "data", "postfix")
        conf = DOVECOT_CONF.format(base=base, lmtp=lmtp, imap=self.imap, uid=user.pw_uid, gid=user.pw_gid)
        (base / "dovecot.conf").write_text(conf)
        self.dovecot = subprocess.Popen(["dovecot", "-F", "-c", base / "dovecot.conf"])
        names = {"spool": base / "spool", "data": base / "data", "lmtp": lmtp}
        (base / "etc" / "main.cf").write_text(MAIN_CF.format(**names))
        (base / "etc" / "master.cf").write_text(MASTER_CF.format(port=f"127.0.0.1:{self.smtp}"))
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(["postfix", "-c", base / "etc", "start"], check=True, **quiet)
        wait_for(lambda: can_connect(self.smtp) and can_connect(self.imap), "Postfix and Dovecot")

    def delivered(self, users):
        """Messages in the INBOX of each user, by IMAP STATUS."""
        return sum(inbox_count(self.imap, user, "secret") for user in users)

    def stop(self):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(["postfix", "-c", self.base / "etc", "stop"], **quiet)
        self.dovecot.send_signal(signal.SIGTERM)
        self.dovecot.wait(30)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def can_connect(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def wait_for(condition, what, secs=60):
    end = time.monotonic() + secs
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"{what}: not ready after {secs} s")
        time.sleep(0.01)


def inbox_count(port, user, password):
    with socket.create_connection(("127.0.0.1", port), 10) as imap:
        lines = imap.makefile("rwb")
        lines.readline()
        count = 0
        for tag, command in (("a", f"LOGIN {user} {password}"), ("b", "STATUS INBOX (MESSAGES)"), ("c", "LOGOUT")):
            lines.write(f"{tag} {command}\r\n".encode())
            lines.flush()
            while not (line := lines.readline()).startswith(tag.encode()):
                if line.startswith(b"* STATUS"):
                    count = int(line.split(b"MESSAGES ")[1].split(b")")[0])
                if not line:
                    raise SystemExit(f"{user}: the IMAP connection closed")
        return count

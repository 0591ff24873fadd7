//! Postfix: as a queue that discards, or in front of Dovecot.
//!
//! Settings follow its TUNING_README: no chroot, no logging of each step, many processes, one
//! delivery process reused, no pause between deliveries, no look-ups of client names. Durability is
//! untouched: cleanup(8) syncs the queue file before 250.

use super::packages;
use super::target::{Counting, Doors, Target};
use super::yard::Yard;
use anyhow::Context;
use std::net::SocketAddr;
use std::path::Path;

pub(super) const DURABILITY: &str = "queue file synced (fsync) before 250, directories are not";

/// Where accepted mail goes.
pub(super) enum Next<'a> {
    Discard,
    Lmtp(&'a Path),
    Relay(SocketAddr),
}

/// What submission takes beside the door.
pub(super) struct Submissions<'a> {
    pub(super) door: SocketAddr,
    /// Dovecot's, which knows the passwords.
    pub(super) auth: &'a Path,
}

/// Without mailboxes.
pub(super) fn raise_alone(yard: &mut Yard, target: Target) -> anyhow::Result<Target> {
    let (next, what) = match target.next_hop {
        Some(host) => (Next::Relay(host), "a relay"),
        None => (Next::Discard, "queue only (discards)"),
    };
    let smtp = raise(yard, &next, None)?;
    Ok(Target {
        server: format!("{}, {what}", version()),
        durability: DURABILITY.to_string(),
        doors: Doors {
            smtp: Some(smtp.to_string()),
            ..Doors::default()
        },
        counting: Counting::Queue(yard.folder().join("spool")),
        ..target
    })
}

pub(super) fn version() -> String {
    format!("Postfix {}", packages::installed("postfix").version)
}

pub(super) fn raise(
    yard: &mut Yard,
    next: &Next,
    submissions: Option<&Submissions>,
) -> anyhow::Result<SocketAddr> {
    packages::demand_root("Postfix")?;
    packages::demand(&[("postfix", "postfix")])?;
    let door = yard.door()?;
    let (spool, data) = (yard.room("spool")?, yard.room("data")?);
    packages::output("chown", &["postfix", text(&data)?], None)?;
    let transport = match next {
        Next::Discard | Next::Relay(_) => "discard:".to_string(),
        Next::Lmtp(socket) => format!("lmtp:unix:{}", text(socket)?),
    };
    let main = MAIN_CF
        .replace("{spool}", text(&spool)?)
        .replace("{data}", text(&data)?)
        .replace("{transport}", &transport);
    let onward = match next {
        Next::Relay(host) => RELAY_CF
            .replace("{host}", &host.ip().to_string())
            .replace("{port}", &host.port().to_string()),
        Next::Discard | Next::Lmtp(_) => String::new(),
    };
    yard.write("postfix/main.cf", &(main + &onward))?;
    let mut master = MASTER_CF.replace("{door}", &door.to_string());
    if let Some(submissions) = submissions {
        let (cert, key) = yard.certificate()?;
        master += &SUBMISSIONS_CF
            .replace("{door}", &submissions.door.to_string())
            .replace("{auth}", text(submissions.auth)?)
            .replace("{cert}", text(&cert)?)
            .replace("{key}", text(&key)?);
    }
    yard.write("postfix/master.cf", &master)?;
    let folder = yard.folder().join("postfix");
    yard.start(
        &["postfix", "-c", text(&folder)?, "start-fg"],
        "postfix.log",
    )?;
    yard.await_doors(&[door], "postfix.log")?;
    Ok(door)
}

pub(super) fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str()
        .with_context(|| format!("{} is no UTF-8", path.display()))
}

const MAIN_CF: &str = "\
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
virtual_transport = {transport}
lmtp_destination_concurrency_limit = 50
lmtp_destination_recipient_limit = 1
lmtp_connection_cache_on_demand = yes
lmtp_connection_cache_destinations = {transport}
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
message_size_limit = 104857600
mailbox_size_limit = 0
virtual_mailbox_limit = 0
maillog_file = /dev/null
maillog_file_prefixes = /dev
";

const MASTER_CF: &str = "\
{door} inet n - n - 200 smtpd
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
discard unix - - n - - discard
lmtp unix - - n - 50 lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
";

/// Connections are kept for the next message.
const RELAY_CF: &str = "\
relayhost = [{host}]:{port}
disable_dns_lookups = yes
smtp_host_lookup = native
smtp_tls_security_level = none
smtp_destination_concurrency_limit = 50
smtp_connection_cache_destinations = [{host}]:{port}
";

/// Session tickets are on by default: TLS is resumed.
const SUBMISSIONS_CF: &str = "\
{door} inet n - n - 200 smtpd
  -o smtpd_tls_wrappermode=yes
  -o smtpd_tls_security_level=encrypt
  -o smtpd_tls_chain_files={key},{cert}
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_sasl_type=dovecot
  -o smtpd_sasl_path={auth}
  -o smtpd_recipient_restrictions=permit_sasl_authenticated,reject
";

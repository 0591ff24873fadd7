//! Exim that delivers into Maildirs, in a chamber of its own.
//!
//! Settings follow the chapters on performance of its specification: no look-ups of client names,
//! no ident, delivery at once also for the eleventh message of a connection, no log file for each
//! message, a split spool, little logging. Its fsyncs stay.

use super::chamber::{Chamber, User};
use super::packages;
use super::postfix::text;
use super::target::{Counting, Doors, Target};
use super::yard::Yard;
use std::fmt::Write;

pub(super) fn raise(yard: &mut Yard, target: Target) -> anyhow::Result<Target> {
    packages::demand_root("Exim")?;
    let package = packages::installed_or_unpacked(yard, "exim4", "exim4-daemon-light")?;
    let door = yard.door()?;
    let mail = yard.room("mail")?;
    for room in [&mail, &yard.room("spool")?, &yard.room("log")?] {
        packages::output("chown", &["mail:mail", text(room)?], None)?;
    }
    let mut users = String::new();
    for (local, _) in target.users.iter().filter_map(|user| user.split_once('@')) {
        let _ = writeln!(users, "{local}: {local}");
    }
    yard.write("users", &users)?;
    let base = text(yard.folder())?.to_string();
    let port = door.port().to_string();
    let onward = target.next_hop.map_or_else(String::new, |host| {
        let (address, port) = (host.ip().to_string(), host.port().to_string());
        ROUTER_ONWARD
            .replace("{host}", &address)
            .replace("{port}", &port)
    });
    let taken = target
        .next_hop
        .map_or("domains = +local", |_| "hosts = 127.0.0.1");
    let conf = EXIM_CONF
        .replace("{onward}", &onward)
        .replace("{taken}", taken);
    let conf = conf.replace("{base}", &base).replace("{port}", &port);
    // It takes this file before any other of the machine, and without a loss of rights as for -C.
    let file = yard.write("etc/exim4/exim4.conf", &conf)?;
    packages::output("chmod", &["644", text(&file)?], None)?;
    // Built in, but where it delivers it is `mail` that writes.
    let user = User {
        name: "Debian-exim",
        uid: 8,
        gid: 8,
    };
    let argv = Chamber::build(yard, &package, &[user])?.argv(&["/usr/sbin/exim4", "-bdf", "-q1m"]);
    yard.start(&argv, "exim.log")?;
    yard.await_doors(&[door], "exim.log")?;
    Ok(Target {
        server: format!("Exim {} ({})", package.version, keeping(&target)),
        durability: format!(
            "spool files and folder synced (fsync) before 250{}",
            of_maildir(&target)
        ),
        doors: Doors {
            smtp: Some(door.to_string()),
            ..Doors::default()
        },
        counting: Counting::Maildirs(mail),
        ..target
    })
}

/// What becomes of accepted mail.
pub(super) fn keeping(target: &Target) -> &'static str {
    target.next_hop.map_or("Maildir", |_| "a relay")
}

/// When Maildir files are synced, of a server that has them.
pub(super) fn of_maildir(target: &Target) -> &'static str {
    const WHEN: &str = "; Maildir files (fsync) before they are named";
    target.next_hop.map_or(WHEN, |_| "")
}

const ROUTER_ONWARD: &str = "\
onward:
  driver = manualroute
  domains = ! +local
  route_data = {host}::{port}
  self = send
  transport = onward
";

const EXIM_CONF: &str = "\
primary_hostname = peer.example.test
spool_directory = {base}/spool
log_file_path = {base}/log/%slog
pid_file_path = {base}/spool/pid
exim_user = mail
exim_group = mail
never_users =
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
domainlist local = example.test
acl_smtp_rcpt = acl_rcpt
host_lookup =
rfc1413_query_timeout = 0s
smtp_accept_max = 20000
smtp_accept_max_per_connection = 0
smtp_accept_queue_per_connection = 0
smtp_connect_backlog = 1024
message_size_limit = 100M
split_spool_directory = true
message_logs = false
check_spool_space = 0
check_spool_inodes = 0
log_selector = -all
write_rejectlog = false
disable_ipv6 = true
keep_environment =
tls_advertise_hosts =
qualify_domain = example.test
begin acl
acl_rcpt:
  accept {taken}
  deny
begin routers
{onward}mailbox:
  driver = accept
  domains = +local
  local_parts = lsearch;{base}/users
  transport = maildir
begin transports
onward:
  driver = smtp
  allow_localhost
  hosts_try_fastopen =
  hosts_avoid_tls = *
  connection_max_messages = 0
maildir:
  driver = appendfile
  directory = {base}/mail/$local_part_data@$domain_data
  maildir_format
  create_directory
  user = mail
  group = mail
  envelope_to_add
  return_path_add
";

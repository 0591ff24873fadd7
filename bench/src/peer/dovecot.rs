//! Dovecot 2.3: LMTP into mdbox, IMAP, and POP3 where it is installed; alone or behind Postfix.
//!
//! `service_count` keeps processes, as its performance pages advise, and there may be as many as
//! connections; `mail_fsync` stays at `optimized`, its default.

use super::packages;
use super::postfix::{self, Next, Submissions, text};
use super::target::{Counting, Doors, Target};
use super::yard::Yard;
use anyhow::{Context, bail};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

const DURABILITY: &str = "mdbox file and its index logs synced (fdatasync) before LMTP says 250";

/// Its sockets and where it writes.
struct Raised {
    lmtp: SocketAddr,
    lmtp_socket: PathBuf,
    imap: SocketAddr,
    imaps: SocketAddr,
    pop3: Option<SocketAddr>,
    version: String,
}

impl Raised {
    fn doors(&self) -> Doors {
        Doors {
            lmtp: Some(self.lmtp.to_string()),
            imap: Some(self.imap.to_string()),
            imaps: Some(self.imaps.to_string()),
            pop3: self.pop3.map(|door| door.to_string()),
            ..Doors::default()
        }
    }
}

pub(super) fn raise_alone(yard: &mut Yard, target: Target) -> anyhow::Result<Target> {
    let raised = raise(yard, &target)?;
    Ok(Target {
        server: format!("Dovecot {} (LMTP, mdbox)", raised.version),
        durability: DURABILITY.to_string(),
        doors: raised.doors(),
        counting: Counting::Imap,
        ..target
    })
}

pub(super) fn raise_behind_postfix(yard: &mut Yard, target: Target) -> anyhow::Result<Target> {
    packages::demand_root("Postfix")?;
    packages::demand(&[
        ("postfix", "postfix"),
        ("dovecot", "dovecot-lmtpd dovecot-imapd"),
    ])?;
    let raised = raise(yard, &target)?;
    let submissions = Submissions {
        door: yard.door()?,
        auth: &yard.folder().join("run/auth-submission"),
    };
    let next = Next::Lmtp(&raised.lmtp_socket);
    let smtp = postfix::raise(yard, &next, Some(&submissions))?;
    let (front, version) = (postfix::version(), &raised.version);
    Ok(Target {
        server: format!("{front} + Dovecot {version} (LMTP, mdbox)"),
        durability: format!("{}; {DURABILITY}", postfix::DURABILITY),
        doors: Doors {
            smtp: Some(smtp.to_string()),
            submissions: Some(submissions.door.to_string()),
            ..raised.doors()
        },
        counting: Counting::Imap,
        ..target
    })
}

fn raise(yard: &mut Yard, target: &Target) -> anyhow::Result<Raised> {
    packages::demand_root("Dovecot")?;
    let imap_and_lmtp = "dovecot-imapd dovecot-lmtpd";
    packages::demand(&[("dovecot", imap_and_lmtp)])?;
    for part in ["imap", "lmtp"] {
        if !Path::new(PARTS).join(part).exists() {
            bail!("not installed: dovecot-{part}d; try: sudo apt-get install {imap_and_lmtp}");
        }
    }
    let version = packages::installed("dovecot-core").version;
    if !version.starts_with("2.3") {
        bail!("Dovecot {version}: its settings are known for 2.3 only");
    }
    let (lmtp, imap, imaps) = (yard.door()?, yard.door()?, yard.door()?);
    let has_pop3 = Path::new(PARTS).join("pop3").exists();
    let pop3 = has_pop3.then(|| yard.door()).transpose()?;
    let (run, mail) = (yard.room("run")?, yard.room("mail")?);
    packages::output("chown", &["mail:mail", text(&mail)?], None)?;
    let (cert, key) = yard.certificate()?;
    let conf = configuration(yard.folder(), target, pop3)?
        .replace("{cert}", text(&cert)?)
        .replace("{key}", text(&key)?)
        .replace("{lmtp}", &lmtp.port().to_string())
        .replace("{imaps}", &imaps.port().to_string())
        .replace("{imap}", &imap.port().to_string());
    let file = yard.write("dovecot.conf", &conf)?;
    yard.start(&["dovecot", "-F", "-c", text(&file)?], "dovecot.out")?;
    let doors: Vec<SocketAddr> = [Some(lmtp), Some(imap), Some(imaps), pop3]
        .into_iter()
        .flatten()
        .collect();
    yard.await_doors(&doors, "dovecot.log")?;
    let lmtp_socket = run.join("lmtp");
    Ok(Raised {
        lmtp,
        lmtp_socket,
        imap,
        imaps,
        pop3,
        version,
    })
}

fn configuration(base: &Path, target: &Target, pop3: Option<SocketAddr>) -> anyhow::Result<String> {
    let (uid, gid) = mail_user()?;
    let (protocol, service) = match pop3 {
        Some(door) => ("pop3", POP3.replace("{port}", &door.port().to_string())),
        None => ("", String::new()),
    };
    let conf = DOVECOT_CONF
        .replace("{base}", text(base)?)
        .replace("{pop3}", protocol)
        .replace("{password}", &target.password)
        .replace("{uid}", &uid)
        .replace("{gid}", &gid);
    Ok(conf + &service)
}

/// Debian's user for mail, as whom mailboxes are written.
fn mail_user() -> anyhow::Result<(String, String)> {
    let passwd = std::fs::read_to_string("/etc/passwd")?;
    let line = passwd.lines().find_map(|line| line.strip_prefix("mail:"));
    let mut fields = line.context("there is no user `mail`")?.split(':').skip(1);
    let uid = fields.next().context("the user `mail` has no uid")?;
    let gid = fields.next().context("the user `mail` has no gid")?;
    Ok((uid.to_string(), gid.to_string()))
}

const PARTS: &str = "/usr/lib/dovecot";

const DOVECOT_CONF: &str = "\
base_dir = {base}/run
log_path = {base}/dovecot.log
protocols = lmtp imap {pop3}
listen = 127.0.0.1
ssl = yes
ssl_cert = <{cert}
ssl_key = <{key}
disable_plaintext_auth = no
mail_location = mdbox:{base}/mail/%u
mail_uid = {uid}
mail_gid = {gid}
first_valid_uid = 1
default_internal_user = dovecot
default_login_user = dovenull
default_client_limit = 20000
default_process_limit = 2000
mail_max_userip_connections = 0
passdb {
  driver = static
  args = password={password}
}
userdb {
  driver = static
  args = uid={uid} gid={gid} home={base}/mail/%u
}
service lmtp {
  process_min_avail = 10
  service_count = 0
  unix_listener lmtp {
    mode = 0666
  }
  inet_listener lmtp {
    address = 127.0.0.1
    port = {lmtp}
  }
}
service imap-login {
  service_count = 0
  inet_listener imap {
    address = 127.0.0.1
    port = {imap}
  }
  inet_listener imaps {
    address = 127.0.0.1
    port = {imaps}
    ssl = yes
  }
}
service imap {
  service_count = 1000
  process_limit = 20000
}
service auth {
  unix_listener auth-submission {
    mode = 0666
  }
}
service stats {
  unix_listener stats-writer {
    mode = 0666
  }
}
";

const POP3: &str = "\
service pop3-login {
  service_count = 0
  inet_listener pop3 {
    address = 127.0.0.1
    port = {port}
  }
  inet_listener pop3s {
    port = 0
  }
}
service pop3 {
  service_count = 1000
}
";

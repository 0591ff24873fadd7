//! Ringpost itself, as it is built beside this tool.

use super::packages;
use super::postfix::text;
use super::target::{Counting, Doors, Target};
use super::yard::Yard;
use anyhow::bail;
use std::fmt::Write;
use std::path::PathBuf;

pub(super) fn raise(
    yard: &mut Yard,
    target: Target,
    shards: Option<u16>,
) -> anyhow::Result<Target> {
    let binary = binary()?;
    let version = packages::output(text(&binary)?, &["--version"], None)?;
    let version = version.trim().rsplit(' ').next().unwrap_or("").to_string();
    let data = yard.folder().join("data");
    let mut doors = Vec::new();
    let mut toml = format!("hostname = \"ringpost.example.test\"\ndata = {data:?}\n");
    if let Some(count) = shards {
        let _ = writeln!(toml, "shards = {count}");
    }
    let (cert, key) = yard.certificate()?;
    let _ = writeln!(toml, "[[domain]]\nname = \"example.test\"");
    let names = "[[certificate]]\nnames = [\"localhost\"]";
    let _ = writeln!(toml, "{names}\ncert = {cert:?}\nkey = {key:?}");
    for (protocol, tls) in LISTENERS {
        let door = yard.door()?;
        let _ = write!(
            toml,
            "[[listener]]\nprotocol = \"{protocol}\"\naddress = \"{door}\"\ntls = \"{tls}\"\n"
        );
        doors.push(door);
    }
    let accounts = target.next_hop.map_or(target.users.as_slice(), |_| &[]);
    for user in accounts {
        let password = &target.password;
        let _ = write!(
            toml,
            "[[account]]\naddress = \"{user}\"\npassword = \"{{PLAIN}}{password}\"\n"
        );
    }
    if let Some(host) = target.next_hop {
        toml += &ONWARD.replace("{host}", &host.to_string());
    }
    toml += LIMITS;
    let file = yard.write("ringpost.toml", &toml)?;
    yard.start(&[text(&binary)?, "--config", text(&file)?], "ringpost.log")?;
    yard.await_doors(&doors, "ringpost.log")?;
    let mut doors = doors.into_iter().map(|door| Some(door.to_string()));
    let told = shards.map_or_else(String::new, |count| format!(", shards = {count}"));
    Ok(Target {
        server: format!("Ringpost {version}{told}"),
        durability: "message in a log frame (O_DIRECT, O_DSYNC) before 250".to_string(),
        doors: Doors {
            smtp: doors.next().flatten(),
            lmtp: doors.next().flatten(),
            imap: doors.next().flatten(),
            http: doors.next().flatten(),
            submissions: doors.next().flatten(),
            imaps: doors.next().flatten(),
            pop3: doors.next().flatten(),
        },
        counting: Counting::Imap,
        ..target
    })
}

/// As Dovecot is set up: a load is few accounts with many connections.
const LIMITS: &str = "[limits]\nconnections_per_account_max = 1_000_000\n";

const ONWARD: &str = "\
[[route]]
domains = [\"*\"]
via = \"smarthost\"
host = \"{host}\"
tls = \"never\"
messages_per_connection_max = 100000
[relay]
networks = [\"127.0.0.0/8\"]
";

/// In the order of the doors above.
const LISTENERS: [(&str, &str); 7] = [
    ("smtp", "none"),
    ("lmtp", "none"),
    ("imap", "none"),
    ("http", "none"),
    ("submission", "implicit"),
    ("imap", "implicit"),
    ("pop3", "none"),
];

/// Beside this tool, where `RINGPOST_BIN_DIR` says, or in `PATH`.
fn binary() -> anyhow::Result<PathBuf> {
    let named =
        std::env::var_os("RINGPOST_BIN_DIR").map(|folder| PathBuf::from(folder).join("ringpost"));
    let beside = std::env::current_exe()
        .ok()
        .map(|own| own.with_file_name("ringpost"));
    let found = [named, beside]
        .into_iter()
        .flatten()
        .find(|file| file.is_file());
    match found.or_else(|| packages::program("ringpost")) {
        Some(file) => Ok(file),
        None => bail!("there is no `ringpost` beside this tool; try: cargo build --release"),
    }
}

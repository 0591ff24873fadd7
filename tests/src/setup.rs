//! A configuration for one test: listeners on free loopback ports, domains, accounts, extra lines.

use crate::certificate;
use crate::ports::Ports;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What a server is started with. The scratch directory lives as long as this.
pub struct Setup {
    pub addresses: Addresses,
    pub directory: tempfile::TempDir,
    /// Top-level lines of the file, e.g. `shards = 4`.
    top: Vec<String>,
    /// Tables behind the listeners: domains, accounts, aliases.
    tables: Vec<String>,
    limits: Vec<String>,
    data: Option<PathBuf>,
    ports: Ports,
}

/// Where each protocol listens.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    pub smtp: SocketAddr,
    pub submission: SocketAddr,
    pub submissions: SocketAddr,
    pub lmtp: SocketAddr,
    pub imap: SocketAddr,
    pub imaps: SocketAddr,
    pub pop3: SocketAddr,
    pub pop3s: SocketAddr,
    pub http: SocketAddr,
}

impl Setup {
    /// No domain, no account yet.
    pub fn empty() -> Setup {
        let mut ports = Ports::take();
        let addresses = Addresses {
            smtp: ports.port(),
            submission: ports.port(),
            submissions: ports.port(),
            lmtp: ports.port(),
            imap: ports.port(),
            imaps: ports.port(),
            pop3: ports.port(),
            pop3s: ports.port(),
            http: ports.port(),
        };
        let directory = tempfile::tempdir().expect("the temporary directory is writable");
        certificate::write(directory.path());
        Setup {
            addresses,
            directory,
            top: Vec::new(),
            tables: Vec::new(),
            limits: Vec::new(),
            data: None,
            ports,
        }
    }

    /// The usual small world: `example.test` with alice and bob.
    pub fn usual() -> Setup {
        Setup::empty()
            .domain("example.test")
            .account("alice@example.test", PASSWORD)
            .account("bob@example.test", PASSWORD)
    }

    /// A top-level line, e.g. `shards = 4`.
    pub fn top(mut self, line: &str) -> Setup {
        self.top.push(line.to_string());
        self
    }

    /// A line of the table `[limits]`, e.g. `wrong_commands_max = 3`.
    pub fn limit(mut self, line: &str) -> Setup {
        self.limits.push(line.to_string());
        self
    }

    pub fn domain(self, name: &str) -> Setup {
        self.table(&format!("[[domain]]\nname = \"{name}\""))
    }

    /// A domain whose unknown recipients go to `to`.
    pub fn domain_with_catch_all(self, name: &str, to: &str) -> Setup {
        self.table(&format!(
            "[[domain]]\nname = \"{name}\"\ncatch_all = \"{to}\""
        ))
    }

    pub fn account(self, address: &str, password: &str) -> Setup {
        self.table(&format!(
            "[[account]]\naddress = \"{address}\"\npassword = \"{{PLAIN}}{password}\""
        ))
    }

    pub fn account_with_quota(self, address: &str, password: &str, quota: &str) -> Setup {
        let setup = self.account(address, password);
        setup.in_last_table(&format!("quota = \"{quota}\""))
    }

    pub fn alias(self, from: &str, to: &[&str]) -> Setup {
        let to: Vec<String> = to.iter().map(|address| format!("\"{address}\"")).collect();
        self.table(&format!(
            "[[alias]]\nfrom = \"{from}\"\nto = [{}]",
            to.join(", ")
        ))
    }

    /// A table of the configuration as it is written.
    pub fn table(mut self, text: &str) -> Setup {
        self.tables.push(text.to_string());
        self
    }

    fn in_last_table(mut self, line: &str) -> Setup {
        let table = self.tables.last_mut().expect("a table came before");
        table.push('\n');
        table.push_str(line);
        self
    }

    /// One more port of this test's block.
    pub fn spare_port(&mut self) -> SocketAddr {
        self.ports.port()
    }

    pub fn data(&self) -> PathBuf {
        self.data
            .clone()
            .unwrap_or_else(|| self.directory.path().join("data"))
    }

    /// Another place for the data, e.g. on another file system.
    pub fn data_in(mut self, folder: &Path) -> Setup {
        self.data = Some(folder.to_path_buf());
        self
    }

    pub fn certificate(&self) -> PathBuf {
        self.directory.path().join("cert.pem")
    }

    pub fn config_file(&self) -> PathBuf {
        self.directory.path().join("ringpost.toml")
    }

    /// The text of the configuration file.
    pub fn text(&self) -> String {
        let mut text = format!("hostname = \"{HOSTNAME}\"\ndata = {:?}\n", self.data());
        for line in &self.top {
            let _ = writeln!(text, "{line}");
        }
        let a = &self.addresses;
        for (protocol, address, tls) in [
            ("smtp", a.smtp, "starttls"),
            ("submission", a.submission, "starttls"),
            ("submission", a.submissions, "implicit"),
            ("lmtp", a.lmtp, "none"),
            ("imap", a.imap, "starttls"),
            ("imap", a.imaps, "implicit"),
            ("pop3", a.pop3, "starttls"),
            ("pop3", a.pop3s, "implicit"),
            ("http", a.http, "none"),
        ] {
            // On loopback passwords would pass in clear by default; the tests want the strict form.
            let _ = write!(
                text,
                "\n[[listener]]\nprotocol = \"{protocol}\"\naddress = \"{address}\"\n\
                 tls = \"{tls}\"\nlogin_without_tls = false\n"
            );
        }
        text.push_str(&certificate_table(self.directory.path()));
        let _ = write!(text, "\n[limits]\n{}\n", self.limits.join("\n"));
        for table in &self.tables {
            let _ = write!(text, "\n{table}\n");
        }
        text
    }

    /// Writes the configuration file.
    pub fn write(&self) {
        std::fs::write(self.config_file(), self.text()).expect("the scratch directory is writable");
    }
}

fn certificate_table(directory: &Path) -> String {
    // An address is no name that SNI could ask for.
    let names: Vec<String> = certificate::NAMES
        .iter()
        .filter(|name| name.parse::<std::net::IpAddr>().is_err())
        .map(|name| format!("{name:?}"))
        .collect();
    format!(
        "\n[[certificate]]\nnames = [{}]\ncert = {:?}\nkey = {:?}\n",
        names.join(", "),
        directory.join("cert.pem"),
        directory.join("key.pem")
    )
}

/// The name that the server gives itself.
pub const HOSTNAME: &str = "mx.ringpost.test";

/// The password of the usual accounts.
pub const PASSWORD: &str = "ringpost-demo";

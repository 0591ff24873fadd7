//! Runs of the tool, and what it leaves behind.

use serde_json::Value;
use std::net::SocketAddr;
use std::process::{Command, Output};
use tests::server::Server;
use tests::setup::{PASSWORD, Setup};

/// A run that has ended.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    /// Standard output and standard error.
    pub(crate) said: String,
    pub(crate) json: Value,
}

pub(crate) const ACCOUNTS: &str = "user{1..8}@example.test";

/// A server with [`ACCOUNTS`].
pub(crate) fn server() -> Server {
    let setup = (1..=8).fold(Setup::empty().domain("example.test"), |setup, number| {
        setup.account(&format!("user{number}@example.test"), PASSWORD)
    });
    Server::start(setup)
}

/// Runs the tool with these words.
pub(crate) fn bench(words: &[&str]) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("outcome.json");
    let output = command(words).arg("--json").arg(&file).output().unwrap();
    let json = std::fs::read(&file).map_or(Value::Null, |text| {
        let mut outcomes: Vec<Value> = serde_json::from_slice(&text).expect("a list of outcomes");
        assert_eq!(outcomes.len(), 1);
        outcomes.remove(0)
    });
    ended(&output, json)
}

pub(crate) fn command(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringpost-bench"));
    command.args(words);
    command
}

pub(crate) fn ended(output: &Output, json: Value) -> Run {
    let said = [&output.stdout[..], &output.stderr].concat();
    Run {
        code: output.status.code(),
        said: String::from_utf8_lossy(&said).into_owned(),
        json,
    }
}

/// A load into a server of [`server`], with an audit over its IMAP.
pub(crate) fn audited(server: &Server, scenario: &str, target: SocketAddr, words: &[&str]) -> Run {
    let (target, imap) = (target.to_string(), server.addresses().imaps.to_string());
    let mut all = vec![scenario, &target, "--accounts", ACCOUNTS, "--audit"];
    all.extend(["--imap", &imap, "--imap-tls", "--password", PASSWORD]);
    all.extend(words);
    bench(&all)
}

impl Run {
    pub(crate) fn count(&self, name: &str) -> u64 {
        self.json["counts"][name]
            .as_u64()
            .unwrap_or_else(|| panic!("{}", self.said))
    }

    pub(crate) fn audit(&self, name: &str) -> u64 {
        self.json["audit"][name]
            .as_u64()
            .unwrap_or_else(|| panic!("{}", self.said))
    }

    /// How many values a phase has.
    pub(crate) fn phase(&self, name: &str) -> u64 {
        let phases = self.json["phases"].as_array().unwrap();
        let phase = phases.iter().find(|phase| phase["name"] == name);
        phase.map_or(0, |phase| phase["count"].as_u64().unwrap())
    }

    /// All was acknowledged, and is there once and unaltered.
    pub(crate) fn assert_clean(&self, messages: u64, copies: u64) {
        assert_eq!(self.code, Some(0), "{}", self.said);
        assert_eq!(self.count("acknowledged"), messages, "{}", self.said);
        assert_eq!(self.count("attempted"), messages, "{}", self.said);
        assert_eq!(self.audit("found"), copies, "{}", self.said);
        assert_eq!(self.audit("acknowledged"), copies, "{}", self.said);
    }
}

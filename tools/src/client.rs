//! Orders to the server: over its control socket, or to the store itself where no server runs.

use crate::offline;
use anyhow::{Context, bail};
use engine::admin::wire::{REPLY_BYTES_MAX, Reply, Request};
use engine::config::CONTROL_SOCKET;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

pub(crate) struct Client {
    data: PathBuf,
    json: bool,
}

impl Client {
    pub(crate) fn new(data: PathBuf, json: bool) -> Client {
        Client { data, json }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// The directory of the store.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// Says what somebody should know, to a person, beside what is asked for.
    pub(crate) fn note(&self, sentence: &str) {
        eprintln!("{sentence}");
    }

    /// Says what was done, to a person.
    pub(crate) fn say(&self, sentence: &str) {
        if !self.json {
            println!("{sentence}");
        }
    }

    /// Carries out a request; a refusal is an error.
    pub(crate) fn order(&self, request: Request) -> anyhow::Result<Reply> {
        let socket = self.data.join(CONTROL_SOCKET);
        let reply = match UnixStream::connect(&socket) {
            Ok(stream) => converse(stream, &request).context("speaking to the server")?,
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::ConnectionRefused
                ) =>
            {
                offline::order(&self.data, request)?
            }
            Err(error) => return Err(error).with_context(|| format!("{}", socket.display())),
        };
        match reply {
            Reply::Refused(why) => bail!(why),
            reply => Ok(reply),
        }
    }
}

fn converse(mut stream: UnixStream, request: &Request) -> anyhow::Result<Reply> {
    stream.set_read_timeout(Some(ANSWER_SECS_MAX))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut reply = String::new();
    let read = BufReader::new(stream.take(REPLY_BYTES_MAX as u64)).read_line(&mut reply);
    if let Err(error) = &read
        && error.kind() == ErrorKind::WouldBlock
    {
        bail!(
            "no answer in {} s: an order about millions of recipients takes so long beside the \
             mail, and goes on; `ringpostctl queue list` shows how far it is",
            ANSWER_SECS_MAX.as_secs()
        );
    }
    read?;
    if reply.is_empty() {
        bail!("the server closed the connection without an answer; look into its log");
    }
    Ok(serde_json::from_str(&reply)?)
}

/// Columns as wide as they must be.
pub(crate) fn table<const N: usize>(
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> String {
    let rows: Vec<[String; N]> = std::iter::once(head.map(str::to_owned))
        .chain(rows)
        .collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    for row in &rows {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// While it lives, the terminal does not show what is typed.
pub(crate) struct HiddenInput;

impl HiddenInput {
    pub(crate) fn start() -> HiddenInput {
        stty("-echo");
        HiddenInput
    }
}

impl Drop for HiddenInput {
    fn drop(&mut self) {
        stty("echo");
    }
}

fn stty(mode: &str) {
    let _ = Command::new("stty")
        .arg(mode)
        .stdin(Stdio::inherit())
        .status();
}

/// How long the server may take: an order about ten million recipients takes a minute or two.
const ANSWER_SECS_MAX: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let rows = [
            ["a".to_owned(), "bb".to_owned()],
            ["ccc".to_owned(), "d".to_owned()],
        ];
        assert_eq!(
            table(["X", "Y"], rows.into_iter()),
            "X    Y\na    bb\nccc  d\n"
        );
    }
}

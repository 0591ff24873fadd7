//! Postfix's `smtp-source` as the generator: what others measure with, beside our own.
//!
//! It sends to one recipient, keeps a connection or makes one for each message, and tells nothing
//! but that it is done: an outcome of it has no phases. It ends at the first answer it did not
//! expect, so that a run of it is whole or an error. Its sessions are shared out to as many
//! processes as there are recipients, at most.

use crate::outcome::{Counts, Load, Outcome};
use crate::peer::{Target, program};
use anyhow::{Context, bail};
use engine::reactor::Now;
use engine::reactor::clock::instant;
use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};

/// What it is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Source {
    pub(crate) sessions: u32,
    /// Connections carry any number of messages.
    pub(crate) is_kept: bool,
    pub(crate) bytes: u64,
    pub(crate) is_lmtp: bool,
}

impl Source {
    /// Sends so many messages to the users of the target.
    pub(crate) fn load(&self, target: &Target, messages: u64) -> anyhow::Result<Outcome> {
        let door = self.door(target)?;
        let users = target.users.iter();
        let shares = shares(self.sessions, messages, target.users.len() as u32);
        let file = program("smtp-source").with_context(missing)?;
        let began_secs = Now::read().unix_secs() as i64;
        let began = instant();
        let mut running = Sources(Vec::new());
        for (user, share) in users.zip(&shares) {
            let mut command = Command::new(&file);
            command
                .args(self.arguments(share, user, door))
                .stdin(Stdio::null());
            running.0.push(
                command
                    .stdout(Stdio::null())
                    .stderr(Stdio::piped())
                    .spawn()?,
            );
        }
        running.wait()?;
        let elapsed_micros = began.elapsed().as_micros() as u64;
        let sent = shares.iter().map(|share| share.messages).sum();
        Ok(self.outcome(target, door, sent, began_secs, elapsed_micros))
    }

    fn door<'t>(&self, target: &'t Target) -> anyhow::Result<&'t str> {
        let doors = &target.doors;
        let (door, name) = match self.is_lmtp {
            true => (&doors.lmtp, "LMTP"),
            false => (&doors.smtp, "SMTP"),
        };
        door.as_deref()
            .with_context(|| format!("{} has no {name} door", target.name))
    }

    fn arguments(&self, share: &Share, user: &str, door: &str) -> Vec<String> {
        let (sessions, messages) = (share.sessions.to_string(), share.messages.to_string());
        let bytes = self.bytes.to_string();
        let mut words = vec!["-s", &sessions, "-m", &messages, "-l", &bytes];
        if self.is_kept {
            words.push("-d");
        }
        if self.is_lmtp {
            words.push("-L");
        }
        words.extend(["-f", SENDER, "-t", user, door]);
        words.iter().map(|word| word.to_string()).collect()
    }

    fn outcome(
        &self,
        target: &Target,
        door: &str,
        sent: u64,
        began_secs: i64,
        elapsed_micros: u64,
    ) -> Outcome {
        let scenario = if self.is_lmtp { "lmtp" } else { "smtp" };
        Outcome {
            scenario: scenario.to_string(),
            target: format!("{scenario} {door}"),
            server: Some(target.server.clone()),
            began_secs,
            elapsed_micros,
            load: Load {
                connections: self.sessions,
                sizes: format!("{} octets", self.bytes),
                messages_per_connection: (!self.is_kept).then_some(1),
                with: vec!["smtp-source".to_string()],
                ..Load::default()
            },
            counts: Counts {
                attempted: sent,
                acknowledged: sent,
                ..Counts::default()
            },
            octets: sent * self.bytes,
            answers: BTreeMap::from([("250".to_string(), sent)]),
            ..Outcome::default()
        }
    }
}

/// Processes that end with this, also on an error.
struct Sources(Vec<Child>);

impl Sources {
    fn wait(&mut self) -> anyhow::Result<()> {
        while let Some(child) = self.0.pop() {
            let output = child.wait_with_output()?;
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr);
                bail!("smtp-source: {}: {}", output.status, said.trim());
            }
        }
        Ok(())
    }
}

impl Drop for Sources {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Share {
    sessions: u32,
    messages: u64,
}

/// As even as it goes; no process without a session, no session without a message.
fn shares(sessions: u32, messages: u64, users: u32) -> Vec<Share> {
    let most = u32::try_from(messages).unwrap_or(u32::MAX);
    let sessions = sessions.clamp(1, most.max(1));
    let count = sessions.min(users.max(1));
    let share = |at: u32| Share {
        sessions: sessions / count + u32::from(at < sessions % count),
        messages: messages / u64::from(count)
            + u64::from(u64::from(at) < messages % u64::from(count)),
    };
    (0..count).map(share).collect()
}

fn missing() -> String {
    "smtp-source is not installed; try: sudo apt-get install postfix".to_string()
}

const SENDER: &str = "load@example.test";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_and_messages_are_shared_out_whole() {
        for (sessions, messages, users) in
            [(10, 1000, 20), (100, 1003, 20), (10, 3, 20), (7, 50, 1)]
        {
            let shares = shares(sessions, messages, users);
            assert_eq!(
                shares.iter().map(|share| share.messages).sum::<u64>(),
                messages
            );
            assert!(shares.len() <= users as usize);
            assert!(
                shares
                    .iter()
                    .all(|share| share.messages >= u64::from(share.sessions))
            );
            let used: u32 = shares.iter().map(|share| share.sessions).sum();
            assert_eq!(used, sessions.min(messages as u32));
        }
    }

    #[test]
    fn it_is_told_what_was_asked_for() {
        let source = Source {
            sessions: 10,
            is_kept: true,
            bytes: 4096,
            is_lmtp: true,
        };
        let share = Share {
            sessions: 2,
            messages: 30,
        };
        let words = source.arguments(&share, "u@example.test", "127.0.0.1:24");
        let expected =
            "-s 2 -m 30 -l 4096 -d -L -f load@example.test -t u@example.test 127.0.0.1:24";
        assert_eq!(words.join(" "), expected);
    }

    #[test]
    fn a_door_that_is_not_there_is_named() {
        let source = Source {
            sessions: 1,
            is_kept: false,
            bytes: 1,
            is_lmtp: false,
        };
        let why = source.load(&Target::default(), 1).unwrap_err();
        assert!(why.to_string().contains("no SMTP door"));
    }
}

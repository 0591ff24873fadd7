//! Deliveries, counted where the user would look: in the mailbox.

use super::target::{Counting, Target};
use anyhow::{Context, bail};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Counts what arrives from its making on.
pub(crate) struct Counter {
    place: Place,
    before: u64,
}

enum Place {
    Imap(Vec<Status>),
    Maildirs(PathBuf),
    Queue(PathBuf),
    Acknowledged,
}

impl Counter {
    pub(crate) fn begin(target: &Target) -> anyhow::Result<Counter> {
        let mut place = match &target.counting {
            Counting::Imap => {
                let door = target
                    .doors
                    .imap
                    .as_deref()
                    .context("the server has no IMAP door")?;
                let users = target.users.iter();
                let open = |user: &String| Status::open(door, user, &target.password);
                Place::Imap(users.map(open).collect::<anyhow::Result<_>>()?)
            }
            Counting::Maildirs(folder) => Place::Maildirs(folder.clone()),
            Counting::Queue(folder) => Place::Queue(folder.clone()),
            Counting::Acknowledged => Place::Acknowledged,
        };
        let before = place.count()?;
        if matches!(place, Place::Queue(_)) && before > 0 {
            bail!(
                "{before} messages are in the queue of {} already",
                target.name
            );
        }
        Ok(Counter { place, before })
    }

    /// Waits until `copies` messages have arrived since the begin or the last such wait, at most
    /// [`ARRIVAL_MAX`] after the last one came; gives how many did.
    pub(crate) fn await_all(&mut self, copies: u64) -> anyhow::Result<u64> {
        let (mut most, mut last_progress) = (0, Instant::now());
        loop {
            let asked = Instant::now();
            let count = self.arrived(copies)?;
            if count > most {
                (most, last_progress) = (count, Instant::now());
            }
            if count >= copies || last_progress.elapsed() > ARRIVAL_MAX {
                self.before += count;
                return Ok(count);
            }
            // Counting costs the server something as well: four fifths of the time it has peace.
            std::thread::sleep((asked.elapsed() * 4).clamp(PAUSE_MIN, PAUSE_MAX));
        }
    }

    /// For a queue, what is not in it any more of those that were acknowledged.
    fn arrived(&mut self, acknowledged: u64) -> anyhow::Result<u64> {
        let now = self.place.count()?;
        Ok(match self.place {
            Place::Queue(_) => acknowledged.saturating_sub(now),
            Place::Acknowledged => acknowledged,
            Place::Imap(_) | Place::Maildirs(_) => now.saturating_sub(self.before),
        })
    }
}

impl Place {
    fn count(&mut self) -> anyhow::Result<u64> {
        match self {
            Place::Imap(inboxes) => inboxes.iter_mut().map(Status::messages).sum(),
            Place::Maildirs(folder) => maildir_files(folder),
            Place::Queue(folder) => {
                let queues = QUEUES.iter().map(|queue| files_below(&folder.join(queue)));
                Ok(queues.sum::<std::io::Result<u64>>()?)
            }
            Place::Acknowledged => Ok(0),
        }
    }
}

/// Messages of all Maildirs that lie in the folder.
fn maildir_files(folder: &Path) -> anyhow::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        let maildir = entry?.path();
        for part in ["new", "cur"].map(|part| maildir.join(part)) {
            // Neither is there before the first delivery.
            sum += fs::read_dir(part).map_or(0, |files| files.count() as u64);
        }
    }
    Ok(sum)
}

/// A queue's folders are hashed: files may lie deeper.
fn files_below(folder: &Path) -> std::io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)?.flatten() {
        // A message may move on while it is looked at.
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => sum += files_below(&entry.path()).unwrap_or(0),
            Ok(_) => sum += 1,
            Err(_) => {}
        }
    }
    Ok(sum)
}

/// An IMAP connection that asks for the number of messages of one INBOX, again and again.
struct Status {
    user: String,
    lines: BufReader<TcpStream>,
}

impl Status {
    fn open(door: &str, user: &str, password: &str) -> anyhow::Result<Status> {
        let stream = TcpStream::connect(door).with_context(|| format!("IMAP at {door}"))?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        stream.set_nodelay(true)?;
        let mut status = Status {
            user: user.to_string(),
            lines: BufReader::new(stream),
        };
        status.line()?;
        status.ask(&format!("LOGIN {user} {password}"))?;
        Ok(status)
    }

    fn messages(&mut self) -> anyhow::Result<u64> {
        let user = self.user.clone();
        let answer = self.ask("STATUS INBOX (MESSAGES)").with_context(|| user)?;
        messages_in(&answer).with_context(|| format!("an odd answer: {answer}"))
    }

    /// Sends a command; gives the untagged answers.
    fn ask(&mut self, command: &str) -> anyhow::Result<String> {
        write!(self.lines.get_mut(), "{TAG} {command}\r\n")?;
        let mut untagged = String::new();
        loop {
            let line = self.line()?;
            match line.strip_prefix(TAG) {
                Some(end) if end.starts_with(" OK") => return Ok(untagged),
                Some(end) => bail!("{command}: {}", end.trim()),
                None if untagged.len() > ANSWER_BYTES_MAX => bail!("{command}: no end of answers"),
                None => untagged.push_str(&line),
            }
        }
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        if self.lines.read_line(&mut line)? == 0 {
            bail!("the IMAP server closed the connection of {}", self.user);
        }
        Ok(line)
    }
}

/// `* STATUS INBOX (MESSAGES 7)`.
fn messages_in(answer: &str) -> Option<u64> {
    let (_, rest) = answer.split_once("MESSAGES ")?;
    let end = rest.find(|c: char| !c.is_ascii_digit())?;
    rest.get(..end)?.parse().ok()
}

const TAG: &str = "a";
const ANSWER_BYTES_MAX: usize = 1 << 20;
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// Without progress for so long, what is missing is taken for lost.
const ARRIVAL_MAX: Duration = Duration::from_secs(60);
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(250);
/// Postfix: what it still owes.
const QUEUES: [&str; 4] = ["maildrop", "incoming", "active", "deferred"];

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn maildirs_are_counted_from_the_begin() {
        let folder = tempfile::tempdir().unwrap();
        let new = folder.path().join("user1@example.test/new");
        fs::create_dir_all(&new).unwrap();
        fs::write(new.join("old"), "").unwrap();
        let target = Target {
            counting: Counting::Maildirs(folder.path().to_path_buf()),
            ..Target::default()
        };
        let mut counter = Counter::begin(&target).unwrap();
        fs::write(new.join("1"), "").unwrap();
        let cur = folder.path().join("user2@example.test/cur");
        fs::create_dir_all(&cur).unwrap();
        fs::write(cur.join("2"), "").unwrap();
        assert_eq!(counter.await_all(2).unwrap(), 2);
        fs::write(cur.join("3"), "").unwrap();
        assert_eq!(counter.await_all(1).unwrap(), 1);
    }

    #[test]
    fn a_queue_must_begin_empty_and_counts_what_has_left_it() {
        let folder = tempfile::tempdir().unwrap();
        for queue in QUEUES {
            fs::create_dir_all(folder.path().join(queue).join("A/B")).unwrap();
        }
        let target = Target {
            counting: Counting::Queue(folder.path().to_path_buf()),
            ..Target::default()
        };
        let mut counter = Counter::begin(&target).unwrap();
        fs::write(folder.path().join("active/A/B/ABC"), "").unwrap();
        assert_eq!(counter.arrived(10).unwrap(), 9);
        assert!(Counter::begin(&target).is_err());
    }

    #[test]
    fn status_is_asked_of_each_user() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let door = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream);
            let mut heard = Vec::new();
            for said in [
                "* OK hi\r\n",
                "a OK in\r\n",
                "* STATUS INBOX (MESSAGES 12)\r\na OK\r\n",
            ] {
                lines.get_mut().write_all(said.as_bytes()).unwrap();
                let mut line = String::new();
                lines.read_line(&mut line).unwrap();
                heard.push(line);
            }
            heard
        });
        let mut status = Status::open(&door, "u", "p").unwrap();
        assert_eq!(status.messages().unwrap(), 12);
        drop(status);
        let heard = server.join().unwrap();
        assert_eq!(
            heard,
            ["a LOGIN u p\r\n", "a STATUS INBOX (MESSAGES)\r\n", ""]
        );
    }

    #[test]
    fn a_refusal_is_told() {
        assert_eq!(messages_in("* STATUS INBOX (MESSAGES x)"), None);
        let target = Target {
            counting: Counting::Imap,
            ..Target::default()
        };
        assert!(Counter::begin(&target).is_err());
    }
}

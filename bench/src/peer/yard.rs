//! A scratch directory with servers in it, and the tool's hold on the keeper that clears it.

use super::order::{Answer, Order};
use anyhow::{Context, bail};
use engine::tls::demo::certificate;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// Dropped, it is cleared: servers ended, folder removed.
pub(crate) struct Yard {
    folder: PathBuf,
    cgroup: Option<PathBuf>,
    keeper: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    /// Held until the servers are started, so that no two doors get one port.
    held: Vec<TcpListener>,
    /// Programs, by our orders.
    started: usize,
    is_detached: bool,
}

impl Yard {
    /// A new folder below `scratch`; `keeper` is this tool's own program.
    pub(crate) fn open(keeper: &Path, scratch: &Path, name: &str) -> anyhow::Result<Yard> {
        let number = std::process::id();
        let scratch = fs::canonicalize(scratch).with_context(|| scratch.display().to_string())?;
        let folder = scratch.join(format!("{FOLDER_START}{name}-{number}"));
        let mut child = Command::new(keeper)
            .arg("keep")
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Detached it would hold the tool's standard error open; what it has to say it answers.
            .stderr(Stdio::null())
            // Ctrl-C is for the tool; the keeper sees its end and has work to do then.
            .process_group(0)
            .spawn()
            .with_context(|| format!("the keeper {}", keeper.display()))?;
        let orders = child.stdin.take();
        let answers = child.stdout.take().context("the keeper has no output")?;
        let mut yard = Yard {
            folder,
            cgroup: None,
            keeper: child,
            orders,
            answers: BufReader::new(answers),
            held: Vec::new(),
            started: 0,
            is_detached: false,
        };
        yard.cgroup = match yard.answer()? {
            Answer::Ready { cgroup } => cgroup,
            other => bail!("the keeper answers {other:?}"),
        };
        // Servers drop their rights and must still get there.
        fs::set_permissions(&yard.folder, fs::Permissions::from_mode(0o755))?;
        Ok(yard)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn cgroup(&self) -> Option<&Path> {
        self.cgroup.as_deref()
    }

    pub(crate) fn keeper_pid(&self) -> u32 {
        self.keeper.id()
    }

    /// A folder in the yard, made with those above it.
    pub(super) fn room(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.folder.join(name);
        fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        Ok(path)
    }

    /// A file in the yard.
    pub(super) fn write(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, text).with_context(|| path.display().to_string())?;
        Ok(path)
    }

    /// A self-signed certificate for `localhost` and its key.
    pub(super) fn certificate(&self) -> anyhow::Result<(PathBuf, PathBuf)> {
        let files = certificate(&self.folder, &["localhost".to_string()])?;
        Ok((files.cert, files.key))
    }

    /// A port of loopback that nobody has.
    pub(super) fn door(&mut self) -> anyhow::Result<SocketAddr> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        self.held.push(listener);
        Ok(address)
    }

    /// Starts a program that stays; its words go to the file `log`.
    pub(super) fn start(&mut self, argv: &[impl AsRef<str>], log: &str) -> anyhow::Result<()> {
        self.held.clear();
        let order = Order::Start {
            argv: argv.iter().map(|word| word.as_ref().to_owned()).collect(),
            log: self.folder.join(log),
        };
        self.done(&order)?;
        self.started += 1;
        Ok(())
    }

    /// Waits until all doors let us in; otherwise says what the server said last.
    pub(super) fn await_doors(&mut self, doors: &[SocketAddr], log: &str) -> anyhow::Result<()> {
        let end = Instant::now() + START_MAX;
        for door in doors {
            while TcpStream::connect_timeout(door, Duration::from_secs(1)).is_err() {
                let is_dead = self.running()? < self.started;
                if is_dead || Instant::now() > end {
                    let what = if is_dead {
                        "it ended"
                    } else {
                        "nobody listens"
                    };
                    let said = last_lines(&self.folder.join(log));
                    bail!("{what} (awaited on {door}); it said:\n{said}");
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }

    fn running(&mut self) -> anyhow::Result<usize> {
        match self.order(&Order::Count)? {
            Answer::Running { programs } => Ok(programs),
            other => bail!("the keeper answers {other:?}"),
        }
    }

    /// Leaves the servers running when the tool ends.
    pub(crate) fn detach(mut self) -> anyhow::Result<()> {
        self.done(&Order::Detach)?;
        self.is_detached = true;
        Ok(())
    }

    /// Ends the servers and removes the folder; waits until that is done.
    pub(crate) fn clear(mut self) -> anyhow::Result<()> {
        self.orders = None;
        let answer = self.answer();
        self.keeper.wait()?;
        match answer {
            Ok(_) => Ok(()),
            Err(why) => Err(why.context(format!("clearing {}", self.folder.display()))),
        }
    }

    fn done(&mut self, order: &Order) -> anyhow::Result<()> {
        match self.order(order)? {
            Answer::Done => Ok(()),
            other => bail!("the keeper answers {other:?}"),
        }
    }

    fn order(&mut self, order: &Order) -> anyhow::Result<Answer> {
        let orders = self.orders.as_mut().context("the keeper is dismissed")?;
        writeln!(orders, "{}", serde_json::to_string(order)?).context("the keeper is gone")?;
        self.answer()
    }

    fn answer(&mut self) -> anyhow::Result<Answer> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        match serde_json::from_str(&line).context("the keeper ended without a word")? {
            Answer::Failed { why } => bail!(why),
            answer => Ok(answer),
        }
    }
}

impl Drop for Yard {
    fn drop(&mut self) {
        if self.is_detached || self.orders.take().is_none() {
            return;
        }
        // The keeper's output ends with it: then the folder is gone, or it could not be removed,
        // which nobody is left to be told.
        let _ = std::io::copy(&mut self.answers, &mut std::io::sink());
        let _ = self.keeper.wait();
    }
}

/// Until nobody listens there. The kernel closes listeners in its own time, and would share the
/// clients of the next one on an address with one that is about to go.
pub(crate) fn await_silence(address: SocketAddr, most: Duration) -> anyhow::Result<()> {
    let end = Instant::now() + most;
    while TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok() {
        if Instant::now() > end {
            bail!("{address} is still listened on");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// What a file ends with, for an error's text.
pub(super) fn last_lines(path: &Path) -> String {
    let octets = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&octets);
    let lines: Vec<&str> = text.lines().rev().take(LINES_MAX).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

/// Yards are found again by the names of their folders.
pub(super) const FOLDER_START: &str = "ringpost-bench-";

const START_MAX: Duration = Duration::from_secs(60);
const LINES_MAX: usize = 15;

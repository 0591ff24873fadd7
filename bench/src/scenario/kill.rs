//! Kills the server in the middle of a run, without mercy, and starts it again.

use anyhow::{Context, bail};
use engine::reactor::clock::instant;
use engine::reactor::idle;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A kill that is to come, or came.
pub(crate) struct Kill {
    done: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<()>>,
}

impl Kill {
    /// `kill -9` of `pid` when the load has `begun` and gone on for `after`; then `restart` is run
    /// by the shell, beside us.
    pub(crate) fn plan(
        after: Duration,
        pid: u32,
        restart: Option<String>,
        begun: Arc<AtomicBool>,
    ) -> anyhow::Result<Kill> {
        let raw = i32::try_from(pid).context("no process has this number")?;
        let Some(victim) = Pid::from_raw(raw).filter(|pid| test_kill_process(*pid).is_ok()) else {
            bail!("--pid {pid}: there is no such process, or it is not yours");
        };
        let done = Arc::new(AtomicBool::new(false));
        let is_over = done.clone();
        let thread = std::thread::spawn(move || {
            let mut began = None;
            while began.is_none_or(|began: Instant| began.elapsed() < after) {
                if began.is_none() && begun.load(Ordering::Relaxed) {
                    began = Some(instant());
                }
                if is_over.load(Ordering::Relaxed) {
                    bail!("the run was over before the server was to be killed");
                }
                idle::rest(LOOK);
            }
            kill_process(victim, Signal::KILL).context("cannot kill the server")?;
            wait_for_end(victim)?;
            restart.map_or(Ok(()), |command| start(&command))
        });
        Ok(Kill { done, thread })
    }

    /// What came of it, as a remark.
    pub(crate) fn told(self) -> anyhow::Result<String> {
        self.done.store(true, Ordering::Relaxed);
        let ended = self.thread.join();
        ended.map_err(|_| anyhow::anyhow!("the killer panicked"))??;
        Ok("The server was killed with SIGKILL in the middle of the run".into())
    }
}

/// The port must be free, and locks must be gone, before it is started again.
fn wait_for_end(victim: Pid) -> anyhow::Result<()> {
    let began = instant();
    while is_running(victim) {
        if began.elapsed() > END_MAX {
            bail!("the server does not end, although it was killed");
        }
        idle::rest(Duration::from_millis(5));
    }
    Ok(())
}

/// A zombie whose threads are gone has let go of everything, but who started it has not looked yet.
fn is_running(victim: Pid) -> bool {
    let folder = format!("/proc/{}", victim.as_raw_nonzero());
    let stat = std::fs::read_to_string(format!("{folder}/stat")).ok();
    let state = stat.and_then(|stat| {
        let rest = stat.rsplit_once(')')?.1;
        rest.trim_start().chars().next()
    });
    let threads = std::fs::read_dir(format!("{folder}/task")).map_or(0, Iterator::count);
    state.is_some_and(|state| !matches!(state, 'Z' | 'X') || threads > 1)
}

/// Runs the command, again and again for a while where it fails at once: a ring that the kernel
/// still takes down holds locks and ports of its dead process.
fn start(command: &str) -> anyhow::Result<()> {
    let began = instant();
    loop {
        let mut child = spawn(command)?;
        let spawned = instant();
        let mut ended = None;
        while ended.is_none() && spawned.elapsed() < FAILS_WITHIN {
            idle::rest(LOOK);
            ended = child.try_wait()?;
        }
        match ended.filter(|status| !status.success()) {
            None => return Ok(()),
            Some(status) if began.elapsed() > END_MAX => {
                bail!("--restart `{command}` fails again and again: {status}");
            }
            Some(_) => idle::rest(AGAIN),
        }
    }
}

fn spawn(command: &str) -> anyhow::Result<Child> {
    use std::os::unix::process::CommandExt;
    Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        // Ctrl-C is for us, and the server goes on when we have ended.
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot run --restart `{command}`"))
}

/// A command that ends later than this has started the server.
const FAILS_WITHIN: Duration = Duration::from_secs(1);

/// Between two attempts to start it.
const AGAIN: Duration = Duration::from_millis(200);

const LOOK: Duration = Duration::from_millis(10);

/// A killed process that has much memory takes a while.
const END_MAX: Duration = Duration::from_secs(30);

//! One user: sessions of some connections, of which the first reads and the others only idle.
//!
//! ```text
//! away ──► log in ──► read what is new ──► answer, delete, move ──► IDLE ──► EXISTS ─┐
//!  ▲                        ▲                                         │              │
//!  │                        └─────────────────────────────────────────┼──────────────┘
//!  └──────────────────────────── the stay is over ◄───────────────────┘
//! ```

use super::day::{Care, Stay};
use super::shard::Shard;
use crate::client::imap::Session;
use crate::client::imap::mailbox::{Found, Part};
use crate::measure::answer::{Answer, Loss};
use crate::measure::histogram::Step;
use crate::scenario::imap::Deleted;
use engine::reactor::clock::monotonic_micros;
use engine::reactor::{sleep, spawn};
use std::io;
use std::rc::Rc;
use std::time::Duration;

/// Where moved messages go.
pub(super) const ARCHIVE: &str = "Archive";

pub(super) struct User {
    shard: Rc<Shard>,
    number: u32,
    /// The first UID that was not read yet.
    uid_next: u32,
}

/// What an idler has seen, to tell how long arrivals took.
struct Watch {
    began_micros: u64,
    known: u32,
}

impl User {
    pub(super) fn new(shard: Rc<Shard>, number: u32, uid_next: u32) -> User {
        User {
            shard,
            number,
            uid_next,
        }
    }

    /// All stays of the run.
    pub(super) async fn live(mut self) {
        let plan = self.shard.plan.clone();
        for stay in plan.day.stays(self.number, plan.length) {
            self.sleep_until(stay.from).await;
            if self.shard.board.is_stopped() {
                return;
            }
            for nth in 1..stay.connections {
                let (shard, number) = (self.shard.clone(), self.number);
                spawn(async move {
                    let idler = User::new(shard, number, u32::MAX);
                    let until = idler.at(stay.until);
                    idler.note(Box::pin(idler.idle_only(nth, until)).await);
                });
            }
            let ended = Box::pin(self.stay(stay)).await;
            self.note(ended);
            self.sleep_until(stay.until).await;
        }
    }

    /// One session of the connection that reads.
    async fn stay(&mut self, stay: Stay) -> io::Result<()> {
        let until = self.at(stay.until);
        let Some(mut session) = self.open(0).await? else {
            return Ok(());
        };
        let mut watch = None;
        loop {
            self.read(&mut session, watch).await?;
            let left = until.saturating_sub(monotonic_micros());
            if left == 0 || self.shard.board.is_stopped() {
                break;
            }
            let began_micros = monotonic_micros();
            let known = session.exists;
            if !self.entered(session.idle().await?) {
                break;
            }
            let mut is_over = session.exists > known;
            while !is_over {
                let left = until.saturating_sub(monotonic_micros()).max(1);
                match session.listen(Some(Duration::from_micros(left))).await {
                    Ok(()) => is_over = session.exists > known,
                    Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                        self.shard.learn(&mut session.marks);
                        return self.close(session).await;
                    }
                    Err(error) => return self.lose(session, error),
                }
            }
            watch = Some(Watch {
                began_micros,
                known,
            });
            let left = session.done().await?;
            self.judge(left);
        }
        self.close(session).await
    }

    /// A connection that only idles, as those of telephones do.
    async fn idle_only(&self, nth: u32, until: u64) -> io::Result<()> {
        let Some(mut session) = self.open(nth).await? else {
            return Ok(());
        };
        if !self.entered(session.idle().await?) {
            return self.close(session).await;
        }
        self.shard.learn(&mut session.marks);
        loop {
            let left = until.saturating_sub(monotonic_micros()).max(1);
            match session.listen(Some(Duration::from_micros(left))).await {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    return self.close(session).await;
                }
                Err(error) => return self.lose(session, error),
            }
        }
    }

    /// Logs in and selects the INBOX; `None` where that was refused, which is counted.
    async fn open(&self, nth: u32) -> io::Result<Option<Session>> {
        let plan = &self.shard.plan;
        let name = plan.accounts.name(self.number);
        // Connections of one user come from several addresses.
        let place = self.number.wrapping_add(nth * 7);
        let opened = Session::log_in(&plan.access, name, place).await;
        let mut session = match opened {
            Ok((session, _)) => session,
            Err(refused) => {
                self.judge(refused.answer);
                return Ok(None);
            }
        };
        self.shard.connected.set(self.shard.connected.get() + 1);
        let selected = session.select("INBOX").await?;
        if !self.judge(selected) {
            self.close(session).await?;
            return Ok(None);
        }
        Ok(Some(session))
    }

    /// Reads what is new and cares for each message.
    async fn read(&mut self, session: &mut Session, watch: Option<Watch>) -> io::Result<()> {
        let mut fresh: Vec<Found> = Vec::new();
        let (heard, exists) = (session.grew_micros, session.exists);
        let began = monotonic_micros();
        let answer = session
            .read_from(self.uid_next, Part::Whole, |found| {
                if fresh.len() < FRESH_MAX {
                    fresh.push(found);
                }
            })
            .await?;
        self.judge(answer);
        if let Some(watch) = watch {
            let told = exists.saturating_sub(watch.known) as usize;
            self.record(fresh.iter().take(told), heard, watch.began_micros);
        }
        if !fresh.is_empty() {
            let took = monotonic_micros().saturating_sub(began);
            self.shard
                .tally
                .borrow_mut()
                .latencies
                .record(Step::Fetch, took);
        }
        for found in fresh {
            self.uid_next = self.uid_next.max(found.uid.saturating_add(1));
            if found.stamp.run == self.shard.plan.run {
                self.care(session, found).await?;
            }
        }
        self.shard.learn(&mut session.marks);
        Ok(())
    }

    /// Arrivals that began while the connection idled took until it heard of them.
    fn record<'f>(&self, found: impl Iterator<Item = &'f Found>, heard: u64, began: u64) {
        let mut tally = self.shard.tally.borrow_mut();
        for found in found {
            let start = found.stamp.start_micros;
            if found.stamp.run == self.shard.plan.run && (began..=heard).contains(&start) {
                tally.latencies.record(Step::Exists, heard - start);
            }
        }
    }

    async fn care(&self, session: &mut Session, found: Found) -> io::Result<()> {
        let (uid, number) = (found.uid, found.stamp.number);
        match self.shard.plan.day.care(self.number, number) {
            Care::Keep => self.flag(session, uid, "\\Seen").await.map(drop),
            Care::Answer => {
                self.flag(session, uid, "\\Seen \\Answered").await?;
                self.shard.submit(self.number).await;
                Ok(())
            }
            Care::Delete => {
                let at = self.shard.deleted.borrow().len();
                self.shard.deleted.borrow_mut().push(Deleted {
                    number,
                    account: self.number,
                    is_answered: false,
                });
                let is_gone = self.expunge(session, uid).await?;
                if let Some(deleted) = self.shard.deleted.borrow_mut().get_mut(at) {
                    deleted.is_answered = is_gone;
                }
                Ok(())
            }
            Care::Move => self.archive(session, uid).await,
        }
    }

    async fn flag(&self, session: &mut Session, uid: u32, flags: &str) -> io::Result<bool> {
        let command = format!("UID STORE {uid} +FLAGS.SILENT ({flags})");
        let answer = session.timed(Step::Store, &command).await?;
        Ok(self.judge(answer))
    }

    /// Whether the server said that it is gone.
    async fn expunge(&self, session: &mut Session, uid: u32) -> io::Result<bool> {
        if !self.flag(session, uid, "\\Deleted").await? {
            return Ok(false);
        }
        let command = match session.offer.uid_plus {
            true => format!("UID EXPUNGE {uid}"),
            false => "EXPUNGE".to_owned(),
        };
        let answer = session.timed(Step::Expunge, &command).await?;
        Ok(self.judge(answer))
    }

    async fn archive(&self, session: &mut Session, uid: u32) -> io::Result<()> {
        if session.offer.moves {
            let command = format!("UID MOVE {uid} {ARCHIVE}");
            let answer = session.timed(Step::Move, &command).await?;
            self.judge(answer);
            return Ok(());
        }
        let command = format!("UID COPY {uid} {ARCHIVE}");
        let answer = session.timed(Step::Move, &command).await?;
        if self.judge(answer) {
            self.expunge(session, uid).await?;
        }
        Ok(())
    }

    /// Whether IDLE was entered; a refusal is counted.
    fn entered(&self, refused: Option<Answer>) -> bool {
        refused.is_none_or(|answer| {
            self.judge(answer);
            false
        })
    }

    /// Counts what is no success.
    fn judge(&self, answer: Answer) -> bool {
        if !answer.is_positive() {
            self.shard
                .failed_steps
                .set(self.shard.failed_steps.get() + 1);
            self.shard.tally.borrow_mut().hear(answer);
        }
        answer.is_positive()
    }

    fn note(&self, ended: io::Result<()>) {
        if let Err(error) = ended {
            self.judge(Answer::from(&error));
        }
    }

    async fn close(&self, session: Session) -> io::Result<()> {
        self.shard.connected.set(self.shard.connected.get() - 1);
        session.leave().await;
        Ok(())
    }

    fn lose(&self, session: Session, error: io::Error) -> io::Result<()> {
        self.shard.connected.set(self.shard.connected.get() - 1);
        drop(session);
        match Answer::from(&error) {
            // Servers end idle connections when they are told to end.
            Answer::Lost(Loss::Ended) if self.shard.board.is_stopped() => Ok(()),
            _ => Err(error),
        }
    }

    /// A moment of the run on the monotonic clock.
    fn at(&self, since: Duration) -> u64 {
        self.shard.began_micros + since.as_micros() as u64
    }

    async fn sleep_until(&self, since: Duration) {
        let left = self.at(since).saturating_sub(monotonic_micros());
        sleep(Duration::from_micros(left)).await;
    }
}

/// Messages that are cared for at once; the next reading has the others.
const FRESH_MAX: usize = 1_000;

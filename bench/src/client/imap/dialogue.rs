//! Commands and their answers, one at a time.

use super::Session;
use super::response::{Kind, Listener, Nobody, kind, number_behind, numbered};
use crate::measure::answer::Answer;
use crate::measure::histogram::Step;
use engine::reactor::clock::monotonic_micros;
use std::io::{self, ErrorKind, IoSlice};
use std::time::Duration;

impl Session {
    /// Sends a command and waits for its answer.
    pub(crate) async fn ask(&mut self, command: &str) -> io::Result<Answer> {
        self.ask_with(command, &mut Nobody).await
    }

    /// As [`Session::ask`]; the listener hears what comes before the answer.
    pub(crate) async fn ask_with(
        &mut self,
        command: &str,
        listener: &mut impl Listener,
    ) -> io::Result<Answer> {
        self.stream.set_patience(self.access.patience);
        self.begin_command(command);
        self.out.extend_from_slice(b"\r\n");
        self.send_out().await?;
        self.answer(listener).await
    }

    /// As [`Session::ask`], and notes how long it took.
    pub(crate) async fn timed(&mut self, step: Step, command: &str) -> io::Result<Answer> {
        let began = monotonic_micros();
        let answer = self.ask(command).await?;
        self.mark(step, began, self.responses.heard_micros);
        Ok(answer)
    }

    /// Sends what a continuation asks for.
    pub(super) async fn go_on(&mut self, line: &[u8]) -> io::Result<Answer> {
        self.stream
            .send(&mut [IoSlice::new(line), IoSlice::new(b"\r\n")])
            .await?;
        self.answer(&mut Nobody).await
    }

    /// Enters IDLE (RFC 2177); the answer comes at its end, or at once when it is refused.
    pub(crate) async fn idle(&mut self) -> io::Result<Option<Answer>> {
        let began = monotonic_micros();
        self.stream.set_patience(self.access.patience);
        self.begin_command("IDLE\r\n");
        self.send_out().await?;
        let refused = self.until_continued().await?;
        if refused.is_none() {
            self.is_idle = true;
            self.mark(Step::Idle, began, self.responses.heard_micros);
        }
        Ok(refused)
    }

    /// Waits in IDLE until the server says something, for no longer than `patience`; when that ends
    /// the session is over ([`ErrorKind::TimedOut`]). `None` waits for ever, in little memory.
    pub(crate) async fn listen(&mut self, patience: Option<Duration>) -> io::Result<()> {
        match patience {
            Some(patience) => self.stream.set_patience(patience),
            None => {
                self.stream.clear_patience();
                self.responses.shrink();
                self.out = Vec::new();
            }
        }
        match self.hear(&mut Nobody).await? {
            Kind::Untagged | Kind::Continue => Ok(()),
            // RFC 2177: a server may end it; nobody does so without a reason.
            Kind::Tagged(_) => Err(ErrorKind::InvalidData.into()),
        }
    }

    /// Enters IDLE, waits for as long as it takes until a message arrives, and leaves it.
    pub(crate) async fn wait(&mut self) -> io::Result<()> {
        let known = self.exists;
        if let Some(refused) = self.idle().await? {
            return Err(io::Error::other(format!("IDLE: {refused}")));
        }
        while self.exists <= known {
            self.listen(None).await?;
        }
        let answer = self.done().await?;
        match answer.is_positive() {
            true => Ok(()),
            false => Err(io::Error::other(format!("DONE: {answer}"))),
        }
    }

    /// Leaves IDLE.
    pub(crate) async fn done(&mut self) -> io::Result<Answer> {
        self.stream.set_patience(self.access.patience);
        self.is_idle = false;
        self.go_on(b"DONE").await
    }

    /// Says goodbye without waiting for the answer.
    pub(crate) async fn leave(mut self) {
        self.begin_command("LOGOUT\r\n");
        if self.is_idle {
            self.out.splice(..0, *b"DONE\r\n");
        }
        // Whoever has gone already needs no goodbye.
        let _ = self.send_out().await;
    }

    /// Reads until the answer to the last command.
    pub(super) async fn answer(&mut self, listener: &mut impl Listener) -> io::Result<Answer> {
        loop {
            match self.hear(listener).await? {
                Kind::Tagged(answer) => return Ok(answer),
                Kind::Untagged => {}
                Kind::Continue => return Err(ErrorKind::InvalidData.into()),
            }
        }
    }

    /// Reads until the server wants more, or refuses.
    pub(super) async fn until_continued(&mut self) -> io::Result<Option<Answer>> {
        loop {
            match self.hear(&mut Nobody).await? {
                Kind::Continue => return Ok(None),
                Kind::Tagged(answer) => return Ok(Some(answer)),
                Kind::Untagged => {}
            }
        }
    }

    /// Reads one response.
    async fn hear(&mut self, listener: &mut impl Listener) -> io::Result<Kind> {
        self.responses.next(&mut self.stream, listener).await?;
        let text = self.responses.text();
        let kind = kind(text, self.tag)?;
        if kind == Kind::Untagged {
            listener.untagged(text, self.responses.heard_micros);
            match numbered(text) {
                Some((number, b"EXISTS")) => {
                    self.exists = number;
                    self.grew_micros = self.responses.heard_micros;
                }
                None => {
                    if let Some(next) = number_behind(text, b"[UIDNEXT ") {
                        self.uid_next = next;
                    }
                }
                Some((_, b"EXPUNGE")) => self.exists = self.exists.saturating_sub(1),
                _ => {}
            }
        }
        Ok(kind)
    }

    /// A new tag and the command, without its end.
    pub(super) fn begin_command(&mut self, command: &str) {
        self.tag = self.tag.wrapping_add(1);
        let mut digits = itoa::Buffer::new();
        self.out.clear();
        self.out.push(b'a');
        self.out
            .extend_from_slice(digits.format(self.tag).as_bytes());
        self.out.push(b' ');
        self.out.extend_from_slice(command.as_bytes());
    }

    pub(super) async fn send_out(&mut self) -> io::Result<()> {
        self.stream.send(&mut [IoSlice::new(&self.out)]).await
    }
}

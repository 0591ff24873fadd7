//! APPEND and REPLACE: messages stream into the log while they come, and then are there all at once
//! or not at all (RFC 9051 §6.3.12, RFC 3502, RFC 4469, RFC 3516 §4.4, RFC 6855 §4, RFC 7888,
//! RFC 7889, RFC 8508).
//!
//! Whatever can be known to fail is refused before the client is asked for the octets. A client
//! that does not ask has them thrown away by the receiver, or is sent away when they are too many.

use super::Session;
use super::dialogue::{Dialogue, Piece};
use super::io::{Ended, Io};
use super::mailstore::{Mailstore, Picture};
use super::reply::{Reply, say};
use super::sequence;
use super::sharing::narrow;
use crate::wire::imap::append::{Append, Literal, Replaced, Step};
use crate::wire::imap::command::SequenceSet;
use crate::wire::imap::response::code::{self, Code};
use crate::wire::imap::response::text;
use crate::wire::imap::rights::Rights;
use store::error::ChangeError;
use store::limit::APPENDED_TOGETHER_MAX;
use store::mail::id::{MailboxId, Uid};
use store::shard::{Appended, FlagNames, NewMessage};

/// Octets of messages that wait in memory for the end of their command.
const HELD_BYTES_MAX: u64 = 1 << 20;

/// Messages and parts of messages that one command may name.
const STEPS_MAX: usize = 64 << 10;

/// What an APPEND has gathered so far.
pub(super) struct Gathered<S: Mailstore> {
    pub(super) messages: Vec<NewMessage<S::Body>>,
    /// Octets of all messages, and of the one that is being put together.
    octets: u64,
    message_octets: u64,
    /// Octets since the bodies were last moved out of memory.
    held: u64,
    steps: usize,
    /// What may still be stored; `None` without a quota.
    room: Option<u64>,
    bytes_max: u64,
    /// What the user may do with the target.
    rights: Rights,
    /// The mailbox that a URL named last, and the view of it.
    pub(super) seen: Option<(MailboxId, S::View)>,
}

/// A mailbox, and what goes there when the message is in another.
struct Target {
    mailbox: MailboxId,
    replaces: Option<(MailboxId, Uid)>,
}

/// A message that is not kept, or the end of the dialogue.
pub(super) enum Stop {
    Refused(Reply),
    Ended(Ended),
}

impl From<Ended> for Stop {
    fn from(ended: Ended) -> Stop {
        Stop::Ended(ended)
    }
}

impl From<Reply> for Stop {
    fn from(reply: Reply) -> Stop {
        Stop::Refused(reply)
    }
}

impl<S: Mailstore> Session<S> {
    pub(super) async fn append<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        append: Append,
    ) -> Result<Reply, Ended> {
        match self.append_whole(dialogue, append).await {
            Ok(reply) | Err(Stop::Refused(reply)) => Ok(reply),
            Err(Stop::Ended(ended)) => Err(ended),
        }
    }

    async fn append_whole<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        append: Append,
    ) -> Result<Reply, Stop> {
        let target = self.append_target(&append)?;
        let mut gathered = self.gather_nothing(&target);
        let mut steps = append.steps;
        while let Some(literal) = self.take(dialogue, &mut gathered, steps).await? {
            dialogue.receiver().accept_message();
            if !literal.non_synchronizing {
                code::go_ahead(dialogue.out());
            }
            steps = self.arrive(dialogue, &mut gathered, literal).await?;
        }
        let messages = gathered.messages;
        let Target { mailbox, replaces } = target;
        match self
            .store
            .append(self.account, mailbox, messages, replaces)
            .await
        {
            Ok(appended) if appended.uids.is_empty() => Ok(Reply::expunge_issued()),
            Ok(appended) => Ok(told(dialogue, appended, replaces.is_some()).await?),
            Err(ChangeError::NoMailbox) => Ok(Reply::try_create()),
            Err(error) => Ok(Reply::failed(&error)),
        }
    }

    /// Where the messages go, or why they go nowhere.
    fn append_target(&self, append: &Append) -> Result<Target, Reply> {
        let replaces = match &append.replaces {
            Some(replaced) => Some(self.replaced(replaced)?),
            None => None,
        };
        let Some(target) = self.store.mailbox(self.account, &append.mailbox) else {
            return Err(Reply::try_create());
        };
        Ok(Target {
            mailbox: target.id,
            replaces,
        })
    }

    /// RFC 8508 §3.1: the message that is replaced is one of the selected mailbox.
    fn replaced(&self, replaced: &Replaced) -> Result<(MailboxId, Uid), Reply> {
        let Some(selected) = &self.selected else {
            return Err(Reply::not_selected());
        };
        if selected.read_only {
            return Err(Reply::read_only());
        }
        let set = SequenceSet::Ranges(vec![(replaced.number, replaced.number)]);
        let uids = sequence::messages(&selected.view, &set, replaced.uid, &selected.saved);
        let uids = uids.map_err(|_| Reply::out_of_range())?;
        match uids.iter().next() {
            Some(uid) if self.store.row(&selected.view, uid).is_some() => {
                Ok((selected.view.mailbox(), uid))
            }
            Some(_) => Err(Reply::expunge_issued()),
            None => Err(Reply::no(say::NOTHING_THERE)),
        }
    }

    fn gather_nothing(&self, target: &Target) -> Gathered<S> {
        let (used, quota) = self.store.usage(self.account);
        let freed = target.replaces.and_then(|(_, uid)| {
            let selected = self.selected.as_ref()?;
            self.store.row(&selected.view, uid)
        });
        let freed = freed.map_or(0, |row| u64::from(row.octets));
        Gathered {
            messages: Vec::new(),
            octets: 0,
            message_octets: 0,
            held: 0,
            steps: 0,
            room: quota.map(|quota| quota.saturating_sub(used.saturating_sub(freed))),
            bytes_max: self.terms.append_bytes_max,
            rights: self.rights_on(target.mailbox),
            seen: None,
        }
    }

    /// Takes the steps of a stretch, and says what octets come behind them.
    async fn take<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        gathered: &mut Gathered<S>,
        steps: Vec<Step>,
    ) -> Result<Option<Literal>, Stop> {
        gathered.steps += steps.len();
        if gathered.steps > STEPS_MAX {
            return Err(Reply::no(text::LIMIT_REACHED).with(Code::Limit).into());
        }
        for step in steps {
            match step {
                Step::Begin { mut flags, date } => {
                    narrow(&mut flags, gathered.rights);
                    if gathered.messages.len() == self.messages_max() {
                        return Err(too_many_messages(self.messages_max()).into());
                    }
                    gathered.message_octets = 0;
                    gathered.messages.push(NewMessage {
                        body: self.store.body(),
                        names: FlagNames {
                            flags: flags.flags,
                            keywords: flags.keywords,
                        },
                        date: date.unwrap_or_else(|| (self.terms.now)()),
                    });
                }
                Step::Url(url) => self.catenate(dialogue, gathered, url).await?,
                Step::Octets(literal) => {
                    self.may_come(gathered, literal)?;
                    return Ok(Some(literal));
                }
                Step::End => self.end_message(gathered).await?,
            }
        }
        Ok(None)
    }

    /// Messages of one command.
    fn messages_max(&self) -> usize {
        let wanted = self
            .terms
            .messages_max
            .and_then(|max| usize::try_from(max).ok());
        wanted.map_or(APPENDED_TOGETHER_MAX, |max| max.min(APPENDED_TOGETHER_MAX))
    }

    fn may_come(&self, gathered: &mut Gathered<S>, literal: Literal) -> Result<(), Reply> {
        // RFC 6855 §4. RFC 9755 §4 would have us refuse headers beyond ASCII without ENABLE, too:
        // who moves old mail here would lose it, so that it is taken, and shown in ASCII.
        if literal.utf8 && !self.utf8() {
            return Err(Reply::bad(say::ENABLE_UTF8_FIRST));
        }
        // RFC 3502 §6.3.11: a literal of no octets gives up the whole command.
        if literal.octets == 0 && !literal.is_part {
            return Err(Reply::no(say::EMPTY_MESSAGE));
        }
        gathered.grow(literal.octets)
    }

    /// Every message is whole only when the last of its parts came.
    async fn end_message(&self, gathered: &mut Gathered<S>) -> Result<(), Reply> {
        if gathered.message_octets == 0 {
            return Err(Reply::no(say::EMPTY_MESSAGE));
        }
        if gathered.held > HELD_BYTES_MAX {
            gathered.held = 0;
            let bodies = self.store.body_spill(&mut gathered.messages).await;
            bodies.map_err(|error| Reply::failed(&error))?;
        }
        Ok(())
    }

    /// Takes all of the announced octets, even when the log has given up on them, and what stands
    /// behind.
    async fn arrive<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        gathered: &mut Gathered<S>,
        literal: Literal,
    ) -> Result<Vec<Step>, Stop> {
        let body = gathered.body();
        let mut refused = None;
        loop {
            match dialogue.piece().await? {
                Piece::Octets(_) if refused.is_some() => {}
                // RFC 9051 §9, CHAR8: NUL only in a literal8.
                Piece::Octets(octets) if !literal.binary && memchr::memchr(0, octets).is_some() => {
                    refused = Some(Reply::no(text::MESSAGE_NUL));
                }
                Piece::Octets(octets) => {
                    if let Err(error) = self.store.body_write(body, octets).await {
                        refused = Some(Reply::failed(&error));
                    }
                }
                Piece::More(Err(bad)) => return Err(Reply::malformed(bad.fault).into()),
                Piece::More(Ok(steps)) => {
                    return match refused {
                        Some(reply) => Err(reply.into()),
                        None => Ok(steps),
                    };
                }
            }
        }
    }
}

impl<S: Mailstore> Gathered<S> {
    /// Counts octets that are about to be put behind the present message.
    pub(super) fn grow(&mut self, octets: u64) -> Result<(), Reply> {
        self.message_octets = self.message_octets.saturating_add(octets);
        self.octets = self.octets.saturating_add(octets);
        self.held = self.held.saturating_add(octets);
        if self.message_octets > self.bytes_max {
            return Err(Reply::no(text::MESSAGE_TOO_BIG).with(Code::TooBig));
        }
        if self.room.is_some_and(|room| self.octets > room) {
            return Err(Reply::failed(&ChangeError::OverQuota));
        }
        Ok(())
    }

    /// The message that is being put together.
    pub(super) fn body(&mut self) -> &mut S::Body {
        let message = self.messages.last_mut();
        &mut message
            .expect("the parser begins a message before its parts")
            .body
    }
}

/// RFC 8508 §3.3: the UID is told before the EXPUNGE, which the sync tells.
async fn told<I: Io>(
    dialogue: &mut Dialogue<I>,
    appended: Appended,
    has_replaced: bool,
) -> Result<Reply, Ended> {
    let Appended { uid_validity, uids } = appended;
    let reply = Reply::ok(text::APPEND_DONE).with_append_uid(uid_validity, uids);
    if !has_replaced {
        return Ok(reply);
    }
    reply.write_untagged(dialogue.out());
    dialogue.flush_if_full().await?;
    Ok(Reply::ok(say::REPLACE_DONE))
}

/// RFC 9738 §3.
fn too_many_messages(most: usize) -> Reply {
    let most = u32::try_from(most).unwrap_or(u32::MAX);
    Reply::no(say::TOO_MANY_MESSAGES).with(Code::MessageLimit(most, None))
}

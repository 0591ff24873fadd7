//! Tells senders what became of their mail: through the front door, like any other message.
//!
//! The end of a recipient and the notice of it are said in one frame: after a crash both are there
//! or neither. A notice comes from the null reverse-path, and of mail from there nobody is told. A
//! notice that has no way is named in the log; its recipients end all the same.

use super::dispatch::Dispatcher;
use super::dsn::{self, Class, Event, Facts, Original, Status, Told, Words, classify, is_due};
use super::origin;
use super::outcome::Tried;
use super::terms::Terms;
use super::way_back::{WayBack, is_copied};
use crate::event;
use crate::intake::queue_id;
use crate::post::Submitted;
use crate::session::smtp;
use std::collections::BTreeMap;
use store::error::{ChangeError, ReadError};
use store::mail::address::Address;
use store::mail::envelope::{Notify, Ret};
use store::mail::id::{ItemId, ObjectId, QueueId};
use store::shard::{End, Ending, HAS_ENDED, HostReply, Item, Note, Queued};

/// What is to be told of one recipient.
#[derive(Clone, Debug)]
pub(super) struct News {
    pub(super) item: Item,
    pub(super) event: Event,
    pub(super) said: HostReply,
    /// Said in the frame of the notice.
    pub(super) end: Option<End>,
}

impl News {
    pub(super) fn late(tried: &Tried) -> News {
        News {
            item: tried.item.clone(),
            event: Event::Delayed,
            said: tried.said.clone(),
            end: None,
        }
    }

    pub(super) fn of_end(tried: Tried, end: End, event: Event) -> News {
        News {
            item: tried.item,
            event,
            said: tried.said,
            end: Some(end),
        }
    }
}

impl Dispatcher {
    /// Tells of recipients, and says their ends. When this is ready, the ends are durable.
    pub(super) async fn tell(&self, news: Vec<News>) -> Result<(), ChangeError> {
        let mut by_record: BTreeMap<ObjectId, Vec<News>> = BTreeMap::new();
        for one in news {
            by_record.entry(one.item.record).or_default().push(one);
        }
        for news in by_record.into_values() {
            self.tell_of(news).await?;
        }
        Ok(())
    }

    /// Recipients of one message.
    async fn tell_of(&self, news: Vec<News>) -> Result<(), ChangeError> {
        let ends = || news.iter().filter_map(|one| one.end.clone());
        let items: Vec<ItemId> = news.iter().map(|one| one.item.id).collect();
        let notice = match self.read(&items).await {
            Ok((queued, octets)) => self.draft(&news, &queued, &octets),
            Err(error) => {
                // Its end may still be said; whom to tell is lost with it.
                event!(
                    Error,
                    "notice lost",
                    item = news.first().map_or(0, |one| one.item.id.0),
                    why = error.to_string()
                );
                None
            }
        };
        let Some((submitted, octets)) = notice else {
            return self.store.note(ends().map(Note::End).collect()).await;
        };
        let queue = submitted.queue;
        match self
            .intake
            .take_own(octets, submitted, ends().collect())
            .await
        {
            Ok(taken) => {
                let lost = taken.shares.iter().filter_map(|share| share.as_ref().err());
                lost.for_each(|error| self.name_lost(&queue_id::text(queue), &error.to_string()));
                Ok(())
            }
            // Somebody ended one of them meanwhile: what is left is said without a notice.
            Err(ChangeError::Cannot(HAS_ENDED)) => {
                self.store.note(ends().map(Note::End).collect()).await
            }
            Err(error) => Err(error),
        }
    }

    /// Envelope and what a notice may return of the message.
    async fn read(&self, items: &[ItemId]) -> Result<(Queued, Vec<u8>), ReadError> {
        let (queued, _) = origin::settled(self.store.queued(items).await?);
        let returned = queued.message.octets.min(READ_BYTES_MAX);
        let octets = self.store.read(&queued.message, 0, returned).await?;
        Ok((queued, octets))
    }

    /// The notice of everything that is due, if there is any and it has a way.
    fn draft(&self, news: &[News], queued: &Queued, octets: &[u8]) -> Option<(Submitted, Vec<u8>)> {
        let config = self.live.config.load_full();
        let copies = config.outbound.queue.postmaster_copies;
        let sender = queued.source.reverse_path.as_ref();
        let now = self.now();
        let queue = self.queue_ids.next(now.unix_millis * 1000);
        let id = queue_id::text(queue);
        let terms = terms_of(queued);
        let replies: Vec<String> = news.iter().map(|one| reply_line(&one.said)).collect();
        let now_secs = now.unix_secs() as i64;
        let told = |is_meant: &dyn Fn(&News, Notify) -> bool| -> Vec<Told<'_>> {
            let by = (now_secs, is_meant);
            let news = news.iter().zip(&replies);
            let told = news.filter_map(|(one, reply)| told(one, reply, queued, by));
            told.collect()
        };
        let due = told(&|one, notify| is_due(one.event, notify, sender));
        let copied = told(&|one, _| is_copied(copies, one.event));
        let postmaster = Address::new("postmaster", config.hostname.clone());
        let copy = Some(&postmaster).filter(|_| !copied.is_empty());
        let (to, told) = match sender.filter(|_| !due.is_empty()) {
            Some(sender) => (sender, due),
            None => (copy?, copied),
        };
        let facts = Facts {
            host: &config.hostname,
            id: &id,
            now_secs,
            original: Original {
                reverse_path: Some(to),
                queue_id: &queue_id::text(queued.queue),
                arrived_secs: queued.received_secs,
                envid: queued.source.envid.as_deref(),
                by_secs: terms.by.map(|by| by.at_secs),
                // RFC 8689 §5: what was to be secret is not shown on a way that may not be.
                ret: match terms.require_tls {
                    true => Some(Ret::Headers),
                    false => queued.source.ret,
                },
                smtputf8: queued.source.smtputf8,
                octets,
                size: queued.message.octets,
            },
            recipients: &told,
        };
        let notice = dsn::build(&facts)?;
        let asked = smtp::Terms {
            require_tls: terms.require_tls,
            priority: news.first().map_or(0, |one| one.item.priority),
            ..smtp::Terms::default()
        };
        let way = WayBack {
            live: &self.live,
            shard: self.shard,
            now_secs,
        };
        let is_of_notice = sender.is_none();
        let submitted = way.with_copy(queue, (to, copy), is_of_notice, &notice, &asked);
        let Some(submitted) = submitted else {
            self.name_lost(&id, "there is no way to the sender");
            return None;
        };
        self.name_notice(&id, queued.queue, to, &told);
        Some((submitted, notice.octets))
    }

    fn name_notice(&self, id: &str, of: QueueId, to: &Address, told: &[Told<'_>]) {
        event!(
            Info,
            "notice",
            queue_id = id,
            of = queue_id::text(of),
            to = to.to_string(),
            event = told.first().map_or("", |told| told.event.action()),
            recipients = told.len(),
        );
    }

    fn name_lost(&self, id: &str, why: &str) {
        event!(Warn, "notice not delivered", queue_id = id, why = why);
    }
}

/// What the sender asked of the way.
fn terms_of(queued: &Queued) -> Terms {
    let first = queued.recipients.first();
    first.map_or_else(Terms::default, |(_, leaving)| Terms::of(leaving))
}

/// Whether a notice is to tell of a recipient with these wishes.
type IsMeant<'f> = dyn Fn(&News, Notify) -> bool + 'f;

/// What a notice says of one recipient, if it is to say anything.
fn told<'a>(
    news: &'a News,
    reply: &'a str,
    queued: &'a Queued,
    (now_secs, is_meant): (i64, &IsMeant<'_>),
) -> Option<Told<'a>> {
    let of_item = |(item, _): &&(ItemId, _)| *item == news.item.id;
    let (_, leaving) = queued.recipients.iter().find(of_item)?;
    if !is_meant(news, leaving.notify) {
        return None;
    }
    let status = news.said.enhanced.map_or_else(
        || Status::of_reply(reply.as_bytes()),
        |said| Status::new(said.class, said.subject, said.detail),
    );
    let is_late = news.event == Event::Delayed;
    let has_expired = news
        .end
        .as_ref()
        .is_some_and(|end| end.ending == Ending::Expired);
    let late_from = Terms::of(leaving).late_from();
    let status = match news.event {
        // What was tried in vain until its time was over has failed for good.
        Event::Failed if has_expired => Status::new(5, 4, 7),
        Event::Failed => Status { class: 5, ..status },
        Event::Delayed if late_from.is_some_and(|late| late <= now_secs) => Status::new(4, 4, 7),
        Event::Delayed => Status { class: 4, ..status },
        _ => Status { class: 2, ..status },
    };
    Some(Told {
        address: &leaving.address,
        orcpt: leaving.orcpt.as_deref(),
        event: news.event,
        class: class_of(&news.said),
        status,
        words: match news.said.code {
            0 => Words::Local(&news.said.text),
            _ => Words::Remote {
                host: &news.said.host,
                reply: reply.as_bytes(),
            },
        },
        attempt_secs: news.end.as_ref().map(|end| end.at_secs),
        retry_until_secs: is_late.then_some(i64::from(news.item.expiry_secs)),
    })
}

/// Why a recipient was not taken.
pub(super) fn class_of(said: &HostReply) -> Class {
    let is_of_tls = ["TLS handshake: ", "STARTTLS: "]
        .iter()
        .any(|stage| said.text.starts_with(stage));
    match (said.code, said.enhanced) {
        (0, _) if is_of_tls => Class::Tls,
        // Our own words are not those that other hosts use.
        (0, Some(status)) => Class::of_own(status.subject, status.detail),
        _ => classify(reply_line(said).as_bytes()),
    }
}

/// A reply in one line, as it came or as it would have come.
fn reply_line(said: &HostReply) -> String {
    let code = match said.code {
        0 => said
            .enhanced
            .map_or(451, |status| u16::from(status.class) * 100 + 51),
        code => code,
    };
    match said.enhanced {
        Some(status) => format!(
            "{code} {}.{}.{} {}",
            status.class, status.subject, status.detail, said.text
        ),
        None => format!("{code} {}", said.text),
    }
}

/// What is read of a message to return of it: more is never returned.
const READ_BYTES_MAX: u64 = dsn::RETURNED_BYTES_MAX as u64 + 1;

//! A fact as named values.

use super::line::{Line, abbreviated};
use super::name_of;
use crate::log::{Place, RecordRef};
use crate::mail::flags::{Flags, Keywords};
use crate::mail::uidset::UidSet;
use crate::record::{
    AccountFact, Copy, Deliver, DomainFact, Enhanced, Fact, FlagChange, HostReply, MailboxFact,
    MemoChange, MemoFact, MessageHead, Offer, Queue,
};

type Fields = Vec<(&'static str, String)>;

/// A record with everything that it says.
pub(super) fn line(place: Place, record: &RecordRef<'_>) -> Line {
    let line = Line::new("record")
        .with("place", name_of(place))
        .with("lsn", record.lsn)
        .with("kind", kind(record.kind))
        .with("account", record.account)
        .with("bytes", record.payload.len());
    match Fact::decode(record.kind, record.payload) {
        Ok(fact) => line.with_all(fields(&fact, record.payload)),
        Err(broken) => line.with("damage", broken),
    }
}

/// A fact that is no record of its own.
pub(super) fn bare(kind: &'static str, fact: &Fact) -> Line {
    Line::new(kind).with_all(fields(fact, &[]))
}

fn kind(kind: u8) -> String {
    let names = [
        "BODY", "MESSAGE", "DELIVER", "FLAGS", "EXPUNGE", "COPY", "MAILBOX", "ACCOUNT", "DOMAIN",
        "OFFER", "OFFERED", "SEEN", "TIME", "QUEUE", "ATTEMPT", "END", "HOLD", "MEMO",
    ];
    let name = usize::from(kind)
        .checked_sub(1)
        .and_then(|at| names.get(at));
    name.map_or_else(|| format!("unknown-{kind:02x}"), |name| (*name).to_owned())
}

fn fields(fact: &Fact, payload: &[u8]) -> Fields {
    match fact {
        Fact::Body => vec![("octets", abbreviated(payload))],
        Fact::Message(head) => message(head, payload),
        Fact::Deliver(deliver) => delivery(deliver),
        Fact::Flags(change) => flags(change),
        Fact::Expunge(expunge) => vec![
            ("mailbox", expunge.mailbox.to_string()),
            ("modseq", expunge.modseq.to_string()),
            ("uids", uids(&expunge.uids)),
        ],
        Fact::Copy(copy) => copied(copy),
        Fact::Mailbox(fact) => mailbox(fact),
        Fact::Account(fact) => account(fact),
        Fact::Domain(fact) => domain(fact),
        Fact::Offer(offer) => offered(offer),
        Fact::Offered { target, sequence } => vec![
            ("target", target.to_string()),
            ("sequence", sequence.to_string()),
        ],
        Fact::Seen { source, sequence } => vec![
            ("source", source.to_string()),
            ("sequence", sequence.to_string()),
        ],
        Fact::Time { secs } => vec![("secs", secs.to_string())],
        Fact::Queue(queue) => queued(queue),
        Fact::Attempt { object, attempt } => {
            let mut fields = vec![
                ("object", object.to_string()),
                ("item", attempt.item.to_string()),
                ("at", attempt.at_secs.to_string()),
                ("attempts", attempt.attempts.to_string()),
                ("due", attempt.due_secs.to_string()),
            ];
            fields.extend(reply(&attempt.reply));
            fields
        }
        Fact::End(end) => {
            let mut fields = vec![
                ("item", end.item.to_string()),
                ("at", end.at_secs.to_string()),
                ("ending", format!("{:?}", end.ending).to_lowercase()),
            ];
            fields.extend(reply(&end.reply));
            fields
        }
        Fact::Hold(hold) => vec![
            ("item", hold.item.to_string()),
            ("held", hold.is_held.to_string()),
            ("due", hold.due_secs.to_string()),
        ],
        Fact::Memo(memo) => noted(memo),
    }
}

fn noted(fact: &MemoFact) -> Fields {
    let change = match (&fact.change, fact.is_first) {
        (MemoChange::Remove(..), _) => "remove",
        (MemoChange::Put(_), false) => "put",
        (MemoChange::Put(_), true) => "put-first",
    };
    let mut fields = vec![
        ("change", change.to_owned()),
        ("space", fact.change.space().0.to_string()),
        ("key", abbreviated(fact.change.key())),
    ];
    if let MemoChange::Put(memo) = &fact.change {
        fields.push(("expiry", memo.expiry_secs.to_string()));
        fields.push(("value", abbreviated(&memo.value)));
    }
    fields
}

fn queued(queue: &Queue) -> Fields {
    let recipients = queue.recipients.iter();
    let mut recipients: Vec<String> = recipients
        .take(SHOWN_ROWS_MAX)
        .map(|recipient| recipient.address.to_string())
        .collect();
    if queue.recipients.len() > SHOWN_ROWS_MAX {
        recipients.push("…".to_owned());
    }
    vec![
        ("object", queue.object.to_string()),
        ("message", queue.message.to_string()),
        ("first-item", queue.first_item.to_string()),
        ("enqueued", queue.enqueued_secs.to_string()),
        ("octets", queue.octets.to_string()),
        ("tenant", queue.tenant.clone()),
        ("count", queue.recipients.len().to_string()),
        ("recipients", recipients.join(",")),
        ("prefix", abbreviated(&queue.prefix)),
    ]
}

fn reply(reply: &HostReply) -> Fields {
    let mut fields = vec![
        ("host", reply.host.clone()),
        ("code", reply.code.to_string()),
    ];
    if let Some(Enhanced {
        class,
        subject,
        detail,
    }) = reply.enhanced
    {
        fields.push(("enhanced", format!("{class}.{subject}.{detail}")));
    }
    fields.push(("text", reply.text.clone()));
    if let Some(way) = &reply.way {
        fields.push(("address", way.address.clone()));
        fields.push(("source", way.source.clone()));
        fields.push(("tls", way.tls.clone()));
    }
    fields
}

fn message(head: &MessageHead, payload: &[u8]) -> Fields {
    let body = MessageHead::split(payload).map(|(_, body)| body);
    let mut fields = vec![
        ("object", head.object.to_string()),
        ("queue", head.queue.to_string()),
        ("received", head.received_secs.to_string()),
        ("octets", head.octets.to_string()),
    ];
    if head.source.is_transaction {
        let from = head.source.reverse_path.as_ref();
        fields.push(("from", from.map(ToString::to_string).unwrap_or_default()));
    }
    if let Some(envid) = &head.source.envid {
        fields.push(("envid", envid.clone()));
    }
    let pieces = head.pieces.iter();
    let pieces: Vec<String> = pieces
        .map(|piece| format!("{}+{}", name_of(piece.place), piece.octets))
        .collect();
    if !pieces.is_empty() {
        fields.push(("pieces", pieces.join(",")));
    }
    fields.push(("body", abbreviated(body.unwrap_or_default())));
    fields
}

fn delivery(deliver: &Deliver) -> Fields {
    let mut fields = vec![
        ("object", deliver.object.to_string()),
        ("message", deliver.message.to_string()),
        ("mailbox", deliver.mailbox.to_string()),
        ("uid", deliver.uid.to_string()),
        ("modseq", deliver.modseq.to_string()),
        ("flags", named(deliver.flags, deliver.keywords)),
        ("date", deliver.internal_date.unix_secs.to_string()),
        ("saved", deliver.saved_secs.to_string()),
        ("octets", deliver.octets.to_string()),
    ];
    if let Some(recipient) = &deliver.recipient {
        fields.push(("recipient", recipient.to_string()));
    }
    if !deliver.prefix.is_empty() {
        fields.push(("prefix", abbreviated(&deliver.prefix)));
    }
    fields
}

fn flags(change: &FlagChange) -> Fields {
    vec![
        ("mailbox", change.mailbox.to_string()),
        ("modseq", change.modseq.to_string()),
        ("change", format!("{:?}", change.op).to_lowercase()),
        ("flags", named(change.flags, change.keywords)),
        ("uids", uids(&change.uids)),
    ]
}

fn copied(copy: &Copy) -> Fields {
    let mut rows: Vec<String> = copy
        .rows
        .iter()
        .take(SHOWN_ROWS_MAX)
        .map(|row| format!("{}={}", row.source_uid, row.delivery))
        .collect();
    if copy.rows.len() > SHOWN_ROWS_MAX {
        rows.push("…".to_owned());
    }
    vec![
        ("source", copy.source.to_string()),
        ("target", copy.target.to_string()),
        ("modseq", copy.modseq.to_string()),
        ("first-uid", copy.first_uid.to_string()),
        ("rows", copy.rows.len().to_string()),
        ("uid=object", rows.join(",")),
    ]
}

fn mailbox(fact: &MailboxFact) -> Fields {
    let change = |change: &str| ("change", change.to_owned());
    match fact {
        MailboxFact::Create {
            mailbox,
            uid_validity,
            modseq,
            special_use,
            name,
        } => vec![
            change("create"),
            ("mailbox", mailbox.to_string()),
            ("name", name.clone()),
            ("uid-validity", uid_validity.to_string()),
            ("modseq", modseq.to_string()),
            ("special-use", special_use.to_string()),
        ],
        MailboxFact::Rename {
            mailbox,
            modseq,
            name,
        } => vec![
            change("rename"),
            ("mailbox", mailbox.to_string()),
            ("name", name.clone()),
            ("modseq", modseq.to_string()),
        ],
        MailboxFact::Delete { mailbox, modseq } => vec![
            change("delete"),
            ("mailbox", mailbox.to_string()),
            ("modseq", modseq.to_string()),
        ],
        MailboxFact::Keyword {
            mailbox,
            position,
            name,
        } => vec![
            change("keyword"),
            ("mailbox", mailbox.to_string()),
            ("position", position.to_string()),
            ("name", name.clone()),
        ],
        MailboxFact::Recent { mailbox, first } => vec![
            change("recent"),
            ("mailbox", mailbox.to_string()),
            ("first-uid", first.to_string()),
        ],
        MailboxFact::Subscribe { name } => vec![change("subscribe"), ("name", name.clone())],
        MailboxFact::Unsubscribe { name } => vec![change("unsubscribe"), ("name", name.clone())],
    }
}

/// Secrets are never shown.
fn account(fact: &AccountFact) -> Fields {
    let fields = |change: &str, id: &crate::mail::id::AccountId| {
        vec![("change", change.to_owned()), ("id", id.to_string())]
    };
    match fact {
        AccountFact::Create { account, address } => {
            let mut fields = fields("create", account);
            fields.push(("address", address.clone()));
            fields
        }
        AccountFact::Secret { account, secret } => {
            let mut fields = fields("secret", account);
            fields.push(("has-secret", secret.is_some().to_string()));
            fields
        }
        AccountFact::Quota { account, octets } => {
            let mut fields = fields("quota", account);
            let octets = octets.map_or("none".to_owned(), |octets| octets.to_string());
            fields.push(("octets", octets));
            fields
        }
        AccountFact::Remove { account } => fields("remove", account),
    }
}

fn domain(fact: &DomainFact) -> Fields {
    match fact {
        DomainFact::Add { name, catch_all } => vec![
            ("change", "add".to_owned()),
            ("name", name.clone()),
            ("catch-all", catch_all.clone().unwrap_or_default()),
        ],
        DomainFact::Remove { name } => {
            vec![("change", "remove".to_owned()), ("name", name.clone())]
        }
    }
}

fn offered(offer: &Offer) -> Fields {
    let recipients = offer.recipients.iter();
    let recipients: Vec<&str> = recipients.map(|share| share.account.as_str()).collect();
    vec![
        ("target", offer.target.to_string()),
        ("sequence", offer.sequence.to_string()),
        ("message", offer.message.to_string()),
        ("accounts", recipients.join(",")),
        ("outbound", offer.outbound.len().to_string()),
    ]
}

/// `\Seen,\Deleted,3`: flags by name, keywords by position.
pub(super) fn named(flags: Flags, keywords: Keywords) -> String {
    let names = ["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft"];
    let flags = (names.iter().enumerate())
        .filter(|(bit, _)| flags.0 >> bit & 1 == 1)
        .map(|(_, name)| (*name).to_owned());
    let keywords = keywords.positions().map(|position| position.to_string());
    flags.chain(keywords).collect::<Vec<_>>().join(",")
}

/// `1:5,7`.
pub(super) fn uids(uids: &UidSet) -> String {
    let ranges = uids
        .ranges()
        .iter()
        .map(|(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first}:{last}"),
        });
    ranges.collect::<Vec<_>>().join(",")
}

/// Rows of a COPY, and recipients of a QUEUE, that are shown.
const SHOWN_ROWS_MAX: usize = 8;

//! What an IMAP session costs in a mailbox of ten thousand messages.

use super::store::Bed;
use super::{Operation, Run};
use engine::wire::imap::date::DateTimes;
use engine::wire::imap::response::fetch::Fetch;
use std::hint::black_box;
use store::mail::flags::Flags;
use store::mail::id::Uid;
use store::mail::uidset::UidSet;
use store::shard::{FlagNames, FlagOp, StoreFlags};

pub(crate) const OPEN: Operation = Operation {
    name: "view_open",
    what: "the view of SELECT, 10,000 messages",
    runs: 200,
    prepare: open,
};

pub(crate) const SYNC: Operation = Operation {
    name: "view_sync",
    what: "a view brought up to now where nothing changed",
    runs: 20_000,
    prepare: sync,
};

pub(crate) const FLAG: Operation = Operation {
    name: "flag_and_sync",
    what: "STORE of one flag, durable, and the view of another session brought up to it",
    runs: 1_000,
    prepare: flag,
};

pub(crate) const FETCH: Operation = Operation {
    name: "fetch_rows",
    what: "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE) encoded, 10,000 messages",
    runs: 20,
    prepare: fetch,
};

const MESSAGES: u32 = 10_000;

fn filled() -> Bed {
    let bed = Bed::new();
    for _ in 0..MESSAGES {
        bed.deliver(b"Subject: small\r\n\r\n".to_vec());
    }
    bed
}

fn open() -> Run {
    let bed = filled();
    Box::new(move || {
        let view = bed.shard.view(bed.account, bed.inbox, false);
        assert!(black_box(view).is_some_and(|view| view.exists() == MESSAGES));
    })
}

fn sync() -> Run {
    let bed = filled();
    let view = bed.shard.view(bed.account, bed.inbox, false);
    let mut view = view.expect("the mailbox is whole");
    Box::new(move || assert!(bed.shard.sync(black_box(&mut view), true).is_empty()))
}

fn flag() -> Run {
    let bed = filled();
    let view = bed.shard.view(bed.account, bed.inbox, false);
    let mut view = view.expect("the mailbox is whole");
    let names = FlagNames {
        flags: Flags::FLAGGED,
        ..FlagNames::default()
    };
    let mut number = 0;
    Box::new(move || {
        number += 1;
        let uid = number % MESSAGES + 1;
        let ops = [FlagOp::Add, FlagOp::Remove];
        let store = StoreFlags {
            uids: &UidSet::from_ranges([(uid, uid)]),
            op: ops[(number / MESSAGES % 2) as usize],
            names: &names,
            unchanged_since: None,
        };
        let stored = bed.shard.store_flags(bed.account, bed.inbox, store);
        assert!(bed.finish(stored).is_ok());
        assert_eq!(bed.shard.sync(&mut view, true).len(), 1);
    })
}

fn fetch() -> Run {
    let bed = filled();
    let view = bed.shard.view(bed.account, bed.inbox, false);
    let view = view.expect("the mailbox is whole");
    let all = UidSet::from_ranges([(1, u32::MAX)]);
    let mut out = Vec::new();
    Box::new(move || {
        let (mut number, mut dates) = (0, DateTimes::default());
        out.clear();
        bed.shard.rows(&view, &all, &mut |row| {
            number += 1;
            let mut fetch = Fetch::open(&mut out, number);
            fetch.uid(&mut out, Uid(row.uid.0));
            fetch.flags(&mut out, row.flags, row.keywords, &[], false);
            fetch.internal_date(&mut out, &mut dates, row.internal_date);
            fetch.size(&mut out, row.octets.into());
            fetch.close(&mut out);
        });
        assert!(number == MESSAGES && black_box(&out).len() > 100_000);
    })
}

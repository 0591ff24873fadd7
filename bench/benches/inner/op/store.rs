//! What a delivered message costs the store: records, frame, checksum, index. The disk is memory.

use super::{Operation, Run, smtp};
use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Waker};
use store::disk::blocking::{BlockingDisk, run};
use store::log::Options;
use store::mail::address::Address;
use store::mail::date::InternalDate;
use store::mail::envelope::Notify;
use store::mail::flags::{Flags, Keywords};
use store::mail::id::{AccountId, MailboxId, ModSeq, ObjectId, ShardId, Uid};
use store::mail::uidset::UidSet;
use store::record::{Deliver, Fact, FlagChange, FlagOp};
use store::shard::{AppendedUid, BodyWriter, FlagNames, Shard};

pub(crate) const RECORD: Operation = Operation {
    name: "record_decode",
    what: "a DELIVER and a FLAGS record encoded and decoded",
    runs: 20_000,
    prepare: record,
};

pub(crate) const DELIVERY: Operation = Operation {
    name: "delivery",
    what: "a message of 4 KiB in a frame of its own, durable and in the index",
    runs: 1_000,
    prepare: delivery,
};

fn record() -> Run {
    let prefix = b"Return-Path: <a@remote.example>\r\nDelivered-To: user@example.test\r\n";
    let delivery = Deliver {
        object: ObjectId(77_778),
        message: ObjectId(77_777),
        mailbox: MailboxId(3),
        uid: Uid(4_711),
        modseq: ModSeq(99_999),
        flags: Flags::default(),
        keywords: Keywords::default(),
        internal_date: InternalDate::utc(1_795_333_261),
        saved_secs: 1_795_333_261,
        octets: 4_300,
        recipient: Some(Address::new("user", "example.test")),
        notify: Notify::default(),
        orcpt: None,
        prefix: prefix.to_vec(),
    };
    let flags = FlagChange {
        mailbox: MailboxId(3),
        modseq: ModSeq(100_000),
        op: FlagOp::Add,
        flags: Flags::SEEN,
        keywords: Keywords::default(),
        uids: UidSet::from_ranges([(1, 7), (9, 4_711)]),
    };
    let facts = [Fact::Deliver(Box::new(delivery)), Fact::Flags(flags)];
    let mut octets = Vec::new();
    Box::new(move || {
        for fact in &facts {
            octets.clear();
            let kind = fact.encode(&mut octets);
            let decoded = Fact::decode(kind, black_box(&octets));
            assert!(decoded.as_ref() == Ok(fact));
        }
    })
}

fn delivery() -> Run {
    let bed = Bed::new();
    let message = smtp::message();
    Box::new(move || {
        black_box(bed.deliver(message.clone()));
    })
}

/// A shard with one account, and what drives it; lives until the process ends.
pub(crate) struct Bed {
    pub(crate) shard: &'static Rc<Shard<BlockingDisk>>,
    log: std::cell::RefCell<Pin<Box<dyn Future<Output = ()>>>>,
    pub(crate) account: AccountId,
    pub(crate) inbox: MailboxId,
    /// Its files; goes with the bed.
    _folder: tempfile::TempDir,
}

impl Bed {
    pub(crate) fn new() -> Bed {
        let folder = tempfile::tempdir_in("/dev/shm").expect("there is memory");
        let mut options = Options::new([7; 16], 0);
        options.segment_bytes = 16 << 20;
        let disk = BlockingDisk::new(folder.path());
        let opened = run(Shard::open(disk, "shard-00", ShardId(0), options, || 0));
        let (shard, _) = opened
            .map_err(|error| error.to_string())
            .expect("it is new");
        let shard: &'static Rc<_> = Box::leak(Box::new(shard));
        let mut bed = Bed {
            shard,
            log: std::cell::RefCell::new(Box::pin(shard.run(|_| {}))),
            account: AccountId(0),
            inbox: MailboxId(0),
            _folder: folder,
        };
        let opened = bed.finish(shard.open_account("user@example.test"));
        bed.account = opened.expect("it has room");
        let inbox = shard.mailbox(bed.account, "INBOX");
        bed.inbox = inbox.expect("every account has one").id;
        bed
    }

    /// The log and who uses it take turns; the disk never lets anybody wait.
    pub(crate) fn finish<T>(&self, work: impl Future<Output = T>) -> T {
        let mut context = Context::from_waker(Waker::noop());
        let mut work = std::pin::pin!(work);
        loop {
            if let std::task::Poll::Ready(done) = work.as_mut().poll(&mut context) {
                return done;
            }
            let _ = self.log.borrow_mut().as_mut().poll(&mut context);
        }
    }

    pub(crate) fn deliver(&self, message: Vec<u8>) -> AppendedUid {
        let names = FlagNames::default();
        let date = InternalDate::utc(1_795_333_261);
        let body = BodyWriter::with(message);
        let appended = self
            .shard
            .append(self.account, self.inbox, body, &names, date);
        self.finish(appended).expect("the memory has room")
    }
}

//! Facts about the queue: what is written is read alike, and whatever else is there is refused.

use super::{
    Attempt, End, Ending, Enhanced, Fact, Hold, HostReply, Leaving, Offer, Outbound, Queue, Share,
    Way, fuzz_record,
};
use crate::limit::{REPLY_BYTES_MAX, WAY_BYTES_MAX};
use crate::mail::address::Address;
use crate::mail::envelope::Notify;
use crate::mail::id::{ItemId, ObjectId};
use proptest::prelude::*;
use std::sync::Arc;

prop_compose! {
    fn replies()(
        host in ".{0,20}", code: u16, text in ".{0,60}",
        enhanced in proptest::option::of((1..6u8, any::<u16>(), any::<u16>())),
        way in proptest::option::of((".{0,9}", ".{0,9}", ".{0,9}")),
    ) -> HostReply {
        let enhanced = enhanced.map(|(class, subject, detail)| Enhanced { class, subject, detail });
        let way = way.map(|(address, source, tls)| Arc::new(Way { address, source, tls }));
        HostReply { host, code, enhanced, text, way }
    }
}

prop_compose! {
    fn outbound()(
        local in ".{0,9}", domain in "[a-z.]{0,9}", notify: u8, orcpt: Option<String>,
        tenant in "[ab]", times: (i64, i64, i64), priority: i8, marks in 0..1u16 << 15,
        prefix in "[ab]{0,1}",
    ) -> Outbound {
        Outbound {
            recipient: Address::new(local, domain),
            notify: Notify(notify),
            orcpt,
            tenant,
            expiry_secs: times.0,
            not_before_secs: times.1,
            priority,
            marks,
            by_secs: times.2 & -i64::from(marks & 1),
            prefix: prefix.into_bytes().into(),
        }
    }
}

fn queues() -> impl Strategy<Value = Queue> {
    let recipients = proptest::collection::vec(outbound(), 0..5);
    (recipients, any::<(u64, u64, u64, i64, u32)>()).prop_map(|(outbound, numbers)| {
        let (_, tenant, prefix) =
            outbound
                .first()
                .cloned()
                .map_or_else(Default::default, |first| {
                    let (leaving, tenant, prefix) = first.split();
                    (Some(leaving), tenant, prefix)
                });
        let recipients: Vec<Leaving> = outbound.into_iter().map(|it| it.split().0).collect();
        Queue {
            object: ObjectId(numbers.0 % (1 << 48)),
            message: ObjectId(numbers.1),
            first_item: ItemId(1 + numbers.2 % (1 << 43)),
            enqueued_secs: numbers.3,
            octets: numbers.4,
            tenant,
            prefix,
            recipients,
        }
    })
}

fn facts() -> impl Strategy<Value = Fact> {
    let item = any::<u64>().prop_map(ItemId);
    let attempts = (item.clone(), replies(), any::<(u64, i64, u16, i64)>());
    let attempts = attempts.prop_map(|(item, reply, (object, at_secs, attempts, due_secs))| {
        let attempt = Attempt {
            item,
            at_secs,
            attempts,
            due_secs,
            reply,
        };
        Fact::Attempt {
            object: ObjectId(object),
            attempt: Box::new(attempt),
        }
    });
    let endings = [
        Ending::Delivered,
        Ending::Failed,
        Ending::Expired,
        Ending::Dropped,
    ];
    let ends = (
        item.clone(),
        replies(),
        any::<i64>(),
        proptest::sample::select(endings.to_vec()),
    );
    let ends = ends.prop_map(|(item, reply, at_secs, ending)| {
        Fact::End(Box::new(End {
            item,
            at_secs,
            ending,
            reply,
        }))
    });
    let holds = (item, any::<(bool, i64)>()).prop_map(|(item, (is_held, due_secs))| {
        Fact::Hold(Hold {
            item,
            is_held,
            due_secs,
        })
    });
    let offers = (
        proptest::collection::vec(outbound(), 0..5),
        any::<(u16, u64, bool)>(),
    );
    let offers = offers.prop_map(|(outbound, (target, sequence, has_share))| {
        let share = Share {
            account: "a@b".to_owned(),
            recipient: Address::new("a", "b"),
            notify: Notify::UNSET,
            orcpt: None,
            prefix: [1].into(),
        };
        let recipients = has_share.then_some(share).into_iter().collect();
        let message = ObjectId(sequence);
        Fact::Offer(Box::new(Offer {
            target,
            sequence,
            message,
            recipients,
            outbound,
        }))
    });
    let queues = queues().prop_map(|queue| Fact::Queue(Box::new(queue)));
    prop_oneof![queues, attempts, ends, holds, offers]
}

proptest! {
    #[test]
    fn facts_come_back_and_their_like_are_read_or_refused(
        fact in facts(),
        harm in proptest::collection::vec(any::<(u16, u8)>(), 0..4),
        length: u16,
    ) {
        let mut payload = Vec::new();
        let kind = fact.encode(&mut payload);
        prop_assert_eq!(Fact::decode(kind, &payload), Ok(fact));
        for (at, flip) in harm {
            let octets = payload.len();
            payload[usize::from(at) % octets] ^= flip;
        }
        fuzz_record(kind, &payload);
        payload.truncate(usize::from(length) % payload.len());
        fuzz_record(kind, &payload);
    }
}

/// The bytes of the first builds.
#[test]
fn an_offer_for_accounts_alone_is_written_as_ever() {
    let offer = Offer {
        target: 1,
        sequence: 2,
        message: ObjectId(3),
        recipients: Vec::new(),
        outbound: Vec::new(),
    };
    let mut payload = Vec::new();
    Fact::Offer(Box::new(offer)).encode(&mut payload);
    assert_eq!(payload.len(), 2 + 8 + 8 + 4);
}

#[test]
fn the_words_of_others_are_bounded() {
    let way = Way {
        tls: "é".repeat(WAY_BYTES_MAX),
        ..Way::default()
    };
    let reply = HostReply {
        text: "é".repeat(REPLY_BYTES_MAX),
        way: Some(Arc::new(way)),
        ..HostReply::default()
    };
    let end = End {
        item: ItemId(1),
        at_secs: 0,
        ending: Ending::Failed,
        reply,
    };
    let mut payload = Vec::new();
    let kind = Fact::End(Box::new(end)).encode(&mut payload);
    let Ok(Fact::End(end)) = Fact::decode(kind, &payload) else {
        panic!("it was cut and is not read");
    };
    assert_eq!(end.reply.text, "é".repeat(REPLY_BYTES_MAX / 2));
    let way = end.reply.way.unwrap();
    assert_eq!(way.tls, "é".repeat(WAY_BYTES_MAX / 2));
}

#[test]
fn a_reply_of_the_first_builds_has_no_way() {
    let end = End {
        item: ItemId(1),
        at_secs: 0,
        ending: Ending::Delivered,
        reply: HostReply::default(),
    };
    let mut payload = Vec::new();
    let kind = Fact::End(Box::new(end.clone())).encode(&mut payload);
    assert_eq!(payload.len(), 8 + 8 + 1 + 4 + 2 + 1 + 4);
    assert_eq!(Fact::decode(kind, &payload), Ok(Fact::End(Box::new(end))));
}

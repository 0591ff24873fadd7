//! Examples of CONDSTORE, QRESYNC, PARTIAL, UIDBATCHES and NOTIFY.

use super::super::command::FetchItem;
use super::super::find::Partial;
use super::super::notify::{Events, Filter, Group, Notify, Selected, Set};
use super::super::portion::Batches;
use super::super::resync::{Matched, Modifiers, Resync, Select};
use super::*;
use store::mail::uidset::UidSet;

fn uids(ranges: &[(u32, u32)]) -> UidSet {
    UidSet::from_ranges(ranges.iter().copied())
}

fn modifiers(text: &str) -> Modifiers {
    match body(format!("a UID FETCH 1:* (FLAGS) {text}")) {
        Body::Fetch { modifiers, .. } => modifiers,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn select_of_a_client_that_was_here() {
    // RFC 7162 §3.1.8, §3.2.5.
    let select = |mailbox: &str, read_only, condstore, resync| {
        Body::Resync(Select {
            mailbox: mailbox.to_owned(),
            read_only,
            condstore,
            resync,
        })
    };
    let known = |modseq, known_uids, matched| Resync {
        uid_validity: 67_890_007,
        modseq,
        known_uids,
        matched,
    };
    assert_eq!(
        body("A142 SELECT inbox (CONDSTORE)"),
        select("INBOX", false, true, None)
    );
    assert_eq!(
        body("A03 EXAMINE x (QRESYNC (67890007 90060115194045000) condstore)"),
        select(
            "x",
            true,
            true,
            Some(known(90_060_115_194_045_000, None, None))
        )
    );
    assert_eq!(
        body("A02 SELECT x (QRESYNC (67890007 90060115194045000 41:211,214:541))"),
        select(
            "x",
            false,
            false,
            Some(known(
                90_060_115_194_045_000,
                Some(uids(&[(41, 211), (214, 541)])),
                None
            ))
        )
    );
    let matched = Matched {
        numbers: uids(&[(5000, 5000), (7500, 7500), (9000, 9000)]),
        uids: uids(&[(15_000, 15_000), (22_500, 22_500), (27_000, 27_000)]),
    };
    assert_eq!(
        body("B04 SELECT x (QRESYNC (67890007 97 1:29997 (5000,7500,9000 15000,22500,27000)))"),
        select(
            "x",
            false,
            false,
            Some(known(97, Some(uids(&[(1, 29_997)])), Some(matched.clone())))
        )
    );
    assert_eq!(
        body("B04 SELECT x (QRESYNC (67890007 97 (5000,7500,9000 15000,22500,27000)))"),
        select("x", false, false, Some(known(97, None, Some(matched))))
    );
}

#[test]
fn fetch_modifiers() {
    // RFC 7162 §3.1.4.1, §3.2.6; RFC 9394 §3.3.
    let partial = |from_last, first, last| Partial {
        from_last,
        first,
        last,
    };
    let since = |changed_since, vanished, partial| Modifiers {
        changed_since,
        vanished,
        partial,
    };
    assert_eq!(
        modifiers("(CHANGEDSINCE 12345)"),
        since(Some(12_345), false, None)
    );
    assert_eq!(
        modifiers("(CHANGEDSINCE 12345 VANISHED)"),
        since(Some(12_345), true, None)
    );
    assert_eq!(
        modifiers("(PARTIAL -1:-30 CHANGEDSINCE 98305)"),
        since(Some(98_305), false, Some(partial(true, 1, 30)))
    );
    assert_eq!(
        modifiers("(partial 500:400)"),
        since(None, false, Some(partial(false, 500, 400)))
    );
}

#[test]
fn batches() {
    let asked = |messages, wanted| Body::UidBatches(Batches { messages, wanted });
    assert_eq!(body("A143 UIDBATCHES 2000"), asked(2000, None));
    assert_eq!(
        body("A302 UIDBATCHES 500 10:20"),
        asked(500, Some((10, 20)))
    );
}

#[test]
fn notify() {
    // RFC 5465 §3.1, §6, §8.
    let messages = Events::MESSAGES;
    let group = |filter, events| Group { filter, events };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(body("a NOTIFY NONE"), Body::Notify(Notify::None));
    assert_eq!(
        body(
            "b NOTIFY SET STATUS (Selected-Delayed (MessageNew (UID FLAGS) MessageExpunge)) \
             (subtree Lists (messageexpunge messagenew flagchange)) (inboxes (MailboxName)) \
             (mailboxes (inbox \"a b\") NONE) (subscribed (SubscriptionChange)) \
             (personal (AnnotationChange MessageNew MessageExpunge)) (subtree-one (x y) NONE)"
        ),
        Body::Notify(Notify::Set(Set {
            status: true,
            selected: Some(Selected {
                delayed: true,
                events: messages,
                fetch: vec![FetchItem::Uid, FetchItem::Flags],
            }),
            groups: vec![
                group(Filter::Subtree(names(&["Lists"])), messages | Events::FLAGS),
                group(Filter::Inboxes, Events::NAMES),
                group(Filter::Mailboxes(names(&["INBOX", "a b"])), Events::NONE),
                group(Filter::Subscribed, Events::SUBSCRIPTIONS),
                group(Filter::Personal, messages),
                group(Filter::SubtreeOne(names(&["x", "y"])), Events::NONE),
            ],
            unsupported: true,
        }))
    );
    let many = vec!["(personal NONE)"; 65].join(" ");
    assert!(matches!(
        fault(format!("a NOTIFY SET {many}")),
        Fault::TooMany(_)
    ));
}

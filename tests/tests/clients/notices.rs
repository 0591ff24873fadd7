//! Our notices before Python's email package: the structure of RFC 3464 as others read it.

use engine::queue::dsn::{Event, Facts, Original, Status, Told, Words, build, classify};
use store::mail::address::Address;
use store::mail::envelope::Ret;
use tests::binary::workspace;
use tests::peer::peer;

const MESSAGE: &[u8] = b"From: alice@here.test\r\nSubject: the message\r\n\r\n--=_id_0\r\nbody\r\n";

#[test]
fn python_reads_a_notice() {
    for (ret, kind) in [
        (Ret::Full, "message/rfc822"),
        (Ret::Headers, "text/rfc822-headers"),
    ] {
        let Some(python) = peer("python3") else {
            return;
        };
        let script = workspace().join("tests/clients/notice_read.py");
        let said = python.arg(script).input(&notice(ret)).succeeds();
        assert_eq!(
            said,
            format!(
                "report delivery-status auto-replied\n\
                 parts text/plain message/delivery-status {kind}\n\
                 text True\n\
                 Final-Recipient rfc822; bob@there.test\n\
                 Action failed\n\
                 Status 5.1.1\n\
                 Diagnostic-Code smtp; 550 5.1.1 No such user\n\
                 Final-Recipient utf-8; d\\x{{F6}}rte@there.test\n\
                 Action delayed\n\
                 Status 4.2.2\n\
                 Diagnostic-Code smtp; 452 4.2.2 ??.full\n\
                 returned the message\n"
            )
        );
    }
}

fn notice(ret: Ret) -> Vec<u8> {
    let alice = Address::new("alice", "here.test");
    let (bob, wide) = (
        Address::new("bob", "there.test"),
        Address::new("d\u{f6}rte", "there.test"),
    );
    let told = |address, event, reply: &'static [u8]| Told {
        address,
        orcpt: None,
        event,
        class: classify(reply),
        status: Status::of_reply(reply),
        words: Words::Remote {
            host: "mx.there.test",
            reply,
        },
        attempt_secs: Some(1_795_320_000),
        retry_until_secs: Some(1_795_720_000),
    };
    let recipients = [
        told(&bob, Event::Failed, b"550 5.1.1 No such user"),
        told(&wide, Event::Delayed, b"452 4.2.2 \0\x07.full"),
    ];
    let facts = Facts {
        host: "mx.here.test",
        id: "id",
        now_secs: 1_795_320_001,
        original: Original {
            reverse_path: Some(&alice),
            queue_id: "1a2b",
            arrived_secs: 1_795_310_000,
            envid: None,
            by_secs: None,
            ret: Some(ret),
            smtputf8: false,
            octets: MESSAGE,
            size: MESSAGE.len() as u64,
        },
        recipients: &recipients,
    };
    build(&facts).expect("somebody is told").octets
}

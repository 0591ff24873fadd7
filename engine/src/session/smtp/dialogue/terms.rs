//! HOLDFOR, BY, REQUIRETLS, MT-PRIORITY: offered where they may be asked for, and kept.

use super::*;
use crate::wire::smtp::param::{ByMode, DeliverBy, Hold};

fn submission() -> Dialogue {
    let settings = Settings {
        auth_required: false,
        future_release: Some(FutureRelease {
            secs_max: 86_400,
            until_secs: 1_795_320_000,
        }),
        deliver_by_secs_min: Some(60),
        ..settings(Kind::Submission)
    };
    Dialogue::new(settings, Kind::Submission, true)
}

fn terms_of(dialogue: &mut Dialogue, mail: &str, message: &str) -> Terms {
    let said = dialogue.codes(&format!(
        "{mail}\r\nRCPT TO:<user@here>\r\nDATA\r\n{message}\r\n.\r\n"
    ));
    assert_eq!(said, [250, 250, 354, 250], "{mail}");
    dialogue.record.commits.pop().unwrap().terms
}

#[test]
fn each_is_offered_where_it_may_be_asked_for() {
    let offer = submission().say("EHLO c\r\n");
    for line in [
        "250-FUTURERELEASE 86400 2026-11-22T04:00:00Z\r\n",
        "250-DELIVERBY 60\r\n",
        "250-REQUIRETLS\r\n",
    ] {
        assert!(offer.contains(line), "{line} in {offer}");
    }
    let clear = Dialogue::of(Kind::Smtp).say("EHLO c\r\n");
    assert!(!clear.contains("REQUIRETLS") && !clear.contains("FUTURERELEASE"));
    let lmtp = Dialogue::of(Kind::Lmtp).say("LHLO c\r\n");
    assert!(!lmtp.contains("DELIVERBY") && !lmtp.contains("REQUIRETLS"));
}

#[test]
fn what_is_asked_for_comes_with_the_message() {
    let mut dialogue = submission();
    dialogue.say("EHLO c\r\n");
    let by = DeliverBy {
        secs: 60,
        mode: ByMode::Return,
        trace: true,
    };
    let asked = "MAIL FROM:<a@b> HOLDFOR=86400 BY=60;RT REQUIRETLS";
    let expected = Terms {
        priority: 0,
        hold: Some(Hold::For(86_400)),
        by: Some(by),
        require_tls: true,
        tls_optional: false,
    };
    assert_eq!(terms_of(&mut dialogue, asked, "TLS-Required: No"), expected);
    let until = "MAIL FROM:<a@b> HOLDUNTIL=2026-11-22T04:00:00Z BY=-5;N";
    let terms = terms_of(&mut dialogue, until, "tls-required: no");
    assert_eq!(terms.hold, Some(Hold::Until(1_795_320_000)));
    assert_eq!(terms.by.map(|by| by.secs), Some(-5));
    assert!(terms.tls_optional && !terms.require_tls);
    let nothing = terms_of(&mut dialogue, "MAIL FROM:<a@b>", "S: x");
    assert_eq!(nothing, Terms::default());
}

#[test]
fn what_is_too_much_or_not_offered_is_refused() {
    let mut dialogue = submission();
    dialogue.say("EHLO c\r\n");
    for (asked, code) in [
        ("HOLDFOR=86401", 501),
        ("HOLDUNTIL=2026-11-22T04:00:01Z", 501),
        ("BY=59;R", 555),
        ("HOLDFOR=1 HOLDFOR=1", 501),
    ] {
        let said = dialogue.codes(&format!("MAIL FROM:<a@b> {asked}\r\n"));
        assert_eq!(said, [code], "{asked}");
    }
    let mut clear = Dialogue::of(Kind::Smtp);
    clear.say("EHLO c\r\n");
    for (asked, reply) in [("REQUIRETLS", "530 5.7.10"), ("HOLDFOR=1", "555 5.5.4")] {
        let said = clear.say(&format!("MAIL FROM:<a@b> {asked}\r\n"));
        assert!(said.starts_with(reply), "{asked}: {said}");
    }
    let mut lmtp = Dialogue::of(Kind::Lmtp);
    lmtp.say("LHLO c\r\n");
    for asked in ["REQUIRETLS", "BY=60;N"] {
        let said = lmtp.codes(&format!("MAIL FROM:<a@b> {asked}\r\n"));
        assert_eq!(said, [555], "{asked}");
    }
}

#[test]
fn who_is_not_known_hears_that_the_priority_is_another() {
    let mut dialogue = submission();
    dialogue.say("EHLO c\r\n");
    let said = dialogue.say("MAIL FROM:<a@b> MT-PRIORITY=7\r\n");
    assert!(said.starts_with("250 2.3.6 0 "), "{said}");
    let said = dialogue.say("RSET\r\nMAIL FROM:<a@b> MT-PRIORITY=0\r\n");
    assert!(said.ends_with("250 2.1.0 Sender OK\r\n"), "{said}");
}

//! Letters: grouped and one by one, DATA and BDAT, parameters, limits, LMTP.

use super::*;
use crate::wire::smtp::param::{ByMode, DeliverBy};
use store::mail::envelope::{BodyKind, Notify, Ret};

#[test]
fn pipelined() {
    let mut play = Play::opened(&target(), PIPELINING);
    for _ in 0..3 {
        play.begin(&letter(2));
        assert_eq!(
            play.heard(),
            "MAIL FROM:<s@us.test> SIZE=100|RCPT TO:<a@b.test>|RCPT TO:<b@b.test>|DATA"
        );
        play.turn("250 a\r\n250 b\r\n", "");
        play.turn("250 c\r\n354 go\r\n", "");
        assert_eq!(play.body(), Framing::Stuffed);
        play.input(Input::BodySent);
        play.turn("250 2.0.0 queued as 7\r\n", "");
        let outcome = play.outcome();
        assert!(outcome.is_open && !outcome.is_stale);
        for disposition in &outcome.recipients {
            assert_eq!(
                shown(disposition),
                "Delivered End Peer 250 2.0.0 queued as 7"
            );
        }
    }
    assert_eq!(play.dialogue.next_number(), 4);
    play.input(Input::Quit);
    assert_eq!(play.heard(), "QUIT");
    play.says("221 bye\r\n");
    assert!(matches!(play.out.wish, Some(Wish::Close)));
}

#[test]
fn one_by_one() {
    let no_pipelining = Target {
        pipelining: false,
        ..target()
    };
    for (target, keywords) in [(target(), &["SIZE"][..]), (no_pipelining, PIPELINING)] {
        let mut play = Play::opened(&target, keywords);
        play.begin(&letter(2));
        assert_eq!(play.heard(), "MAIL FROM:<s@us.test> SIZE=100");
        play.turn("250 a\r\n", "RCPT TO:<a@b.test>");
        play.turn("250 b\r\n", "RCPT TO:<b@b.test>");
        play.turn("550 5.1.1 c\r\n", "DATA");
        play.turn("354 go\r\n", "");
        assert_eq!(play.body(), Framing::Stuffed);
        play.input(Input::BodySent);
        play.says("250 ok\r\n");
        assert_eq!(
            play.fates(),
            ["Delivered End Peer 250 ok", "Failed Rcpt Peer 550 5.1.1 c"]
        );
        // All refused: no DATA, but RSET, whose answer nobody waits for.
        play.begin(&letter(1));
        play.heard();
        play.turn("250 a\r\n", "RCPT TO:<a@b.test>");
        play.turn("450 4.2.0 later\r\n", "RSET");
        assert_eq!(play.fates(), ["Deferred Rcpt Peer 450 4.2.0 later"]);
        play.begin(&letter(1));
        assert_eq!(play.heard(), "");
        play.turn("250 reset\r\n", "MAIL FROM:<s@us.test> SIZE=100");
        play.turn("451 4.3.0 no\r\n", "");
        assert_eq!(play.fates(), ["Deferred Mail Peer 451 4.3.0 no"]);
        assert!(play.dialogue.is_ready());
    }
}

#[test]
fn chunks() {
    let mut play = Play::opened(&target(), &["PIPELINING", "CHUNKING"]);
    play.begin(&letter(1));
    assert_eq!(play.heard(), "MAIL FROM:<s@us.test>|RCPT TO:<a@b.test>");
    play.turn("250 a\r\n250 b\r\n", "BDAT 100 LAST");
    assert_eq!(play.body(), Framing::Chunk);
    play.input(Input::BodySent);
    play.turn("250 ok\r\n", "");
    assert_eq!(play.fates(), ["Delivered End Peer 250 ok"]);
    // A refused chunk leaves something for RSET.
    play.begin(&letter(1));
    play.heard();
    play.says("250 a\r\n250 b\r\n");
    play.heard();
    play.body();
    play.input(Input::BodySent);
    play.turn("554 5.6.0 spam\r\n", "RSET");
    assert_eq!(play.fates(), ["Failed End Peer 554 5.6.0 spam"]);
    let no_chunking = Target {
        chunking: false,
        ..target()
    };
    let mut play = Play::opened(&no_chunking, &["PIPELINING", "CHUNKING"]);
    play.begin(&letter(1));
    assert!(play.heard().ends_with("|DATA"));
}

#[test]
fn all_refused_though_data_was_granted() {
    let mut play = Play::opened(&target(), PIPELINING);
    play.begin(&letter(2));
    play.heard();
    play.turn("250 a\r\n550 5.1.1 b\r\n450 4.2.2 c\r\n354 go\r\n", ".");
    assert!(play.out.wish.is_none());
    play.turn("250 an empty message, queued\r\n", "");
    assert_eq!(
        play.fates(),
        [
            "Failed Rcpt Peer 550 5.1.1 b",
            "Deferred Rcpt Peer 450 4.2.2 c"
        ]
    );
    assert!(play.dialogue.is_ready());
    // The usual way.
    play.begin(&letter(1));
    play.heard();
    play.turn("250 a\r\n550 5.1.1 b\r\n503 5.5.1 none\r\n", "RSET");
    assert_eq!(play.fates(), ["Failed Rcpt Peer 550 5.1.1 b"]);
    play.begin(&letter(1));
    play.heard();
    play.turn(
        "250 reset\r\n553 5.1.8 bad sender\r\n503 b\r\n503 c\r\n",
        "",
    );
    assert_eq!(play.fates(), ["Failed Mail Peer 553 5.1.8 bad sender"]);
}

#[test]
fn refused_data_and_refused_messages() {
    let mut play = Play::opened(&target(), PIPELINING);
    play.begin(&letter(2));
    play.heard();
    play.turn("250 a\r\n250 b\r\n550 c\r\n451 4.3.1 full\r\n", "RSET");
    assert_eq!(
        play.fates(),
        [
            "Deferred Data Peer 451 4.3.1 full",
            "Failed Rcpt Peer 550 c"
        ]
    );
    play.begin(&letter(1));
    play.heard();
    play.says("250 reset\r\n250 a\r\n250 b\r\n354 c\r\n");
    play.body();
    play.input(Input::BodySent);
    play.turn("554-5.7.1 spam\r\n554 5.7.1 go away\r\n", "");
    assert_eq!(play.fates(), ["Failed End Peer 554 5.7.1 spam go away"]);
    assert!(play.dialogue.is_ready());
}

#[test]
fn parameters_go_to_who_understands_them() {
    let full = with(letter(1), |envelope| {
        envelope.ret = Some(Ret::Full);
        envelope.envid = Some("id".into());
        envelope.body = BodyKind::EightBitMime;
        envelope.smtputf8 = true;
        envelope.recipients[0].notify = Notify::DELAY;
        envelope.recipients[0].orcpt = Some("rfc822;o@b.test".into());
    });
    let full = Letter {
        priority: Some(3),
        ..full
    };
    let keywords = ["8BITMIME", "SMTPUTF8", "DSN", "MT-PRIORITY", "CHUNKING"];
    let mut play = Play::opened(&target(), &keywords);
    play.begin(&full);
    let mail = "MAIL FROM:<s@us.test> BODY=8BITMIME SMTPUTF8 RET=FULL ENVID=id MT-PRIORITY=3";
    assert_eq!(play.heard(), mail);
    let rcpt = "RCPT TO:<a@b.test> NOTIFY=DELAY ORCPT=rfc822;o@b.test";
    play.turn("250 a\r\n", rcpt);
    let mut play = Play::opened(&target(), &["8BITMIME", "SMTPUTF8"]);
    play.begin(&full);
    assert_eq!(play.heard(), "MAIL FROM:<s@us.test> BODY=8BITMIME SMTPUTF8");
    play.turn("250 a\r\n", "RCPT TO:<a@b.test>");
}

/// The fates of a letter that is not sent at all.
fn unsent(keywords: &[&str], letter: &Letter, octets: u64) -> Vec<String> {
    let mut play = Play::opened(&target(), keywords);
    play.begin_sized(letter, octets, false);
    assert_eq!(play.heard(), "");
    let fates = play.fates();
    assert!(play.dialogue.is_ready(), "the next letter may fit");
    fates
}

#[test]
fn what_a_server_cannot_take_is_not_sent() {
    let eight_bit = with(letter(1), |envelope| envelope.body = BodyKind::EightBitMime);
    let binary = with(letter(1), |envelope| envelope.body = BodyKind::BinaryMime);
    let utf8 = with(letter(1), |envelope| envelope.smtputf8 = true);
    let foreign = with(letter(1), |e| e.reverse_path = Some(Address::new("ö", "b")));
    let broken = with(letter(1), |e| {
        e.recipients[0].address.local = "a\r\nb".into()
    });
    let secret = Letter {
        require_tls: true,
        ..letter(1)
    };
    for (keywords, letter, status) in [
        (&["SIZE 99"][..], letter(1), "Failed Mail Us 552 5.3.4"),
        (&[], eight_bit, "Failed Mail Us 554 5.6.3"),
        (&["BINARYMIME"], binary, "Failed Mail Us 554 5.6.3"),
        (&["8BITMIME"], utf8, "Failed Mail Us 553 5.6.7"),
        (&[], foreign, "Failed Mail Us 553 5.6.7"),
        (&["SMTPUTF8"], broken, "Failed Rcpt Us 553 5.1.3"),
        (&["REQUIRETLS"], secret, "Deferred Mail Us 450 4.7.10"),
    ] {
        let fates = unsent(keywords, &letter, 100);
        assert!(fates[0].starts_with(status), "{fates:?}");
    }
    assert!(unsent(&["SIZE 0"], &with(letter(0), |_| ()), 100).is_empty());
}

#[test]
fn an_eight_bit_letter_that_is_not_one_is_sent() {
    let letter = with(letter(1), |envelope| envelope.body = BodyKind::EightBitMime);
    let mut play = Play::opened(&target(), &[]);
    assert!(play.dialogue.asks_for_seven_bit(&letter));
    play.begin_sized(&letter, 100, true);
    assert_eq!(play.heard(), "MAIL FROM:<s@us.test>");
}

#[test]
fn requiretls_needs_both() {
    let secret = Letter {
        require_tls: true,
        ..letter(1)
    };
    for (keyword, mail) in [("REQUIRETLS", true), ("HELP", false)] {
        let nonce = String::from("nonce");
        let security = Security::Encrypted { is_verified: true };
        let mut play = Play::opened(&target(), &[]);
        play.dialogue = Dialogue::new(&target(), StartTls::Demanded, security, nonce, 0);
        play.says("220 x\r\n");
        play.says(&format!("250-mx\r\n250 {keyword}\r\n"));
        play.heard();
        play.out = Output::default();
        play.begin(&secret);
        match mail {
            true => assert_eq!(play.heard(), "MAIL FROM:<s@us.test> REQUIRETLS"),
            false => assert!(play.fates()[0].starts_with("Failed Mail Us 550 5.7.30")),
        }
    }
}

/// RFC 8689 §5: a notice is rather sent without than not at all.
#[test]
fn requiretls_is_a_wish_of_notices() {
    let notice = Letter {
        require_tls: true,
        ..with(letter(1), |envelope| envelope.reverse_path = None)
    };
    let mut play = Play::opened(&target(), &[]);
    play.begin(&notice);
    assert_eq!(play.heard(), "MAIL FROM:<>");
}

#[test]
fn the_time_that_is_left_is_passed_on_or_the_letter_is_not() {
    let with_time = |secs, mode| Letter {
        by: Some(DeliverBy {
            secs,
            mode,
            trace: true,
        }),
        ..letter(1)
    };
    for (keyword, letter, mail) in [
        ("DELIVERBY", with_time(90, ByMode::Return), " BY=90;RT"),
        ("DELIVERBY 90", with_time(90, ByMode::Return), " BY=90;RT"),
        ("DELIVERBY 90", with_time(-3, ByMode::Notify), " BY=-3;NT"),
        ("HELP", with_time(90, ByMode::Notify), ""),
    ] {
        let mut play = Play::opened(&target(), &[keyword]);
        play.begin(&letter);
        assert_eq!(play.heard(), format!("MAIL FROM:<s@us.test>{mail}"));
    }
    let mut play = Play::opened(&lmtp(), &[]);
    play.begin(&with_time(1, ByMode::Return));
    assert_eq!(
        play.heard(),
        "MAIL FROM:<s@us.test>",
        "LMTP delivers at once"
    );
    for (keyword, secs) in [("HELP", 90), ("DELIVERBY 91", 90), ("DELIVERBY", 0)] {
        let fates = unsent(&[keyword], &with_time(secs, ByMode::Return), 100);
        assert!(
            fates[0].starts_with("Failed Mail Us 554 5.4.7"),
            "{fates:?}"
        );
    }
}

#[test]
fn limits_are_kept() {
    let mut play = Play::opened(&target(), &["PIPELINING", "LIMITS RCPTMAX=2 MAILMAX=1"]);
    play.begin(&letter(3));
    assert_eq!(
        play.heard(),
        "MAIL FROM:<s@us.test>|RCPT TO:<a@b.test>|RCPT TO:<b@b.test>|DATA"
    );
    play.says("250 x\r\n250 x\r\n250 x\r\n354 x\r\n");
    play.body();
    play.input(Input::BodySent);
    play.says("250 ok\r\n");
    let outcome = play.outcome();
    assert_eq!(outcome.recipients[2].fate, Fate::Untried);
    assert!(!outcome.is_open, "one message a connection");
    let domains = with(letter(4), |envelope| {
        envelope.recipients[1].address.domain = "c.test".into();
        envelope.recipients[2].address.domain = "d.test".into();
    });
    let mut play = Play::opened(&target(), &["PIPELINING", "LIMITS RCPTDOMAINMAX=2"]);
    play.begin(&domains);
    assert_eq!(
        play.heard(),
        "MAIL FROM:<s@us.test>|RCPT TO:<a@b.test>|RCPT TO:<b@c.test>|RCPT TO:<d@b.test>|DATA"
    );
}

#[test]
fn too_many_recipients_are_tried_at_once() {
    let mut play = Play::opened(&target(), PIPELINING);
    play.begin(&letter(4));
    play.heard();
    play.says("250 x\r\n250 x\r\n452 4.5.3 many\r\n552 5.5.3 many\r\n452 4.3.1 full\r\n354 x\r\n");
    play.body();
    play.input(Input::BodySent);
    play.says("250 ok\r\n");
    let fates: Vec<Fate> = play.outcome().recipients.iter().map(|d| d.fate).collect();
    assert_eq!(
        fates,
        [
            Fate::Delivered,
            Fate::Untried,
            Fate::Untried,
            Fate::Deferred
        ]
    );
    play.begin(&letter(1));
    play.heard();
    play.says("250 x\r\n552 5.5.3 many\r\n503 x\r\n");
    assert!(
        play.fates()[0].starts_with("Deferred Rcpt"),
        "nobody else was taken"
    );
}

#[test]
fn hundreds_of_recipients_go_in_groups() {
    let mut play = Play::opened(&target(), PIPELINING);
    play.begin(&letter(250));
    let count = |heard: String| heard.matches("RCPT").count();
    assert_eq!(count(play.heard()), 99);
    play.says(&"250 x\r\n".repeat(100));
    assert_eq!(count(play.heard()), 100);
    play.says(&"250 x\r\n".repeat(100));
    let heard = play.heard();
    assert!(heard.ends_with("|DATA"));
    assert_eq!(count(heard), 51);
    play.says(&"250 x\r\n".repeat(51));
    play.says("354 x\r\n");
    play.body();
}

#[test]
fn lmtp_answers_for_each_recipient() {
    for (keywords, framing) in [
        (&["PIPELINING"][..], Framing::Stuffed),
        (&["PIPELINING", "CHUNKING"], Framing::Chunk),
    ] {
        let mut play = Play::opened(&lmtp(), keywords);
        play.begin(&letter(4));
        play.heard();
        play.says("250 x\r\n250 x\r\n550 5.1.1 no\r\n250 x\r\n250 x\r\n");
        if framing == Framing::Stuffed {
            play.says("354 x\r\n");
        }
        play.heard();
        assert_eq!(play.body(), framing);
        play.input(Input::BodySent);
        play.says("250 2.0.0 ok\r\n452 4.2.2 full\r\n");
        assert!(play.out.wish.is_none());
        play.input(Input::Lost);
        let fates = play.fates();
        assert_eq!(
            fates[..3],
            [
                "Delivered End Peer 250 2.0.0 ok",
                "Failed Rcpt Peer 550 5.1.1 no",
                "Deferred End Peer 452 4.2.2 full"
            ]
        );
        assert!(
            fates[3].starts_with("Unknown End Us 451 4.4.2"),
            "{fates:?}"
        );
    }
}

#[test]
fn lmtp_that_grants_data_for_nobody_is_left() {
    let mut play = Play::opened(&lmtp(), PIPELINING);
    play.begin(&letter(1));
    play.heard();
    play.turn("250 x\r\n550 no\r\n354 go\r\n", "");
    assert_eq!(play.fates(), ["Failed Rcpt Peer 550 no"]);
    assert!(play.dialogue.is_closed());
}

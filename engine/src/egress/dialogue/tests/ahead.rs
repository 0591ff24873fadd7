//! The next letter's envelope behind the end of a message.

use super::*;

impl Play {
    /// The message is sent, and behind it what is said of the next letter.
    fn sends_before(&mut self, next: &Letter) -> String {
        self.body();
        self.input(Input::Next {
            letter: next,
            octets: 100,
        });
        let said = self.heard();
        self.input(Input::BodySent);
        said
    }
}

/// A dialogue that has sent one message, and the envelope of a letter to two behind it.
fn gone_ahead() -> (Play, Letter) {
    let (mut play, next) = (Play::opened(&target(), PIPELINING), letter(2));
    play.begin(&letter(1));
    play.heard();
    play.turn("250 a\r\n250 b\r\n354 c\r\n", "");
    assert_eq!(
        play.sends_before(&next),
        "MAIL FROM:<s@us.test> SIZE=100|RCPT TO:<a@b.test>|RCPT TO:<b@b.test>|DATA"
    );
    (play, next)
}

#[test]
fn all_replies_come_together_or_one_by_one() {
    let replies = [
        "250 ok\r\n",
        "250 a\r\n",
        "250 b\r\n",
        "550 c\r\n",
        "354 d\r\n",
    ];
    for early in 1..=replies.len() {
        let (mut play, next) = gone_ahead();
        assert_eq!(play.dialogue.next_number(), 2);
        play.turn(&replies[..early].concat(), "");
        assert_eq!(play.fates(), ["Delivered End Peer 250 ok"]);
        assert!(play.dialogue.is_ready());
        play.begin(&next);
        play.turn(&replies[early..].concat(), "");
        assert_eq!(play.body(), Framing::Stuffed, "{early} came early");
        play.input(Input::BodySent);
        play.says("250 both\r\n");
        let fates = ["Delivered End Peer 250 both", "Failed Rcpt Peer 550 c"];
        assert_eq!(play.fates(), fates);
        assert_eq!(play.dialogue.next_number(), 3);
    }
}

#[test]
fn a_refused_message_is_no_refusal_of_the_next() {
    let (mut play, next) = gone_ahead();
    play.turn("554 5.7.1 spam\r\n250 a\r\n550 b\r\n450 c\r\n503 d\r\n", "");
    assert_eq!(play.fates(), ["Failed End Peer 554 5.7.1 spam"]);
    play.begin(&next);
    assert_eq!(play.heard(), "RSET");
    assert_eq!(
        play.fates(),
        ["Failed Rcpt Peer 550 b", "Deferred Rcpt Peer 450 c"]
    );
    assert!(play.dialogue.is_ready());
}

#[test]
fn behind_a_chunk_goes_a_reset() {
    let mut play = Play::opened(&target(), &["PIPELINING", "CHUNKING"]);
    let next = letter(1);
    play.begin(&letter(1));
    play.heard();
    play.turn("250 a\r\n250 b\r\n", "BDAT 100 LAST");
    let said = "RSET|MAIL FROM:<s@us.test>|RCPT TO:<a@b.test>";
    assert_eq!(play.sends_before(&next), said);
    play.turn("554 5.6.0 no\r\n250 reset\r\n250 a\r\n250 b\r\n", "");
    assert_eq!(play.fates(), ["Failed End Peer 554 5.6.0 no"]);
    play.begin(&next);
    assert_eq!(play.heard(), "BDAT 100 LAST");
    assert_eq!(play.body(), Framing::Chunk);
}

#[test]
fn what_ends_the_connection_leaves_the_next_letter_untold() {
    for (says, fate) in [
        (
            "",
            "Unknown End Us 451 4.4.2 connection lost at end of message",
        ),
        ("250 ok\r\n", "Delivered End Peer 250 ok"),
        (
            "250 ok\r\n250 a\r\n421 enough\r\n",
            "Delivered End Peer 250 ok",
        ),
        ("250 ok\r\n354 a\r\n", "Delivered End Peer 250 ok"),
        ("421 4.3.2 bye\r\n", "Deferred End Peer 421 4.3.2 bye"),
    ] {
        let (mut play, _) = gone_ahead();
        play.says(says);
        play.input(Input::Lost);
        assert_eq!(play.fates(), [fate], "after {says}");
        assert!(play.dialogue.is_closed());
    }
    // Lost after it has begun, before any word about it: as good as never said.
    let (mut play, next) = gone_ahead();
    play.says("250 ok\r\n");
    play.outcome();
    play.begin(&next);
    play.input(Input::Lost);
    assert!(play.outcome().is_stale);
}

#[test]
fn a_message_that_gets_stuck_takes_the_next_envelope_along() {
    let mut play = Play::opened(&target(), PIPELINING);
    play.begin(&letter(1));
    play.heard();
    play.says("250 a\r\n250 b\r\n354 c\r\n");
    play.body();
    let next = letter(1);
    play.input(Input::Next {
        letter: &next,
        octets: 100,
    });
    play.input(Input::BodyStuck);
    play.says("552 5.3.4 enough\r\n");
    assert_eq!(play.fates(), ["Failed Body Peer 552 5.3.4 enough"]);
    assert!(play.dialogue.is_closed());
}

#[test]
fn nothing_goes_ahead_where_it_may_not() {
    let eight_bit = with(letter(1), |envelope| {
        envelope.body = store::mail::envelope::BodyKind::EightBitMime;
    });
    let foreign = with(letter(1), |envelope| envelope.smtputf8 = true);
    for (keywords, next) in [
        (&["SIZE"][..], letter(1)),
        (&["PIPELINING", "LIMITS MAILMAX=1"], letter(1)),
        (&["PIPELINING", "SIZE 50"], letter(1)),
        (&["PIPELINING"], eight_bit),
        (&["PIPELINING"], foreign),
    ] {
        let mut play = Play::opened(&target(), keywords);
        play.begin_sized(&letter(1), 10, false);
        while play.out.wish.is_none() {
            let granted = |command| {
                if command == "DATA" {
                    "354 x\r\n"
                } else {
                    "250 x\r\n"
                }
            };
            let replies: String = play.heard().split('|').map(granted).collect();
            play.says(&replies);
        }
        assert_eq!(play.sends_before(&next), "", "with {keywords:?}");
        play.says("250 ok\r\n");
        assert_eq!(play.fates(), ["Delivered End Peer 250 ok"]);
        assert!(!play.dialogue.is_closed());
    }
}

#[test]
fn hundreds_of_recipients_begin_ahead() {
    let (mut play, next) = (Play::opened(&target(), PIPELINING), letter(150));
    play.begin(&letter(1));
    play.heard();
    play.says("250 a\r\n250 b\r\n354 c\r\n");
    assert_eq!(play.sends_before(&next).matches("RCPT").count(), 99);
    play.says("250 ok\r\n");
    play.says(&"250 x\r\n".repeat(100));
    play.outcome();
    play.begin(&next);
    let heard = play.heard();
    assert_eq!(heard.matches("RCPT").count(), 51);
    assert!(heard.ends_with("|DATA"));
}

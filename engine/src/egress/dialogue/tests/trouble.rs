//! Goodbyes, nonsense, silence and ends in the middle of a letter.

use super::*;

/// The replies of a good letter to one recipient, one by one, with what goes on between them.
const REPLIES: [&str; 4] = [
    "250 mail\r\n",
    "250 rcpt\r\n",
    "354 data\r\n",
    "250 end\r\n",
];
const STAGES: [Stage; 4] = [Stage::Mail, Stage::Rcpt, Stage::Data, Stage::End];

/// A letter that has been answered so many times; pipelined or not.
fn answered(keywords: &[&str], times: usize) -> Play {
    let mut play = Play::opened(&target(), keywords);
    play.begin(&letter(1));
    for reply in REPLIES.iter().take(times) {
        play.says(reply);
        if let Some(Wish::SendBody(_)) = play.out.wish {
            play.body();
            play.input(Input::BodySent);
        }
    }
    play.heard();
    play
}

#[test]
fn goodbye_at_any_point() {
    for keywords in [PIPELINING, &[]] {
        for (times, stage) in STAGES.iter().enumerate() {
            let mut play = answered(keywords, times);
            play.turn("421 4.3.2 going down\r\n", "");
            let outcome = play.outcome();
            assert!(!outcome.is_open && !outcome.is_stale);
            let expected = format!("Deferred {stage:?} Peer 421 4.3.2 going down");
            assert_eq!(shown(&outcome.recipients[0]), expected);
            assert!(play.dialogue.is_closed());
        }
    }
}

#[test]
fn nonsense_silence_and_ends_at_any_point() {
    for keywords in [PIPELINING, &[]] {
        for (times, stage) in STAGES.iter().enumerate() {
            let fate = match stage {
                Stage::End => "Unknown",
                _ => "Deferred",
            };
            for (way, status) in [
                ("?\r\n", "4.5.0"),
                ("300 x\r\n", ""),
                ("", "4.4.2"),
                ("-", "4.4.2"),
            ] {
                if way == "300 x\r\n" && *stage == Stage::Data {
                    continue;
                }
                let mut play = answered(keywords, times);
                match way {
                    "" => play.input(Input::Lost),
                    "-" => _ = play.waits(),
                    says => play.says(says),
                }
                let outcome = play.outcome();
                let fates = shown(&outcome.recipients[0]);
                let expected = format!("{fate} {stage:?} Us 451 {status}");
                assert!(fates.starts_with(&expected), "{fates}, not {expected}");
                assert!(!outcome.is_open && play.dialogue.is_closed());
            }
        }
    }
}

#[test]
fn good_words_for_data_are_out_of_step() {
    let mut play = answered(PIPELINING, 2);
    play.says("250 fine\r\n");
    assert!(play.fates()[0].starts_with("Deferred Data Us 451 4.5.0 reply 250 out of step"));
}

#[test]
fn a_used_connection_that_ends_before_an_answer_is_stale() {
    for ending in ["421 4.4.2 idle too long\r\n", ""] {
        let mut play = answered(PIPELINING, 4);
        assert!(play.outcome().is_open);
        play.begin(&letter(1));
        play.heard();
        match ending {
            "" => play.input(Input::Lost),
            says => play.says(says),
        }
        assert!(play.outcome().is_stale);
    }
    let mut play = answered(PIPELINING, 4);
    play.outcome();
    play.begin(&letter(1));
    play.says("250 x\r\n");
    play.input(Input::Lost);
    assert!(!play.outcome().is_stale, "it was heard of");
}

#[test]
fn words_that_nobody_asked_for_end_an_idle_connection() {
    for says in ["250 x\r\n", "421 x\r\n", "?\r\n"] {
        let mut play = answered(PIPELINING, 4);
        play.outcome();
        assert!(play.dialogue.is_ready());
        play.says(says);
        assert!(play.dialogue.is_closed(), "{says}");
    }
    // The answer to RSET was asked for, once.
    let mut play = Play::opened(&target(), PIPELINING);
    play.begin(&letter(1));
    play.says("250 x\r\n550 x\r\n503 x\r\n");
    play.outcome();
    play.says("250 reset\r\n");
    assert!(play.dialogue.is_ready());
    play.says("250 reset\r\n");
    assert!(play.dialogue.is_closed());
}

/// What comes behind the verdict, in the same packet or not, does not undo it.
#[test]
fn a_verdict_stands() {
    for (behind, is_open) in [("", true), ("421 idle\r\n", false), ("?\r\n", false)] {
        let mut play = answered(PIPELINING, 3);
        play.says(&format!("250 end\r\n{behind}"));
        assert_eq!(play.dialogue.is_ready(), is_open);
        assert_eq!(play.fates(), ["Delivered End Peer 250 end"]);
    }
}

#[test]
fn a_yes_before_the_end_of_the_message_is_none() {
    for (says, expected) in [
        (
            "354 x\r\n250 thanks already\r\n",
            "Deferred Body Us 451 4.5.0",
        ),
        (
            "354 x\r\n552 5.3.4 too big\r\n",
            "Failed Body Peer 552 5.3.4 too big",
        ),
        ("354 x\r\n421 bye\r\n", "Deferred Body Peer 421 bye"),
    ] {
        let mut play = answered(PIPELINING, 2);
        play.says(says);
        let fates = play.fates();
        assert!(fates[0].starts_with(expected), "{fates:?}");
        assert!(play.dialogue.is_closed());
    }
}

#[test]
fn a_message_that_is_not_taken_or_not_readable() {
    let stuck = |last_words: &str| {
        let mut play = answered(PIPELINING, 2);
        play.says("354 x\r\n");
        play.body();
        play.input(Input::BodyStuck);
        match last_words {
            "" => play.input(Input::Lost),
            "-" => _ = play.waits(),
            says => play.says(says),
        }
        play.fates().remove(0)
    };
    assert_eq!(
        stuck("552 5.3.4 too big\r\n"),
        "Failed Body Peer 552 5.3.4 too big"
    );
    assert!(stuck("").starts_with("Deferred Body Us 451 4.4.2"));
    assert!(stuck("-").starts_with("Deferred Body Us 451 4.4.2"));
    assert!(stuck("250 what?\r\n").starts_with("Deferred Body Us"));
    let mut play = answered(PIPELINING, 2);
    play.says("354 x\r\n");
    play.body();
    play.input(Input::BodyUnreadable("a bad disk"));
    assert!(play.fates()[0].starts_with("Deferred Body Us 451 4.3.0 the message cannot be read"));
    assert!(play.dialogue.is_closed(), "the peer must not see an end");
}

#[test]
fn a_transaction_has_an_end() {
    let mut play = Play::opened(&target(), &[]);
    play.begin_sized(&letter(26), 1024 * 100, false);
    let whole = play.dialogue.whole_due_ms();
    assert_eq!(whole, 1_900_000, "half an hour, and a second a KiB");
    while play.out.wish.is_none() {
        play.now_ms = (play.now_ms + 200_000).min(whole);
        match play.now_ms == whole {
            true => play.input(Input::TimedOut),
            false => play.says("250 slow\r\n"),
        }
    }
    assert!(
        play.fates()
            .iter()
            .all(|fate| fate.contains("no reply in time at RCPT"))
    );
}

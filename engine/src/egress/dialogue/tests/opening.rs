//! Banner, EHLO, STARTTLS and AUTH.

use super::*;

const OFFER: &str = "250-mx.test\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN\r\n";

#[test]
fn a_plain_opening() {
    let mut play = Play::new(&target(), StartTls::IfOffered);
    play.turn("220-mx\r\n220 ready\r\n", "EHLO us.test");
    play.turn("250-mx\r\n250 PIPELINING\r\n", "");
    assert!(matches!(play.out.wish, Some(Wish::Open)));
    assert!(play.dialogue.offer().pipelining && play.dialogue.is_ready());
    assert_eq!(play.dialogue.due_ms(), None);
    let mut play = Play::new(&lmtp(), StartTls::Never);
    play.turn("220 ready\r\n", "LHLO us.test");
}

#[test]
fn a_server_that_says_more_than_asked_is_not_opened() {
    for behind in ["250 x\r\n", "421 x\r\n", "?\r\n"] {
        let mut play = Play::new(&target(), StartTls::IfOffered);
        play.says("220 x\r\n");
        play.says(&format!("250 mx\r\n{behind}"));
        assert!(!matches!(play.out.wish, Some(Wish::Open)) && play.dialogue.is_closed());
    }
}

#[test]
fn helo_for_who_does_not_know_ehlo() {
    let mut play = Play::new(&target(), StartTls::IfOffered);
    play.says("220 x\r\n");
    play.heard();
    play.turn("500 what\r\n", "HELO us.test");
    play.turn("250-PIPELINING\r\n250 SIZE\r\n", "");
    assert!(matches!(play.out.wish, Some(Wish::Open)));
    assert_eq!(*play.dialogue.offer(), Offer::default());
    for (target, refusals) in [(target(), 2), (lmtp(), 1)] {
        let mut play = Play::new(&target, StartTls::Never);
        play.says("220 x\r\n");
        for _ in 0..refusals {
            play.says("502 5.5.1 never\r\n");
        }
        let failure = play.failure();
        assert_eq!(failure.to_string(), "EHLO: the peer said 502 5.5.1 never");
        assert!(!failure.is_temporary() && play.dialogue.is_closed());
    }
}

#[test]
fn refused_at_the_door() {
    for (says, shown) in [
        (
            "554 5.7.1 blocked\r\n",
            "banner: the peer said 554 5.7.1 blocked",
        ),
        ("421 busy\r\n", "banner: the peer said 421 busy"),
        (
            "hello\r\n",
            "banner: 451 4.5.0 a line without a reply code at banner",
        ),
        (
            "354 x\r\n",
            "banner: 451 4.5.0 reply 354 out of step at banner",
        ),
    ] {
        let mut play = Play::new(&target(), StartTls::IfOffered);
        play.says(says);
        assert_eq!(play.failure().to_string(), shown);
        assert_eq!(play.heard(), "");
    }
}

#[test]
fn answers_given_before_tls_are_thrown_away() {
    let mut play = Play::new(&target(), StartTls::IfOffered);
    play.says("220 x\r\n");
    play.heard();
    play.turn(OFFER, "STARTTLS");
    // Injected in clear behind the 220, whole and half.
    play.says("220 go\r\n250-evil\r\n250 AUTH PLAIN\r\n250");
    assert!(matches!(play.out.wish.take(), Some(Wish::StartTls)));
    play.says("250 more\r\n");
    play.input(Input::Secured { is_verified: true });
    assert_eq!(play.heard(), "EHLO us.test");
    assert!(play.out.wish.is_none() && play.dialogue.offer().auth.is_empty());
    play.turn("250-mx\r\n250 REQUIRETLS\r\n", "");
    assert!(matches!(play.out.wish, Some(Wish::Open)));
    assert!(play.dialogue.offer().require_tls && !play.dialogue.offer().start_tls);
}

#[test]
fn starttls_that_is_refused() {
    for (start_tls, goes_on) in [(StartTls::IfOffered, true), (StartTls::Demanded, false)] {
        let mut play = Play::new(&target(), start_tls);
        play.says("220 x\r\n");
        play.says(OFFER);
        play.says("454 4.7.0 no\r\n");
        match goes_on {
            true => assert!(matches!(play.out.wish, Some(Wish::Open))),
            false => {
                let failure = play.failure();
                assert_eq!(failure.stage, Stage::StartTls);
                assert!(failure.is_temporary());
            }
        }
        assert!(play.dialogue.tls_fault().is_some());
    }
}

#[test]
fn tls_that_is_demanded_and_not_offered() {
    let mut play = Play::new(&target(), StartTls::Demanded);
    play.says("220 x\r\n");
    play.says("250 mx\r\n");
    let failure = play.failure();
    assert_eq!(failure.reply.status, Some(Status(4, 7, 10)));
    assert!(failure.is_temporary());
}

/// A server behind TLS that offers these mechanisms, and what it hears then.
fn asked(mechanisms: &str) -> (Play, String) {
    let target = Target {
        login: login(),
        ..target()
    };
    let mut play = Play::new(&target, StartTls::Demanded);
    play.says("220 x\r\n");
    play.says(OFFER);
    play.says("220 go\r\n");
    play.out = Output::default();
    play.input(Input::Secured { is_verified: true });
    play.heard();
    play.says(&format!("250-mx\r\n250 AUTH {mechanisms}\r\n"));
    let heard = play.heard();
    (play, heard)
}

#[test]
fn login_by_plain_and_by_login() {
    let (mut play, heard) = asked("LOGIN PLAIN");
    assert_eq!(heard, "AUTH PLAIN AHRpbQBwdw==");
    play.turn("235 2.7.0 in\r\n", "");
    assert!(matches!(play.out.wish, Some(Wish::Open)));
    let (mut play, heard) = asked("LOGIN CRAM-MD5");
    assert_eq!(heard, "AUTH LOGIN");
    play.turn("334 VXNlcm5hbWU6\r\n", "dGlt");
    play.turn("334 UGFzc3dvcmQ6\r\n", "cHc=");
    play.turn("535 5.7.8 no\r\n", "");
    let failure = play.failure();
    assert_eq!(failure.to_string(), "AUTH: the peer said 535 5.7.8 no");
    assert!(
        failure.is_temporary(),
        "mail waits until the password is mended"
    );
}

#[test]
fn login_by_scram() {
    let (mut play, heard) = asked("PLAIN SCRAM-SHA-256");
    assert_eq!(heard, "AUTH SCRAM-SHA-256 biwsbj10aW0scj1ub25jZQ==");
    // r=nonceX,s=c2FsdA==,i=4096
    play.turn("334 cj1ub25jZVgscz1jMkZzZEE9PSxpPTQwOTY=\r\n", "");
    let Some(Wish::Derive(derivation)) = play.out.wish.take() else {
        panic!("no derivation is wished for");
    };
    play.input(Input::Derived(derivation.derive()));
    assert!(play.heard().starts_with("Yz1iaXdzLHI9bm9uY2VYLHA9"));
    play.says("235 2.7.0 in, believe me\r\n");
    let failure = play.failure();
    assert!(failure.reply.text.contains("did not prove"), "{failure}");
}

#[test]
fn no_password_in_clear_and_no_nonsense() {
    let target = Target {
        login: login(),
        ..target()
    };
    let mut play = Play::new(&target, StartTls::IfOffered);
    play.says("220 x\r\n");
    play.heard();
    play.turn("250-mx\r\n250 AUTH PLAIN LOGIN\r\n", "");
    assert_eq!(play.failure().stage, Stage::Login);
    let (mut play, _) = asked("SCRAM-SHA-256");
    play.says("334 !!!\r\n");
    assert!(play.failure().reply.text.contains("makes no sense"));
}

#[test]
fn silence_and_ends_in_every_state() {
    let patience = target().patience;
    for (said, stage, patience) in [
        (&[][..], Stage::Banner, patience.banner),
        (&["220 x\r\n"], Stage::Hello, patience.command),
        (&["220 x\r\n", OFFER], Stage::StartTls, patience.command),
    ] {
        for is_lost in [true, false] {
            let mut play = Play::new(&target(), StartTls::IfOffered);
            said.iter().for_each(|says| play.says(says));
            match is_lost {
                true => play.input(Input::Lost),
                false => assert_eq!(Duration::from_millis(play.waits()), patience),
            }
            let failure = play.failure();
            assert_eq!(failure.stage, stage);
            assert_eq!(failure.reply.status, Some(Status(4, 4, 2)));
        }
    }
}

/// A peer that drips is as late as one that is silent.
#[test]
fn octets_of_a_reply_move_no_deadline() {
    let mut play = Play::new(&target(), StartTls::IfOffered);
    let due = play.dialogue.due_ms();
    for _ in 0..100 {
        play.now_ms += 1000;
        play.says("220-x\r\n");
        assert_eq!(play.dialogue.due_ms(), due);
    }
    // Each reply in time, and still not for ever.
    let patient = Target {
        patience: crate::egress::Patience {
            open: Duration::from_secs(400),
            ..target().patience
        },
        ..target()
    };
    let mut play = Play::new(&patient, StartTls::IfOffered);
    play.now_ms = 299_000;
    play.says("220 x\r\n");
    assert_eq!(play.dialogue.due_ms(), Some(400_000));
}

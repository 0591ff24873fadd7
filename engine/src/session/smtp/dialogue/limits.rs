//! Floods: what a session does when a client never stops.

use super::*;

#[test]
fn recipients_beyond_the_limit_wait_for_the_next_message() {
    let mut dialogue = Dialogue::of(Kind::Smtp);
    dialogue.say("EHLO c\r\nMAIL FROM:<a@b>\r\n");
    let codes = dialogue.codes(&"RCPT TO:<user@here>\r\n".repeat(103));
    assert_eq!(codes.iter().filter(|&&code| code == 250).count(), 100);
    assert_eq!(codes[100..], [452, 452, 452]);
    assert_eq!(dialogue.codes("DATA\r\n.\r\n"), [354, 250]);
    assert_eq!(dialogue.record.commits[0].envelope.recipients.len(), 100);
}

#[test]
fn the_default_takes_a_thousand_recipients() {
    let settings = Settings::smtp("mx.here");
    assert!(settings.recipients_max >= 1000);
    assert!(settings.recipients_max <= store::limit::RECIPIENTS_MAX);
}

#[test]
fn a_million_recipients_end_in_421() {
    let mut dialogue = Dialogue::of(Kind::Smtp);
    dialogue.say("EHLO c\r\nMAIL FROM:<a@b>\r\n");
    let mut refused = 0;
    while !dialogue.record.closed {
        let codes = dialogue.codes(&"RCPT TO:<nobody@here>\r\n".repeat(1000));
        refused += codes.iter().filter(|&&code| code == 550).count();
        assert!(refused < 10_000);
    }
    assert!(
        dialogue
            .record
            .replies
            .ends_with(reply::TOO_MANY_REFUSALS.as_bytes())
    );
}

#[test]
fn the_envelope_is_bounded_in_octets() {
    let mut wide = settings(Kind::Smtp);
    wide.recipients_max = 1_000_000;
    let mut dialogue = Dialogue::new(wide, Kind::Smtp, false);
    dialogue.say("EHLO c\r\nMAIL FROM:<a@b>\r\n");
    let orcpt = "x".repeat(480);
    let rcpt = format!("RCPT TO:<user@here> ORCPT=rfc822;{orcpt}\r\n");
    let codes = dialogue.codes(&rcpt.repeat(ENVELOPE_BYTES_MAX / 480 + 1));
    assert_eq!(codes.last(), Some(&452));
    let accepted = codes.iter().filter(|&&code| code == 250).count();
    assert!(accepted * 480 <= ENVELOPE_BYTES_MAX);
}

#[test]
fn broken_commands_are_kept_until_they_repeat_too_often() {
    let mut dialogue = Dialogue::of(Kind::Smtp);
    let codes = dialogue.codes(&"FOO\r\nNOOP\nNO\rOP\r\nNO\0OP\r\n".repeat(9));
    assert_eq!(codes.len(), 20);
    assert_eq!(codes[..19], [500; 19]);
    assert_eq!(codes[19], 421);
    assert!(dialogue.record.closed);
}

#[test]
fn a_message_wipes_the_slate() {
    let message = "MAIL FROM:<a@b>\r\nRCPT TO:<user@here>\r\nDATA\r\n.\r\n";
    let mut dialogue = Dialogue::of(Kind::Smtp);
    dialogue.say("EHLO c\r\n");
    for _ in 0..5 {
        dialogue.say(&"FOO\r\n".repeat(15));
        assert_eq!(dialogue.codes(message), [250, 250, 354, 250]);
    }
}

#[test]
fn messages_are_counted() {
    let mut few = settings(Kind::Smtp);
    few.messages_max = 2;
    let mut dialogue = Dialogue::new(few, Kind::Smtp, false);
    let message = "MAIL FROM:<a@b>\r\nRCPT TO:<user@here>\r\nDATA\r\n.\r\n";
    assert!(dialogue.say("EHLO c\r\n").contains("MAILMAX=2"));
    assert_eq!(
        dialogue.codes(&message.repeat(2)),
        [250, 250, 354, 250, 250, 250, 354, 250]
    );
    assert_eq!(dialogue.codes(message), [421]);
}

#[test]
fn replies_wait_until_they_are_sent() {
    let mut dialogue = Dialogue::of(Kind::Smtp);
    let flood = "HELP\r\n".repeat(10_000);
    let taken = dialogue
        .session
        .feed(0, flood.as_bytes(), &mut dialogue.out);
    assert!(taken < flood.len());
    assert!(dialogue.out.reply.len() < REPLY_BYTES_MAX + 1000);
    assert_eq!(dialogue.session.feed(0, b"NOOP\r\n", &mut dialogue.out), 0);
    dialogue.carry();
    assert_eq!(dialogue.session.feed(0, b"NOOP\r\n", &mut dialogue.out), 6);
}

#[test]
fn a_body_waits_until_it_is_stored() {
    let mut wide = settings(Kind::Smtp);
    wide.message_octets_max = 10 << 20;
    let mut dialogue = Dialogue::new(wide, Kind::Smtp, false);
    dialogue.say("EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<user@here>\r\nDATA\r\n");
    let flood = "x\r\n".repeat(1 << 19);
    let taken = dialogue
        .session
        .feed(0, flood.as_bytes(), &mut dialogue.out);
    assert!(taken < flood.len() && dialogue.out.body.len() >= BODY_BYTES_MAX);
    assert!(dialogue.out.body.len() < BODY_BYTES_MAX + (64 << 10));
}

#[test]
fn a_message_without_end_is_given_up() {
    let mut dialogue = Dialogue::of(Kind::Smtp);
    dialogue.say("EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<user@here>\r\nDATA\r\n");
    let megabyte = vec![b'x'; 1 << 20];
    for _ in 0..SWALLOW_BYTES_MAX >> 20 {
        dialogue.flight(&megabyte, &[]);
    }
    assert!(!dialogue.record.closed);
    dialogue.flight(&megabyte, &[]);
    assert!(dialogue.record.closed);
    assert!(
        dialogue
            .record
            .replies
            .ends_with(reply::ENDLESS_MESSAGE.as_bytes())
    );
    assert_eq!(
        dialogue.record.bodies[0].len(),
        1000,
        "no more was stored than is allowed"
    );
}

#[test]
fn a_line_of_a_megabyte_costs_one_reply() {
    let mut dialogue = Dialogue::of(Kind::Smtp);
    let long = format!("EHLO {}\r\nNOOP\r\n", "x".repeat(1 << 19));
    assert_eq!(dialogue.codes(&long), [500, 250]);
    let endless = "x".repeat(1 << 20);
    assert_eq!(dialogue.codes(&endless), [421]);
}

#[test]
fn an_idle_session_is_small() {
    assert!(size_of::<Session>() <= 512, "{}", size_of::<Session>());
    assert!(size_of::<Output>() <= 256, "{}", size_of::<Output>());
}

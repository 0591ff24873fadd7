//! AUTH with every mechanism, its refusals, and what it opens.

use super::*;
use crate::wire::sasl::scram::{Hash, ITERATIONS, client_final};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::num::NonZeroU32;

fn base64(text: &str) -> String {
    STANDARD.encode(text)
}

fn submission() -> Dialogue {
    let mut dialogue = Dialogue::of(Kind::Submission);
    dialogue.say("EHLO c\r\n");
    dialogue
}

#[test]
fn submission_wants_a_login_first() {
    let mut dialogue = submission();
    assert!(
        dialogue
            .say("MAIL FROM:<user@here>\r\n")
            .starts_with("530 5.7.0 ")
    );
    let plain = base64("\0user@here\0pencil");
    assert!(
        dialogue
            .say(&format!("AUTH PLAIN {plain}\r\n"))
            .starts_with("235 2.7.0 ")
    );
    assert!(dialogue.say("AUTH PLAIN\r\n").starts_with("503 5.5.1 "));
    assert!(!dialogue.say("EHLO c\r\n").contains("AUTH"));
    assert!(
        dialogue
            .say("MAIL FROM:<other@here>\r\n")
            .starts_with("553 5.7.1 ")
    );
    assert_eq!(dialogue.codes("MAIL FROM:<user@here> AUTH=x@y\r\n"), [250]);
    assert!(
        dialogue
            .say("RCPT TO:<a@elsewhere>\r\n")
            .starts_with("550 5.7.1 ")
    );
    let envelope = dialogue.session.envelope().unwrap();
    assert_eq!(envelope.auth.as_deref(), Some("x@y"));
    assert!(dialogue.say("AUTH PLAIN\r\n").starts_with("503 5.5.1 "));
}

#[test]
fn passwords_go_only_through_tls() {
    let mut dialogue = Dialogue::new(settings(Kind::Submission), Kind::Submission, false);
    let early = dialogue.say("EHLO c\r\nMAIL FROM:<user@here>\r\n");
    assert!(early.ends_with("530 5.7.0 Issue a STARTTLS command first\r\n"));
    assert!(
        dialogue
            .say("EHLO c\r\nAUTH PLAIN\r\n")
            .ends_with("538 5.7.11 Encryption required for authentication\r\n")
    );
    let mut strict = settings(Kind::Submission);
    strict.tls_required = true;
    let mut dialogue = Dialogue::new(strict, Kind::Submission, false);
    let said = dialogue.say("EHLO c\r\nMAIL FROM:<user@here>\r\n");
    assert!(
        said.ends_with("530 5.7.0 Issue a STARTTLS command first\r\n"),
        "{said}"
    );
}

#[test]
fn only_the_mechanisms_of_the_settings_are_there() {
    let mut few = settings(Kind::Submission);
    few.mechanisms = vec![crate::wire::sasl::Mechanism::Plain];
    let mut dialogue = Dialogue::new(few, Kind::Submission, true);
    assert!(dialogue.say("EHLO c\r\n").contains("250-AUTH PLAIN\r\n"));
    assert_eq!(dialogue.codes("AUTH LOGIN\r\nAUTH PLAIN\r\n"), [504, 334]);
}

#[test]
fn plain_and_login_without_initial_response() {
    let plain = base64("\0user@here\0pencil");
    let mut dialogue = submission();
    assert_eq!(dialogue.say("AUTH PLAIN\r\n"), "334 \r\n");
    assert_eq!(dialogue.codes(&format!("{plain}\r\n")), [235]);

    let mut dialogue = submission();
    assert_eq!(dialogue.say("auth login\r\n"), "334 VXNlcm5hbWU6\r\n");
    let user = base64("user@here");
    assert_eq!(dialogue.say(&format!("{user}\r\n")), "334 UGFzc3dvcmQ6\r\n");
    let password = base64("pencil");
    assert_eq!(
        dialogue.codes(&format!("{password}\r\nMAIL FROM:<user@here>\r\n")),
        [235, 250]
    );
}

#[test]
fn a_stranger_and_a_wrong_password_hear_the_same() {
    let plain = |text: &str| format!("AUTH PLAIN {}\r\n", base64(text));
    let mut dialogue = submission();
    let wrong = dialogue.say(&plain("\0user@here\0wrong"));
    assert_eq!(wrong, dialogue.say(&plain("\0stranger@here\0wrong")));
    assert!(wrong.starts_with("535 5.7.8 "));
}

#[test]
fn a_broken_exchange_leaves_the_session_as_it_was() {
    let long = format!("AUTH PLAIN {}\r\n", "A".repeat(12_292));
    let too_long = format!("AUTH PLAIN {}\r\n", "A".repeat(14_000));
    for (said, expected) in [
        ("AUTH PLAIN\r\n*\r\n", vec![334, 501]),
        ("AUTH PLAIN *\r\n", vec![501]),
        ("AUTH PLAIN !!!\r\n", vec![501]),
        ("AUTH PLAIN =\r\n", vec![501]),
        ("AUTH PLAIN\r\nQUIT\n", vec![334, 500]),
        ("AUTH LOGIN\r\n\r\n", vec![334, 501]),
        ("AUTH GSSAPI\r\n", vec![504]),
        ("AUTH SCRAM-SHA-256-PLUS\r\n", vec![504]),
        ("AUTH\r\n", vec![501]),
        (&long, vec![500]),
        (&too_long, vec![500]),
    ] {
        let mut dialogue = submission();
        assert_eq!(dialogue.codes(said), expected, "{said}");
        assert_eq!(dialogue.codes("NOOP\r\n"), [250]);
        assert_eq!(dialogue.session.login(), None);
    }
    assert!(submission().say(&long).starts_with("500 5.5.6 "));
}

#[test]
fn an_account_that_is_everywhere_is_turned_away() {
    let mut dialogue = submission();
    let plain = base64("\0everywhere@here\0pencil");
    let said = dialogue.say(&format!("AUTH PLAIN {plain}\r\n"));
    assert!(said.starts_with("421 4.7.0 "), "{said}");
    assert!(dialogue.record.closed);
}

#[test]
fn too_many_failures_close() {
    let mut dialogue = submission();
    let wrong = format!("AUTH PLAIN {}\r\n", base64("\0user@here\0wrong"));
    let codes = dialogue.codes(&wrong.repeat(9));
    assert_eq!(codes, [535, 535, 535, 535, 421]);
    assert!(dialogue.record.closed);
}

/// SCRAM up to the client's last empty response; the replies to both messages.
fn scram(dialogue: &mut Dialogue, user: &str, password: &str) -> (String, String) {
    let bare = format!("n={user},r=client");
    let first = base64(&format!("n,,{bare}"));
    let challenge = dialogue.say(&format!("AUTH SCRAM-SHA-256 {first}\r\n"));
    let server_first = STANDARD.decode(challenge[4..].trim_end()).unwrap();
    let server_first = String::from_utf8(server_first).unwrap();
    let last = base64(&client_final(password, &bare, &server_first));
    (server_first, dialogue.say(&format!("{last}\r\n")))
}

fn scram_submission() -> Dialogue {
    let mut dialogue = submission();
    let iterations = NonZeroU32::new(ITERATIONS).unwrap();
    dialogue.keys = Some(Keys::derive(
        Hash::Sha256,
        "pencil",
        b"salt of 16 bytes",
        iterations,
    ));
    dialogue
}

#[test]
fn scram_proves_both_sides() {
    let mut dialogue = scram_submission();
    let (_, answer) = scram(&mut dialogue, "user@here", "pencil");
    let signature = STANDARD.decode(answer[4..].trim_end()).unwrap();
    assert!(answer.starts_with("334 ") && signature.starts_with(b"v="));
    assert_eq!(dialogue.codes("\r\n"), [235]);
    assert_eq!(
        dialogue.session.login().map(|login| &**login),
        Some("user@here")
    );
}

#[test]
fn scram_lets_nobody_else_in() {
    let mut dialogue = scram_submission();
    let (first, answer) = scram(&mut dialogue, "user@here", "wrong");
    assert!(answer.starts_with("535 5.7.8 "), "{answer}");
    let (stranger, same) = scram(&mut dialogue, "stranger@here", "pencil");
    assert_eq!(same, answer);
    assert_eq!(
        first.len(),
        stranger.len(),
        "salt and iterations look alike"
    );
    assert_eq!(dialogue.session.login(), None);
}

#[test]
fn scram_given_up_at_the_last_step_is_no_login() {
    let mut dialogue = scram_submission();
    scram(&mut dialogue, "user@here", "pencil");
    assert_eq!(dialogue.codes("*\r\nMAIL FROM:<user@here>\r\n"), [501, 530]);
}

#[test]
fn tls_takes_a_login_back() {
    let mut open = settings(Kind::Submission);
    open.auth = AuthOffer::Always;
    let mut dialogue = Dialogue::new(open, Kind::Submission, false);
    let plain = base64("\0user@here\0pencil");
    assert_eq!(
        dialogue.codes(&format!("EHLO c\r\nAUTH PLAIN {plain}\r\nSTARTTLS\r\n")),
        [250, 235, 220]
    );
    assert_eq!(
        dialogue.codes("EHLO c\r\nMAIL FROM:<user@here>\r\n"),
        [250, 530]
    );
}

#[test]
fn a_login_is_the_same_at_every_cut() {
    let flight = format!(
        "EHLO c\r\nAUTH PLAIN\r\n*\r\nAUTH LOGIN {}\r\n{}\r\nMAIL FROM:<user@here>\r\nQUIT\r\n",
        base64("user@here"),
        base64("pencil")
    );
    let record = every_cut(|| Dialogue::of(Kind::Submission), &[flight.as_bytes()]);
    let codes = codes(&String::from_utf8(record.replies).unwrap());
    assert_eq!(codes, [250, 334, 501, 334, 235, 250, 221]);
}

//! Every verb, good and bad, and the order of verbs.

use super::*;

const ENVELOPE: &str = "EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<user@here>\r\n";

#[test]
fn greets_by_kind() {
    for (kind, text) in [
        (Kind::Smtp, "220 mx.here ESMTP Ringpost\r\n"),
        (Kind::Submission, "220 mx.here ESMTP Ringpost\r\n"),
        (Kind::Lmtp, "220 mx.here LMTP Ringpost\r\n"),
    ] {
        let mut dialogue = Dialogue::of(kind);
        dialogue.session.greet(&mut dialogue.out);
        assert_eq!(dialogue.out.reply, text.as_bytes());
    }
}

#[test]
fn lists_what_it_can_do() {
    let smtp = Dialogue::of(Kind::Smtp).say("EHLO client.example\r\n");
    assert_eq!(
        smtp,
        "250-mx.here\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n\
         250-CHUNKING\r\n250-BINARYMIME\r\n250-ENHANCEDSTATUSCODES\r\n250-DSN\r\n\
         250-MT-PRIORITY\r\n250-DELIVERBY\r\n250-STARTTLS\r\n\
         250-LIMITS RCPTMAX=100 MAILMAX=100000\r\n250 HELP\r\n"
    );
    let submission = Dialogue::of(Kind::Submission).say("EHLO c\r\n");
    assert!(submission.contains("250-AUTH SCRAM-SHA-256 PLAIN LOGIN\r\n"));
    assert!(!submission.contains("STARTTLS"), "TLS is active");
    let mut clear = Dialogue::new(settings(Kind::Submission), Kind::Submission, false);
    let clear = clear.say("EHLO c\r\n");
    assert!(clear.contains("STARTTLS") && !clear.contains("AUTH"));
    let lmtp = Dialogue::of(Kind::Lmtp).say("LHLO c\r\n");
    assert!(lmtp.contains("PIPELINING") && lmtp.contains("ENHANCEDSTATUSCODES"));
    assert_eq!(
        Dialogue::of(Kind::Smtp).say("HELO c\r\n"),
        "250 mx.here\r\n"
    );
}

#[test]
fn each_kind_has_its_own_greeting() {
    assert_eq!(Dialogue::of(Kind::Smtp).codes("LHLO c\r\n"), [500]);
    assert_eq!(
        Dialogue::of(Kind::Lmtp).codes("EHLO c\r\nHELO c\r\n"),
        [500, 500]
    );
    assert_eq!(
        Dialogue::of(Kind::Smtp).codes("EHLO\r\nHELO a b\r\n"),
        [501, 501]
    );
}

#[test]
fn takes_a_message_in_one_flight_and_at_every_cut() {
    let flight = [
        ENVELOPE.as_bytes(),
        b"DATA\r\nS: x\r\n\r\n..hi\r\n.\r\nQUIT\r\n",
    ]
    .concat();
    let record = every_cut(|| Dialogue::of(Kind::Smtp), &[&flight]);
    let replies = String::from_utf8(record.replies).unwrap();
    assert_eq!(codes(&replies), [250, 250, 250, 354, 250, 221]);
    assert!(replies.contains("250 2.1.0 ") && replies.contains("250 2.1.5 "));
    assert!(replies.contains("250 2.0.0 OK queued as q1\r\n"));
    assert_eq!(record.bodies, [b"S: x\r\n\r\n.hi\r\n".to_vec()]);
    let commit = &record.commits[0];
    assert_eq!(commit.octets, 13);
    assert_eq!(commit.envelope.reverse_path, Some(Address::new("a", "b")));
    assert_eq!(
        commit.envelope.recipients[0].address,
        Address::new("user", "here")
    );
    assert_eq!(record.ended, [(250, Some("a@b".to_owned()), 1)]);
    assert!(record.closed);
}

#[test]
fn keeps_the_parameters_with_the_envelope() {
    let mut dialogue = Dialogue::of(Kind::Smtp);
    let said = dialogue.codes(
        "EHLO c\r\nMAIL FROM:<> BODY=8BITMIME SIZE=9 RET=FULL ENVID=e+2B1 SMTPUTF8 AUTH=x@y\r\n\
         RCPT TO:<\"u v\"@here> NOTIFY=DELAY,FAILURE ORCPT=rfc822;o@p\r\nRCPT TO:<postmaster>\r\n\
         RCPT TO:<δ@here>\r\nDATA\r\n.\r\n",
    );
    assert_eq!(said, [250, 250, 250, 250, 250, 354, 250]);
    let envelope = &dialogue.record.commits[0].envelope;
    assert_eq!(envelope.reverse_path, None);
    assert!(envelope.smtputf8);
    assert_eq!(envelope.envid.as_deref(), Some("e+1"));
    assert_eq!(
        envelope.auth.as_deref(),
        Some("<>"),
        "not logged in, not believed"
    );
    assert_eq!(envelope.recipients[0].address.local, "u v");
    assert_eq!(envelope.recipients[0].orcpt.as_deref(), Some("rfc822;o@p"));
    assert_eq!(envelope.recipients.len(), 3);
}

#[test]
fn asks_for_the_right_order() {
    for (said, code) in [
        ("MAIL FROM:<a@b>\r\n", 503),
        ("RCPT TO:<user@here>\r\n", 503),
        ("DATA\r\n", 503),
        ("BDAT 0 LAST\r\n", 503),
        ("EHLO c\r\nRCPT TO:<user@here>\r\n", 503),
        ("EHLO c\r\nDATA\r\n", 503),
        ("EHLO c\r\nMAIL FROM:<a@b>\r\nMAIL FROM:<a@b>\r\n", 503),
        ("EHLO c\r\nMAIL FROM:<a@b>\r\nDATA\r\n", 503),
        (
            "EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<nobody@here>\r\nDATA\r\n",
            503,
        ),
        (
            "EHLO c\r\nMAIL FROM:<a@b>\r\nRSET\r\nRCPT TO:<user@here>\r\n",
            503,
        ),
        (
            "EHLO c\r\nMAIL FROM:<a@b>\r\nEHLO c\r\nRCPT TO:<user@here>\r\n",
            503,
        ),
        ("NOOP\r\n", 250),
        ("RSET\r\n", 250),
        ("HELP\r\n", 214),
        ("VRFY user\r\n", 252),
        ("EXPN list\r\n", 502),
        ("AUTH PLAIN\r\n", 502),
        ("XCLIENT ADDR=1.2.3.4\r\n", 550),
        ("QUIT\r\n", 221),
    ] {
        let codes = Dialogue::of(Kind::Smtp).codes(said);
        assert_eq!(codes.last(), Some(&code), "{said}");
    }
}

#[test]
fn answers_recipients_by_what_is_wrong() {
    let mut dialogue = Dialogue::of(Kind::Smtp);
    dialogue.say("EHLO c\r\nMAIL FROM:<a@b>\r\n");
    for (path, answer) in [
        ("<user@here>", "250 2.1.5 "),
        ("<nobody@here>", "550 5.1.1 "),
        ("<full@here>", "552 5.2.2 "),
        ("<user@elsewhere>", "550 5.7.1 "),
        ("<@here:user@elsewhere>", "550 5.7.1 "),
        ("<user%elsewhere@there>", "550 5.7.1 "),
        ("<user%elsewhere@here>", "250 2.1.5 "),
        ("<δ@here>", "553 5.6.7 "),
        ("<>", "501 5.1.3 "),
        ("user@here", "501 5.1.3 "),
    ] {
        let said = dialogue.say(&format!("RCPT TO:{path}\r\n"));
        assert!(said.starts_with(answer), "{path}: {said}");
    }
    assert_eq!(dialogue.codes("DATA\r\n.\r\n"), [354, 250]);
    let recipients = &dialogue.record.commits[0].envelope.recipients;
    assert_eq!(
        recipients[1].address,
        Address::new("user%elsewhere", "here")
    );
}

#[test]
fn lmtp_answers_for_each_recipient() {
    let flight = b"LHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<user@here>\r\nRCPT TO:<nobody@here>\r\n\
        RCPT TO:<late@here>\r\nRCPT TO:<other@here>\r\nDATA\r\nx\r\n.\r\n\
        MAIL FROM:<a@b>\r\nRCPT TO:<user@here>\r\nRCPT TO:<two@here>\r\n\
        BDAT 3\r\nx\r\nBDAT 0 LAST\r\n\
        MAIL FROM:<a@b>\r\nRCPT TO:<user@here>\r\nRCPT TO:<two@here>\r\n\
        DATA\r\nx\ny\r\n.\r\nNOOP\r\n";
    let record = every_cut(|| Dialogue::of(Kind::Lmtp), &[flight]);
    assert_eq!(
        codes(&String::from_utf8(record.replies).unwrap()),
        [
            250, 250, 250, 550, 250, 250, 354, 250, 552, 250, // one for each accepted
            250, 250, 250, 250, 250, 250, // BDAT, then two
            250, 250, 250, 354, 550, 550, 250
        ]
    );
    assert_eq!(record.commits.len(), 2);
}

#[test]
fn starttls_forgets_everything_said_in_the_clear() {
    let injected = b"EHLO c\r\nMAIL FROM:<evil@b>\r\nSTARTTLS\r\nEHLO x\r\nMAIL FROM:<evil@b>\r\n";
    let secure = b"RCPT TO:<user@here>\r\nMAIL FROM:<a@b>\r\nEHLO c\r\n\
        RCPT TO:<user@here>\r\nSTARTTLS\r\nQUIT\r\n";
    let record = every_cut(|| Dialogue::of(Kind::Smtp), &[injected, secure]);
    let codes = codes(&String::from_utf8(record.replies).unwrap());
    assert_eq!(codes, [250, 250, 220, 503, 503, 250, 503, 503, 221]);
    assert_eq!(record.ended, [(0, Some("evil@b".to_owned()), 0)]);
}

#[test]
fn what_is_pipelined_behind_starttls_is_taken_and_thrown_away() {
    let mut session = Dialogue::of(Kind::Smtp).session;
    let mut out = Output::default();
    let flight = b"STARTTLS\r\nMAIL FROM:<evil@b>\r\nNOO";
    assert_eq!(session.feed(0, flight, &mut out), flight.len());
    assert_eq!(out.action, Some(Action::StartTls));
    out = Output::default();
    assert_eq!(session.feed(0, b"P\r\n", &mut out), 3);
    session.resume(0, Answer::Tls(TLS, Box::new(channel(true))), &mut out);
    assert!(out.reply.is_empty() && out.action.is_none());
    session.feed(0, b"EHLO c\r\n", &mut out);
    assert!(out.reply.starts_with(b"250-") && session.envelope().is_none());
}

#[test]
fn starttls_is_refused_where_there_is_none() {
    assert_eq!(Dialogue::of(Kind::Lmtp).codes("STARTTLS\r\n"), [502]);
    assert_eq!(Dialogue::of(Kind::Smtp).codes("STARTTLS now\r\n"), [501]);
}

#[test]
fn a_declared_size_too_large_is_refused_at_once() {
    let mut dialogue = Dialogue::of(Kind::Smtp);
    let said = dialogue.say("EHLO c\r\nMAIL FROM:<a@b> SIZE=1001\r\nMAIL FROM:<a@b> SIZE=1000\r\n");
    assert!(said.contains("\r\n552 5.3.4 "), "{said}");
    assert!(said.ends_with("250 2.1.0 Sender OK\r\n"));
    assert_eq!(dialogue.record.ended, [(552, Some("a@b".to_owned()), 0)]);
    let twice = b"EHLO c\r\nMAIL FROM:<a@b> SIZE=1001\r\nMAIL FROM:<c@d> SIZE=1001\r\n";
    let record = every_cut(|| Dialogue::of(Kind::Smtp), &[twice]);
    assert_eq!(record.ended.len(), 2, "each is told, however they come");
}

#[test]
fn browsers_are_sent_away() {
    let mut dialogue = Dialogue::of(Kind::Smtp);
    assert_eq!(
        dialogue.codes("POST / HTTP/1.1\r\nHost: x\r\n\r\nEHLO c\r\n"),
        [421]
    );
    assert!(dialogue.record.closed);
}

#[test]
fn the_last_words_are_421() {
    let mut dialogue = Dialogue::of(Kind::Smtp);
    dialogue.say(ENVELOPE);
    dialogue.session.timed_out(9, &mut dialogue.out);
    dialogue.carry();
    assert!(
        dialogue.record.closed
            && dialogue
                .record
                .replies
                .ends_with(reply::TIMED_OUT.as_bytes())
    );
    assert_eq!(dialogue.record.ended, [(0, Some("a@b".to_owned()), 1)]);
}

#[test]
fn shutting_down_lets_a_message_end() {
    let mut dialogue = Dialogue::of(Kind::Smtp);
    dialogue.say(ENVELOPE);
    dialogue.say("DATA\r\nx\r\n");
    dialogue.session.shutting_down(9, &mut dialogue.out);
    assert!(dialogue.out.reply.is_empty() && dialogue.out.action.is_none());
    assert_eq!(dialogue.codes(".\r\nNOOP\r\n"), [250, 421]);
    assert!(dialogue.record.closed);

    let mut chunked = Dialogue::of(Kind::Smtp);
    chunked.say(ENVELOPE);
    chunked.say("BDAT 1\r\nx");
    chunked.session.shutting_down(9, &mut chunked.out);
    assert!(chunked.out.action.is_none());
    assert_eq!(chunked.codes("BDAT 1 LAST\r\ny"), [250, 421]);

    let mut idle = Dialogue::of(Kind::Smtp);
    idle.session.shutting_down(9, &mut idle.out);
    idle.carry();
    assert_eq!(idle.record.replies, reply::CLOSING.as_bytes());
}

#[test]
fn a_lost_connection_ends_the_transaction() {
    let mut dialogue = Dialogue::of(Kind::Smtp);
    dialogue.say(ENVELOPE);
    dialogue.say("DATA\r\nhalf");
    dialogue.session.lost(9, &mut dialogue.out);
    dialogue.carry();
    assert_eq!(dialogue.record.ended, [(0, Some("a@b".to_owned()), 1)]);
    assert!(dialogue.record.commits.is_empty());
}

#[test]
fn received_says_how_the_message_came() {
    let mut dialogue = Dialogue::of(Kind::Submission);
    dialogue.say("EHLO c.example\r\n");
    let commit = Commit {
        campaign: None,
        envelope: Envelope::default(),
        terms: Terms::default(),
        elapsed_ms: 0,
        octets: 0,
        missing: Default::default(),
    };
    let date = store::mail::date::InternalDate::utc(0);
    let mut out = Vec::new();
    dialogue
        .session
        .received(&commit, "q1", date)
        .write(&mut out);
    let text = String::from_utf8(out).unwrap();
    assert!(text.starts_with("Received: from c.example ([192.0.2.1])\r\n\t(using TLSv1.3 "));
    assert!(
        text.contains("by mx.here (Ringpost) with ESMTPS id q1;"),
        "{text}"
    );
}

//! Reports as providers send them, and as nobody should.

use super::arf::{Bounce, Complaint, Reading, Told, read};
use proptest::prelude::*;
use store::mail::address::Address;

/// The example of RFC 5965 §B.2, shortened, with another message.
const COMPLAINT: &str = "From: <fbl@provider.test>\r\nTo: <fbl@example.org>\r\n\
Subject: complaint\r\nMIME-Version: 1.0\r\n\
Content-Type: multipart/report; report-type=feedback-report; boundary=\"x\"\r\n\r\n\
--x\r\nContent-Type: text/plain\r\n\r\nThis is a report.\r\n\
--x\r\nContent-Type: message/feedback-report\r\n\r\n\
Feedback-Type: abuse\r\nUser-Agent: SomeGenerator/1.0\r\nVersion: 1\r\n\
Original-Mail-From: <alice@example.org>\r\nOriginal-Rcpt-To: <Carol@far.test>\r\n\
Reported-Domain: example.org\r\n\r\n\
--x\r\nContent-Type: message/rfc822\r\n\r\n\
Received: from [192.0.2.9] (unknown [192.0.2.9])\r\n\tby mx.example.org (Ringpost) with ESMTPSA\
 id 0001\r\n\tfor <dave@far.test>;\r\n\tSun, 22 Nov 2026 17:00:00 +0000\r\n\
Return-Path: <bounces+erin=far.test@example.org>\r\n\
From: <alice@example.org>\r\nTo: Frank <frank@far.test>\r\nSubject: Earn money\r\n\
Message-ID: <8787@example.org>\r\nX-Campaign: spring\r\n\r\nSpam\r\n--x--\r\n";

const BOUNCE: &str = "From: <>\r\nMIME-Version: 1.0\r\n\
Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n\
--b\r\n\r\nSorry.\r\n\
--b\r\nContent-Type: message/delivery-status\r\n\r\n\
Reporting-MTA: dns; mx.far.test\r\n\r\n\
Final-Recipient: rfc822; carol@inside.test\r\nOriginal-Recipient: rfc822;carol@far.test\r\n\
Action: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 No such\r\n user\r\n\r\n\
Final-Recipient: rfc822; late@far.test\r\nAction: delayed\r\nStatus: 4.4.1\r\n\r\n\
Final-Recipient: rfc822; dave@far.test\r\nAction: failed\r\nStatus: 5.2.1\r\n\r\n\
--b\r\nContent-Type: text/rfc822-headers\r\n\r\nSubject: x\r\n\r\n--b--\r\n";

fn reading(to: &Address) -> Reading<'_> {
    Reading {
        to,
        hostname: "mx.example.org",
        campaign_field: Some("x-campaign"),
    }
}

fn told(text: &str, local: &str) -> Option<Told> {
    let to = Address::new(local, "example.org");
    read(text.as_bytes(), &reading(&to))
}

fn complaint(text: &str) -> Complaint {
    match told(text, "fbl") {
        Some(Told::Complaint(complaint)) => complaint,
        other => panic!("{other:?}"),
    }
}

fn far(local: &str) -> Option<Address> {
    Some(Address::new(local, "far.test"))
}

#[test]
fn a_complaint_says_who_about_what() {
    let complaint = complaint(COMPLAINT);
    assert_eq!(
        (complaint.kind.as_str(), complaint.agent.as_str()),
        ("abuse", "SomeGenerator/1.0")
    );
    assert_eq!(complaint.recipient, far("carol"));
    assert_eq!(complaint.sender, Some(Address::new("alice", "example.org")));
    assert_eq!(complaint.campaign.as_deref(), Some("spring"));
    assert_eq!(complaint.message_id.as_deref(), Some("<8787@example.org>"));
}

/// What a provider blanks out is found elsewhere.
#[test]
fn the_recipient_is_found_where_it_can_be() {
    let without = |names: &[&str]| {
        let lines = COMPLAINT.split_inclusive("\r\n");
        let is_kept = |line: &&str| !names.iter().any(|name| line.starts_with(name));
        complaint(&lines.filter(is_kept).collect::<String>()).recipient
    };
    let to = "Original-Rcpt-To";
    assert_eq!(without(&[to, "Original-Mail-From"]), far("erin"), "VERP");
    assert_eq!(without(&[to]), far("dave"), "our Received field");
    let all = [to, "Original-Mail-From", "Return-Path", "\tfor <dave"];
    assert_eq!(without(&all), far("frank"), "the only one in To");
    let nobody = COMPLAINT.replace("Frank <frank@far.test>", "a@far.test, b@far.test");
    let lines = nobody.split_inclusive("\r\n");
    let is_kept = |line: &&str| !all.iter().any(|name| line.starts_with(name));
    assert_eq!(
        complaint(&lines.filter(is_kept).collect::<String>()).recipient,
        None
    );
    let at_verp = told(COMPLAINT.replace(to, "X").as_str(), "fbl+gina=far.test");
    let Some(Told::Complaint(complaint)) = at_verp else {
        panic!()
    };
    assert_eq!(complaint.recipient, far("gina"));
}

/// A Received field of somebody who only claims to be us is still ours to read, but one of another
/// host is not.
#[test]
fn received_fields_of_others_say_nothing() {
    let other = COMPLAINT
        .replace("Original-Rcpt-To", "X")
        .replace("Original-Mail-From", "X")
        .replace("Return-Path", "X")
        .replace("mx.example.org (Ringpost)", "mx.other.test (Ringpost)");
    assert_eq!(complaint(&other).recipient, far("frank"));
}

#[test]
fn a_base64_report_is_read() {
    let fields = "RmVlZGJhY2stVHlwZTogZnJhdWQNCk9yaWdpbmFsLVJjcHQtVG86IGFAZmFyLnRlc3QNCg==";
    let text = format!(
        "Content-Type: multipart/report; boundary=q\r\n\r\n--q\r\n\
         Content-Type: message/feedback-report\r\nContent-Transfer-Encoding: base64\r\n\r\n\
         {fields}\r\n--q--\r\n"
    );
    let complaint = complaint(&text);
    assert_eq!(
        (complaint.kind.as_str(), complaint.recipient),
        ("fraud", far("a"))
    );
}

#[test]
fn failures_are_read_and_delays_are_not() {
    let Some(Told::Bounces(bounces)) = told(BOUNCE, "bounces") else {
        panic!()
    };
    let bounce = |local: &str, status: &str, reply: &str| Bounce {
        recipient: far(local).unwrap(),
        status: status.to_owned(),
        reply: reply.to_owned(),
    };
    assert_eq!(
        bounces,
        [
            bounce("carol", "5.1.1", "550 5.1.1 No such user"),
            bounce("dave", "5.2.1", "550 5.2.1"),
        ]
    );
    let Some(Told::Bounces(own)) = told(BOUNCE, "bounces+erin=far.test") else {
        panic!()
    };
    assert_eq!(
        own[0].recipient,
        far("erin").unwrap(),
        "VERP is surer than what they say"
    );
}

#[test]
fn what_is_no_report_tells_nothing() {
    for text in [
        "",
        "Subject: hello\r\n\r\nhello\r\n",
        "Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n\r\nnothing\r\n--b--\r\n",
        &BOUNCE.replace("failed", "relayed"),
        &BOUNCE.replace("delivery-status\r\n\r\nRep", "x\r\n\r\nRep"),
    ] {
        assert_eq!(told(text, "fbl"), None, "{text}");
    }
}

/// A part that nobody is told of by a message that pretends to hold thousands.
#[test]
fn a_report_about_everybody_is_bounded() {
    let group = "Final-Recipient: rfc822; u@far.test\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n";
    let text = BOUNCE.replace(
        "Final-Recipient: rfc822; late",
        &(group.repeat(3_000) + "X: late"),
    );
    let Some(Told::Bounces(bounces)) = told(&text, "bounces") else {
        panic!()
    };
    assert_eq!(bounces.len(), 1_000, "as many as are read");
}

proptest! {
    #[test]
    fn no_octets_panic(octets in prop::collection::vec(any::<u8>(), 0..2_000)) {
        let to = Address::new("fbl+x=y", "example.org");
        let _ = read(&octets, &reading(&to));
    }

    /// Reports that are broken anywhere are read or not, and never wrongly to the end of us.
    #[test]
    fn no_cut_and_no_octet_panics(at in 0usize..1_500, octet: u8, cut: bool, bounce: bool) {
        let mut text = if bounce { BOUNCE } else { COMPLAINT }.as_bytes().to_vec();
        let at = at.min(text.len() - 1);
        match cut {
            true => text.truncate(at),
            false => text[at] = octet,
        }
        let to = Address::new("fbl", "example.org");
        let _ = read(&text, &reading(&to));
    }
}

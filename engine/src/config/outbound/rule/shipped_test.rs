//! Every shipped rule on a reply that is meant and on one that is not.

use super::shipped::{shipped_rollups, shipped_rules};
use super::{Heard, Phase, Rules};
use std::collections::HashSet;

/// Rule, site, a reply as such hosts write it, and one that the rule must let pass. Addresses are
/// those of RFC 5737, names and links are made up or cut.
const REPLIES: &[(&str, &str, &str, &str)] = &[
    (
        "google-recipient-rate",
        "google",
        "450 4.2.1 The user you are trying to contact is receiving mail at a rate that prevents \
         additional messages from being delivered. - gsmtp",
        "550 5.2.1 The email account that you tried to reach is disabled. - gsmtp",
    ),
    (
        "google-unusual-rate",
        "google",
        "421 4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your \
         SPF domain. To protect our users, mail has been temporarily rate limited. - gsmtp",
        "421 4.7.0 Temporary System Problem. - gsmtp",
    ),
    (
        "google-low-reputation",
        "google",
        "421 4.7.0 [192.0.2.1] Our system has detected that this message is suspicious due to \
         the very low reputation of the sending domain. - gsmtp",
        "550 5.7.1 [192.0.2.1] Our system has detected that this message is likely suspicious. \
         - gsmtp",
    ),
    (
        "google-authentication-for-now",
        "google",
        "421 4.7.26 This mail has been temporarily rate limited because the sender is \
         unauthenticated. - gsmtp",
        "550 5.7.26 This mail has been blocked because the sender is unauthenticated. - gsmtp",
    ),
    (
        "google-blocked-address",
        "google",
        "550 5.7.25 [192.0.2.1] The IP address sending this message does not have a PTR record \
         setup. - gsmtp",
        "550 5.7.1 This message violates example.com email policy. - gcdp - gsmtp",
    ),
    (
        "google-busy",
        "google",
        "421 4.4.5 Server busy, try again later. - gsmtp",
        "421 4.7.0 TLS required for RCPT domain, closing connection. - gsmtp",
    ),
    (
        "outlook-blocked-address",
        "outlook",
        "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your \
         Internet service provider since part of their network is on our block list (S3150).",
        "550 5.7.1 TRANSPORT.RULES.RejectMessage; the message was rejected by organization \
         policy",
    ),
    (
        "outlook-banned-address",
        "office365",
        "550 5.7.511 Access denied, banned sender[192.0.2.1]. To request removal from this list",
        "550 5.7.509 Access denied, sending domain example.org does not pass DMARC",
    ),
    (
        "outlook-rate",
        "outlook",
        "451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP \
         reputation.",
        "451 4.4.4 Mail received as unauthenticated, incoming to a recipient domain",
    ),
    (
        "outlook-server-busy",
        "office365",
        "451 4.7.500 Server busy. Please try again later from [192.0.2.1]. (AS843)",
        "451 4.3.0 Server error",
    ),
    (
        "outlook-mailbox-rate",
        "office365",
        "432 4.3.2 STOREDRV; mailbox server thread limit exceeded",
        "452 4.3.1 Insufficient system resources",
    ),
    (
        "office365-traffic-limit",
        "office365",
        "550 5.7.708 Service unavailable. Access denied, traffic not accepted from this IP.",
        "550 5.7.1 Service unavailable.",
    ),
    (
        "yahoo-deferred",
        "yahoo",
        "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume \
         or user complaints - 4.16.55.1",
        "421 4.4.2 Idle timeout",
    ),
    (
        "yahoo-deferred-for-good",
        "yahoo",
        "553 5.7.1 All messages from 192.0.2.1 will be permanently deferred; Retrying will NOT \
         succeed.",
        "554 5.7.9 Message not accepted for policy reasons.",
    ),
    (
        "yahoo-listed",
        "yahoo",
        "553 5.7.1 [BL21] Connections will not be accepted from 192.0.2.1, because the ip is in \
         a list",
        "554 delivery error: dd This user doesn't have a yahoo.com account - mta1",
    ),
    (
        "yahoo-greylisted",
        "yahoo",
        "451 4.7.0 [GL01] Message from 192.0.2.1 temporarily deferred",
        "451 4.7.0 Message temporarily deferred",
    ),
    (
        "yahoo-crowded",
        "yahoo",
        "451 4.3.2 Resources temporarily unavailable. Please try again later.",
        "451 4.1.8 Sender domain cannot be found",
    ),
    (
        "yahoo-recipient-rate",
        "yahoo",
        "452 4.2.1 The user is receiving too many messages",
        "552 5.2.2 The mailbox is full",
    ),
    (
        "icloud-local-policy",
        "icloud",
        "554 5.7.1 [CS01] Message rejected due to local policy.",
        "554 5.7.1 [HM08] Message rejected due to local policy.",
    ),
    (
        "icloud-rate",
        "icloud",
        "450 4.2.0 Too many messages; try again later",
        "550 5.1.1 <who@icloud.com>: user does not exist",
    ),
    (
        "united-internet-listed",
        "united-internet",
        "554 gmx.net (mxgmx104) Nemesis ESMTP Service not available No SMTP service IP address \
         is block listed. For explanation visit the page",
        "550 Requested action not taken: mailbox unavailable",
    ),
    (
        "united-internet-rate",
        "united-internet",
        "421 gmx.net (mxgmx104) Nemesis ESMTP Service not available Rate limit reached. Please \
         try again later",
        "451 Requested action aborted: local error in processing",
    ),
    (
        "united-internet-policy-for-now",
        "united-internet",
        "450 Requested mail action not taken: mailbox unavailable Reject due to policy \
         violations.",
        "550 Reject due to SPF policy. The originating IP of the message is not permitted",
    ),
    (
        "comcast-rate",
        "comcast",
        "421 resimta-po-01v.sys.comcast.net Too many sessions opened",
        "550 5.1.1 Not our Customer",
    ),
    (
        "comcast-listed",
        "comcast",
        "554 resimta-po-01v.sys.comcast.net 192.0.2.1 Comcast block for spam. BL000010",
        "550 5.1.1 Not our Customer",
    ),
    (
        "orange-crowded",
        "orange",
        "421 mwinf5c04 ME Trop de connexions, veuillez verifier votre configuration. OFR004_104",
        "550 5.1.1 Adresse d au moins un destinataire invalide. OFR_416",
    ),
    (
        "orange-blocked",
        "orange",
        "550 5.7.1 Service refuse. Veuillez essayer plus tard. OFR_999",
        "552 5.2.2 Boite du destinataire pleine. OFR_417",
    ),
    (
        "sfr-blocked",
        "sfr",
        "550 5.7.1 Mail rejected. LPNAAA_500",
        "550 5.1.1 Adresse inconnue",
    ),
    (
        "free-crowded",
        "free",
        "421 Too many connections from your host.",
        "550 5.1.1 User unknown",
    ),
    (
        "free-spam-for-now",
        "free",
        "550 spam detected",
        "550 5.2.1 This mailbox has been blocked due to inactivity",
    ),
    (
        "laposte-rate",
        "laposte",
        "421 4.7.1 Service refuse. Veuillez ralentir vos envois. LPN007_510",
        "550 5.5.0 Service refuse. Adresse inconnue. LPN009_402",
    ),
    (
        "t-online-unknown-sender",
        "t-online",
        "554 IP=192.0.2.1 - A problem occurred. (Ask your postmaster for help or to contact \
         tosa@rx.t-online.de to clarify.)",
        "550 5.1.1 unknown user",
    ),
    (
        "t-online-crowded",
        "t-online",
        "421 Too many concurrent connections",
        "450 4.2.2 mailbox full",
    ),
    (
        "mail-ru-rate",
        "mail-ru",
        "451 Ratelimit exceeded, try again later",
        "550 spam message rejected.",
    ),
    (
        "mail-ru-blocked",
        "mail-ru",
        "550 Access from ip address 192.0.2.1 blocked. Visit the page: your IP",
        "550 Message was not accepted -- invalid mailbox. Local mailbox who@mail.ru is \
         unavailable: user not found",
    ),
    (
        "yandex-rate",
        "yandex",
        "451 4.7.1 Sorry, the service is currently unavailable. Please come back later: rate \
         limit",
        "550 5.7.1 No such user!",
    ),
    (
        "yandex-blocked",
        "yandex",
        "554 5.7.1 Service unavailable; IP address 192.0.2.1 is in the block list",
        "554 5.7.1 Message rejected under suspicion of SPAM; 1711111111-abc",
    ),
    (
        "qq-frequency",
        "qq",
        "550 Ip frequency limited. the page",
        "550 Mailbox not found. the page",
    ),
    (
        "qq-busy-mailbox",
        "qq",
        "550 Mailbox unavailable or access denied",
        "550 Mail content denied. the page",
    ),
    (
        "netease-crowded",
        "netease",
        "421 HL:ICC 163 mx1,abc 192.0.2.1 the page",
        "550 User not found: who@163.com",
    ),
    (
        "netease-address-behaves-badly",
        "netease",
        "421 HL:REP 163 mx1,abc 192.0.2.1 the page",
        "554 MI:SPF mx1,abc the page",
    ),
    (
        "netease-too-much-at-once",
        "netease",
        "450 MI:DMC 163 mx1,abc the page",
        "450 DT:RBL mx1,abc the page",
    ),
    (
        "netease-spam-for-now",
        "netease",
        "451 DT:SPM ,please try again",
        "554 DT:SPM mx1,abc the page",
    ),
    (
        "proofpoint-blocked-address",
        "proofpoint",
        "554 Blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.1",
        "554 5.7.1 Rejected by the customer's rule",
    ),
    (
        "proofpoint-rate",
        "proofpoint",
        "452 4.3.2 Too many messages from your host; try again later",
        "550 5.1.1 User Unknown",
    ),
    (
        "mimecast-greylisted",
        "mimecast",
        "451 Internal resources are temporarily unavailable - the page",
        "451 Account temporarily inactive",
    ),
    (
        "mimecast-crowded",
        "mimecast",
        "421 Unable to process connection at this time",
        "550 Administrative prohibition - envelope blocked - the page",
    ),
    (
        "barracuda-rate",
        "barracuda",
        "450 4.7.1 Rate control in effect, defer",
        "550 permanent failure for one or more recipients (who@example.net:blocked)",
    ),
    (
        "cisco-blocked-address",
        "cisco",
        "554 Your access to this mail system has been rejected due to the sending MTA's poor \
         reputation. See senderbase.org",
        "550 #5.1.0 Address rejected.",
    ),
    (
        "symantec-crowded",
        "symantec",
        "421 Service Temporarily Unavailable",
        "550 desc: no such user",
    ),
    (
        "listed-at-spamhaus",
        "mx.example.net",
        "550 5.7.1 Service unavailable, Client host [192.0.2.1] blocked using zen.spamhaus.org",
        "550 5.7.1 Service unavailable",
    ),
    (
        "listed-at-barracuda",
        "mx.example.net",
        "554 5.7.1 Client host blocked using Barracuda Reputation, see the page",
        "554 5.7.1 Client host rejected: Access denied",
    ),
    (
        "listed-elsewhere",
        "mx.example.net",
        "554 5.7.1 Client host [192.0.2.1] blocked using bl.spamcop.net",
        "554 5.7.1 <who@example.net>: Relay access denied",
    ),
    (
        "too-many-connections",
        "mx.example.net",
        "421 4.7.0 mx.example.net Error: too many connections from 192.0.2.1",
        "421 4.4.2 mx.example.net Error: timeout exceeded",
    ),
    (
        "too-many-messages",
        "mx.example.net",
        "450 4.7.1 Error: too much mail from 192.0.2.1",
        "450 4.2.0 mailbox busy",
    ),
    (
        "greylisted",
        "mx.example.net",
        "450 4.2.0 <who@example.net>: Recipient address rejected: Greylisted, see the page",
        "550 5.2.0 <who@example.net>: Recipient address rejected",
    ),
];

fn holding(site: &str, reply: &str) -> Option<String> {
    let rules = Rules::new(shipped_rules().to_vec()).unwrap();
    let heard = Heard {
        reply,
        site,
        host: "mx.example.net",
        domain: "example.net",
        phase: Phase::Mail,
    };
    rules.find(&heard).map(|rule| rule.name.clone())
}

#[test]
fn replies_of_providers_are_answered() {
    let wrong: Vec<String> = REPLIES
        .iter()
        .map(|(rule, site, reply, _)| (rule, holding(site, reply), reply))
        .filter(|(rule, found, _)| found.as_deref() != Some(**rule))
        .map(|(rule, found, reply)| format!("{found:?} instead of {rule}: {reply}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn other_replies_of_the_same_hosts_are_not() {
    let wrong: Vec<String> = REPLIES
        .iter()
        .map(|(rule, site, _, other)| (rule, holding(site, other), other))
        .filter(|(rule, found, _)| found.as_deref() == Some(**rule))
        .map(|(rule, _, other)| format!("{rule} holds: {other}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a recipient does wrong, or nobody, is nothing that a site is slowed for.
#[test]
fn plain_refusals_meet_no_rule() {
    for reply in [
        "550 5.1.1 No such user here",
        "552 5.2.2 Mailbox full",
        "451 4.3.0 Try again",
        "550 5.7.1 Relaying denied",
        "554 5.6.0 Message content rejected",
        "421 4.3.2 Shutting down",
        "250 2.0.0 OK",
    ] {
        for site in ["google", "outlook", "yahoo", "mx.example.net"] {
            assert_eq!(holding(site, reply), None, "{site}: {reply}");
        }
    }
}

#[test]
fn every_shipped_rule_is_tried() {
    let tried: HashSet<&str> = REPLIES.iter().map(|(rule, ..)| *rule).collect();
    for rule in shipped_rules() {
        assert!(tried.contains(rule.name.as_str()), "{}", rule.name);
    }
    assert_eq!(tried.len(), shipped_rules().len());
}

#[test]
fn a_rule_of_one_provider_says_nothing_of_another() {
    let (_, _, reply, _) = REPLIES[1];
    assert_ne!(
        holding("yahoo", reply).as_deref(),
        Some("google-unusual-rate")
    );
}

#[test]
fn no_two_providers_have_one_exchanger() {
    let mut seen = HashSet::new();
    for rollup in shipped_rollups() {
        for suffix in &rollup.suffixes {
            assert!(seen.insert(suffix.as_str()), "{suffix} stands twice");
        }
    }
}

//! Replies of large providers and common servers, and what each means.

use super::class::{Class, READ_BYTES_MAX, classify};
use proptest::prelude::*;

/// Class and reply, as hosts write them; addresses, names and links are made up or cut.
const REPLIES: &[(Class, &str)] = &[
    // Gmail.
    (
        Class::BadMailbox,
        "550-5.1.1 The email account that you tried to reach does not exist. Please \
         try\r\n550-5.1.1 double-checking the recipient's email address for typos or\r\n550 \
         5.1.1 unnecessary spaces. - gsmtp",
    ),
    (
        Class::InactiveMailbox,
        "550 5.2.1 The email account that you tried to reach is disabled. - gsmtp",
    ),
    (
        Class::InactiveMailbox,
        "550 5.2.1 The email account that you tried to reach is inactive. - gsmtp",
    ),
    (
        Class::Quota,
        "452-4.2.2 The email account that you tried to reach is over quota. Please \
         direct\r\n452 4.2.2 the recipient to the support page. - gsmtp",
    ),
    (
        Class::Quota,
        "552 5.2.2 The recipient's inbox is out of storage space and inactive. - gsmtp",
    ),
    (
        Class::Authentication,
        "550-5.7.26 Unauthenticated email from example.org is not accepted due to \
         domain's\r\n550 5.7.26 DMARC policy. - gsmtp",
    ),
    (
        Class::Authentication,
        "550-5.7.26 This mail has been blocked because the sender is \
         unauthenticated.\r\n550-5.7.26 Gmail requires all senders to authenticate with \
         either SPF or DKIM. - gsmtp",
    ),
    (
        Class::RateLimited,
        "421-4.7.28 Gmail has detected an unusual rate of unsolicited mail originating \
         from\r\n421 4.7.28 your SPF domain. - gsmtp",
    ),
    (
        Class::RateLimited,
        "450 4.2.1 The user you are trying to contact is receiving mail at a rate that \
         prevents additional messages from being delivered. - gsmtp",
    ),
    (
        Class::Reputation,
        "550-5.7.1 [192.0.2.1] Messages missing a valid reverse DNS PTR record - gsmtp",
    ),
    (
        Class::Spam,
        "550-5.7.1 [192.0.2.1 12] Our system has detected that this message is\r\n550-5.7.1 \
         likely unsolicited mail. To reduce the amount of spam sent to Gmail - gsmtp",
    ),
    (
        Class::Content,
        "552-5.7.0 This message was blocked because its content presents a \
         potential\r\n552-5.7.0 security issue. Please review our message content and \
         attachment guidelines. - gsmtp",
    ),
    (
        Class::Content,
        "550 5.7.1 This message is not RFC 5322 compliant. There are multiple From headers. \
         - gsmtp",
    ),
    (
        Class::Size,
        "552-5.3.4 Your message exceeded Google's message size limits. The maximum message \
         size is 25 MB - gsmtp",
    ),
    // Outlook and Microsoft 365.
    (
        Class::BadMailbox,
        "550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302). \
         [AB1.prod.protection.outlook.com]",
    ),
    (
        Class::BadMailbox,
        "550 5.4.1 Recipient address rejected: Access denied. AS(201806281) user unknown",
    ),
    (
        Class::BadMailbox,
        "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address \
         lookup",
    ),
    (
        Class::Quota,
        "554 5.2.2 mailbox full; \
         STOREDRV.Deliver.Exception:QuotaExceededException.MapiExceptionShutoffQuotaExceeded",
    ),
    (
        Class::Reputation,
        "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact \
         your Internet service provider since part of their network is on our block list \
         (S3140).",
    ),
    (
        Class::Reputation,
        "550 5.7.511 Access denied, banned sender[192.0.2.1]. To request removal from this \
         list - banned sending IP",
    ),
    (
        Class::RateLimited,
        "451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to \
         IP reputation. [x.prod.protection.outlook.com]",
    ),
    (
        Class::RateLimited,
        "451 4.7.500 Server busy. Please try again later: throttled",
    ),
    (
        Class::Authentication,
        "550 5.7.509 Access denied, sending domain example.org does not pass DMARC \
         verification and has a DMARC policy of reject.",
    ),
    (
        Class::Policy,
        "550 5.7.1 TRANSPORT.RULES.RejectMessage; the message was rejected by organization \
         policy: not allowed",
    ),
    (
        Class::Policy,
        "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain",
    ),
    (
        Class::Loop,
        "554 5.4.14 Hop count exceeded - possible mail loop ATTR34",
    ),
    (
        Class::Spam,
        "550 5.7.520 Access denied, Your organization does not allow external forwarding: \
         message detected as spam",
    ),
    // Yahoo and AOL.
    (
        Class::RateLimited,
        "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected \
         volume or user complaints",
    ),
    (
        Class::BadMailbox,
        "554 delivery error: dd This user doesn't have a yahoo.com account (who@yahoo.com) \
         [0] - mta1.mail.yahoo.com",
    ),
    (
        Class::InactiveMailbox,
        "554 delivery error: dd Sorry, your message cannot be delivered. This mailbox is \
         disabled (554.30).",
    ),
    (
        Class::Quota,
        "552 1 Requested mail action aborted, mailbox not found or mailbox is full",
    ),
    (
        Class::Spam,
        "554 Message not allowed - [PH01] Email not accepted for policy reasons.",
    ),
    (
        Class::Reputation,
        "553 5.7.1 [BL21] Connections will not be accepted from 192.0.2.1, because the ip \
         is in Spamhaus's list",
    ),
    // iCloud, GMX, web.de, T-Online, mail.ru, Yandex, QQ, Orange, Comcast, Zoho.
    (
        Class::BadMailbox,
        "550 5.1.1 <who@icloud.com>: user does not exist",
    ),
    (
        Class::Quota,
        "552 5.2.2 <who@icloud.com>: user is over quota",
    ),
    (
        Class::Reputation,
        "554 5.7.1 [CS01] Message rejected due to local policy: your IP address has low \
         reputation",
    ),
    (
        Class::BadMailbox,
        "550 Requested action not taken: mailbox unavailable",
    ),
    (
        Class::Reputation,
        "554-gmx.net (mxgmx101) Nemesis ESMTP Service not available\r\n554-No SMTP \
         service\r\n554-IP address is block listed.\r\n554 For explanation visit the page",
    ),
    (
        Class::Quota,
        "552-Requested mail action aborted: exceeded storage allocation\r\n552-Quota \
         exceeded. The recipients mailbox is full.",
    ),
    (
        Class::Reputation,
        "554 IP=192.0.2.1 - A problem occurred. (Ask your postmaster for help or contact \
         tosa@rx.t-online.de to clarify.) your IP address has bad reputation",
    ),
    (
        Class::BadMailbox,
        "550 Message was not accepted -- invalid mailbox. Local mailbox who@mail.ru is \
         unavailable: user not found",
    ),
    (
        Class::Spam,
        "550 spam message rejected. Please visit the page",
    ),
    (Class::BadMailbox, "550 5.7.1 No such user!"),
    (
        Class::Spam,
        "554 5.7.1 Message rejected under suspicion of SPAM; 1711111111-abc",
    ),
    (
        Class::BadMailbox,
        "550 Mailbox unavailable or access denied",
    ),
    (Class::RateLimited, "550 Ip frequency limited"),
    (
        Class::RateLimited,
        "421 mwinf5c04 ME Trop de connexions, veuillez verifier votre configuration. Too \
         many connections, slow down. OFR004_104",
    ),
    (Class::BadMailbox, "550 5.1.1 Not our Customer"),
    (
        Class::Reputation,
        "554 resimta-po-01v.sys.comcast.net 192.0.2.1 found on one or more DNSBLs, see the \
         page",
    ),
    (
        Class::BadMailbox,
        "550 5.1.1 User does not exist - <who@zoho.com>",
    ),
    // Filters.
    (
        Class::Reputation,
        "550 5.7.1 Service unavailable, Client host [192.0.2.1] blocked using \
         zen.spamhaus.org",
    ),
    (
        Class::Reputation,
        "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using Barracuda \
         Reputation",
    ),
    (
        Class::Reputation,
        "554 Blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.1: sending IP has \
         poor reputation",
    ),
    (
        Class::Content,
        "554 5.7.1 Email rejected due to security policies - MCSpamSignature: malware",
    ),
    (
        Class::Policy,
        "550 Administrative prohibition - envelope blocked - the page",
    ),
    (
        Class::Greylisted,
        "451 Internal resource temporarily unavailable - greylisted",
    ),
    // Postfix.
    (
        Class::BadMailbox,
        "550 5.1.1 <who@example.net>: Recipient address rejected: User unknown in local \
         recipient table",
    ),
    (
        Class::Policy,
        "554 5.7.1 <who@example.net>: Relay access denied",
    ),
    (
        Class::Greylisted,
        "450 4.2.0 <who@example.net>: Recipient address rejected: Greylisted, see the page",
    ),
    (Class::Size, "552 5.3.4 Message size exceeds fixed limit"),
    (Class::Loop, "554 5.4.6 Too many hops"),
    (Class::System, "452 4.3.1 Insufficient system storage"),
    (Class::Tls, "530 5.7.0 Must issue a STARTTLS command first"),
    (
        Class::Reputation,
        "450 4.7.25 Client host rejected: cannot find your hostname, [192.0.2.1]",
    ),
    (
        Class::Authentication,
        "550 5.7.23 <who@example.net>: Recipient address rejected: Message rejected due to: \
         SPF fail - not authorized",
    ),
    // Exim, Dovecot, OpenSMTPD, Exchange, sendmail, cyrus.
    (Class::BadMailbox, "550 Unrouteable address"),
    (Class::Policy, "550 relay not permitted"),
    (
        Class::BadMailbox,
        "550 5.1.1 <who@example.net> User doesn't exist: who@example.net",
    ),
    (
        Class::Quota,
        "552 5.2.2 <who@example.net> Quota exceeded (mailbox for user is full)",
    ),
    (
        Class::BadMailbox,
        "550 Invalid recipient: <who@example.net>",
    ),
    (
        Class::BadDomain,
        "550 5.1.2 <who@example.invalid>... Host unknown (Name server: example.invalid: \
         host not found)",
    ),
    (Class::Protocol, "503 5.5.1 Bad sequence of commands"),
    (
        Class::Policy,
        "450 4.1.8 <a@here.example>: Sender address rejected: Domain not found",
    ),
    (Class::Policy, "550 Sender verify failed"),
    (
        Class::BadDomain,
        "550 5.1.2 Host or domain name not found in DNS for there.example",
    ),
    (
        Class::BadDomain,
        "550 5.4.4 Invalid domain: no such host is known",
    ),
    (
        Class::System,
        "450 Requested mail action not taken: mailbox unavailable",
    ),
    // The code alone.
    (Class::BadMailbox, "550 5.1.1"),
    (Class::BadDomain, "556 5.1.10 no"),
    (Class::Quota, "452 4.2.2"),
    (Class::Tls, "550 5.7.10"),
    (Class::Reputation, "550 5.7.25 sorry"),
    (Class::Authentication, "550 5.7.26 sorry"),
    (Class::Network, "450 4.4.1 sorry"),
    (Class::Expired, "550 4.4.7 sorry"),
    (Class::Dns, "450 4.4.3 sorry"),
    (Class::Content, "554 5.6.1 sorry"),
    (Class::Policy, "554 5.7.1 sorry"),
    (Class::BadMailbox, "550 sorry"),
    (Class::Other, "554 sorry"),
    (Class::Protocol, "sorry"),
    (Class::Protocol, ""),
];

#[test]
fn replies_of_the_world_are_understood() {
    let wrong: Vec<String> = REPLIES
        .iter()
        .map(|(class, reply)| (class, classify(reply.as_bytes()), reply))
        .filter(|(class, found, _)| *class != found)
        .map(|(class, found, reply)| format!("{found:?} instead of {class:?}: {reply}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_class_has_its_own_name_and_words() {
    let classes = [
        Class::BadMailbox,
        Class::InactiveMailbox,
        Class::BadDomain,
        Class::Quota,
        Class::Greylisted,
        Class::RateLimited,
        Class::Reputation,
        Class::Spam,
        Class::Authentication,
        Class::Policy,
        Class::Content,
        Class::Size,
        Class::Protocol,
        Class::Tls,
        Class::Dns,
        Class::Network,
        Class::Loop,
        Class::System,
        Class::Expired,
        Class::Suppressed,
        Class::Other,
    ];
    let names: std::collections::HashSet<_> = classes.iter().map(|class| class.name()).collect();
    let sentences: std::collections::HashSet<_> = classes.iter().map(|c| c.explained()).collect();
    assert_eq!(
        (names.len(), sentences.len()),
        (classes.len(), classes.len())
    );
}

proptest! {
    #[test]
    fn any_reply_has_a_class(reply in prop::collection::vec(any::<u8>(), 0..READ_BYTES_MAX * 2)) {
        let _ = classify(&reply);
        let numbered = [b"550 ".as_slice(), &reply].concat();
        prop_assert_ne!(classify(&numbered).name(), "");
    }
}

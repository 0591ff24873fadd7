//! The sender rewriting scheme: reverse-paths of forwarded mail that SPF lets pass, and back again.
//!
//! ```text
//! alice@far.example        SRS0=hash=day=far.example=alice@ours
//! SRS0=…@forwarder.example SRS1=hash=forwarder.example==…@ours      one step longer, no more
//! ```
//!
//! A bounce comes to the address that we made; whoever can show the hash of it was sent mail by us,
//! so it is passed on to where the mail came from, and nowhere else. The day ends that after a
//! while. The hash is of lower case, because some hosts write local-parts so.

use super::Directory;
use crate::config::{Config, Direction, Srs, Whose};
use aws_lc_rs::hmac;
use store::mail::address::Address;

/// Why an address is not turned back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotOurs {
    /// It has no such form: a name like any other.
    OtherName,
    /// Its hash is not ours.
    Forged,
    /// It is older than bounces are.
    TooOld,
}

/// The reverse-path of what an alias sends on; `None`: it stays. That of a sender of ours needs no
/// scheme: his domain names this host.
#[must_use]
pub fn forwarded(
    config: &Config,
    directory: &Directory,
    sender: &Address,
    now_secs: u64,
) -> Option<Address> {
    let is_ours = directory.is_local(&sender.domain);
    match config.forwarding.srs.as_ref().filter(|_| !is_ours) {
        Some(srs) => rewrite(srs, sender, now_secs),
        None => {
            let rewrites = &config.rewrites;
            rewrites.envelope(Whose::Sender, Direction::Outbound, sender)
        }
    }
}

/// The reverse-path of mail that is sent on, `now_secs` since 1970. `None`: it would be longer
/// than hosts take, and stays as it is.
#[must_use]
pub fn rewrite(srs: &Srs, sender: &Address, now_secs: u64) -> Option<Address> {
    let local = match (tagged(&sender.local, "srs0"), tagged(&sender.local, "srs1")) {
        (Some(_), _) => {
            // What stands behind the tag is the next host's affair.
            let rest = sender.local.get(TAG_BYTES..)?;
            first_step(srs, &sender.domain, rest)
        }
        (_, Some(rest)) => {
            let (_, rest) = rest.split_once('=')?;
            let (host, rest) = rest.split_once("==")?;
            first_step(srs, host, rest)
        }
        _ => {
            let day = day_text(day_of(now_secs));
            let body = format!("{day}={}={}", sender.domain, sender.local);
            format!("SRS0={}={body}", hash(srs.secrets.first()?, &body))
        }
    };
    (local.len() <= LOCAL_BYTES_MAX).then(|| Address::new(local, srs.domain.clone()))
}

fn first_step(srs: &Srs, host: &str, rest: &str) -> String {
    let body = format!("{host}=={rest}");
    let secret = srs.secrets.first().map_or("", String::as_str);
    format!("SRS1={}={body}", hash(secret, &body))
}

/// Where mail to an address that we made goes.
pub fn reverse(srs: &Srs, local: &str, now_secs: u64) -> Result<Address, NotOurs> {
    if let Some(rest) = tagged(local, "srs0") {
        let body = proven(srs, rest)?;
        let mut parts = body.splitn(3, '=');
        let mut next = || {
            parts
                .next()
                .filter(|part| !part.is_empty())
                .ok_or(NotOurs::Forged)
        };
        let (day, domain, local) = (next()?, next()?, next()?);
        let day = day_number(day).ok_or(NotOurs::Forged)?;
        let age = (day_of(now_secs) + DAYS - day) % DAYS;
        return match age <= srs.days {
            true => Ok(Address::new(local, domain.to_ascii_lowercase())),
            false => Err(NotOurs::TooOld),
        };
    }
    let rest = tagged(local, "srs1").ok_or(NotOurs::OtherName)?;
    let body = proven(srs, rest)?;
    let (host, rest) = body.split_once("==").ok_or(NotOurs::Forged)?;
    // Its own hash and day are judged there.
    Ok(Address::new(
        format!("SRS0={rest}"),
        host.to_ascii_lowercase(),
    ))
}

/// What follows `SRS0` or `SRS1` and its separator, in any case.
fn tagged<'a>(local: &'a str, tag: &str) -> Option<&'a str> {
    let (head, rest) = local.split_at_checked(TAG_BYTES)?;
    let is_separated = head.ends_with(['=', '-', '+']);
    let is_tag = head.get(..tag.len())?.eq_ignore_ascii_case(tag);
    (is_separated && is_tag).then_some(rest)
}

/// What stands behind the hash, if it is one of ours.
fn proven<'a>(srs: &Srs, rest: &'a str) -> Result<&'a str, NotOurs> {
    let (shown, body) = rest.split_once('=').ok_or(NotOurs::OtherName)?;
    let is_ours = |secret: &String| {
        let own = hash(secret, body);
        // Not the hash's own octets: those are not secret once they were sent.
        own.len() == shown.len() && own.eq_ignore_ascii_case(shown)
    };
    match srs.secrets.iter().any(is_ours) {
        true => Ok(body),
        false => Err(NotOurs::Forged),
    }
}

/// 40 bits in base 32: enough that guessing one takes longer than it holds.
fn hash(secret: &str, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, body.to_ascii_lowercase().as_bytes());
    let first = tag.as_ref().iter().take(5);
    let bits = first.fold(0u64, |bits, octet| bits << 8 | u64::from(*octet));
    (0..8).rev().map(|at| digit(bits >> (5 * at))).collect()
}

fn day_of(now_secs: u64) -> u16 {
    (now_secs / 86_400 % u64::from(DAYS)) as u16
}

fn day_text(day: u16) -> String {
    [digit(u64::from(day) >> 5), digit(u64::from(day))]
        .iter()
        .collect()
}

fn day_number(text: &str) -> Option<u16> {
    let value = |c: char| DIGITS.find(c.to_ascii_uppercase());
    let mut digits = text.chars();
    let (high, low, end) = (digits.next()?, digits.next()?, digits.next());
    end.is_none()
        .then_some((value(high)? << 5 | value(low)?) as u16)
}

fn digit(value: u64) -> char {
    let octet = DIGITS.as_bytes().get((value & 31) as usize);
    octet.map_or('A', |octet| char::from(*octet))
}

/// Base 32: letters, and the digits that look like none of them.
const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Days are counted modulo this, in two digits.
const DAYS: u16 = 1_024;

/// `SRS0=`
const TAG_BYTES: usize = 5;

/// RFC 5321 §4.5.3.1.1 has every host take 64; most take all that a path may have (§4.5.3.1.3).
const LOCAL_BYTES_MAX: usize = 192;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const DAY: u64 = 86_400;
    const NOW: u64 = 20_000 * DAY + 5;

    fn srs(domain: &str, secret: &str) -> Srs {
        Srs {
            domain: domain.to_owned(),
            secrets: vec![secret.to_owned()],
            days: 14,
        }
    }

    #[test]
    fn what_was_made_comes_back_for_a_while() {
        let srs = srs("ours.org", "a secret of ours");
        let alice = Address::new("Alice+x=y", "far.org");
        let made = rewrite(&srs, &alice, NOW).unwrap();
        assert_eq!(made.domain, "ours.org");
        assert!(made.local.starts_with("SRS0="), "{made}");
        assert!(made.local.ends_with("=far.org=Alice+x=y"), "{made}");
        let back = |local: &str, days: u64| reverse(&srs, local, NOW + days * DAY);
        assert_eq!(back(&made.local, 0), Ok(alice.clone()));
        assert_eq!(back(&made.local, 14), Ok(alice));
        assert_eq!(back(&made.local, 15), Err(NotOurs::TooOld));
        let lower = back(&made.local.to_lowercase(), 1);
        assert_eq!(lower, Ok(Address::new("alice+x=y", "far.org")));
        assert_eq!(back("alice", 0), Err(NotOurs::OtherName));
        assert_eq!(back("SRS0=", 0), Err(NotOurs::OtherName));
        assert_eq!(back("SRS0", 0), Err(NotOurs::OtherName));
        let other = made.local.replace("far.org", "for.org");
        assert_eq!(back(&other, 0), Err(NotOurs::Forged));
    }

    #[test]
    fn days_are_counted_round() {
        let srs = srs("ours.org", "a secret of ours");
        let last = (1_024 * 30 - 1) * DAY;
        let made = rewrite(&srs, &Address::new("a", "b.org"), last).unwrap();
        assert!(reverse(&srs, &made.local, last + 2 * DAY).is_ok());
        assert_eq!(reverse(&srs, &made.local, last - DAY), Err(NotOurs::TooOld));
    }

    #[test]
    fn a_new_secret_signs_and_the_old_one_is_still_believed() {
        let old = srs("ours.org", "the secret before");
        let made = rewrite(&old, &Address::new("a", "b.org"), NOW).unwrap();
        let mut new = srs("ours.org", "the secret of now");
        assert_eq!(reverse(&new, &made.local, NOW), Err(NotOurs::Forged));
        new.secrets.push("the secret before".to_owned());
        assert!(reverse(&new, &made.local, NOW).is_ok());
    }

    /// Through three forwarders and back: each gives to the one before it, the first to the sender.
    #[test]
    fn a_chain_of_forwarders_comes_back() {
        let one = srs("one.org", "a secret of one");
        let two = srs("two.org", "a secret of two");
        let three = srs("three.org", "a secret of three");
        let alice = Address::new("alice", "far.org");
        let first = rewrite(&one, &alice, NOW).unwrap();
        let second = rewrite(&two, &first, NOW).unwrap();
        let third = rewrite(&three, &second, NOW).unwrap();
        assert!(second.local.starts_with("SRS1=") && third.local.starts_with("SRS1="));
        assert!(third.local.contains("=one.org=="), "{third}");
        let back = reverse(&three, &third.local, NOW).unwrap();
        assert_eq!(back, first, "past the second one, straight to the first");
        assert_eq!(reverse(&one, &back.local, NOW), Ok(alice));
    }

    #[test]
    fn too_long_a_path_stays() {
        let srs = srs("ours.org", "a secret of ours");
        let long = Address::new("x".repeat(64), "d".repeat(200));
        assert_eq!(rewrite(&srs, &long, NOW), None);
    }

    proptest! {
        #[test]
        fn whoever_it_was_comes_back(local in "[!-~&&[^@]]{1,64}", label in "[a-z]{1,20}") {
            prop_assume!(tagged(&local, "srs0").is_none() && tagged(&local, "srs1").is_none());
            let srs = srs("ours.org", "a secret of ours");
            let sender = Address::new(local, format!("{label}.org"));
            let made = rewrite(&srs, &sender, NOW).unwrap();
            prop_assert_eq!(reverse(&srs, &made.local, NOW), Ok(sender));
        }

        #[test]
        fn nobody_else_makes_one(local in "(SRS[01][=+-])?[!-~]{0,80}") {
            let srs = srs("ours.org", "a secret of ours");
            prop_assert!(reverse(&srs, &local, NOW).is_err());
        }
    }
}

//! ESMTP parameters of MAIL and RCPT.
//!
//! SIZE (RFC 1870), BODY (RFC 6152, RFC 3030), SMTPUTF8 (RFC 6531), RET, ENVID, NOTIFY and ORCPT
//! (RFC 3461, RFC 6533), AUTH (RFC 4954), MT-PRIORITY (RFC 6710), HOLDFOR and HOLDUNTIL (RFC 4865),
//! BY (RFC 2852), REQUIRETLS (RFC 8689). A parameter given twice, unknown or without the value it
//! needs fails the command (RFC 5321 §4.1.1.11). What is decoded from xtext holds no control
//! character, so that it may stand in a DSN.

use super::moment;
use super::path;
use super::reply::{self, Reply};
use store::mail::envelope::{BodyKind, Notify, Ret};

/// ENVID as it stands in the command (RFC 3461 §4.4).
const ENVID_BYTES_MAX: usize = 100;

/// ORCPT as it stands in the command (RFC 3461 §4.2).
const ORCPT_BYTES_MAX: usize = 500;

/// AUTH as it stands in the command (RFC 4954 §3).
const AUTH_BYTES_MAX: usize = 500;

/// Parameters of MAIL.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MailParams {
    /// The size in octets that the client declares.
    pub size: Option<u64>,
    pub body: BodyKind,
    pub smtputf8: bool,
    pub ret: Option<Ret>,
    pub envid: Option<String>,
    /// The submitter, or `<>`.
    pub auth: Option<String>,
    /// RFC 6710 §4: from −9 to 9.
    pub priority: Option<i8>,
    pub hold: Option<Hold>,
    pub by: Option<DeliverBy>,
    pub require_tls: bool,
}

/// Until when a message waits before it is sent (RFC 4865 §4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hold {
    /// Seconds from now.
    For(u32),
    /// Seconds since 1970.
    Until(i64),
}

/// In which time a message is to be delivered (RFC 2852 §4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeliverBy {
    /// From MAIL on; not above zero only with [`ByMode::Notify`]: that long ago.
    pub secs: i32,
    pub mode: ByMode,
    /// Who relays it tells the sender so.
    pub trace: bool,
}

/// What is done when the time is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ByMode {
    /// `R`: it is returned, and not delivered later.
    Return,
    /// `N`: its sender is told that it is late.
    Notify,
}

/// Parameters of RCPT.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RcptParams {
    pub notify: Notify,
    /// `addr-type;address`.
    pub orcpt: Option<String>,
}

impl MailParams {
    /// Reads what follows the reverse-path.
    pub fn parse(text: &str) -> Result<MailParams, Reply> {
        let mut params = MailParams::default();
        let mut seen = Seen::default();
        for word in words(text) {
            let (keyword, value) = keyword_value(word)?;
            let which = [
                "SIZE",
                "BODY",
                "SMTPUTF8",
                "RET",
                "ENVID",
                "AUTH",
                "MT-PRIORITY",
                "HOLDFOR",
                "HOLDUNTIL",
                "BY",
                "REQUIRETLS",
            ];
            match (seen.mark(keyword, &which)?, value) {
                ("SIZE", Some(value)) => params.size = Some(size(value)?),
                ("BODY", Some(value)) => params.body = body(value)?,
                ("SMTPUTF8", None) => params.smtputf8 = true,
                ("RET", Some(value)) => params.ret = Some(ret(value)?),
                ("ENVID", Some(value)) => params.envid = Some(xtext(value, ENVID_BYTES_MAX)?),
                ("AUTH", Some(value)) => params.auth = Some(submitter(value)?),
                ("MT-PRIORITY", Some(value)) => params.priority = Some(priority(value)?),
                // RFC 4865 §4: one of the two.
                ("HOLDFOR" | "HOLDUNTIL", Some(_)) if params.hold.is_some() => {
                    return Err(reply::DUPLICATE_PARAMETER);
                }
                ("HOLDFOR", Some(value)) => params.hold = Some(hold_for(value)?),
                ("HOLDUNTIL", Some(value)) => params.hold = Some(hold_until(value)?),
                ("BY", Some(value)) => params.by = Some(deliver_by(value)?),
                ("REQUIRETLS", None) => params.require_tls = true,
                _ => return Err(reply::BAD_PARAMETER),
            }
        }
        Ok(params)
    }
}

impl RcptParams {
    /// Reads what follows the forward-path.
    pub fn parse(text: &str) -> Result<RcptParams, Reply> {
        let mut params = RcptParams::default();
        let mut seen = Seen::default();
        for word in words(text) {
            let (keyword, value) = keyword_value(word)?;
            match (seen.mark(keyword, &["NOTIFY", "ORCPT"])?, value) {
                ("NOTIFY", Some(value)) => params.notify = notify(value)?,
                ("ORCPT", Some(value)) => params.orcpt = Some(orcpt(value)?),
                _ => return Err(reply::BAD_PARAMETER),
            }
        }
        Ok(params)
    }
}

/// Which keywords were there already.
#[derive(Default)]
struct Seen(u16);

impl Seen {
    /// The keyword in upper case, if it is one of `known` and comes for the first time.
    fn mark(&mut self, keyword: &str, known: &[&'static str]) -> Result<&'static str, Reply> {
        let found = known
            .iter()
            .enumerate()
            .find(|(_, name)| name.eq_ignore_ascii_case(keyword));
        let (position, &name) = found.ok_or(reply::UNKNOWN_PARAMETER)?;
        let bit = 1 << position;
        if self.0 & bit != 0 {
            return Err(reply::DUPLICATE_PARAMETER);
        }
        self.0 |= bit;
        Ok(name)
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(' ').filter(|word| !word.is_empty())
}

fn keyword_value(word: &str) -> Result<(&str, Option<&str>), Reply> {
    let (keyword, value) = match word.split_once('=') {
        Some((keyword, value)) => (keyword, Some(value)),
        None => (word, None),
    };
    let is_keyword = keyword.starts_with(|c: char| c.is_ascii_alphanumeric())
        && keyword
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-');
    // RFC 5321 §4.1.2 esmtp-value: at least one octet and no "=".
    if is_keyword && value.is_none_or(|value| !value.is_empty() && !value.contains('=')) {
        Ok((keyword, value))
    } else {
        Err(reply::BAD_PARAMETER)
    }
}

/// RFC 1870 §3: up to 20 digits.
fn size(value: &str) -> Result<u64, Reply> {
    if value.len() > 20 || !value.bytes().all(|b| b.is_ascii_digit()) {
        return Err(reply::BAD_PARAMETER);
    }
    // Twenty digits may exceed 64 bits; so large a message is too large either way.
    Ok(value.parse().unwrap_or(u64::MAX))
}

fn body(value: &str) -> Result<BodyKind, Reply> {
    one_of(
        value,
        [
            ("7BIT", BodyKind::SevenBit),
            ("8BITMIME", BodyKind::EightBitMime),
            ("BINARYMIME", BodyKind::BinaryMime),
        ],
    )
}

fn ret(value: &str) -> Result<Ret, Reply> {
    one_of(value, [("FULL", Ret::Full), ("HDRS", Ret::Headers)])
}

/// RFC 3461 §4.1: NEVER alone, or a list of the others.
fn notify(value: &str) -> Result<Notify, Reply> {
    let mut set = Notify::UNSET;
    for word in value.split(',') {
        let events = [
            ("NEVER", Notify::NEVER),
            ("SUCCESS", Notify::SUCCESS),
            ("FAILURE", Notify::FAILURE),
            ("DELAY", Notify::DELAY),
        ];
        set.0 |= one_of(word, events)?.0;
    }
    if set.0 & Notify::NEVER.0 != 0 && set != Notify::NEVER {
        return Err(reply::BAD_PARAMETER);
    }
    Ok(set)
}

/// The meaning of a word, which stands in any case.
fn one_of<T, const N: usize>(word: &str, known: [(&str, T); N]) -> Result<T, Reply> {
    let mut known = known.into_iter();
    let found = known.find(|(name, _)| name.eq_ignore_ascii_case(word));
    found
        .map(|(_, meaning)| meaning)
        .ok_or(reply::BAD_PARAMETER)
}

/// RFC 3461 §4.2 and, for the address type `utf-8`, RFC 6533 §3.
fn orcpt(value: &str) -> Result<String, Reply> {
    let (kind, address) = value.split_once(';').ok_or(reply::BAD_PARAMETER)?;
    let is_kind = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    if kind.is_empty() || !kind.bytes().all(is_kind) || value.len() > ORCPT_BYTES_MAX {
        return Err(reply::BAD_PARAMETER);
    }
    let decoded = if kind.eq_ignore_ascii_case("utf-8") {
        unitext(address)?
    } else {
        xtext(address, ORCPT_BYTES_MAX)?
    };
    Ok(format!("{kind};{decoded}"))
}

/// RFC 6710 §4.1.
fn priority(value: &str) -> Result<i8, Reply> {
    let priority = value.parse::<i8>().map_err(|_| reply::BAD_PARAMETER)?;
    let is_known = (-9..=9).contains(&priority) && !value.starts_with('+');
    is_known.then_some(priority).ok_or(reply::BAD_PARAMETER)
}

/// RFC 4865 §4: 1 to 9 digits.
fn hold_for(value: &str) -> Result<Hold, Reply> {
    let secs = nine_digits(value).filter(|secs| *secs > 0);
    secs.map(Hold::For).ok_or(reply::BAD_PARAMETER)
}

/// RFC 4865 §4: a moment as in RFC 3339.
fn hold_until(value: &str) -> Result<Hold, Reply> {
    let moment = moment::parse(value).map(Hold::Until);
    moment.ok_or(reply::BAD_PARAMETER)
}

/// RFC 2852 §4: `by-time ";" by-mode [by-trace]`.
fn deliver_by(value: &str) -> Result<DeliverBy, Reply> {
    let (time, rest) = value.split_once(';').ok_or(reply::BAD_PARAMETER)?;
    let (digits, is_over) = match time.split_at_checked(1) {
        Some(("-", digits)) => (digits, true),
        Some(("+", digits)) => (digits, false),
        _ => (time, false),
    };
    let secs = nine_digits(digits).ok_or(reply::BAD_PARAMETER)?;
    let secs = i32::try_from(secs).map_err(|_| reply::BAD_PARAMETER)?;
    let secs = if is_over { -secs } else { secs };
    let (mode, trace) = one_of(
        rest,
        [
            ("R", (ByMode::Return, false)),
            ("RT", (ByMode::Return, true)),
            ("N", (ByMode::Notify, false)),
            ("NT", (ByMode::Notify, true)),
        ],
    )?;
    // What must be returned before it could be delivered need not be sent.
    if mode == ByMode::Return && secs <= 0 {
        return Err(reply::BAD_PARAMETER);
    }
    Ok(DeliverBy { secs, mode, trace })
}

fn nine_digits(digits: &str) -> Option<u32> {
    let is_number = (1..=9).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| digits.parse().ok())?
}

/// RFC 4954 §5: a mailbox or `<>` in xtext.
fn submitter(value: &str) -> Result<String, Reply> {
    let decoded = xtext(value, AUTH_BYTES_MAX)?;
    if decoded == "<>" {
        return Ok(decoded);
    }
    let address = path::mailbox(&decoded).map_err(|_| reply::BAD_PARAMETER)?;
    Ok(address.to_string())
}

/// RFC 3461 §4: `+` and two upper-case hexadecimal digits for an octet.
fn xtext(value: &str, octets_max: usize) -> Result<String, Reply> {
    if value.len() > octets_max || !value.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(reply::BAD_PARAMETER);
    }
    let mut decoded = Vec::with_capacity(value.len());
    let mut pieces = value.split('+');
    decoded.extend_from_slice(pieces.next().unwrap_or_default().as_bytes());
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2).ok_or(reply::BAD_PARAMETER)?;
        decoded.push(hex_octet(digits)?);
        decoded.extend_from_slice(rest.as_bytes());
    }
    let text = String::from_utf8(decoded).map_err(|_| reply::BAD_PARAMETER)?;
    printable(text)
}

/// RFC 6533 §3: UTF-8 as it is, `\x{20AC}` for a character, or plain xtext.
fn unitext(value: &str) -> Result<String, Reply> {
    if !value.contains('\\') && value.is_ascii() {
        return xtext(value, ORCPT_BYTES_MAX);
    }
    let mut pieces = value.split("\\x{");
    let mut decoded = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (digits, rest) = piece.split_once('}').ok_or(reply::BAD_PARAMETER)?;
        let scalar = u32::from_str_radix(digits, 16)
            .ok()
            .filter(|_| digits.len() <= 6);
        decoded.push(
            scalar
                .and_then(char::from_u32)
                .ok_or(reply::BAD_PARAMETER)?,
        );
        decoded.push_str(rest);
    }
    printable(decoded)
}

fn hex_octet(digits: &str) -> Result<u8, Reply> {
    let is_hex = |b: u8| matches!(b, b'0'..=b'9' | b'A'..=b'F');
    if !digits.bytes().all(is_hex) {
        return Err(reply::BAD_PARAMETER);
    }
    u8::from_str_radix(digits, 16).map_err(|_| reply::BAD_PARAMETER)
}

fn printable(text: String) -> Result<String, Reply> {
    if text.is_empty() || text.contains(|c: char| c.is_control()) {
        return Err(reply::BAD_PARAMETER);
    }
    Ok(text)
}

#[cfg(test)]
#[path = "param_test.rs"]
mod tests;

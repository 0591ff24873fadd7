//! A request as it may be carried out: every member checked, every fault named.

use super::field::{self, OwnField, is_one_line};
use super::problem::{Fault, Problem};
use super::request::{Attachment, Dsn, Few, Mailbox, Request, Text};
use super::sender::Principal;
use super::template::{BadTemplate, Kind, Template};
use super::time;
use crate::config::inject::is_owner_name;
use crate::route::Directory;
use crate::wire::smtp::path::mailbox;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashSet;
use store::mail::address::Address;
use store::mail::envelope::{Notify, Ret};

/// What a request may hold, and when it came.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub recipients_max: usize,
    pub attachments_max: usize,
    pub message_octets_max: u64,
    /// Seconds since 1970.
    pub now_secs: i64,
}

/// A request that was checked.
#[derive(Debug)]
pub struct Injection<'a> {
    /// `None` is the null reverse-path.
    pub reverse_path: Option<Address>,
    /// At least one.
    pub recipients: Vec<Recipient<'a>>,
    pub content: Content,
    pub tenant: String,
    pub campaign: Option<String>,
    pub priority: i8,
    /// 0: at once.
    pub not_before_secs: i64,
    /// `None`: as the route says.
    pub expiry_secs: Option<i64>,
    pub notify: Notify,
    pub ret: Option<Ret>,
    pub envid: Option<String>,
    pub metadata: Option<Cow<'a, RawValue>>,
}

/// One recipient.
#[derive(Debug)]
pub struct Recipient<'a> {
    pub role: Role,
    /// As the request says it.
    pub email: Text<'a>,
    /// `Err` says what is wrong with it.
    pub address: Result<Address, &'static str>,
    pub(super) name: Option<Text<'a>>,
    pub(super) data: Option<Cow<'a, RawValue>>,
    pub metadata: Option<Cow<'a, RawValue>>,
}

/// Where a recipient stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    To,
    Cc,
    Bcc,
}

/// What is sent.
#[derive(Debug)]
pub enum Content {
    /// A whole message.
    Raw(Vec<u8>),
    Written(Box<Written>),
}

/// What a message is written from.
#[derive(Debug)]
pub struct Written {
    pub(super) from: Named,
    pub(super) reply_to: Option<Named>,
    pub(super) subject: Piece,
    pub(super) text: Option<Piece>,
    pub(super) html: Option<Piece>,
    pub(super) attachments: Vec<Part>,
    pub(super) fields: Vec<(OwnField, Piece)>,
    pub(super) is_separate: bool,
    pub(super) data: Value,
}

#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) address: Address,
    pub(super) name: Option<String>,
}

#[derive(Debug)]
pub(super) enum Piece {
    Plain(String),
    Template(Template),
}

/// An attachment, or an image that html shows.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) name: Option<String>,
    /// Type and parameters.
    pub(super) kind: (String, Vec<(String, String)>),
    pub(super) cid: Option<String>,
    /// Base64 in lines, as it is sent.
    pub(super) lines: String,
}

/// Checks a whole request. It is refused whole where anything but single recipients is wrong.
pub fn check<'a>(
    request: Request<'a>,
    principal: &Principal,
    directory: &Directory,
    bounds: &Bounds,
) -> Result<Injection<'a>, Problem> {
    let mut checker = Checker {
        bounds,
        faults: Vec::new(),
        denied: Vec::new(),
    };
    let injection = checker.request(request, principal, directory);
    if let Some(first) = checker.denied.into_iter().next() {
        let title = "The sender is not yours.";
        return Err(Problem::new(403, "sender-not-owned", title).about(first));
    }
    match injection {
        Some(injection) if checker.faults.is_empty() => Ok(injection),
        _ => Err(Problem::invalid(checker.faults)),
    }
}

struct Checker<'b> {
    bounds: &'b Bounds,
    faults: Vec<Fault>,
    denied: Vec<Fault>,
}

impl Checker<'_> {
    fn fault(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(Fault::new(pointer, detail));
        }
    }

    fn request<'a>(
        &mut self,
        mut request: Request<'a>,
        principal: &Principal,
        directory: &Directory,
    ) -> Option<Injection<'a>> {
        let recipients = self.recipients(&mut request);
        let from = self.from(&request);
        let reverse_path = self.reverse_path(&request, from.as_ref());
        let owned = |address: &Address| principal.may_send_as(directory, address);
        let sender = reverse_path.as_ref().and_then(Option::as_ref);
        if sender.is_some_and(|sender| !owned(sender)) {
            let pointer = if request.envelope_from.is_some() {
                "/envelope_from"
            } else {
                "/from"
            };
            self.denied.push(Fault::new(pointer, NOT_OWNED));
        }
        if let Some(from) = from.as_ref().filter(|from| !owned(&from.address)) {
            let what = format!("{NOT_OWNED}: {}", from.address);
            self.denied.push(Fault::new("/from", what));
        }
        let tenant = self.tenant(request.tenant.as_ref(), principal);
        let campaign = self.campaign(request.campaign.as_ref());
        let priority = self.priority(request.priority);
        let not_before_secs = self.send_at(request.send_at.as_ref());
        let expiry_secs = self.expiry(&request, not_before_secs);
        let dsn = request.dsn.take().unwrap_or_default();
        let (notify, ret, envid) = self.dsn(&dsn);
        let metadata = self.metadata("/metadata", request.metadata);
        let content = match request.raw.take() {
            Some(raw) => self.raw(&raw, &request).map(Content::Raw),
            None => self
                .written(&request, from, &recipients)
                .map(|written| Content::Written(Box::new(written))),
        };
        Some(Injection {
            reverse_path: reverse_path?,
            recipients,
            content: content?,
            tenant: tenant?,
            campaign,
            priority,
            not_before_secs,
            expiry_secs,
            notify,
            ret,
            envid,
            metadata,
        })
    }

    fn recipients<'a>(&mut self, request: &mut Request<'a>) -> Vec<Recipient<'a>> {
        let lists = [
            (Role::To, "/to", std::mem::take(&mut request.to)),
            (Role::Cc, "/cc", std::mem::take(&mut request.cc)),
            (Role::Bcc, "/bcc", std::mem::take(&mut request.bcc)),
        ];
        let count: usize = lists.iter().map(|(_, _, list)| list.0.len()).sum();
        let most = self.bounds.recipients_max;
        match count {
            0 => self.fault("/to", "there is no recipient"),
            count if count > most => self.fault("/to", format!("at most {most} recipients")),
            _ => {}
        }
        let mut seen = HashSet::new();
        let mut recipients = Vec::with_capacity(count);
        for (role, pointer, list) in lists {
            for (at, one) in list.0.into_iter().enumerate() {
                let metadata = self.metadata(&format!("{pointer}/{at}/metadata"), one.metadata);
                recipients.push(recipient(role, one, metadata, &mut seen));
            }
        }
        recipients
    }

    fn from(&mut self, request: &Request<'_>) -> Option<Named> {
        match &request.from {
            Some(from) => self.named("/from", from),
            None if request.raw.is_some() => None,
            None => {
                self.fault(
                    "/from",
                    "there must be a sender, such as \"news@example.org\"",
                );
                None
            }
        }
    }

    fn named(&mut self, pointer: &str, one: &Mailbox<'_>) -> Option<Named> {
        if one.substitutions.is_some() || one.metadata.is_some() {
            self.fault(pointer, "substitutions and metadata are for recipients");
        }
        let name = one
            .name
            .as_ref()
            .map(|name| name.as_str().trim().to_owned());
        if name.as_ref().is_some_and(|name| !is_name(name)) {
            self.fault(format!("{pointer}/name"), BAD_NAME);
        }
        match mailbox(one.email.as_str()) {
            Ok(address) => Some(Named { address, name }),
            Err(_) => {
                self.fault(pointer, NO_ADDRESS);
                None
            }
        }
    }

    /// `Some(None)` is the null reverse-path.
    fn reverse_path(
        &mut self,
        request: &Request<'_>,
        from: Option<&Named>,
    ) -> Option<Option<Address>> {
        match (&request.envelope_from, from) {
            (Some(text), _) if text.as_str().is_empty() => Some(None),
            (Some(text), _) => match mailbox(text.as_str()) {
                Ok(address) => Some(Some(address)),
                Err(_) => {
                    self.fault("/envelope_from", NO_ADDRESS);
                    None
                }
            },
            (None, Some(from)) => Some(Some(from.address.clone())),
            (None, None) if request.raw.is_some() => {
                self.fault(
                    "/envelope_from",
                    "a raw message needs it: who hears of bounces",
                );
                None
            }
            (None, None) => None,
        }
    }

    fn tenant(&mut self, said: Option<&Text<'_>>, principal: &Principal) -> Option<String> {
        let Some(said) = said else {
            return principal.tenants.first().cloned();
        };
        let found = principal
            .tenants
            .iter()
            .find(|tenant| *tenant == said.as_str());
        if found.is_none() {
            let known = principal.tenants.join(", ");
            self.fault("/tenant", format!("you send for {known}"));
        }
        found.cloned()
    }

    fn campaign(&mut self, said: Option<&Text<'_>>) -> Option<String> {
        let said = said?;
        if !is_owner_name(said.as_str()) {
            self.fault("/campaign", "expected 1 to 64 printable ASCII characters");
        }
        Some(said.as_str().to_owned())
    }

    fn priority(&mut self, said: Option<i8>) -> i8 {
        let priority = said.unwrap_or(0);
        if !(-9..=9).contains(&priority) {
            self.fault("/priority", "expected a whole number from -9 to 9");
        }
        priority
    }

    fn send_at(&mut self, said: Option<&Text<'_>>) -> i64 {
        let Some(said) = said else { return 0 };
        let now = self.bounds.now_secs;
        match time::moment(said.as_str()) {
            Some(at) if at <= now + HOLD_SECS_MAX => at,
            Some(_) => {
                self.fault("/send_at", "this is more than 30 days ahead");
                0
            }
            None => {
                self.fault("/send_at", NO_MOMENT);
                0
            }
        }
    }

    fn expiry(&mut self, request: &Request<'_>, not_before_secs: i64) -> Option<i64> {
        let now = self.bounds.now_secs;
        let begins = now.max(not_before_secs);
        let by = request.deliver_by.as_ref().and_then(|text| {
            let at = time::moment(text.as_str());
            match at {
                None => self.fault("/deliver_by", NO_MOMENT),
                Some(at) if at <= begins => self.fault("/deliver_by", "this is over already"),
                Some(_) => {}
            }
            at
        });
        let within = request.expire.as_ref().and_then(|text| {
            let secs = time::span(text.as_str()).filter(|secs| (1..=30 * 86_400).contains(secs));
            if secs.is_none() {
                self.fault("/expire", "expected a time from 1s to 30d, such as \"4h\"");
            }
            secs.map(|secs| begins + i64::from(secs))
        });
        by.into_iter().chain(within).min()
    }

    fn dsn(&mut self, dsn: &Dsn<'_>) -> (Notify, Option<Ret>, Option<String>) {
        let mut notify = Notify::UNSET;
        for (at, word) in dsn.notify.0.iter().enumerate() {
            let one = match word.as_str() {
                "never" => Notify::NEVER,
                "success" => Notify::SUCCESS,
                "failure" => Notify::FAILURE,
                "delay" => Notify::DELAY,
                _ => {
                    let what = "expected success, failure, delay or never";
                    self.fault(format!("/dsn/notify/{at}"), what);
                    continue;
                }
            };
            notify = Notify(notify.0 | one.0);
        }
        if notify.0 & Notify::NEVER.0 != 0 && notify != Notify::NEVER {
            self.fault("/dsn/notify", "never stands alone");
        }
        let ret = dsn.ret.as_ref().and_then(|text| match text.as_str() {
            "full" => Some(Ret::Full),
            "headers" => Some(Ret::Headers),
            _ => {
                self.fault("/dsn/ret", "expected full or headers");
                None
            }
        });
        let envid = dsn.envid.as_ref().map(|text| text.as_str().to_owned());
        // RFC 3461 §4.4: 100 octets as xtext, which may take three for one.
        let is_good = |id: &String| id.len() <= 33 && id.bytes().all(|o| matches!(o, b' '..=b'~'));
        if envid.as_ref().is_some_and(|id| !is_good(id)) {
            self.fault(
                "/dsn/envid",
                "expected at most 33 printable ASCII characters",
            );
        }
        (notify, ret, envid)
    }

    fn metadata<'a>(
        &mut self,
        pointer: &str,
        said: Option<&'a RawValue>,
    ) -> Option<Cow<'a, RawValue>> {
        let said = said?;
        if !said.get().starts_with('{') || said.get().len() > METADATA_BYTES_MAX {
            let what = format!("expected an object of at most {METADATA_BYTES_MAX} octets");
            self.fault(pointer, what);
        }
        Some(Cow::Borrowed(said))
    }

    fn raw(&mut self, raw: &Text<'_>, request: &Request<'_>) -> Option<Vec<u8>> {
        let others = [
            ("/subject", request.subject.is_some()),
            ("/text", request.text.is_some()),
            ("/html", request.html.is_some()),
            ("/reply_to", request.reply_to.is_some()),
            ("/template", request.template == Some(true)),
            ("/separate", request.separate == Some(true)),
            ("/substitutions", request.substitutions.is_some()),
            ("/attachments", !request.attachments.0.is_empty()),
            ("/headers", !request.headers.0.is_empty()),
        ];
        for (pointer, is_there) in others {
            if is_there {
                self.fault(pointer, "a raw message is whole: say this in it");
            }
        }
        let Ok(octets) = STANDARD.decode(raw.as_str()) else {
            self.fault("/raw", "expected base64 (RFC 4648 §4)");
            return None;
        };
        match super::compose::whole(octets) {
            Ok(octets) if octets.len() as u64 <= self.bounds.message_octets_max => Some(octets),
            Ok(_) => {
                self.fault("/raw", "it is larger than any message may be");
                None
            }
            Err(what) => {
                self.fault("/raw", what);
                None
            }
        }
    }

    fn written(
        &mut self,
        request: &Request<'_>,
        from: Option<Named>,
        recipients: &[Recipient<'_>],
    ) -> Option<Written> {
        let data = self.data(request.substitutions);
        let has_data = request.substitutions.is_some()
            || recipients.iter().any(|recipient| recipient.data.is_some());
        let is_template = request.template.unwrap_or(has_data);
        if !is_template && has_data {
            self.fault("/substitutions", "there is no template: template is false");
        }
        for recipient in recipients.iter().filter(|one| !is_name_of(one)) {
            let what = format!("the name of {}: {BAD_NAME}", recipient.email.as_str());
            self.fault("/to", what);
        }
        if request.text.is_none() && request.html.is_none() {
            self.fault("/text", "there must be text or html");
        }
        let piece = |checker: &mut Checker<'_>, pointer: &str, text: &Option<Text<'_>>, kind| {
            let text = text.as_ref()?;
            checker.piece(pointer, text.as_str(), kind, is_template)
        };
        let subject = piece(self, "/subject", &request.subject, Kind::Text);
        let text = piece(self, "/text", &request.text, Kind::Text);
        let html = piece(self, "/html", &request.html, Kind::Html);
        if let Some(Piece::Plain(subject)) = &subject
            && !is_one_line(subject)
        {
            self.fault(
                "/subject",
                "a subject is one line without control characters",
            );
        }
        let named = request.reply_to.as_ref();
        let several = recipients.iter().filter(|one| one.role == Role::To).count() > 1;
        Some(Written {
            reply_to: named.and_then(|one| self.named("/reply_to", one)),
            subject: subject.unwrap_or_else(|| Piece::Plain(String::new())),
            text,
            html,
            attachments: self.attachments(&request.attachments),
            fields: self.fields(request, is_template),
            is_separate: request.separate.unwrap_or(is_template && several),
            data,
            from: from?,
        })
    }

    fn data(&mut self, said: Option<&RawValue>) -> Value {
        let Some(said) = said else {
            return Value::Null;
        };
        let is_small = said.get().len() <= GLOBAL_DATA_BYTES_MAX;
        match serde_json::from_str(said.get()) {
            Ok(data @ Value::Object(_)) if is_small => data,
            _ => {
                let what = format!("expected an object of at most {GLOBAL_DATA_BYTES_MAX} octets");
                self.fault("/substitutions", what);
                Value::Null
            }
        }
    }

    fn piece(&mut self, pointer: &str, text: &str, kind: Kind, is_template: bool) -> Option<Piece> {
        if !is_template {
            return Some(Piece::Plain(text.to_owned()));
        }
        match Template::parse(kind, text) {
            // Sections or remarks may still leave something out.
            Ok(template) if template.is_constant() && !text.contains("{{") => {
                Some(Piece::Plain(text.to_owned()))
            }
            Ok(template) => Some(Piece::Template(template)),
            Err(BadTemplate { line, what }) => {
                self.fault(pointer, format!("line {line}: {what}"));
                None
            }
        }
    }

    fn fields(&mut self, request: &Request<'_>, is_template: bool) -> Vec<(OwnField, Piece)> {
        let mut fields = Vec::new();
        for (name, value) in &request.headers.0 {
            let pointer = || {
                format!(
                    "/headers/{}",
                    name.as_str().replace('~', "~0").replace('/', "~1")
                )
            };
            match field::own(name.as_str(), value.as_str()) {
                Ok(field) => {
                    let value = self.piece(&pointer(), value.as_str(), Kind::Text, is_template);
                    fields.extend(value.map(|value| (field, value)));
                }
                Err(what) => self.fault(pointer(), what),
            }
        }
        fields
    }

    fn attachments<const MOST: usize>(&mut self, list: &Few<Attachment<'_>, MOST>) -> Vec<Part> {
        let most = self.bounds.attachments_max;
        if list.0.len() > most {
            self.fault("/attachments", format!("at most {most} attachments"));
            return Vec::new();
        }
        let each = list.0.iter().enumerate();
        let mut parts = Vec::with_capacity(list.0.len());
        for (at, one) in each {
            match attachment(one) {
                Ok(part) => parts.push(part),
                Err((member, what)) => self.fault(format!("/attachments/{at}/{member}"), what),
            }
        }
        parts
    }
}

fn recipient<'a>(
    role: Role,
    one: Mailbox<'a>,
    metadata: Option<Cow<'a, RawValue>>,
    seen: &mut HashSet<Address>,
) -> Recipient<'a> {
    let is_data =
        |data: &&RawValue| data.get().starts_with('{') && data.get().len() <= DATA_BYTES_MAX;
    let address = match mailbox(one.email.as_str()) {
        Err(_) => Err(NO_ADDRESS),
        Ok(_) if one.substitutions.is_some_and(|data| !is_data(&data)) => Err(NO_DATA),
        Ok(address) => match seen.insert(address.clone()) {
            true => Ok(address),
            false => Err("this recipient stands there twice"),
        },
    };
    Recipient {
        role,
        email: one.email,
        address,
        name: one.name,
        data: one.substitutions.map(Cow::Borrowed),
        metadata,
    }
}

fn attachment(one: &Attachment<'_>) -> Result<Part, (&'static str, &'static str)> {
    let octets = STANDARD.decode(one.content.as_str());
    let octets = octets.map_err(|_| ("content", "expected base64 (RFC 4648 §4)"))?;
    let name = one.name.as_ref().map(|name| name.as_str().to_owned());
    if name
        .as_ref()
        .is_some_and(|name| !is_name(name) || name.contains(['/', '\\']))
    {
        return Err(("name", "expected the name of a file, at most 255 octets"));
    }
    let kind = one
        .kind
        .as_ref()
        .map_or("application/octet-stream", Text::as_str);
    let kind = super::compose::media_type(kind).ok_or(("type", NO_TYPE))?;
    let cid = one.cid.as_ref().map(|cid| cid.as_str().to_owned());
    let is_id = |cid: &String| {
        let is_plain = |o: u8| matches!(o, b'!'..=b'~') && !b"<>()\\\",;:[]".contains(&o);
        !cid.is_empty() && cid.len() <= 200 && cid.bytes().all(is_plain)
    };
    if cid.as_ref().is_some_and(|cid| !is_id(cid)) {
        return Err((
            "cid",
            "expected what html names behind cid:, e.g. logo@example.org",
        ));
    }
    Ok(Part {
        name,
        kind,
        cid,
        lines: super::compose::base64_lines(&octets),
    })
}

fn is_name(name: &str) -> bool {
    name.len() <= 255 && is_one_line(name)
}

fn is_name_of(recipient: &Recipient<'_>) -> bool {
    recipient
        .name
        .as_ref()
        .is_none_or(|name| is_name(name.as_str()))
}

const NO_ADDRESS: &str = "expected an address such as \"alice@example.org\"";
const NO_MOMENT: &str = "expected a moment such as \"2026-12-01T08:00:00Z\"";
const NO_DATA: &str = "expected substitutions that are an object of at most 64 KiB";
const NO_TYPE: &str =
    "expected a media type such as \"image/png\"; message/ and multipart/ are none";
const BAD_NAME: &str = "a name is one line of at most 255 octets";
const NOT_OWNED: &str = "you may not send as this sender";

/// Faults that are gathered at one time.
const FAULTS_MAX: usize = 50;

/// As in FUTURERELEASE (RFC 4865): how far ahead mail is taken.
const HOLD_SECS_MAX: i64 = 30 * 86_400;

const METADATA_BYTES_MAX: usize = 4 << 10;

/// Of one recipient.
const DATA_BYTES_MAX: usize = 64 << 10;

const GLOBAL_DATA_BYTES_MAX: usize = 256 << 10;

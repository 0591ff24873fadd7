//! The suppression list of one shard: durable notes, by address and tenant.
//!
//! ```text
//! key     domain NUL local-part NUL tenant      no tenant: everybody's mail
//! value   JSON: reason, since, text, refusals
//! ```
//!
//! Addresses are compared as they are looked up: local-parts without regard to case. RFC 5321 §2.4
//! leaves that to their host, but no host that matters tells them apart, and a complaint rarely
//! comes in the spelling that was written to. A key that would be too long holds a digest of its
//! tenant.

use super::{Heirs, Intake, Shard};
use crate::config::{address, canonical};
use crate::event;
use crate::post::suppress::TEXT_BYTES_MAX;
use crate::post::{
    Answer, Bounced, Question, SuppressAnswer, SuppressAsk, SuppressReason, Suppressed,
};
use crate::route::home;
use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};
use store::error::ChangeError;
use store::mail::address::Address;
use store::shard::{Memo, MemoChange, Space};

/// What the value of a note says.
#[derive(Serialize, Deserialize)]
struct Value {
    reason: SuppressReason,
    since: i64,
    #[serde(default)]
    text: String,
    #[serde(default)]
    bounces: Vec<i64>,
}

/// The entry that keeps mail of a tenant from an address, if there is one.
#[must_use]
pub fn find(store: &Shard, address: &Address, tenant: &str) -> Option<Suppressed> {
    [Some(tenant), None]
        .into_iter()
        .filter_map(|tenant| entry(store, address, tenant))
        .find(Suppressed::holds)
}

/// Why mail is not sent, in one line of printable ASCII for a reply or a notice.
#[must_use]
pub fn suppressed_words(entry: &Suppressed) -> String {
    let why = match entry.reason {
        SuppressReason::Bounce | SuppressReason::Watched => "its host refused it as unknown",
        SuppressReason::Complaint => "its owner complained about mail from here",
        SuppressReason::Rule => "a reply of its host met a rule that wants it",
        SuppressReason::Manual => "the postmaster wrote it there",
    };
    format!("Recipient is on the suppression list of this server: {why}")
}

/// Whether the shard has any entry.
fn has_any(store: &Shard) -> bool {
    let first = store.memos(Space::SUPPRESSION, &[], None, 1);
    // Where it cannot be read, each look says so.
    first.is_ok_and(|first| !first.is_empty())
}

impl Intake {
    /// Where the shard has entries of earlier starts, they are asked for.
    pub fn begin_suppression(&self) {
        if has_any(&self.store) {
            self.heirs.live().has_suppressed(self.heirs.shard());
        }
    }

    /// The entry that keeps mail of a tenant from an address of another host, whichever shard has
    /// it.
    pub async fn suppressed(&self, address: &Address, tenant: &str) -> Option<Suppressed> {
        let home = self.home(address);
        if !self.heirs.live().suppresses(home) {
            return None;
        }
        if home == self.heirs.shard() {
            return find(&self.store, address, tenant);
        }
        let ask = SuppressAsk::Check {
            address: address.clone(),
            tenant: tenant.to_owned(),
        };
        match self.suppress(address, ask).await {
            SuppressAnswer::Found(found) => found,
            _ => None,
        }
    }

    /// Asks the shard that keeps the domain of an address.
    pub async fn suppress(&self, address: &Address, ask: SuppressAsk) -> SuppressAnswer {
        let home = self.home(address);
        if home == self.heirs.shard() {
            return self.suppression(ask).await;
        }
        match self.post.ask(home, Question::Suppress(Box::new(ask))).await {
            Ok(Answer::Suppressed(answer)) => *answer,
            _ => SuppressAnswer::Failed("the server is going down".to_owned()),
        }
    }

    /// Answers for this shard.
    pub async fn suppression(&self, ask: SuppressAsk) -> SuppressAnswer {
        answer(&self.store, &self.heirs, ask).await
    }

    fn home(&self, address: &Address) -> usize {
        let shards = self.heirs.live().directory.load().shards();
        usize::from(home(&address.domain.to_ascii_lowercase(), shards).0)
    }
}

/// Answers a question, or carries out an order; what is changed is durable then.
pub(super) async fn answer(store: &Shard, heirs: &Heirs, ask: SuppressAsk) -> SuppressAnswer {
    let changes = matches!(ask, SuppressAsk::Put(_) | SuppressAsk::Bounced(_));
    let answer = carry_out(store, ask).await;
    if changes {
        heirs.live().has_suppressed(heirs.shard());
    }
    answer
}

async fn carry_out(store: &Shard, ask: SuppressAsk) -> SuppressAnswer {
    let outcome = match ask {
        SuppressAsk::Check { address, tenant } => {
            return SuppressAnswer::Found(find(store, &address, &tenant));
        }
        SuppressAsk::List {
            domain,
            after,
            most,
        } => return list(store, domain.as_deref(), after.as_deref(), most),
        SuppressAsk::Put(entries) => put(store, entries).await,
        SuppressAsk::Bounced(bounced) => {
            let noted = note_bounce(store, bounced).await;
            return noted.map_or_else(failed, SuppressAnswer::Found);
        }
        SuppressAsk::Remove(entries) => remove(store, entries).await,
    };
    outcome.map_or_else(failed, SuppressAnswer::Count)
}

fn failed(error: ChangeError) -> SuppressAnswer {
    SuppressAnswer::Failed(error.to_string())
}

fn entry(store: &Shard, address: &Address, tenant: Option<&str>) -> Option<Suppressed> {
    let found = store.memo(Space::SUPPRESSION, &key(address, tenant));
    // Mail that may be unwanted is less of a loss than mail that is never sent.
    let found = found.unwrap_or_else(|error| {
        event!(
            Error,
            "suppression list unreadable",
            why = error.to_string()
        );
        None
    });
    shown(&found?)
}

async fn put(store: &Shard, entries: Vec<Suppressed>) -> Result<u64, ChangeError> {
    let notes: Vec<MemoChange> = entries
        .iter()
        .filter_map(note)
        .map(MemoChange::Put)
        .collect();
    let count = notes.len() as u64;
    store.write_memos(notes).await?;
    Ok(count)
}

async fn remove(store: &Shard, entries: Vec<(String, Option<String>)>) -> Result<u64, ChangeError> {
    let mut changes = Vec::new();
    for (text, tenant) in entries {
        let Ok(address) = address(&text) else {
            continue;
        };
        let key = key(&address, tenant.as_deref());
        if store
            .memo(Space::SUPPRESSION, &key)
            .is_ok_and(|found| found.is_some())
        {
            changes.push(MemoChange::Remove(Space::SUPPRESSION, key));
        }
    }
    let count = changes.len() as u64;
    store.write_memos(changes).await?;
    Ok(count)
}

/// One refusal more; gives the entry where it holds from now on.
async fn note_bounce(store: &Shard, bounced: Bounced) -> Result<Option<Suppressed>, ChangeError> {
    let known = entry(store, &bounced.address, bounced.tenant.as_deref());
    // An entry that holds says why; another refusal adds nothing to it.
    if known.as_ref().is_some_and(Suppressed::holds) {
        return Ok(None);
    }
    let entry = counted(known, bounced);
    put(store, vec![entry.clone()]).await?;
    Ok(entry.holds().then_some(entry))
}

/// What is known of an address after one refusal more.
fn counted(known: Option<Suppressed>, bounced: Bounced) -> Suppressed {
    let at = bounced.at_secs;
    let from = at.saturating_sub(i64::from(bounced.within_secs));
    let mut bounces = known.map_or_else(Vec::new, |known| known.bounces);
    bounces.retain(|bounce| *bounce >= from);
    bounces.push(at);
    let holds = bounces.len() >= bounced.needed.max(1) as usize;
    let lasts_secs = match holds {
        true => bounced.lasts_secs,
        // Beyond that time it counts no more.
        false => Some(bounced.within_secs),
    };
    Suppressed {
        address: bounced.address.to_string(),
        tenant: bounced.tenant,
        reason: match holds {
            true => SuppressReason::Bounce,
            false => SuppressReason::Watched,
        },
        since_secs: at,
        expiry_secs: lasts_secs.map_or(0, |secs| at.saturating_add(i64::from(secs))),
        text: bounced.text,
        bounces,
    }
}

fn list(store: &Shard, domain: Option<&str>, after: Option<&[u8]>, most: usize) -> SuppressAnswer {
    let mut prefix = domain.unwrap_or_default().to_ascii_lowercase().into_bytes();
    if !prefix.is_empty() {
        prefix.push(0);
    }
    let found = match store.memos(Space::SUPPRESSION, &prefix, after, most) {
        Ok(found) => found,
        Err(error) => return SuppressAnswer::Failed(error.to_string()),
    };
    let is_all = found.len() < most;
    let next = found.last().map(|last| last.key.clone());
    SuppressAnswer::Lines {
        lines: found.iter().filter_map(shown).collect(),
        next: next.filter(|_| !is_all),
    }
}

/// An entry as it is kept; `None`: its address is none.
fn note(entry: &Suppressed) -> Option<Memo> {
    let address = address(&entry.address)
        .ok()
        .or_else(|| Address::split(&entry.address))?;
    let value = Value {
        reason: entry.reason,
        since: entry.since_secs,
        text: cut(&entry.text).to_owned(),
        bounces: entry.bounces.clone(),
    };
    Some(Memo {
        space: Space::SUPPRESSION,
        key: key(&address, entry.tenant.as_deref()),
        value: serde_json::to_vec(&value).ok()?,
        expiry_secs: entry.expiry_secs,
    })
}

/// An entry as it was kept; `None`: a later version wrote it, and in another way.
fn shown(note: &Memo) -> Option<Suppressed> {
    let value: Value = serde_json::from_slice(&note.value).ok()?;
    let mut parts = note.key.splitn(3, |octet| *octet == 0);
    let mut part = || String::from_utf8(parts.next()?.to_vec()).ok();
    let (domain, local, tenant) = (part()?, part()?, part()?);
    Some(Suppressed {
        address: Address::new(local, domain).to_string(),
        tenant: Some(tenant).filter(|tenant| !tenant.is_empty()),
        reason: value.reason,
        since_secs: value.since,
        expiry_secs: note.expiry_secs,
        text: value.text,
        bounces: value.bounces,
    })
}

fn key(address: &Address, tenant: Option<&str>) -> Vec<u8> {
    let address = canonical(address);
    let tenant = tenant.unwrap_or_default();
    let mut key = Vec::with_capacity(address.domain.len() + address.local.len() + tenant.len() + 2);
    key.extend_from_slice(address.domain.as_bytes());
    key.push(0);
    key.extend_from_slice(address.local.as_bytes());
    key.push(0);
    match tenant.len() <= TENANT_BYTES_MAX {
        true => key.extend_from_slice(tenant.as_bytes()),
        false => {
            let digest = digest::digest(&digest::SHA256, tenant.as_bytes());
            let hex = digest.as_ref().iter().map(|octet| format!("{octet:02x}"));
            key.push(b'~');
            key.extend(hex.flat_map(String::into_bytes));
        }
    }
    key
}

fn cut(text: &str) -> &str {
    let end = text.floor_char_boundary(TEXT_BYTES_MAX);
    text.get(..end).unwrap_or_default()
}

/// A key has 512 octets; of these 255 are for a domain and 64 for a local-part.
const TENANT_BYTES_MAX: usize = 180;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bounced(at_secs: i64, needed: u32) -> Bounced {
        Bounced {
            address: Address::new("Carol", "far.test"),
            tenant: Some("alice@example.test".to_owned()),
            at_secs,
            text: "550 5.1.1 No such user".to_owned(),
            needed,
            within_secs: 100,
            lasts_secs: None,
        }
    }

    #[test]
    fn refusals_are_counted_within_their_time() {
        let first = counted(None, bounced(1_000, 2));
        assert!(!first.holds());
        assert_eq!(first.expiry_secs, 1_100);
        let late = counted(Some(first.clone()), bounced(1_101, 2));
        assert!(!late.holds(), "the first one counts no more");
        let second = counted(Some(first), bounced(1_100, 2));
        assert_eq!(second.reason, SuppressReason::Bounce);
        assert_eq!((second.expiry_secs, second.bounces.len()), (0, 2));
        assert!(counted(None, bounced(1, 1)).holds());
    }

    #[test]
    fn spellings_of_one_address_have_one_key() {
        let key = |local: &str, domain: &str| key(&Address::new(local, domain), None);
        assert_eq!(key("Carol", "FAR.test"), key("carol", "far.test"));
        assert_ne!(key("carol", "far.test"), key("carol", "near.test"));
    }

    proptest! {
        #[test]
        fn what_is_kept_is_shown_again(
            local in "[a-z][a-z0-9.+-]{0,20}[a-z]",
            tenant in prop::option::of("[a-z@.]{1,170}"),
            text in "\\PC{0,700}",
            since in 0i64..4_000_000_000,
        ) {
            prop_assume!(!local.contains(".."));
            let entry = Suppressed {
                address: format!("{local}@far.test"),
                tenant,
                reason: SuppressReason::Manual,
                since_secs: since,
                expiry_secs: 0,
                text: text.clone(),
                bounces: vec![since],
            };
            let note = note(&entry).unwrap();
            prop_assert!(note.key.len() <= 512 && note.value.len() <= 4_096);
            let again = shown(&note).unwrap();
            prop_assert!(text.starts_with(&again.text));
            prop_assert_eq!(Suppressed { text, ..again }, entry);
        }

        #[test]
        fn no_key_is_too_long(local in "\\PC{1,64}", tenant in "\\PC{0,400}") {
            prop_assume!(local.len() <= 64);
            let domain = "d".repeat(255);
            prop_assert!(key(&Address::new(local, domain), Some(&tenant)).len() <= 512);
        }

        #[test]
        fn no_octets_are_too_strange_to_show(
            key in prop::collection::vec(any::<u8>(), 0..60),
            value in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let note = Memo { space: Space::SUPPRESSION, key, value, expiry_secs: 0 };
            prop_assert!(shown(&note).is_none());
        }
    }
}

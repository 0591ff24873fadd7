//! Pools of egress sources: which pool a recipient leaves by, and which source of it.
//!
//! A source is chosen by weight and message, so that all recipients of a message, and all attempts,
//! leave by the same one. Where it cannot send, the others take its share; where none can, the
//! first choice stands and is waited for.

use super::source::{Source, Sources};
use crate::config::outbound::Outbound;
use std::collections::HashMap;
use std::sync::Arc;

/// The pools of a configuration.
#[derive(Default)]
pub(super) struct Pools {
    list: Vec<Pool>,
    by_name: HashMap<String, u16>,
    by_tenant: HashMap<String, u16>,
    by_sender: HashMap<String, u16>,
}

#[derive(Default)]
struct Pool {
    members: Vec<Member>,
}

struct Member {
    source: Arc<Source>,
    weight: u32,
}

impl Pools {
    pub(super) fn new(rules: &Outbound, sources: &Sources) -> Pools {
        let sources = sources.of(&rules.sources);
        let mut pools = Pools::default();
        for (number, says) in (0u16..).zip(&rules.pools) {
            let member = |(place, weight): &(usize, u32)| {
                Some(Member {
                    source: Arc::clone(sources.get(*place)?),
                    weight: *weight,
                })
            };
            let members = says.members.iter().filter_map(member).collect();
            pools.list.push(Pool { members });
            let tenants = says.tenants.iter().map(|name| (name.clone(), number));
            pools.by_name.insert(says.name.clone(), number);
            pools.by_tenant.extend(tenants);
            let senders = says.senders.iter().map(|name| (name.clone(), number));
            pools.by_sender.extend(senders);
        }
        sources.iter().for_each(|source| pools.add_alone(source));
        pools
    }

    /// A source is also a pool of its own, where no other one has its name.
    fn add_alone(&mut self, source: &Arc<Source>) {
        let name = &source.says.name;
        let Ok(number) = u16::try_from(self.list.len()) else {
            return;
        };
        if self.by_name.contains_key(name) {
            return;
        }
        self.by_name.insert(name.clone(), number);
        let source = Arc::clone(source);
        let members = vec![Member { source, weight: 1 }];
        self.list.push(Pool { members });
    }

    /// The pool of this name.
    pub(super) fn named(&self, name: &str) -> Option<u16> {
        self.by_name.get(name).copied()
    }

    pub(super) fn has(&self, pool: u16, source: &Source) -> bool {
        let pool = self.list.get(usize::from(pool));
        pool.is_some_and(|pool| pool.members.iter().any(|one| one.source.id == source.id))
    }

    /// The pool that names this sender, which the envelope shows; its domain, or the address.
    pub(super) fn of_sender(&self, sender: &str) -> Option<u16> {
        if self.by_sender.is_empty() {
            return None;
        }
        let sender = sender.to_lowercase();
        let (_, domain) = sender.rsplit_once('@')?;
        let by_domain = || self.by_sender.get(&format!("@{domain}"));
        self.by_sender.get(&sender).or_else(by_domain).copied()
    }

    pub(super) fn of_tenant(&self, tenant: &str) -> Option<u16> {
        match self.by_tenant.is_empty() {
            true => None,
            false => self.by_tenant.get(tenant).copied(),
        }
    }

    /// The source by which a message leaves. `key` is asked for where there is a choice, the same
    /// for all recipients of a message. `None`: nobody configured a source.
    pub(super) fn choose(
        &self,
        pool: u16,
        key: impl FnOnce() -> u64,
        is_usable: impl Fn(&Source) -> bool,
    ) -> Option<&Arc<Source>> {
        let pool = self.list.get(usize::from(pool)).or(self.list.first())?;
        if let [only] = pool.members.as_slice() {
            return Some(&only.source);
        }
        let spread = key().wrapping_mul(SPREAD) >> 32;
        let first = pick(pool.members.iter(), spread)?;
        if is_usable(first) {
            return Some(first);
        }
        let usable = pool.members.iter().filter(|one| is_usable(&one.source));
        Some(pick(usable, spread).unwrap_or(first))
    }
}

/// A part of all numbers by weight.
fn pick<'a>(
    members: impl Iterator<Item = &'a Member> + Clone,
    spread: u64,
) -> Option<&'a Arc<Source>> {
    let all: u64 = members.clone().map(|one| u64::from(one.weight)).sum();
    let mut left = spread % all.max(1);
    for member in members {
        match left.checked_sub(u64::from(member.weight)) {
            Some(rest) => left = rest,
            None => return Some(&member.source),
        }
    }
    None
}

/// Spreads numbers that follow each other (Knuth's multiplicative hashing).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::outbound::{self, EgressSource};

    fn pools(weights: &[u32]) -> Pools {
        let source = |at| EgressSource {
            name: format!("s{at}"),
            ..EgressSource::only("mx.test")
        };
        let mut rules = Outbound::default();
        rules.sources = (0..weights.len()).map(source).collect();
        rules.pools = vec![outbound::Pool {
            name: "default".to_owned(),
            members: weights.iter().copied().enumerate().collect(),
            tenants: vec!["t".to_owned()],
            senders: vec!["@b.test".to_owned(), "a@c.test".to_owned()],
        }];
        Pools::new(&rules, &Sources::default())
    }

    #[test]
    fn shares_follow_the_weights() {
        let pools = pools(&[3, 1, 6]);
        let mut counts = HashMap::new();
        for key in 0..10_000 {
            let chosen = pools.choose(0, || key, |_| true).unwrap();
            *counts.entry(chosen.says.name.clone()).or_insert(0u32) += 1;
            let again = pools.choose(0, || key, |_| true).unwrap();
            assert_eq!(chosen.id, again.id, "it holds");
        }
        for (name, share) in [("s0", 3_000), ("s1", 1_000), ("s2", 6_000)] {
            assert!(counts[name].abs_diff(share) < 150, "{counts:?}");
        }
    }

    #[test]
    fn the_others_take_the_share_of_one_that_cannot_send() {
        let pools = pools(&[1, 1, 1]);
        let is_usable = |source: &Source| source.says.name != "s1";
        let mut moved = 0;
        for key in 0..1_000 {
            let first = pools.choose(0, || key, |_| true).unwrap();
            let chosen = pools.choose(0, || key, is_usable).unwrap();
            assert_ne!(chosen.says.name, "s1");
            match first.says.name.as_str() {
                "s1" => moved += 1,
                _ => assert_eq!(first.id, chosen.id, "the others keep theirs"),
            }
        }
        assert!(moved > 250, "{moved}");
        let nobody = pools.choose(0, || 5, |_| false).unwrap();
        let first = pools.choose(0, || 5, |_| true).unwrap();
        assert_eq!(
            nobody.id, first.id,
            "where none can, the first is waited for"
        );
    }

    #[test]
    fn senders_and_tenants_name_pools() {
        let pools = pools(&[1]);
        assert_eq!(pools.of_tenant("t"), Some(0));
        assert_eq!(pools.of_tenant("u"), None);
        assert_eq!(pools.of_sender("X@b.test"), Some(0));
        assert_eq!(pools.of_sender("a@c.test"), Some(0));
        assert_eq!(pools.of_sender("b@c.test"), None);
        assert_eq!(pools.of_sender(""), None);
    }
}

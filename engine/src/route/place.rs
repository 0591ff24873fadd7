//! Which shard owns an account: address → one of 4,096 partitions → shard (design §6).
//!
//! The partition is the upper 12 bits of `fmix64(FNV-1a-64(local@domain))` over the canonical
//! address in UTF-8. It decides where mail lies on disk, so it **never changes**: neither with the
//! version of Ringpost nor with that of a library, which is why no hasher of a library is used. The
//! shard is `partition mod shards`. Operators choose the addresses, so no seed is needed here.

use store::mail::address::Address;
use store::mail::id::ShardId;

/// Partitions of a host; more than shards, so that shards can be added later by moving some.
pub const PARTITIONS: u16 = 4096;

const _: () = assert!(store::limit::SHARDS_MAX <= PARTITIONS as usize);

/// The partition of a canonical address.
#[must_use]
pub fn partition(address: &Address) -> u16 {
    let local = address.local.bytes();
    let domain = address.domain.bytes();
    let hash = fnv1a(local.chain([b'@']).chain(domain));
    (fmix64(hash) >> 52) as u16
}

/// The owner of a canonical address among `shards`, which is at least one.
#[must_use]
pub fn shard(address: &Address, shards: u16) -> ShardId {
    ShardId(partition(address) % shards.max(1))
}

/// The shard that keeps the queue of a domain, in lower-case A-labels, among `shards`.
#[must_use]
pub fn home(domain: &str, shards: u16) -> ShardId {
    let hash = fnv1a([b'@'].into_iter().chain(domain.bytes()));
    ShardId((fmix64(hash) >> 52) as u16 % shards.max(1))
}

/// Fowler, Noll and Vo's hash, variant 1a (draft-eastlake-fnv §2).
fn fnv1a(octets: impl Iterator<Item = u8>) -> u64 {
    octets.fold(0xcbf2_9ce4_8422_2325, |hash, octet| {
        (hash ^ u64::from(octet)).wrapping_mul(0x100_0000_01b3)
    })
}

/// The last step of MurmurHash3: spreads every bit over all.
fn fmix64(mut hash: u64) -> u64 {
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ hash >> 33
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn fnv_agrees_with_its_authors() {
        assert_eq!(fnv1a(b"".iter().copied()), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a".iter().copied()), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar".iter().copied()), 0x8594_4171_f739_67e8);
    }

    /// Mail that was stored under an older version must be found where it is.
    #[test]
    fn partitions_never_change() {
        let at = |local: &str| partition(&Address::new(local, "example.test"));
        assert_eq!(
            [at("alice"), at("bob"), at("m\u{fc}ller")],
            [1786, 4044, 1609]
        );
    }

    #[test]
    fn accounts_spread_evenly() {
        let mut held = [0u32; 8];
        for n in 0..80_000 {
            let address = Address::new(format!("user{n}"), "example.org");
            held[usize::from(shard(&address, 8).0)] += 1;
        }
        assert!(held.iter().all(|n| (9_600..10_400).contains(n)), "{held:?}");
    }
}

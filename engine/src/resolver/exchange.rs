//! From records to hosts in the order in which they are tried (RFC 5321 §5.1, RFC 7505): pure.

use super::DnsFailure;
use super::ways::Host;
use std::net::IpAddr;

/// One MX record; the name is in lower-case A-labels without the last dot, empty for the root.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Mx {
    pub(super) preference: u16,
    pub(super) name: String,
}

/// What is known of the addresses of one host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Addresses {
    pub(super) canonical: Option<String>,
    pub(super) list: Vec<IpAddr>,
    pub(super) is_secure: bool,
    pub(super) ttl_secs: u32,
}

/// Who we are: mail for these hosts must not go out again.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ourselves {
    /// In lower-case A-labels.
    pub names: Vec<String>,
    pub addresses: Vec<IpAddr>,
    /// Whether an address of the loopback may be another host; else it is always us.
    pub is_loopback_foreign: bool,
}

/// The exchangers worth looking up, the preferred first: ours and what is not preferred to ours cut
/// off, at most [`HOSTS_MAX`].
pub(super) fn candidates(mut records: Vec<Mx>, own: &Ourselves) -> Result<Vec<Mx>, DnsFailure> {
    let had_records = !records.is_empty();
    // RFC 7505 §3: a null MX stands alone. Beside others it is an error and means nothing.
    records.retain(|mx| !mx.name.is_empty());
    if had_records && records.is_empty() {
        return Err(DnsFailure::NullMx);
    }
    records.sort_unstable();
    let ours = records.iter().find(|mx| own.names.contains(&mx.name));
    if let Some(limit) = ours.map(|mx| mx.preference) {
        records.retain(|mx| mx.preference < limit);
        if records.is_empty() {
            return Err(DnsFailure::OwnHost);
        }
    }
    let mut seen: Vec<String> = Vec::new();
    records.retain(|mx| {
        let is_new = seen.len() < HOSTS_MAX && !seen.contains(&mx.name);
        if is_new {
            seen.push(mx.name.clone());
        }
        is_new
    });
    Ok(records)
}

/// The hosts that can be tried, with what is ours and not preferred to ours cut off; the failure
/// where there is none.
pub(super) fn reachable(
    found: Vec<(Mx, Result<Addresses, DnsFailure>)>,
    own: &Ourselves,
) -> Result<(Vec<Host>, u32), DnsFailure> {
    let mut failure = DnsFailure::NoAddress;
    let mut ttl_secs = u32::MAX;
    let mut limit = None;
    let mut hosts: Vec<Host> = Vec::with_capacity(found.len());
    for (mx, addresses) in found {
        let addresses = match addresses {
            Ok(addresses) => addresses,
            // An address that only nobody could tell us may be there the next time.
            Err(why) if !why.is_permanent() => {
                failure = why;
                continue;
            }
            Err(_) => continue,
        };
        if addresses.list.iter().any(|address| is_ours(*address, own)) {
            limit = limit.or(Some(mx.preference));
            continue;
        }
        ttl_secs = ttl_secs.min(addresses.ttl_secs);
        hosts.extend(host(mx, addresses));
    }
    if let Some(limit) = limit {
        hosts.retain(|host| host.preference < limit);
        if hosts.is_empty() {
            return Err(DnsFailure::OwnHost);
        }
    }
    if hosts.is_empty() {
        return Err(failure);
    }
    Ok((hosts, ttl_secs))
}

fn host(mx: Mx, addresses: Addresses) -> Option<Host> {
    let mut list = addresses.list;
    list.retain(|address| is_unicast(*address));
    list.sort_unstable();
    list.dedup();
    list.truncate(ADDRESSES_MAX);
    (!list.is_empty()).then(|| Host {
        preference: mx.preference,
        name: mx.name.into(),
        canonical: addresses.canonical.map(Into::into),
        addresses: list,
        is_secure: addresses.is_secure,
    })
}

fn is_ours(address: IpAddr, own: &Ourselves) -> bool {
    let address = address.to_canonical();
    let is_loopback = address.is_loopback() && !own.is_loopback_foreign;
    is_loopback
        || own
            .addresses
            .iter()
            .any(|ours| ours.to_canonical() == address)
}

/// Whether one host can be there; the unspecified address would be ourselves.
fn is_unicast(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(four) => !four.is_unspecified() && !four.is_multicast() && !four.is_broadcast(),
        IpAddr::V6(six) => !six.is_unspecified() && !six.is_multicast(),
    }
}

/// Exchangers of one domain that are looked up; a delivery tries few of them.
pub(super) const HOSTS_MAX: usize = 16;

/// Addresses of one host.
const ADDRESSES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn mx(preference: u16, name: &str) -> Mx {
        Mx {
            preference,
            name: name.to_owned(),
        }
    }

    fn at(addresses: &[&str]) -> Result<Addresses, DnsFailure> {
        Ok(Addresses {
            canonical: None,
            list: addresses.iter().map(|text| text.parse().unwrap()).collect(),
            is_secure: false,
            ttl_secs: 300,
        })
    }

    fn own() -> Ourselves {
        Ourselves {
            names: vec!["mx.ours.test".to_owned()],
            addresses: vec![[192, 0, 2, 99].into()],
            is_loopback_foreign: false,
        }
    }

    fn names(found: &[Mx]) -> Vec<&str> {
        found.iter().map(|mx| mx.name.as_str()).collect()
    }

    #[test]
    fn the_preferred_come_first_and_once() {
        let records = vec![mx(20, "c"), mx(10, "b"), mx(5, "a"), mx(30, "b")];
        assert_eq!(
            names(&candidates(records, &own()).unwrap()),
            ["a", "b", "c"]
        );
    }

    #[test]
    fn a_null_mx_alone_refuses_mail() {
        assert_eq!(candidates(vec![mx(0, "")], &own()), Err(DnsFailure::NullMx));
        let mixed = vec![mx(0, ""), mx(10, "a")];
        assert_eq!(names(&candidates(mixed, &own()).unwrap()), ["a"]);
    }

    #[test]
    fn nothing_behind_ourselves_is_tried() {
        let records = vec![mx(5, "a"), mx(10, "mx.ours.test"), mx(10, "b"), mx(20, "c")];
        assert_eq!(names(&candidates(records, &own()).unwrap()), ["a"]);
        let best = vec![mx(10, "mx.ours.test"), mx(10, "b"), mx(20, "c")];
        assert_eq!(candidates(best, &own()), Err(DnsFailure::OwnHost));
    }

    #[test]
    fn our_address_under_another_name_is_ourselves() {
        for address in ["192.0.2.99", "::ffff:192.0.2.99", "127.0.0.1", "::1"] {
            let found = vec![
                (mx(5, "a"), at(&["198.51.100.1"])),
                (mx(10, "b"), at(&[address])),
                (mx(20, "c"), at(&["198.51.100.3"])),
            ];
            let (hosts, _) = reachable(found.clone(), &own()).unwrap();
            assert_eq!(hosts.len(), 1, "{address}");
            let behind = found.into_iter().skip(1).collect();
            assert_eq!(reachable(behind, &own()), Err(DnsFailure::OwnHost));
        }
        let foreign = Ourselves {
            is_loopback_foreign: true,
            ..own()
        };
        let (hosts, _) = reachable(vec![(mx(5, "a"), at(&["127.0.0.1"]))], &foreign).unwrap();
        assert_eq!(hosts[0].addresses, [IpAddr::from([127, 0, 0, 1])]);
    }

    #[test]
    fn without_addresses_the_failure_tells_whether_to_wait() {
        let gone = (mx(5, "a"), Err(DnsFailure::NoDomain));
        let silent = (mx(10, "b"), Err(DnsFailure::Silent));
        let empty = (
            mx(10, "c"),
            at(&["0.0.0.0", "224.0.0.1", "::", "255.255.255.255"]),
        );
        let reached = |found| reachable(found, &own()).map(|(hosts, _)| hosts.len());
        assert_eq!(
            reached(vec![gone.clone(), empty.clone()]),
            Err(DnsFailure::NoAddress)
        );
        assert_eq!(
            reached(vec![gone.clone(), silent.clone()]),
            Err(DnsFailure::Silent)
        );
        assert_eq!(
            reached(vec![silent, (mx(9, "d"), at(&["192.0.2.1"]))]),
            Ok(1)
        );
    }

    #[test]
    fn floods_are_cut() {
        let records = (0..5000).map(|n| mx(n % 7, &format!("h{n}"))).collect();
        assert_eq!(candidates(records, &own()).unwrap().len(), HOSTS_MAX);
        let many: Vec<String> = (0..250).map(|n| format!("198.51.100.{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let (hosts, _) = reachable(vec![(mx(1, "a"), at(&many))], &own()).unwrap();
        assert_eq!(hosts[0].addresses.len(), ADDRESSES_MAX);
    }
}

//! What several domains have in common: the name of a set of mail exchangers, and of its provider.

use crate::config::Rollup;
use aws_lc_rs::digest;
use std::sync::Arc;

/// The canonical name of a set of hosts: sorted, joined by commas; long ones are cut short and end
/// in a digest of all.
pub(super) fn exchange<'a>(hosts: impl IntoIterator<Item = &'a str>) -> Arc<str> {
    let mut hosts: Vec<&str> = hosts.into_iter().collect();
    hosts.sort_unstable();
    hosts.dedup();
    let name = hosts.join(",");
    if name.len() <= NAME_BYTES_MAX {
        return name.into();
    }
    let digest = digest::digest(&digest::SHA256, name.as_bytes());
    let octets = digest.as_ref().iter().take(DIGEST_BYTES);
    let hex: String = octets.map(|octet| format!("{octet:02x}")).collect();
    let first = hosts.first().copied().unwrap_or_default();
    format!("{first},+{}~{hex}", hosts.len() - 1).into()
}

/// Whose limits count: the provider that all of the hosts belong to, else the set of hosts itself.
pub(super) fn site<'a>(
    rollups: &[Rollup],
    exchange: &Arc<str>,
    hosts: impl Iterator<Item = &'a str> + Clone,
) -> Arc<str> {
    let holds = |rollup: &&Rollup| hosts.clone().all(|host| belongs(rollup, host));
    match rollups.iter().find(holds) {
        Some(rollup) => rollup.site.as_str().into(),
        None => Arc::clone(exchange),
    }
}

fn belongs(rollup: &Rollup, host: &str) -> bool {
    rollup.suffixes.iter().any(|suffix| {
        let above = host.strip_suffix(suffix.as_str());
        above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
    })
}

/// Also the bound of what a site costs wherever it is kept.
const NAME_BYTES_MAX: usize = 255;

const DIGEST_BYTES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn google() -> Vec<Rollup> {
        vec![Rollup {
            site: "google".to_owned(),
            suffixes: vec!["google.com".to_owned(), "googlemail.com".to_owned()],
        }]
    }

    fn site_of(hosts: &[&str]) -> String {
        let exchange = exchange(hosts.iter().copied());
        site(&google(), &exchange, hosts.iter().copied()).to_string()
    }

    #[test]
    fn order_and_repetition_make_no_other_set() {
        assert_eq!(&*exchange(["b.test", "a.test", "b.test"]), "a.test,b.test");
    }

    #[test]
    fn a_provider_takes_only_sets_that_are_all_its_own() {
        assert_eq!(
            site_of(&["aspmx.l.google.com", "alt2.googlemail.com"]),
            "google"
        );
        assert_eq!(site_of(&["google.com"]), "google");
        assert_eq!(site_of(&["notgoogle.com"]), "notgoogle.com");
        assert_eq!(
            site_of(&["mx.google.com", "mx.test"]),
            "mx.google.com,mx.test"
        );
    }

    #[test]
    fn long_sets_have_short_names_of_their_own() {
        let hosts: Vec<String> = (0..40).map(|n| format!("{n:02}.example.test")).collect();
        let all = exchange(hosts.iter().map(String::as_str));
        let fewer = exchange(hosts.iter().skip(1).map(String::as_str));
        assert!(all.starts_with("00.example.test,+39~"), "{all}");
        assert!(all.len() <= NAME_BYTES_MAX);
        assert_ne!(all, fewer);
    }
}

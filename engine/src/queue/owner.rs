//! Whose mail it is: a tenant, and perhaps one of its campaigns, as one text in the log.
//!
//! A QUEUE has one text for it (`store::shard::Outbound::tenant`). A campaign stands behind the
//! tenant, parted by U+001F, which no name has in it. So recipients of one campaign share a text in
//! memory and on disk, and stores of builds that knew no campaigns read as they are.

/// One text of both.
#[must_use]
pub fn join(tenant: &str, campaign: Option<&str>) -> String {
    match campaign {
        None | Some("") => tenant.to_owned(),
        Some(campaign) => format!("{tenant}{BETWEEN}{campaign}"),
    }
}

/// Tenant and campaign; the latter is empty where there is none.
#[must_use]
pub fn split(owner: &str) -> (&str, &str) {
    owner.split_once(BETWEEN).unwrap_or((owner, ""))
}

/// The text of mail whose sender has a pool of its own: only the board knows it.
pub(super) fn by_pool(owner: &str, pool: u16) -> String {
    let (tenant, campaign, _) = parts(owner);
    format!("{}{BEFORE_POOL}{pool}", join(tenant, Some(campaign)))
}

/// Tenant, campaign, and the pool of [`by_pool`].
pub(super) fn parts(owner: &str) -> (&str, &str, Option<u16>) {
    let (owner, pool) = match owner.split_once(BEFORE_POOL) {
        Some((owner, pool)) => (owner, pool.parse().ok()),
        None => (owner, None),
    };
    let (tenant, campaign) = split(owner);
    (tenant, campaign, pool)
}

const BETWEEN: char = '\u{1f}';

/// What no text in the log has in it.
const BEFORE_POOL: char = '\0';

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_joined_comes_apart() {
        for (tenant, campaign) in [("a@b", Some("spring 1")), ("a", None), ("", Some("x"))] {
            let owner = join(tenant, campaign);
            assert_eq!(split(&owner), (tenant, campaign.unwrap_or_default()));
        }
        assert_eq!(join("a", Some("")), "a");
        for text in ["a@b", "a@b\u{1f}spring"] {
            let (tenant, campaign) = split(text);
            let other = by_pool(&by_pool(text, 7), 3);
            assert_eq!(parts(&other), (tenant, campaign, Some(3)));
            assert_eq!(parts(text), (tenant, campaign, None));
        }
    }
}

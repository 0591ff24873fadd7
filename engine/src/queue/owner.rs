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

const BETWEEN: char = '\u{1f}';

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
    }
}

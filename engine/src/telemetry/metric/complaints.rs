//! Complaints of recipients, by those who may have to act: tenants, campaigns, providers.

use super::series::{Series, Tally};

/// Shared by all shards; complaints come rarely.
#[derive(Debug, Default)]
pub struct Complaints {
    by_tenant: Tally,
    by_campaign: Tally,
    by_provider: Tally,
}

impl Complaints {
    pub fn count(&self, tenant: &str, campaign: Option<&str>, provider: &str) {
        self.by_tenant.one(tenant);
        self.by_provider.one(provider);
        if let Some(campaign) = campaign {
            self.by_campaign.one(campaign);
        }
    }

    /// For the metrics.
    #[must_use]
    pub fn series(&self) -> Vec<Series> {
        let complaints = "Complaints of recipients.";
        vec![
            self.by_tenant
                .series("ringpost_complaints_by_tenant", complaints, "tenant"),
            self.by_campaign
                .series("ringpost_complaints_by_campaign", complaints, "campaign"),
            self.by_provider
                .series("ringpost_complaints_by_provider", complaints, "provider"),
        ]
    }
}

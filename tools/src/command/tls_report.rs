//! `ringpostctl tls-report`: what came of TLS to other hosts, as RFC 8460 writes it down.

use super::moment::moment;
use crate::client::Client;
use anyhow::{Context, bail};
use clap::Args;
use engine::admin::wire::{Reply, Request};

#[derive(Args)]
pub(crate) struct TlsReport {
    /// Of this day in UTC, YYYY-MM-DD; today where it is left out
    #[arg(long)]
    date: Option<String>,
    /// Of one domain
    #[arg(long)]
    domain: Option<String>,
}

impl TlsReport {
    /// One report a policy domain, each a JSON object; with --json each in one line.
    pub(crate) fn run(self, client: &Client) -> anyhow::Result<()> {
        let day = self.date.as_deref().map(day).transpose()?;
        let domain = self.domain;
        let Reply::TlsReports(reports) = client.order(Request::TlsReport { day, domain })? else {
            bail!("the server answered something else");
        };
        for report in reports {
            match client.is_json() {
                true => println!("{}", serde_json::to_string(&report)?),
                false => println!("{}", serde_json::to_string_pretty(&report)?),
            }
        }
        Ok(())
    }
}

/// Counted from 1970.
fn day(text: &str) -> anyhow::Result<u32> {
    let wrong = || format!("{text} is no date; one looks like 2026-11-22");
    let secs = moment(&format!("{text}T00:00:00Z")).with_context(wrong)?;
    u32::try_from(secs / 86_400).with_context(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_from_1970() {
        assert_eq!(day("1970-01-01").unwrap(), 0);
        assert_eq!(day("2026-11-22").unwrap(), 20_779);
        for wrong in ["2026-11", "2026-13-01", "2026-02-29", "1969-12-31", "x"] {
            assert!(day(wrong).is_err(), "{wrong}");
        }
    }
}

//! `ringpostctl route` and `queue reroute`: where mail goes now, and where it shall go.

use super::office::Office;
use super::wire::{Pick, Reply, RouteStep};
use crate::config::outbound::Detour;
use crate::post::{QueueAnswer, QueueAsk};
use crate::reactor::Now;
use crate::route::explain::{Onward, Submission, explain};
use store::mail::address::Address;

impl Office {
    pub(super) async fn reroute(&self, pick: Pick, via: &str) -> Result<Reply, String> {
        let wrong = "expected smarthost:HOST[:PORT], lmtp:HOST[:PORT], mx:DOMAIN or route";
        let via = Detour::parse(via).ok_or_else(|| format!("{via}: {wrong}"))?;
        let via = via.to_string();
        self.count(|| QueueAsk::Reroute {
            pick: pick.clone(),
            via: via.clone(),
        })
        .await
    }

    /// All steps; DNS is asked by the first shard, as for its own mail.
    pub(super) async fn explain(
        &self,
        address: &str,
        from: Option<&str>,
        login: Option<&str>,
    ) -> Result<Reply, String> {
        let address = any_address(address)?;
        let from = from.filter(|from| !matches!(*from, "" | "<>"));
        let from = from.map(any_address).transpose()?;
        let (config, directory) = (
            self.live().config.load_full(),
            self.live().directory.load_full(),
        );
        let account = match login {
            None => None,
            Some(name) => {
                let account = directory.login(name);
                Some(account.ok_or_else(|| format!("there is no account {name}"))?)
            }
        };
        let by = Submission {
            from: from.as_ref().or(account.map(|account| &account.address)),
            login: account.map(|account| &**account),
            now_secs: Now::read().unix_secs(),
        };
        let mut told = Vec::new();
        for step in explain(&config, &directory, &address, by) {
            let level = step.level;
            told.push(RouteStep {
                level,
                what: step.what.to_owned(),
                words: step.words,
            });
            if let Some(onward) = step.onward {
                told.extend(self.hop(level + 1, onward).await);
            }
        }
        Ok(Reply::Steps(told))
    }

    async fn hop(&self, level: u8, to: Onward) -> Vec<RouteStep> {
        let ask = QueueAsk::Hop {
            domain: to.domain,
            sender: to.sender,
            tenant: to.tenant,
            via: None,
        };
        let lines = match self.ask_queue(0, ask).await {
            Ok(QueueAnswer::Hop(lines)) => lines,
            Ok(_) => Vec::new(),
            Err(why) => vec![why],
        };
        let words = lines.into_iter().enumerate();
        let step = |(place, words)| RouteStep {
            level: if place == 0 { level } else { level + 1 },
            what: if place == 0 { "hop" } else { "host" }.to_owned(),
            words,
        };
        words.map(step).collect()
    }
}

/// Any address that SMTP knows, also one of another host in its own case.
fn any_address(text: &str) -> Result<Address, String> {
    let text = text.trim_start_matches('<').trim_end_matches('>');
    let wrong = || format!("{text} is no address; one looks like alice@example.org");
    let address = Address::split(text).ok_or_else(wrong)?;
    let is_literal = address.domain.starts_with('[');
    let domain = match is_literal {
        true => Some(address.domain),
        false => crate::config::domain_name(&address.domain),
    };
    Ok(Address::new(address.local, domain.ok_or_else(wrong)?))
}

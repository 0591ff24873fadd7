//! Rules in words: which one holds for a reply, and what all of them do.

use super::office::Office;
use super::wire::{Reply, RuleAbout, RuleLine};
use crate::config::outbound::rule::{Heard, Pattern, Phase, Rule, RuleAction, Rules};
use crate::queue::dsn::classify;

impl Office {
    pub(super) fn rule_test(&self, reply: &str, about: &RuleAbout) -> Result<Reply, String> {
        found(&self.live().config.load().outbound.rules, reply, about)
    }

    pub(super) fn rule_list(&self) -> Reply {
        listed(&self.live().config.load().outbound.rules)
    }
}

/// The rule that holds for a reply, given as a log has it: its lines joined.
pub fn found(rules: &Rules, reply: &str, about: &RuleAbout) -> Result<Reply, String> {
    let code = reply.get(..3).and_then(|code| code.parse::<u16>().ok());
    if !code.is_some_and(|code| (200..600).contains(&code)) {
        return Err(format!(
            "\"{reply}\" is no reply; one looks like \"421 4.7.28 Too fast\""
        ));
    }
    let phase = match about.phase.as_str() {
        "" => Phase::Rcpt,
        name => Phase::of_name(name).ok_or_else(|| {
            let known = Phase::ALL.map(Phase::name).join(", ");
            format!("{name} is no phase; there are {known}")
        })?,
    };
    let reply: Vec<&str> = reply.split_whitespace().collect();
    let reply = reply.join(" ");
    let rule = rules.find(&Heard {
        reply: &reply,
        site: &about.site,
        host: &about.host,
        domain: &about.domain,
        phase,
    });
    Ok(Reply::RuleFound {
        rule: rule.map(line),
        class: classify(reply.as_bytes()).name().to_owned(),
    })
}

/// All of them, in the order in which they are asked.
#[must_use]
pub fn listed(rules: &Rules) -> Reply {
    Reply::Rules(rules.list().iter().map(line).collect())
}

fn line(rule: &Rule) -> RuleLine {
    let (site, message): (Vec<&RuleAction>, Vec<&RuleAction>) =
        rule.actions.iter().partition(|action| action.is_of_site());
    let shown = |actions: Vec<&RuleAction>| actions.iter().map(ToString::to_string).collect();
    RuleLine {
        name: rule.name.clone(),
        line: match rule.is_shipped {
            true => 0,
            false => rule.line as u64,
        },
        when: when(rule),
        message: shown(message),
        threshold: (!site.is_empty() && rule.threshold.count > 1)
            .then(|| rule.threshold.to_string()),
        site: shown(site),
    }
}

fn when(rule: &Rule) -> String {
    let names = |patterns: &[Pattern]| {
        let names: Vec<String> = patterns.iter().map(ToString::to_string).collect();
        names.join(" or ")
    };
    let phases: Vec<&str> = rule.phases.iter().map(|phase| phase.name()).collect();
    let mut when = Vec::new();
    for (what, names) in [
        ("site", names(&rule.sites)),
        ("host", names(&rule.hosts)),
        ("domain", names(&rule.domains)),
        ("phase", phases.join(" or ")),
        ("reply", rule.reply.clone()),
    ] {
        if !names.is_empty() {
            when.push(format!("{what} {names}"));
        }
    }
    when.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(site: &str) -> RuleAbout {
        RuleAbout {
            site: site.to_owned(),
            ..RuleAbout::default()
        }
    }

    #[test]
    fn a_reply_finds_its_rule() {
        let rules = Rules::shipped();
        let reply = "421 4.7.28 Gmail has detected an  unusual rate of mail - gsmtp";
        let found_at = |site| found(&rules, reply, &about(site)).unwrap();
        let Reply::RuleFound { rule, class } = found_at("google") else {
            panic!()
        };
        let rule = rule.unwrap();
        assert_eq!(
            (rule.name.as_str(), class.as_str()),
            ("google-unusual-rate", "rate-limited")
        );
        assert_eq!(rule.threshold.as_deref(), Some("3/10m"));
        assert_eq!(rule.site, ["suspend the egress source at the site for 30m"]);
        assert!(matches!(
            found_at("far"),
            Reply::RuleFound { rule: None, .. }
        ));
        for wrong in ["", "hello", "42", "999 x"] {
            assert!(found(&rules, wrong, &about("")).is_err(), "{wrong}");
        }
        let later = RuleAbout {
            phase: "later".to_owned(),
            ..about("google")
        };
        assert!(found(&rules, reply, &later).unwrap_err().contains("rcpt"));
    }
}

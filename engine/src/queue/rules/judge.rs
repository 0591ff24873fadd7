//! From a reply to what is done about it.

use super::super::outcome::Result as Came;
use super::super::site::Site;
use super::{Counts, Mail, Slow, Suspended, Switched};
use crate::config::outbound::rule::{Heard, Phase, Rule, RuleAction, Rules};
use crate::egress::Stage;
use crate::event;
use crate::wire::smtp::client::reply::Reply;
use std::sync::Arc;

/// One reply, and whom it met.
#[derive(Clone, Copy)]
pub(in super::super) struct Case<'a> {
    pub(in super::super) site: &'a Site,
    /// The egress source.
    pub(in super::super) source: &'a str,
    pub(in super::super) host: &'a str,
    /// Of the recipient.
    pub(in super::super) domain: &'a str,
    pub(in super::super) tenant: &'a str,
    /// Empty where there is none.
    pub(in super::super) campaign: &'a str,
    pub(in super::super) stage: Stage,
    pub(in super::super) reply: &'a Reply,
    /// Connections that the configuration allows to the site.
    pub(in super::super) connections_max: u32,
    /// The same reply was judged already, for another recipient.
    pub(in super::super) is_repeated: bool,
}

/// What a rule makes of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in super::super) struct Judged {
    pub(in super::super) result: Came,
    /// The connection is to end.
    pub(in super::super) drops: bool,
    /// The recipient goes to the suppression list.
    pub(in super::super) suppresses: bool,
    pub(in super::super) rule: String,
}

/// Judges a recipient that was not taken; `None`: no rule holds.
pub(in super::super) fn judge(
    rules: &Rules,
    counts: &Counts,
    case: &Case<'_>,
    result: Came,
    now: u32,
) -> Option<Judged> {
    let said = said(case.reply);
    let rule = rules.find(&Heard {
        reply: &said,
        site: case.site.name(),
        host: case.host,
        domain: case.domain,
        phase: phase(case.stage),
    })?;
    if !case.is_repeated {
        let has_acted = act(rule, case, now);
        counts.count(&rule.name, has_acted);
        report(rule, case, &said, has_acted);
    }
    let mut judged = Judged {
        result,
        drops: false,
        suppresses: false,
        rule: rule.name.clone(),
    };
    for action in &rule.actions {
        match action {
            RuleAction::Bounce => judged.result = Came::Failed,
            RuleAction::Defer { secs: None } => judged.result = Came::Deferred,
            RuleAction::Defer { secs: Some(secs) } => judged.result = Came::Later(*secs),
            RuleAction::Drop => judged.drops = true,
            RuleAction::Suppress => judged.suppresses = true,
            RuleAction::Suspend { .. }
            | RuleAction::Slow { .. }
            | RuleAction::Switch { .. }
            | RuleAction::Nothing => {}
        }
    }
    Some(judged)
}

/// What a rule orders of the site, if it held often enough; `true`: it did order something.
fn act(rule: &Rule, case: &Case<'_>, now: u32) -> bool {
    if !rule.actions.iter().any(RuleAction::is_of_site) {
        return false;
    }
    let mail = Mail::of(rule.whose(), case.source, case.tenant, case.campaign);
    let Some(mail) = mail else {
        return false;
    };
    let effects = &case.site.effects;
    if !effects.is_reached(&rule.name, &mail, rule.threshold, now) {
        return false;
    }
    let by: Arc<str> = rule.name.as_str().into();
    for action in &rule.actions {
        match action {
            RuleAction::Suspend { secs, .. } => {
                let suspended = Suspended {
                    mail: mail.clone(),
                    until: now.saturating_add(*secs),
                    by: Arc::clone(&by),
                };
                effects.suspend(suspended, now);
            }
            RuleAction::Slow {
                connections,
                per_minute,
                secs,
            } => {
                let half = case.site.allowed(case.connections_max) / 2;
                let slow = Slow {
                    connections: connections.unwrap_or(half).max(1),
                    per_minute: *per_minute,
                    until: now.saturating_add(*secs),
                    by: Arc::clone(&by),
                };
                effects.slow_down(slow, now);
            }
            RuleAction::Switch { pool, secs } => effects.switch(Switched {
                pool: pool.as_str().into(),
                until: now.saturating_add(*secs),
                by: Arc::clone(&by),
            }),
            _ => {}
        }
    }
    true
}

fn report(rule: &Rule, case: &Case<'_>, said: &str, has_acted: bool) {
    let done = rule.actions.iter();
    let done = done.filter(|action| has_acted || !action.is_of_site());
    let done: Vec<String> = done.map(ToString::to_string).collect();
    let what = match done.is_empty() {
        true => "nothing yet".to_owned(),
        false => done.join(", "),
    };
    event!(
        Info,
        "rule",
        rule = rule.name.as_str(),
        site = case.site.name(),
        source = case.source,
        tenant = case.tenant,
        what = what.as_str(),
        reply = said,
    );
}

/// A reply in one line, with no code that it did not have.
#[must_use]
pub(in super::super) fn said(reply: &Reply) -> String {
    match reply.status {
        Some(status) => format!(
            "{} {}.{}.{} {}",
            reply.code, status.0, status.1, status.2, reply.text
        ),
        None => format!("{} {}", reply.code, reply.text),
    }
}

fn phase(stage: Stage) -> Phase {
    match stage {
        // What our own proxy says is judged by nobody.
        Stage::Source | Stage::Connect | Stage::Banner => Phase::Connect,
        Stage::Hello => Phase::Hello,
        Stage::StartTls | Stage::Handshake => Phase::Tls,
        Stage::Login => Phase::Login,
        Stage::Mail => Phase::Mail,
        Stage::Rcpt => Phase::Rcpt,
        Stage::Data | Stage::Body | Stage::End => Phase::Data,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::site::Sites;
    use super::*;
    use crate::config::{Config, Outside};
    use crate::wire::smtp::client::reply::Status;
    use std::path::Path;

    fn rules(text: &str) -> Rules {
        let outside = Outside {
            readable: &|_| Ok(()),
            secret: &|_| Ok(()),
        };
        let text = format!("hostname = \"mx.example.org\"\ndata = \"/d\"\n{text}");
        let config = Config::parse(Path::new("r.toml"), &text, outside).unwrap();
        config.outbound.rules
    }

    struct World {
        rules: Rules,
        counts: Counts,
        site: Arc<Site>,
    }

    impl World {
        fn new(text: &str) -> World {
            World {
                rules: rules(text),
                counts: Counts::default(),
                site: Sites::default().site("far"),
            }
        }

        fn hear(&self, reply: (u16, &str), tenant: &str, now: u32) -> Option<Judged> {
            let reply = Reply {
                code: reply.0,
                status: Some(Status((reply.0 / 100) as u8, 7, 1)),
                text: reply.1.into(),
            };
            let case = Case {
                site: &self.site,
                source: "main",
                host: "mx.far.test",
                domain: "far.test",
                tenant,
                campaign: "spring",
                stage: Stage::Rcpt,
                reply: &reply,
                connections_max: 20,
                is_repeated: false,
            };
            let result = match reply.code / 100 {
                5 => Came::Failed,
                _ => Came::Deferred,
            };
            judge(&self.rules, &self.counts, &case, result, now)
        }
    }

    #[test]
    fn the_message_is_judged_each_time_the_site_at_the_threshold() {
        let world = World::new(
            "[[rule]]\nname = \"listed\"\nreply = 'listed'\naction = [\"suspend\", \"defer\"]\n\
             whose = \"source\"\nfor = \"1h\"\ndelay = \"2h\"\nthreshold = \"2/1m\"\n",
        );
        let source = [Mail::Source("main".into())];
        let first = world.hear((554, "You are LISTED"), "t", 100).unwrap();
        assert_eq!(first.result, Came::Later(7_200));
        assert_eq!(world.site.effects.suspended(&source, 100), None);
        world.hear((554, "listed"), "t", 130).unwrap();
        let suspended = world.site.effects.suspended(&source, 130).unwrap();
        assert_eq!((suspended.until, &*suspended.by), (130 + 3_600, "listed"));
        let other = [Mail::Source("second".into())];
        assert_eq!(world.site.effects.suspended(&other, 130), None);
        assert_eq!(world.hear((554, "something else"), "t", 130), None);
        let held = &world.counts.series()[0].values;
        assert_eq!(*held, [("listed".to_owned(), 2)]);
    }

    #[test]
    fn a_tenant_and_a_campaign_are_suspended_alone() {
        for (whose, mail) in [
            ("tenant", Mail::Tenant("a".into())),
            ("campaign", Mail::Campaign("spring".into())),
        ] {
            let world = World::new(&format!(
                "[[rule]]\nname = \"x\"\nreply = ''\naction = \"suspend\"\nwhose = \"{whose}\"\n\
                 for = \"1m\"\n"
            ));
            world.hear((451, "slow down"), "a", 0).unwrap();
            assert!(world.site.effects.suspended(&[mail], 1).is_some());
            let others = [Mail::All, Mail::Tenant("b".into())];
            assert_eq!(world.site.effects.suspended(&others, 1), None);
        }
    }

    #[test]
    fn half_the_connections_is_half_of_what_is_allowed() {
        let world =
            World::new("[[rule]]\nname = \"x\"\nreply = ''\naction = \"slow\"\nfor = \"1m\"\n");
        for _ in 0..20 {
            world.site.took(20);
        }
        world.hear((421, "busy"), "a", 0).unwrap();
        assert_eq!(world.site.effects.slow(1).unwrap().connections, 10);
        assert_eq!(world.site.most(20, 1), 10);
        assert_eq!(world.site.most(20, 60), 20, "it recovers");
    }

    #[test]
    fn a_message_can_bounce_or_be_suppressed_and_a_connection_end() {
        let world = World::new(
            "[[rule]]\nname = \"x\"\nreply = 'never'\naction = [\"bounce\", \"suppress\"]\n\
             [[rule]]\nname = \"y\"\nreply = 'often'\naction = \"drop\"\n\
             [[rule]]\nname = \"z\"\nreply = '^550'\naction = \"none\"\n\
             [[rule]]\nname = \"later\"\nreply = 'full'\naction = \"defer\"\n",
        );
        let bounced = world.hear((450, "never"), "a", 0).unwrap();
        assert_eq!((bounced.result, bounced.suppresses), (Came::Failed, true));
        let dropped = world.hear((450, "too often"), "a", 0).unwrap();
        assert_eq!((dropped.result, dropped.drops), (Came::Deferred, true));
        let kept = world.hear((550, "full"), "a", 0).unwrap();
        assert_eq!((kept.result, kept.rule.as_str()), (Came::Failed, "z"));
        assert_eq!(
            world.hear((552, "full"), "a", 0).unwrap().result,
            Came::Deferred
        );
    }
}

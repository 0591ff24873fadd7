//! TOML → [`Rules`], every fault with its line and, in a pattern, its place.

use super::super::super::quantity;
use super::super::super::raw::{At, Notes, Section};
use super::shipped::shipped_rules;
use super::{Pattern, Phase, RULES_MAX, Rule, RuleAction, Rules, THRESHOLD_MAX, Threshold, Whose};
use regex_syntax::ast::parse::Parser;

/// The rules of a file, and behind them the shipped ones that it does not replace. `pools` are the
/// names of egress sources and pools.
pub(in super::super) fn rules(
    top: &mut Section<'_, '_>,
    with_shipped: bool,
    pools: &[&str],
    notes: &mut Notes,
) -> Rules {
    let mut list = written(top, notes);
    check(&list, pools, notes);
    if with_shipped {
        let is_replaced = |shipped: &&Rule| list.iter().any(|own| own.name == shipped.name);
        let shipped: Vec<Rule> = shipped_rules()
            .iter()
            .filter(|rule| !is_replaced(rule))
            .cloned()
            .collect();
        list.extend(shipped);
    }
    if list.len() > RULES_MAX {
        let what = format!("{} rules, of {RULES_MAX} that there may be", list.len());
        notes.problem(0, what);
        return Rules::default();
    }
    let built = Rules::new(list);
    if built.is_none() {
        notes.problem(0, "the patterns of all [[rule]] are too large together");
    }
    built.unwrap_or_default()
}

/// Every `[[rule]]` that can be understood.
pub(super) fn written(top: &mut Section<'_, '_>, notes: &mut Notes) -> Vec<Rule> {
    let sections = top.sections(notes, "rule", "[[rule]]");
    sections
        .into_iter()
        .filter_map(|section| rule(section, notes))
        .collect()
}

/// What the rules mean together: names that stand twice, pools that are not there, rules that
/// never hold.
fn check(written: &[Rule], pools: &[&str], notes: &mut Notes) {
    for (at, rule) in written.iter().enumerate() {
        let (name, line) = (&rule.name, rule.line);
        let before = written.iter().take(at);
        if let Some(first) = before.clone().find(|known| known.name == *name) {
            let what = format!("rule {name} stands in line {} already", first.line);
            notes.problem(line, what);
        }
        if let Some(first) = before.into_iter().find(|known| known.covers(rule)) {
            let what = format!(
                "rule {name} never holds: all that fits it fits {} in line {}, which comes first",
                first.name, first.line
            );
            notes.problem(line, what);
        }
        for action in &rule.actions {
            if let RuleAction::Switch { pool, .. } = action
                && !pools.contains(&pool.as_str())
            {
                let known = pools.join(", ");
                notes.problem(line, format!("pool: there is no {pool}; there are {known}"));
            }
        }
    }
}

fn rule(mut section: Section<'_, '_>, notes: &mut Notes) -> Option<Rule> {
    let line = section.line;
    let name = section.text_required(notes, "name", "\"busy\"");
    let sites = patterns(&mut section, "site", notes);
    let hosts = patterns(&mut section, "host", notes);
    let domains = patterns(&mut section, "domain", notes);
    let phases = section.texts(notes, "phase");
    let phases = phases.into_iter().filter_map(|text| phase(text, notes));
    let phases = phases.collect::<Vec<Phase>>();
    let reply = section.text_required(notes, "reply", "'^421 '");
    let counted = section.text(notes, "threshold");
    let actions = actions(&mut section, notes);
    section.finish(notes);
    let threshold = counted.map_or(Some(Threshold::default()), |text| threshold_of(text, notes));
    let is_counted = |actions: &Vec<RuleAction>| actions.iter().any(RuleAction::is_of_site);
    if let Some(text) = counted.filter(|_| !actions.as_ref().is_none_or(is_counted)) {
        let what = "threshold is for action = \"suspend\", \"slow\" or \"switch\"";
        notes.problem(text.line, what);
    }
    Some(Rule {
        name: name_of(name?, notes)?,
        sites,
        hosts,
        domains,
        phases,
        reply: expression(reply?, notes)?,
        threshold: threshold?,
        actions: actions?,
        line,
        is_shipped: false,
    })
}

fn name_of(name: At<&str>, notes: &mut Notes) -> Option<String> {
    let fits = (1..=NAME_BYTES_MAX).contains(&name.value.len());
    let named = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if !fits || !name.value.chars().all(named) {
        let what = format!("name: expected 1 to {NAME_BYTES_MAX} letters, digits and hyphens");
        notes.problem(name.line, what);
        return None;
    }
    Some(name.value.to_owned())
}

fn patterns(section: &mut Section<'_, '_>, key: &'static str, notes: &mut Notes) -> Vec<Pattern> {
    let mut found = Vec::new();
    for text in section.texts(notes, key) {
        let is_good = !text.value.is_empty()
            && text.value.len() <= PATTERN_BYTES_MAX
            && text.value.bytes().all(|octet| octet.is_ascii_graphic());
        match is_good {
            true => found.push(Pattern(text.value.to_ascii_lowercase())),
            false => {
                let what = format!(
                    "{key}: \"{}\" is no name, e.g. \"*.example.net\"",
                    text.value
                );
                notes.problem(text.line, what);
            }
        }
    }
    found
}

fn phase(text: At<&str>, notes: &mut Notes) -> Option<Phase> {
    let found = Phase::of_name(text.value);
    if found.is_none() {
        let known = Phase::ALL.map(Phase::name).join(", ");
        notes.problem(
            text.line,
            format!("phase: expected {known}, not \"{}\"", text.value),
        );
    }
    found
}

/// A pattern that compiles by itself; the place of a fault counts characters from 1.
fn expression(text: At<&str>, notes: &mut Notes) -> Option<String> {
    let what = if text.value.len() > REPLY_BYTES_MAX {
        format!("reply: a pattern has at most {REPLY_BYTES_MAX} octets")
    } else if let Err(fault) = Parser::new().parse(text.value) {
        let column = fault.span().start.column;
        format!("reply: character {column} of the pattern: {}", fault.kind())
    } else {
        let built = regex::RegexBuilder::new(text.value)
            .case_insensitive(true)
            .size_limit(EXPRESSION_BYTES_MAX)
            .build();
        match built {
            Ok(_) => return Some(text.value.to_owned()),
            Err(regex::Error::CompiledTooBig(_)) => {
                "reply: the pattern is too large: repeat less".to_owned()
            }
            Err(fault) => format!("reply: {}", fault.to_string().replace('\n', " ")),
        }
    };
    notes.problem(text.line, what);
    None
}

fn threshold_of(text: At<&str>, notes: &mut Notes) -> Option<Threshold> {
    let read = || {
        let (count, within) = text.value.split_once('/')?;
        let count = count.trim().parse::<u32>().ok();
        let within_secs = quantity::seconds(within);
        Some(Threshold {
            count: count.filter(|count| (1..=THRESHOLD_MAX).contains(count))?,
            within_secs: within_secs.filter(|secs| (1..=WEEK_SECS).contains(secs))?,
        })
    };
    let found = read();
    if found.is_none() {
        let what = format!(
            "threshold: \"{}\" is no count up to {THRESHOLD_MAX} in a time up to 7d, e.g. \"3/1h\"",
            text.value
        );
        notes.problem(text.line, what);
    }
    found
}

/// The values that actions take, and which of them an action took.
struct Values<'d> {
    whose: Option<At<&'d str>>,
    secs: Option<At<u32>>,
    delay: Option<At<u32>>,
    connections: Option<At<u64>>,
    per_minute: Option<At<u64>>,
    pool: Option<At<&'d str>>,
}

fn actions(section: &mut Section<'_, '_>, notes: &mut Notes) -> Option<Vec<RuleAction>> {
    let line = section.line;
    let words = section.texts(notes, "action");
    let mut values = Values {
        whose: section.text(notes, "whose"),
        secs: section.seconds(notes, "for", 1, WEEK_SECS),
        delay: section.seconds(notes, "delay", 1, WEEK_SECS),
        connections: section.number(notes, "connections", 1, 10_000),
        per_minute: section.number(notes, "messages_per_minute_max", 1, 100_000_000),
        pool: section.text(notes, "pool"),
    };
    if words.is_empty() {
        notes.problem(
            line,
            format!("[[rule]] needs action = \"defer\", or {ACTIONS}"),
        );
        return None;
    }
    let mut found = Vec::with_capacity(words.len());
    for word in words {
        found.push(action(word, &mut values, notes)?);
    }
    values.check_taken(notes);
    let both = |one: fn(&RuleAction) -> bool| found.iter().any(one);
    if both(|one| *one == RuleAction::Bounce) && both(|one| matches!(one, RuleAction::Defer { .. }))
    {
        notes.problem(line, "action: a reply cannot both bounce and defer");
    }
    Some(found)
}

fn action(word: At<&str>, values: &mut Values<'_>, notes: &mut Notes) -> Option<RuleAction> {
    Some(match word.value {
        "suspend" => RuleAction::Suspend {
            whose: whose(values.whose.take(), notes)?,
            secs: values.lasting(word, notes)?,
        },
        "slow" => RuleAction::Slow {
            connections: values.connections.take().map(|at| at.value as u32),
            per_minute: values.per_minute.take().map(|at| at.value as u32),
            secs: values.lasting(word, notes)?,
        },
        "switch" => {
            let pool = values.pool.take();
            if pool.is_none() {
                notes.problem(word.line, "action = \"switch\" needs pool = \"second\"");
            }
            RuleAction::Switch {
                pool: pool?.value.to_owned(),
                secs: values.lasting(word, notes)?,
            }
        }
        "bounce" => RuleAction::Bounce,
        "defer" => RuleAction::Defer {
            secs: values.delay.take().map(|at| at.value),
        },
        "drop" => RuleAction::Drop,
        "suppress" => RuleAction::Suppress,
        "none" => RuleAction::Nothing,
        other => {
            let what = format!("action: \"{other}\" is unknown; expected {ACTIONS}");
            notes.problem(word.line, what);
            return None;
        }
    })
}

fn whose(text: Option<At<&str>>, notes: &mut Notes) -> Option<Whose> {
    let Some(text) = text else {
        return Some(Whose::Site);
    };
    let found = Whose::ALL.into_iter().find(|one| one.name() == text.value);
    if found.is_none() {
        let known = Whose::ALL.map(Whose::name).join(", ");
        notes.problem(
            text.line,
            format!("whose: expected {known}, not \"{}\"", text.value),
        );
    }
    found
}

impl Values<'_> {
    /// How long it lasts; several actions of one rule last alike.
    fn lasting(&self, action: At<&str>, notes: &mut Notes) -> Option<u32> {
        if self.secs.is_none() {
            let what = format!("action = \"{}\" needs for = \"30m\"", action.value);
            notes.problem(action.line, what);
        }
        self.secs.map(|at| at.value)
    }

    /// A value that no action takes is meant for one that is not there.
    fn check_taken(&self, notes: &mut Notes) {
        let mut unused = |line: Option<usize>, key: &str, action: &str| {
            if let Some(line) = line {
                notes.problem(line, format!("{key} is for action = \"{action}\""));
            }
        };
        unused(self.whose.map(|at| at.line), "whose", "suspend");
        unused(self.delay.map(|at| at.line), "delay", "defer");
        unused(self.connections.map(|at| at.line), "connections", "slow");
        let per_minute = self.per_minute.map(|at| at.line);
        unused(per_minute, "messages_per_minute_max", "slow");
        unused(self.pool.map(|at| at.line), "pool", "switch");
    }
}

const ACTIONS: &str = "suspend, slow, bounce, defer, drop, switch, suppress or none";

const NAME_BYTES_MAX: usize = 64;
const PATTERN_BYTES_MAX: usize = 255;

/// One pattern as it is written, and as it is compiled.
const REPLY_BYTES_MAX: usize = 1_000;
const EXPRESSION_BYTES_MAX: usize = 1 << 20;

const WEEK_SECS: u32 = 7 * 86_400;

//! What comes with this program: providers by their mail exchangers, and rules for their replies.

use super::super::super::raw::{self, Notes, Section};
use super::super::super::{Rollup, resolver};
use super::Rule;
use super::read::written;
use std::sync::LazyLock;

/// Every shipped rule, in the order in which they are asked.
pub(super) fn shipped_rules() -> &'static [Rule] {
    &SHIPPED.rules
}

/// Every provider that is known.
#[must_use]
pub(in super::super::super) fn shipped_rollups() -> &'static [Rollup] {
    &SHIPPED.rollups
}

struct Shipped {
    rollups: Vec<Rollup>,
    rules: Vec<Rule>,
}

static SHIPPED: LazyLock<Shipped> = LazyLock::new(|| {
    let (shipped, problems) = read(PROVIDERS);
    debug_assert_eq!(problems, Vec::<String>::new());
    shipped
});

/// The file as any other is read; its faults are those of this program, and found by a test.
fn read(text: &str) -> (Shipped, Vec<String>) {
    let mut notes = Notes::new(text);
    let document = raw::document(text, &mut notes);
    let mut top = Section::top(document.get_ref());
    let rollups = top.sections(&mut notes, "rollup", "[[rollup]]");
    let rollups = rollups
        .into_iter()
        .filter_map(|section| resolver::rollup(section, &mut notes))
        .collect();
    let rules = written(&mut top, &mut notes).into_iter();
    let rules = rules.map(|rule| Rule {
        is_shipped: true,
        ..rule
    });
    let rules = rules.collect();
    top.finish(&mut notes);
    let problems = notes.problems.into_iter();
    let problems = problems.map(|problem| format!("{}: {}", problem.line, problem.what));
    (Shipped { rollups, rules }, problems.collect())
}

const PROVIDERS: &str = include_str!("providers.toml");

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_shipped_file_has_no_fault() {
        let (shipped, problems) = read(PROVIDERS);
        assert_eq!(problems, Vec::<String>::new());
        let names: HashSet<&str> = shipped.rules.iter().map(|rule| &*rule.name).collect();
        assert_eq!(names.len(), shipped.rules.len(), "a name stands twice");
        for (at, rule) in shipped.rules.iter().enumerate() {
            let before = shipped.rules.iter().take(at);
            let hidden = before.into_iter().find(|earlier| earlier.covers(rule));
            assert!(hidden.is_none(), "{} never holds", rule.name);
        }
    }

    #[test]
    fn rules_name_providers_that_are_known() {
        let known: HashSet<&str> = SHIPPED.rollups.iter().map(|one| &*one.site).collect();
        for rule in &SHIPPED.rules {
            for site in &rule.sites {
                assert!(known.contains(site.0.as_str()), "{}: {site}", rule.name);
            }
        }
    }
}

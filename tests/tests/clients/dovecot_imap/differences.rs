//! Where we answer otherwise than Dovecot and are right: each by name, with the clause that says so.

/// One command and the lines that only one of the two answered.
pub struct Case<'a> {
    /// In capitals.
    pub command: &'a str,
    pub ours: &'a [String],
    pub theirs: &'a [String],
}

/// A difference that stands.
pub struct Difference {
    pub name: &'static str,
    pub clause: &'static str,
    is_it: fn(&Case) -> bool,
}

/// The first that explains the whole case.
pub fn known(case: &Case) -> Option<&'static Difference> {
    DIFFERENCES.iter().find(|one| (one.is_it)(case))
}

impl Case<'_> {
    fn starts(&self, words: &[&str]) -> bool {
        let behind = self.command.strip_prefix("UID ").unwrap_or(self.command);
        words.iter().any(|word| behind.starts_with(word))
    }

    /// The tagged lines, where they differ.
    fn conditions(&self) -> (&str, &str) {
        fn of(lines: &[String]) -> &str {
            let is_tagged = |line: &&String| !line.starts_with('*');
            lines.iter().find(is_tagged).map_or("", String::as_str)
        }
        (of(self.ours), of(self.theirs))
    }
}

const DIFFERENCES: &[Difference] = &[];

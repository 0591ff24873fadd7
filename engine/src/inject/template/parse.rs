//! Text → nodes, with the line of what is wrong.

use super::Template;
use super::html::Where;
use super::{BadTemplate, DEPTH_MAX, Escape, Kind, NODES_MAX, Name, Node, TEMPLATE_BYTES_MAX};

impl Template {
    pub(in crate::inject) fn parse(kind: Kind, text: &str) -> Result<Template, BadTemplate> {
        let parser = Parser {
            text,
            at: 0,
            nodes: Vec::new(),
            open: Vec::new(),
            place: match kind {
                Kind::Text => None,
                Kind::Html => Some(Where::default()),
            },
        };
        parser.run()
    }

    /// Does it have values at all?
    #[must_use]
    pub(in crate::inject) fn is_constant(&self) -> bool {
        let mut nodes = self.nodes.iter();
        nodes.all(|node| matches!(node, Node::Literal(_)))
    }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    nodes: Vec<Node>,
    /// Sections that have begun: their nodes, and where in HTML they began.
    open: Vec<(usize, Option<Where>)>,
    /// Of HTML: where the next value would stand.
    place: Option<Where>,
}

impl Parser<'_> {
    fn run(mut self) -> Result<Template, BadTemplate> {
        if self.text.len() > TEMPLATE_BYTES_MAX {
            return Err(self.bad("it is longer than any template may be"));
        }
        while let Some(found) = self.rest().find("{{") {
            let (from, to) = (self.at, self.at + found);
            self.literal(from, to);
            self.at = to;
            self.tag()?;
            if self.nodes.len() > NODES_MAX {
                return Err(self.bad("it has more values and sections than any may have"));
            }
        }
        self.literal(self.at, self.text.len());
        match self.open.last() {
            Some((section, _)) => {
                let name = self.section_name(*section);
                Err(self.bad(&format!("the section {name} has no end")))
            }
            None => Ok(Template { nodes: self.nodes }),
        }
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn literal(&mut self, from: usize, to: usize) {
        let literal = self.text.get(from..to).unwrap_or_default();
        if literal.is_empty() {
            return;
        }
        if let Some(place) = &mut self.place {
            place.pass(literal);
        }
        self.nodes.push(Node::Literal(literal.to_owned()));
    }

    /// What begins with `{{`.
    fn tag(&mut self) -> Result<(), BadTemplate> {
        let rest = self.rest();
        let (end, inside) = match rest.strip_prefix("{{{") {
            Some(rest) => ("}}}", rest),
            None => ("}}", rest.get(2..).unwrap_or_default()),
        };
        let Some(length) = inside.find(end) else {
            return Err(self.bad(&format!("a tag does not end with {end}")));
        };
        let inside = inside.get(..length).unwrap_or_default().to_owned();
        let octets = 2 * end.len() + length;
        let mut signs = inside.chars();
        match (end, signs.next()) {
            ("}}}", _) => self.value(&inside, true)?,
            (_, Some('!')) => {}
            (_, Some('&')) => self.value(signs.as_str(), true)?,
            (_, Some('#')) => self.begin(signs.as_str(), false)?,
            (_, Some('^')) => self.begin(signs.as_str(), true)?,
            (_, Some('/')) => self.end(signs.as_str())?,
            (_, Some('>' | '=')) => {
                return Err(self.bad("partials and other delimiters are not understood"));
            }
            _ => self.value(&inside, false)?,
        }
        self.at += octets;
        Ok(())
    }

    fn value(&mut self, text: &str, is_raw: bool) -> Result<(), BadTemplate> {
        let name = self.name(text)?;
        let escape = match (&self.place, is_raw) {
            (None, _) | (_, true) => Escape::Nothing,
            (Some(place), false) => place
                .escape()
                .map_err(|why| self.bad(&format!("{}: {why}", text.trim())))?,
        };
        if let Some(place) = &mut self.place {
            place.pass_value();
        }
        self.nodes.push(Node::Value(name, escape));
        Ok(())
    }

    fn begin(&mut self, text: &str, is_inverted: bool) -> Result<(), BadTemplate> {
        if self.open.len() >= DEPTH_MAX {
            return Err(self.bad("sections lie too deep inside each other"));
        }
        let name = self.name(text)?;
        self.open.push((self.nodes.len(), self.place.clone()));
        self.nodes.push(Node::Section {
            name,
            is_inverted,
            inside: 0,
        });
        Ok(())
    }

    fn end(&mut self, text: &str) -> Result<(), BadTemplate> {
        let name = self.name(text)?;
        let Some((section, began)) = self.open.pop() else {
            return Err(self.bad(&format!("a section {name} ends that has not begun")));
        };
        let is_same = match (&self.place, &began) {
            (Some(here), Some(there)) => here.is_like(there),
            _ => true,
        };
        if !is_same {
            let what = "a section must end in the part of HTML in which it begins";
            return Err(self.bad(what));
        }
        // It may say nothing: then what follows stands where it began.
        self.place = began;
        let count = self.nodes.len() - section - 1;
        let known = self.section_name(section);
        match self.nodes.get_mut(section) {
            Some(Node::Section { inside, .. }) if known == name.to_string() => *inside = count,
            _ => {
                let what = format!("the section {known} must end before {name}");
                return Err(self.bad(&what));
            }
        }
        Ok(())
    }

    fn section_name(&self, section: usize) -> String {
        match self.nodes.get(section) {
            Some(Node::Section { name, .. }) => name.to_string(),
            _ => String::new(),
        }
    }

    fn name(&self, text: &str) -> Result<Name, BadTemplate> {
        let text = text.trim();
        if text == "." {
            return Ok(Name(Vec::new()));
        }
        let is_key = |key: &str| {
            let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
            !key.is_empty() && key.chars().all(is_word)
        };
        let keys: Vec<String> = text.split('.').map(str::to_owned).collect();
        match keys.iter().all(|key| is_key(key)) && keys.len() <= DEPTH_MAX {
            true => Ok(Name(keys)),
            false => Err(self.bad("a name is made of letters, digits, _ and -, joined by dots")),
        }
    }

    fn bad(&self, what: &str) -> BadTemplate {
        let before = self.text.get(..self.at).unwrap_or_default();
        BadTemplate {
            line: before.bytes().filter(|octet| *octet == b'\n').count() + 1,
            what: what.to_owned(),
        }
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.is_empty() {
            true => f.write_str("."),
            false => f.write_str(&self.0.join(".")),
        }
    }
}

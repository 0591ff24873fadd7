//! Nodes and data → text, in bounded steps and octets.

use super::{Escape, Name, Node, Template};
use crate::inject::Effort;
use serde_json::Value;
use std::fmt;

/// Why a text could not be made of the data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::inject) enum Unrendered {
    /// There is nothing of that name.
    Undefined(String),
    /// It is a list or an object, and no text.
    NoText(String),
    /// A link that would not lead to a page.
    Scheme(String),
    TooLong,
    TooManySteps,
}

impl Template {
    /// `data`: what is looked at last, …, what is looked at first. Of the octets that `effort`
    /// allows as many come out at most.
    pub(in crate::inject) fn render(
        &self,
        data: &[&Value],
        effort: Effort,
    ) -> Result<String, Unrendered> {
        let mut renderer = Renderer {
            stack: data.to_vec(),
            out: String::new(),
            octets_max: usize::try_from(effort.octets_max).unwrap_or(usize::MAX),
            steps_left: effort.steps_max,
        };
        renderer.all(&self.nodes)?;
        Ok(renderer.out)
    }
}

struct Renderer<'d> {
    stack: Vec<&'d Value>,
    out: String,
    octets_max: usize,
    steps_left: usize,
}

impl Renderer<'_> {
    /// Sections lie at most `DEPTH_MAX` deep.
    fn all(&mut self, nodes: &[Node]) -> Result<(), Unrendered> {
        let mut at = 0;
        while let Some(node) = nodes.get(at) {
            self.step()?;
            at += 1;
            match node {
                Node::Literal(text) => self.put(text)?,
                Node::Value(name, escape) => self.value(name, *escape)?,
                Node::Section {
                    name,
                    is_inverted,
                    inside,
                } => {
                    let body = nodes.get(at..at + inside).unwrap_or_default();
                    self.section(name, *is_inverted, body)?;
                    at += inside;
                }
            }
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), Unrendered> {
        let left = self.steps_left.checked_sub(1);
        self.steps_left = left.ok_or(Unrendered::TooManySteps)?;
        Ok(())
    }

    fn section(&mut self, name: &Name, is_inverted: bool, body: &[Node]) -> Result<(), Unrendered> {
        let value = find(&self.stack, name);
        let is_true = value.is_some_and(is_true);
        match value {
            _ if is_inverted => match is_true {
                true => Ok(()),
                false => self.all(body),
            },
            Some(Value::Array(list)) => {
                for one in list {
                    self.step()?;
                    self.stack.push(one);
                    self.all(body)?;
                    self.stack.pop();
                }
                Ok(())
            }
            Some(value) if is_true => {
                self.stack.push(value);
                self.all(body)?;
                self.stack.pop();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn value(&mut self, name: &Name, escape: Escape) -> Result<(), Unrendered> {
        let value = find(&self.stack, name);
        let text = match value {
            None => return Err(Unrendered::Undefined(name.to_string())),
            Some(Value::Null) => return Ok(()),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Bool(truth)) => truth.to_string(),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Array(_) | Value::Object(_)) => {
                return Err(Unrendered::NoText(name.to_string()));
            }
        };
        match escape {
            Escape::Nothing => self.put(&text),
            Escape::Url if !leads_to_a_page(&text) => Err(Unrendered::Scheme(name.to_string())),
            Escape::Html | Escape::Url => self.put_escaped(&text),
        }
    }

    fn put(&mut self, text: &str) -> Result<(), Unrendered> {
        if self.out.len() + text.len() > self.octets_max {
            return Err(Unrendered::TooLong);
        }
        self.out.push_str(text);
        Ok(())
    }

    fn put_escaped(&mut self, text: &str) -> Result<(), Unrendered> {
        let mut from = 0;
        for (at, sign) in text.match_indices(['&', '<', '>', '"', '\'']) {
            self.put(text.get(from..at).unwrap_or_default())?;
            self.put(match sign {
                "&" => "&amp;",
                "<" => "&lt;",
                ">" => "&gt;",
                "\"" => "&quot;",
                _ => "&#39;",
            })?;
            from = at + 1;
        }
        self.put(text.get(from..).unwrap_or_default())
    }
}

/// The first key in the innermost object that has it, the others below it.
fn find<'d>(stack: &[&'d Value], name: &Name) -> Option<&'d Value> {
    let Some((first, rest)) = name.0.split_first() else {
        return stack.last().copied();
    };
    let found = stack
        .iter()
        .rev()
        .find_map(|value| value.get(first.as_str()))?;
    rest.iter()
        .try_fold(found, |value, key| value.get(key.as_str()))
}

fn is_true(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Bool(true) | Value::Number(_) | Value::Object(_) => true,
    }
}

/// A relative address, or a scheme that shows or writes to somebody. Control characters and blanks
/// at the beginning are what browsers pass over.
fn leads_to_a_page(url: &str) -> bool {
    let url = url.trim_start_matches(|c: char| c.is_control() || c.is_whitespace());
    let end = url.find(['/', '?', '#']).unwrap_or(url.len());
    match url.get(..end).and_then(|start| start.split_once(':')) {
        None => true,
        Some((scheme, _)) => {
            let known = ["https", "http", "mailto", "tel", "sms", "cid"];
            known.iter().any(|known| scheme.eq_ignore_ascii_case(known))
        }
    }
}

impl fmt::Display for Unrendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unrendered::Undefined(name) => write!(f, "there is no value {name}"),
            Unrendered::NoText(name) => write!(f, "the value {name} is a list or an object"),
            Unrendered::Scheme(name) => {
                write!(
                    f,
                    "the value {name} is a link to something other than a page"
                )
            }
            Unrendered::TooLong => f.write_str("it becomes more octets than a message may have"),
            Unrendered::TooManySteps => f.write_str("it takes more steps than a template may take"),
        }
    }
}

/// Nodes that one render may pass.
pub(in crate::inject) const STEPS_MAX: usize = 200_000;

//! Templates: the part of Mustache that can be bounded, strict about what is not there.
//!
//! ```text
//! {{name}} {{a.b}} {{.}}       the value, escaped where the text is HTML; not there: a fault
//! {{{name}}} {{&name}}         the value as it is
//! {{#name}} … {{/name}}        once for what is true, an object or a text; for each of a list;
//!                              not for what is false, null, empty or not there
//! {{^name}} … {{/name}}        where `#` says nothing
//! {{! remark}}
//! ```
//!
//! No partials, no lambdas, no other delimiters, no expressions: what a render costs is bounded by
//! its steps and by what it writes. (Engines with expressions, such as minijinja, bound their steps
//! but not the memory of one: `a ~ a` thirty times over is a gigabyte.) In HTML a value may stand
//! in text and in quoted attributes only ([`html`]).

mod html;
mod parse;
mod render;

pub(super) use render::{STEPS_MAX, Unrendered};

/// A text that was understood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Template {
    nodes: Vec<Node>,
}

/// What the text around the values is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Text,
    Html,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Node {
    Literal(String),
    Value(Name, Escape),
    /// A section and how many of the nodes behind it are inside.
    Section {
        name: Name,
        is_inverted: bool,
        inside: usize,
    },
}

/// A path of keys; empty is the present value.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Name(Vec<String>);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Escape {
    /// As it is.
    Nothing,
    /// `& < > " '`.
    Html,
    /// As `Html`, at the beginning of an address that a click follows: only schemes that do no
    /// harm.
    Url,
}

/// Why a text is no template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct BadTemplate {
    pub(super) line: usize,
    pub(super) what: String,
}

/// Octets of a template.
pub(super) const TEMPLATE_BYTES_MAX: usize = 4 << 20;

/// Values and sections of one template.
const NODES_MAX: usize = 20_000;

/// Sections inside each other.
const DEPTH_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inject::Effort;
    use serde_json::{Value, json};

    fn render(kind: Kind, text: &str, data: &Value) -> Result<String, String> {
        let template = Template::parse(kind, text).map_err(|bad| bad.what)?;
        let rendered = template.render(&[&Value::Null, data], Effort::full(1_000));
        rendered.map_err(|fault| fault.to_string())
    }

    #[test]
    fn values_sections_and_what_is_not_there() {
        let data = json!({
            "name": "Ann & Bo", "n": 3, "yes": true, "no": false, "none": null, "text": "",
            "user": {"city": "Bern", "name": "inner"}, "list": [{"x": 1}, {"x": 2}], "empty": [],
        });
        for (template, expected) in [
            ("Hello {{name}}!", "Hello Ann & Bo!"),
            ("{{ user.city }}{{n}}", "Bern3"),
            (
                "{{#user}}{{name}} of {{city}} {{n}}{{/user}}",
                "inner of Bern 3",
            ),
            ("{{#list}}{{x}},{{/list}}", "1,2,"),
            ("{{#yes}}y{{/yes}}{{#no}}n{{/no}}{{^no}}not{{/no}}", "ynot"),
            (
                "{{^missing}}-{{/missing}}{{#none}}x{{/none}}{{#empty}}x{{/empty}}",
                "-",
            ),
            ("{{#text}}x{{/text}}{{#name}}{{.}}{{/name}}", "Ann & Bo"),
            ("a{{! remark }}b{{none}}", "ab"),
            ("{ {not} }", "{ {not} }"),
        ] {
            assert_eq!(
                render(Kind::Text, template, &data).as_deref(),
                Ok(expected),
                "{template}"
            );
        }
        for wrong in [
            "{{missing}}",
            "{{user.street}}",
            "{{list}}",
            "{{user}}",
            "{{name.x}}",
        ] {
            assert!(render(Kind::Text, wrong, &data).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_template_is_told_with_its_line() {
        for wrong in [
            "{{",
            "{{a",
            "{{}}",
            "{{a b}}",
            "{{#a}}",
            "{{/a}}",
            "{{#a}}{{/b}}",
            "{{{a}}",
            "{{>a}}",
            "{{=<% %>=}}",
            "{{a..b}}",
        ] {
            assert!(Template::parse(Kind::Text, wrong).is_err(), "{wrong}");
        }
        let bad = Template::parse(Kind::Text, "a\nb\n{{#a}}").unwrap_err();
        assert_eq!(bad.line, 3);
        let deep = "{{#a}}".repeat(DEPTH_MAX + 1);
        assert!(Template::parse(Kind::Text, &deep).is_err());
        let many = "{{a}}".repeat(NODES_MAX + 1);
        assert!(Template::parse(Kind::Text, &many).is_err());
    }

    #[test]
    fn html_is_escaped_by_where_it_stands() {
        let data = json!({"x": "<b a=\"1\">'&", "u": "javascript:alert(1)", "w": "https://a/?b&c",
            "p": "/x"});
        let html = |text: &str| render(Kind::Html, text, &data);
        let escaped = "&lt;b a=&quot;1&quot;&gt;&#39;&amp;";
        assert_eq!(html("<p>{{x}}</p>").unwrap(), format!("<p>{escaped}</p>"));
        assert_eq!(
            html("<i t=\"{{x}}\">").unwrap(),
            format!("<i t=\"{escaped}\">")
        );
        assert_eq!(html("<p>{{{x}}}").unwrap(), "<p><b a=\"1\">'&");
        assert_eq!(
            html("<a href='{{w}}'>").unwrap(),
            "<a href='https://a/?b&amp;c'>"
        );
        assert_eq!(html("<a href='{{p}}'>").unwrap(), "<a href='/x'>");
        assert!(html("<a href='{{u}}'>").is_err());
        assert!(html("<a href=' {{u}}'>").is_err());
        assert_eq!(
            html("<a href='https://a/{{p}}'>").unwrap(),
            "<a href='https://a//x'>"
        );
        for wrong in [
            "<a href={{u}}>",
            "<{{x}}>",
            "<script>{{x}}</script>",
            "<style>{{x}}</style>",
            "<a {{x}}>",
            "<!-- {{x}} -->",
            "<p {{#x}}a=\"{{/x}}\">",
            "<p onclick=\"{{x}}\">",
        ] {
            assert!(html(wrong).is_err(), "{wrong}");
        }
        assert!(html("<script>a</script><p>{{x}}").is_ok());
        assert!(html("{{#x}}<b>{{/x}}{{^x}}<i>{{/x}}").is_ok());
    }

    #[test]
    fn a_render_is_bounded() {
        let data = json!({"a": vec![0; 1_000], "long": "x".repeat(600)});
        let nested = "{{#a}}".repeat(8) + &"{{/a}}".repeat(8);
        assert!(
            render(Kind::Text, &nested, &data)
                .unwrap_err()
                .contains("steps")
        );
        assert!(
            render(Kind::Text, "{{long}}{{long}}", &data)
                .unwrap_err()
                .contains("octets")
        );
    }
}

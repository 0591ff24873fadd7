//! The report as one file of HTML: no script, nothing loaded from elsewhere, light and dark.

use super::chart::{self, Series};
use super::group::{Figure, Group, Question, questions};
use super::summary;
use super::table::Table;
use crate::outcome::{Outcome, Phase};
use std::fmt::Write;

/// The whole page.
pub(crate) fn page(outcomes: &[Outcome]) -> String {
    let mut body = String::new();
    for question in questions(outcomes) {
        section(&mut body, &question);
    }
    if let Some(first) = outcomes.first() {
        let mut facts = Table::bare();
        for (name, value) in summary::circumstances(first) {
            facts.line([name.to_string(), value]);
        }
        let _ = write!(
            body,
            "<section><h2>Where and how</h2>{}</section>",
            facts.html()
        );
    }
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style></head>\n\
         <body><header><h1>{title}</h1></header>\n<main>{body}</main></body></html>\n",
        title = "ringpost-bench",
    )
}

/// Text as content or attribute.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            c if c.is_control() && c != '\n' => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

fn section(body: &mut String, question: &Question) {
    let _ = write!(body, "<section><h2>{}</h2>", escaped(&question.told()));
    if question.groups.len() > 1 {
        body.push_str(&summary::comparison(question).html());
        body.push_str(&summary::ratios(question).html());
        let (rate, what) = match question.rate() {
            Figure::Delivered => (Figure::Delivered, "Delivered a second"),
            _ => (Figure::Accepted, "Accepted a second"),
        };
        picture(body, what, &bars(question, rate, what));
        let cost = "CPU seconds of the server per 1,000 messages";
        picture(body, cost, &bars(question, Figure::Cpu, cost));
        let (name, series) = main_phase(question);
        let title = format!("Latency of {name} by percentile");
        picture(body, &title, &chart::latency(&title, &series));
    }
    for group in &question.groups {
        server(body, group);
    }
    body.push_str("</section>\n");
}

fn picture(body: &mut String, title: &str, svg: &str) {
    if !svg.is_empty() {
        let caption = escaped(title);
        let _ = writeln!(
            body,
            "<figure><figcaption>{caption}</figcaption>{svg}</figure>"
        );
    }
}

fn bars(question: &Question, figure: Figure, title: &str) -> String {
    let bars = question.groups.iter().filter_map(|group| {
        let spread = group.spread(figure)?;
        Some((
            group.server.to_string(),
            spread.median,
            spread.min,
            spread.max,
        ))
    });
    chart::bars(title, &bars.collect::<Vec<_>>())
}

/// The phase that says most about a message, for each server.
fn main_phase(question: &Question) -> (String, Vec<Series>) {
    let all: Vec<_> = question
        .groups
        .iter()
        .map(|group| (group, group.phases()))
        .collect();
    let has = |name: &str| {
        all.iter()
            .any(|(_, phases)| phases.iter().any(|p| p.name == name))
    };
    let last = all
        .iter()
        .find_map(|(_, phases)| Some(phases.last()?.name.clone()));
    let named = MAIN_PHASES
        .iter()
        .find(|name| has(name))
        .map(|name| name.to_string());
    let Some(name) = named.or(last) else {
        return (String::new(), Vec::new());
    };
    let series = all.iter().filter_map(|(group, phases)| {
        let phase = phases.iter().find(|phase| phase.name == name)?;
        Some(Series {
            name: group.server.to_string(),
            points: curve(phase),
        })
    });
    let series = series.collect();
    (name, series)
}

/// As far as there are values: of a hundred the 99th percentile is the last that means something.
fn curve(phase: &Phase) -> Vec<(f64, f64)> {
    let last = 100.0 - 100.0 / phase.count.max(1) as f64;
    let known = phase.percentiles.iter();
    let known = known.filter(|(percentile, _)| *percentile <= last);
    known
        .map(|(percentile, micros)| (*percentile, *micros as f64))
        .collect()
}

fn server(body: &mut String, group: &Group) {
    let Some(first) = group.runs.first() else {
        return;
    };
    let _ = write!(body, "<article><h3>{}</h3>", escaped(group.server));
    cards(body, group);
    facts(body, group, first);
    let table = summary::phases(group);
    if !table.is_empty() {
        body.push_str(&table.html());
    }
    let (title, phases) = slowest(group.phases());
    picture(body, title, &chart::latency(title, &phases));
    let title = "Operations from second to second";
    picture(body, title, &chart::seconds(title, &rates(group)));
    body.push_str("</article>\n");
}

/// As many curves as there are colours to tell them apart.
fn slowest(mut phases: Vec<Phase>) -> (&'static str, Vec<Series>) {
    let mut means: Vec<f64> = phases.iter().map(|phase| phase.mean).collect();
    means.sort_by(|a, b| b.total_cmp(a));
    let title = match means.get(chart::COLOURS) {
        None => "Latency by percentile",
        Some(faster) => {
            phases.retain(|phase| phase.mean > *faster);
            "Latency by percentile, the slowest phases"
        }
    };
    let series = phases.into_iter().map(|phase| Series {
        points: curve(&phase),
        name: phase.name,
    });
    (title, series.collect())
}

/// The few numbers that one looks for first.
fn cards(body: &mut String, group: &Group) {
    body.push_str("<div class=\"cards\">");
    let by_disk = group.spread(Figure::DeviceWritten).is_some();
    let known = [
        (Figure::Delivered, "delivered a second"),
        (Figure::Accepted, "accepted a second"),
        (Figure::Cpu, "CPU s per 1,000"),
        (Figure::DeviceWritten, "written by the disk, each"),
        (Figure::Written, "written by the server, each"),
        (Figure::Resident, "memory at most"),
    ];
    for (figure, name) in known {
        if figure == Figure::Written && by_disk {
            continue;
        }
        let Some(spread) = group.spread(figure) else {
            continue;
        };
        let median = escaped(&summary::told(figure, spread.median));
        let _ = write!(body, "<div><b>{median}</b><span>{name}</span>");
        if spread.count > 1 {
            let (min, max) = (
                summary::told(figure, spread.min),
                summary::told(figure, spread.max),
            );
            let _ = write!(body, "<small>{} … {}</small>", escaped(&min), escaped(&max));
        }
        body.push_str("</div>");
    }
    body.push_str("</div>\n");
}

fn facts(body: &mut String, group: &Group, first: &Outcome) {
    let mut facts = Table::bare();
    facts.line(["target".to_string(), first.target.clone()]);
    summary::tell_answers(&mut facts, group);
    facts.line([
        summary::operations(first).to_string(),
        summary::messages(group),
    ]);
    for line in group.runs.iter().flat_map(|run| summary::population(run)) {
        facts.line(["memory".to_string(), line]);
    }
    if let Some(durability) = &first.durability {
        facts.line(["durability".to_string(), durability.clone()]);
    }
    for audit in group.runs.iter().filter_map(|run| run.audit.as_ref()) {
        facts.line(["audit".to_string(), summary::audit_told(audit)]);
    }
    for remark in summary::remarks(group) {
        facts.line(["remark".to_string(), remark]);
    }
    body.push_str(&facts.html());
}

/// A line for each repeat, and one for what failed in all of them if anything did.
fn rates(group: &Group) -> Vec<Series> {
    let name = |at: usize| match group.runs.len() {
        1 => "done".to_string(),
        _ => format!("run {}", at + 1),
    };
    let runs = group
        .runs
        .iter()
        .filter(|run| run.seconds.len() > 1)
        .take(REPEATS_SHOWN_MAX);
    let mut failed: Vec<(f64, f64)> = Vec::new();
    let mut series: Vec<Series> = Vec::new();
    for (at, run) in runs.enumerate() {
        let each = || {
            run.seconds
                .iter()
                .zip(0_u32..)
                .map(|(second, x)| (second, f64::from(x)))
        };
        for (second, x) in each() {
            match failed.get_mut(x as usize) {
                Some((_, sum)) => *sum += second.failed as f64,
                None => failed.push((x, second.failed as f64)),
            }
        }
        series.push(Series {
            name: name(at),
            points: each().map(|(second, x)| (x, second.done as f64)).collect(),
        });
    }
    if failed.iter().any(|(_, sum)| *sum > 0.0) {
        series.push(Series {
            name: chart::FAILED.to_string(),
            points: failed,
        });
    }
    series
}

const STYLE: &str = include_str!("page.css");
const MAIN_PHASES: [&str; 3] = ["inbox", "whole", "ack"];
/// More lines than that cannot be told apart.
const REPEATS_SHOWN_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn a_page_stands_alone_and_holds_every_picture() {
        let page = page(&sample::comparison(&[(10_000.0, 400.0), (11_000.0, 440.0)]));
        assert_eq!(page.matches("<svg ").count(), 3 + 2 * 2);
        assert_eq!(page.matches("</svg>").count(), 7);
        for foreign in ["<script", "<link", "src=", "url(", "@import", "href="] {
            assert!(!page.contains(foreign), "{foreign}");
        }
        assert!(page.contains("prefers-color-scheme"));
        let named = page
            .match_indices("http")
            .filter(|(at, _)| !page[*at..].starts_with("http://www.w3.org/2000/svg"));
        assert_eq!(named.count(), 0);
    }

    #[test]
    fn of_many_phases_the_slowest_are_drawn_in_their_order() {
        let phase = sample::outcome("A", 10.0, 0).phases.remove(0);
        let phases = |count: u32| {
            let named = |number: u32| Phase {
                name: number.to_string(),
                mean: f64::from(number * 7 % 12),
                ..phase.clone()
            };
            (0..count).map(named).collect::<Vec<_>>()
        };
        let (title, drawn) = slowest(phases(12));
        let names: Vec<&str> = drawn.iter().map(|one| one.name.as_str()).collect();
        assert!(title.contains("slowest"), "{title}");
        assert_eq!(names, ["1", "3", "4", "5", "6", "8", "10", "11"]);
        assert_eq!(slowest(phases(8)).1.len(), 8);
    }

    #[test]
    fn a_curve_ends_where_its_values_do() {
        let mut phase = sample::outcome("A", 10.0, 0).phases.remove(0);
        phase.percentiles = vec![(0.0, 1), (90.0, 2), (99.0, 3), (99.9, 4)];
        phase.count = 100;
        assert_eq!(curve(&phase).len(), 3);
        phase.count = 1;
        assert_eq!(curve(&phase).len(), 1);
    }

    #[test]
    fn what_a_server_says_of_itself_is_text() {
        let mut outcome = sample::outcome("<script>alert(1)</script>", 10.0, 0);
        outcome.remarks = vec!["\" onload=\"x\u{7}".to_string()];
        outcome.answers.insert("<b>".to_string(), 1);
        let page = page(&[outcome]);
        assert!(!page.contains("<script") && !page.contains("<b>×") && !page.contains('\u{7}'));
        assert!(page.contains("&lt;script&gt;") && page.contains("&quot; onload"));
    }

    #[test]
    fn one_second_makes_no_curve_and_nothing_no_picture() {
        let mut outcome = sample::outcome("A", 10.0, 0);
        outcome.seconds.truncate(1);
        outcome.phases.clear();
        assert!(!page(&[outcome]).contains("<svg"));
        assert!(page(&[]).contains("</html>"));
    }
}

//! `ringpostctl queue sources`: where mail leaves from, and what keeps it.

use crate::client::{Client, table};
use anyhow::bail;
use engine::admin::wire::{Reply, Request, SourceLine, WarmSite};

pub(super) fn show(client: &Client) -> anyhow::Result<()> {
    let Reply::Sources(lines) = client.order(Request::QueueSources)? else {
        bail!("the server answered something else");
    };
    if client.is_json() {
        println!("{}", serde_json::to_string(&lines)?);
        return Ok(());
    }
    let head = ["SOURCE", "READY", "OPEN", "SENT", "STATE"];
    print!("{}", table(head, lines.iter().map(row)));
    for line in &lines {
        let warming = line.warming.iter().take(SITES_SHOWN_MAX);
        warming.for_each(|site| println!("{}", warm_site(&line.source, site)));
    }
    Ok(())
}

fn row(line: &SourceLine) -> [String; 5] {
    let most = line
        .connections_max
        .map_or_else(|| "-".to_owned(), |most| most.to_string());
    let state = match (&line.suspended, line.warming.is_empty()) {
        (Some(why), _) => format!("suspended for {} s: {why}", line.suspended_secs),
        (None, true) => "sends".to_owned(),
        (None, false) => "warms up".to_owned(),
    };
    [
        line.source.clone(),
        line.ready.to_string(),
        format!("{}/{most}", line.connections),
        line.sent.to_string(),
        state,
    ]
}

fn warm_site(source: &str, site: &WarmSite) -> String {
    let WarmSite { site, sent, most } = site;
    format!("{source} warms up: {sent} of {most} messages of today to {site}")
}

const SITES_SHOWN_MAX: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_keeps_a_source() {
        let mut line = SourceLine {
            source: "a".into(),
            hello: "a.test".into(),
            addresses: Vec::new(),
            ready: 3,
            connections: 2,
            connections_max: Some(5),
            sent: 7,
            suspended: Some("cannot connect".into()),
            suspended_secs: 9,
            warming: Vec::new(),
        };
        assert_eq!(
            row(&line).join("|"),
            "a|3|2/5|7|suspended for 9 s: cannot connect"
        );
        line.suspended = None;
        assert_eq!(row(&line).last().unwrap(), "sends");
    }
}

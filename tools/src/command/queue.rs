//! `ringpostctl queue`: list, show, why, retry, drop, hold, release, suspend, resume, top.

use crate::client::{Client, table};
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use engine::admin::wire::{
    Pick, QueueDeed, QueueField, QueueLine, QueueShown, Reply, Request, SiteLine,
};
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Subcommand)]
pub(crate) enum Queue {
    /// Show recipients that wait: all, or some
    List {
        #[command(flatten)]
        which: Which,
        /// Show at most so many
        #[arg(long, default_value_t = 100)]
        most: u32,
    },
    /// Show one recipient with its last reply
    Show {
        /// As `list` names it, for example 0.17
        item: String,
    },
    /// Say what one recipient is waiting for, until when
    Why {
        /// As `list` names it, for example 0.17
        item: String,
    },
    /// Try at once
    Retry {
        #[command(flatten)]
        which: Which,
    },
    /// Take out of the queue; nobody is told
    Drop {
        #[command(flatten)]
        which: Which,
    },
    /// Do not try until released, also after a restart
    Hold {
        #[command(flatten)]
        which: Which,
    },
    /// Try what was held
    Release {
        #[command(flatten)]
        which: Which,
    },
    /// Send nothing for a domain, site, tenant or sender for a while
    Suspend {
        #[command(flatten)]
        whose: Whose,
        /// Until resumed where it is left out; a restart forgets it
        #[arg(long, value_name = "SECONDS")]
        secs: Option<u32>,
    },
    /// End a suspension
    Resume {
        #[command(flatten)]
        whose: Whose,
    },
    /// Show sites: what is ready, connections, replies; and egress sources
    Top,
    /// Show egress sources: connections, suspensions, warm-ups
    Sources,
}

#[derive(Args)]
#[group(multiple = false)]
pub(crate) struct Which {
    /// One recipient, for example 0.17
    item: Option<String>,
    /// All of a domain
    #[arg(long)]
    domain: Option<String>,
    /// All that an account, or a network by the domain of its senders, has submitted
    #[arg(long)]
    tenant: Option<String>,
    /// All
    #[arg(long)]
    all: bool,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Whose {
    #[arg(long)]
    domain: Option<String>,
    /// As `top` names it
    #[arg(long)]
    site: Option<String>,
    #[arg(long)]
    tenant: Option<String>,
    /// An address, or @ and a domain
    #[arg(long)]
    sender: Option<String>,
}

impl Queue {
    pub(crate) fn run(self, client: &Client) -> anyhow::Result<()> {
        match self {
            Queue::List { which, most } => list(client, which.pick().unwrap_or(Pick::All), most),
            Queue::Show { item } => show(client, item),
            Queue::Why { item } => why(client, item),
            Queue::Retry { which } => carry(client, which, QueueDeed::Retry, "tried now"),
            Queue::Drop { which } => carry(client, which, QueueDeed::Drop, "dropped"),
            Queue::Hold { which } => carry(client, which, QueueDeed::Hold, "held"),
            Queue::Release { which } => carry(client, which, QueueDeed::Release, "released"),
            Queue::Suspend { whose, secs } => {
                let field = whose.field()?;
                client.order(Request::QueueSuspend { field, secs })?;
                client.say("suspended");
                Ok(())
            }
            Queue::Resume { whose } => {
                let field = whose.field()?;
                match client.order(Request::QueueResume { field })? {
                    Reply::Count(0) => bail!("it was not suspended"),
                    _ => client.say("resumed"),
                }
                Ok(())
            }
            Queue::Top => {
                top(client)?;
                match client.is_json() {
                    true => Ok(()),
                    false => super::sources::show(client),
                }
            }
            Queue::Sources => super::sources::show(client),
        }
    }
}

impl Which {
    fn pick(self) -> Option<Pick> {
        let item = self.item.map(Pick::Item);
        let domain = self.domain.map(Pick::Domain);
        let tenant = self.tenant.map(Pick::Tenant);
        let all = self.all.then_some(Pick::All);
        item.or(domain).or(tenant).or(all)
    }
}

impl Whose {
    fn field(self) -> anyhow::Result<QueueField> {
        let domain = self.domain.map(QueueField::Domain);
        let site = self.site.map(QueueField::Site);
        let tenant = self.tenant.map(QueueField::Tenant);
        let sender = self.sender.map(QueueField::Sender);
        domain.or(site).or(tenant).or(sender).context("whose?")
    }
}

fn list(client: &Client, pick: Pick, most: u32) -> anyhow::Result<()> {
    let Reply::QueueLines(lines) = client.order(Request::QueueList { pick, most })? else {
        bail!("the server answered something else")
    };
    if client.is_json() {
        println!("{}", serde_json::to_string(&lines)?);
        return Ok(());
    }
    let now = now_secs();
    let row = |line: &QueueLine| {
        [
            line.item.clone(),
            line.domain.clone(),
            line.tenant.clone(),
            age(now, line.enqueued_secs),
            line.attempts.to_string(),
            waiting(line, now),
        ]
    };
    let head = ["ITEM", "DOMAIN", "TENANT", "AGE", "TRIES", "WAITING"];
    print!("{}", table(head, lines.iter().map(row)));
    Ok(())
}

fn shown(client: &Client, item: String) -> anyhow::Result<Option<Box<QueueShown>>> {
    let Reply::QueueShown(shown) = client.order(Request::QueueShow { item })? else {
        bail!("the server answered something else")
    };
    if client.is_json() {
        println!("{}", serde_json::to_string(&shown)?);
        return Ok(None);
    }
    Ok(Some(shown))
}

fn show(client: &Client, item: String) -> anyhow::Result<()> {
    let Some(shown) = shown(client, item)? else {
        return Ok(());
    };
    let now = now_secs();
    let line = &shown.line;
    println!("recipient  {}", shown.recipient);
    println!("sender     <{}>", shown.sender);
    println!("queue id   {}", shown.queue_id);
    println!("tenant     {}", line.tenant);
    println!("size       {} octets", line.octets);
    println!("age        {}", age(now, line.enqueued_secs));
    println!("given up   {}", distance(now, line.expiry_secs));
    println!("waits      {}", waiting(line, now));
    println!("attempts   {}", line.attempts);
    if let Some(last) = &shown.last {
        let code = match last.code {
            0 => String::new(),
            code => format!("{code} "),
        };
        println!("last       {}: {code}{}", last.host, last.text);
    }
    Ok(())
}

fn why(client: &Client, item: String) -> anyhow::Result<()> {
    if let Some(shown) = shown(client, item)? {
        let waits = waiting(&shown.line, now_secs());
        println!("{} waits {waits}", shown.recipient);
    }
    Ok(())
}

fn carry(client: &Client, which: Which, deed: QueueDeed, done: &str) -> anyhow::Result<()> {
    let which_ones = "say which ones: an item, --domain, --tenant or --all";
    let pick = which.pick().context(which_ones)?;
    let Reply::Count(count) = client.order(Request::QueueCarry { pick, deed })? else {
        bail!("the server answered something else")
    };
    if client.is_json() {
        println!("{count}");
    }
    client.say(&format!("{count} recipients {done}"));
    Ok(())
}

fn top(client: &Client) -> anyhow::Result<()> {
    let Reply::Sites(lines) = client.order(Request::QueueTop)? else {
        bail!("the server answered something else")
    };
    if client.is_json() {
        println!("{}", serde_json::to_string(&lines)?);
        return Ok(());
    }
    let row = |line: &SiteLine| {
        [
            line.site.clone(),
            line.ready.to_string(),
            format!("{}/{}", line.connections, line.allowed),
            match line.paused_secs {
                0 => "-".to_owned(),
                secs => format!("{secs} s"),
            },
            line.sent.to_string(),
            line.deferred.to_string(),
            line.failed.to_string(),
            line.unreached.to_string(),
        ]
    };
    let head = [
        "SITE",
        "READY",
        "OPEN",
        "PAUSED",
        "SENT",
        "DEFERRED",
        "FAILED",
        "UNREACHED",
    ];
    print!("{}", table(head, lines.iter().map(row)));
    Ok(())
}

/// For what, until when.
fn waiting(line: &QueueLine, now: u32) -> String {
    match line.until_secs {
        Some(until) => format!("{}, {}", line.why, distance(now, until)),
        None => line.why.clone(),
    }
}

fn distance(now: u32, at: u32) -> String {
    match at.checked_sub(now) {
        Some(0) | None => "now".to_owned(),
        Some(secs) => format!("in {}", span(secs)),
    }
}

fn age(now: u32, since: u32) -> String {
    span(now.saturating_sub(since))
}

fn span(secs: u32) -> String {
    match secs {
        0..120 => format!("{secs} s"),
        120..7_200 => format!("{} min", secs / 60),
        7_200..172_800 => format!("{} h", secs / 3_600),
        _ => format!("{} d", secs / 86_400),
    }
}

fn now_secs() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_as_people_say_them() {
        assert_eq!(distance(100, 100), "now");
        assert_eq!(distance(100, 190), "in 90 s");
        assert_eq!(distance(0, 3_600), "in 60 min");
        assert_eq!(age(500_000, 0), "5 d");
        assert_eq!(age(0, 5), "0 s");
    }
}

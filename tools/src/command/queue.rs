//! `ringpostctl queue`: list, show, why, retry, drop, hold, release, reroute, suspend, resume, top.

use crate::client::{Client, table};
use crate::command::top::Top;
use crate::usage::Usage;
use anyhow::bail;
use clap::{Args, Subcommand};
use engine::admin::wire::{
    Pick, QueueDeed, QueueField, QueueLine, QueueShown, Reply, Request, SuspensionLine,
};
use std::io::{self, BufRead, IsTerminal, Write};
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
        #[command(flatten)]
        how: How,
    },
    /// Take out of the queue; nobody is told. Asks before, unless told --yes
    Drop {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        how: How,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Do not try until released, also after a restart
    Hold {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        how: How,
    },
    /// Try what was held
    Release {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        how: How,
    },
    /// Send what waits another way from its next attempt on, also after a restart; what comes
    /// later goes by its route
    Reroute {
        #[command(flatten)]
        which: Which,
        /// smarthost:HOST[:PORT], lmtp:HOST[:PORT], mx:DOMAIN, or route for the configured one
        #[arg(long)]
        via: String,
    },
    /// Send nothing for a domain, site, tenant, campaign, sender or recipient for a while, mail to
    /// come included; also after a restart
    Suspend {
        #[command(flatten)]
        whose: Whose,
        /// Until resumed where it is left out
        #[arg(long, value_name = "SECONDS")]
        secs: Option<u32>,
    },
    /// End a suspension
    Resume {
        #[command(flatten)]
        whose: Whose,
    },
    /// Show what is suspended
    Suspensions,
    /// Show sites: what waits for each, connections, rate, replies; live on a terminal;
    /// said once, egress sources too
    Top(Top),
    /// Show egress sources: connections, suspensions, warm-ups
    Sources,
}

/// Those for whom all that is said is so.
#[derive(Args)]
pub(crate) struct Which {
    /// One recipient, for example 0.17
    item: Option<String>,
    /// All of a domain
    #[arg(long)]
    domain: Option<String>,
    /// As `top` names it
    #[arg(long)]
    site: Option<String>,
    /// All that an account, or a network by the domain of its senders, has submitted
    #[arg(long)]
    tenant: Option<String>,
    /// The sender of the envelope: an address, or @ and a domain
    #[arg(long)]
    sender: Option<String>,
    /// A recipient: an address, or @ and a domain
    #[arg(long)]
    recipient: Option<String>,
    /// All of a campaign
    #[arg(long)]
    campaign: Option<String>,
    /// Waits for so long at least: 90s, 15m, 3h, 2d
    #[arg(long, value_name = "TIME", value_parser = period)]
    older_than: Option<u32>,
    /// The last reply, with its code, has these words
    #[arg(long, value_name = "WORDS")]
    reply: Option<String>,
    /// All
    #[arg(long)]
    all: bool,
}

#[derive(Args)]
pub(crate) struct How {
    /// Say how many are meant, and do nothing
    #[arg(long)]
    dry_run: bool,
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
    #[arg(long)]
    campaign: Option<String>,
    /// An address, or @ and a domain
    #[arg(long)]
    sender: Option<String>,
    /// An address, or @ and a domain
    #[arg(long)]
    recipient: Option<String>,
}

impl Queue {
    pub(crate) fn run(self, client: &Client) -> anyhow::Result<()> {
        match self {
            Queue::List { which, most } => list(client, which.pick().unwrap_or_default(), most),
            Queue::Show { item } => show(client, item),
            Queue::Why { item } => why(client, item),
            Queue::Retry { which, how } => {
                carry(client, which, &how, QueueDeed::Retry, "tried now")
            }
            Queue::Drop { which, how, yes } => drop_some(client, which, &how, yes),
            Queue::Hold { which, how } => carry(client, which, &how, QueueDeed::Hold, "held"),
            Queue::Release { which, how } => {
                carry(client, which, &how, QueueDeed::Release, "released")
            }
            Queue::Reroute { which, via } => {
                let pick = which.named()?;
                match client.order(Request::QueueReroute { pick, via })? {
                    Reply::Count(count) => {
                        let done = "re-routed; retry tries them at once";
                        client.say(&format!("{count} recipients {done}"));
                    }
                    _ => bail!("the server answered something else"),
                }
                Ok(())
            }
            Queue::Suspend { whose, secs } => {
                let field = whose.field()?;
                match client.order(Request::QueueSuspend { field, secs })? {
                    Reply::Count(0) => bail!("too many suspensions hold already; resume some"),
                    _ => client.say("suspended"),
                }
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
            Queue::Suspensions => suspensions(client),
            Queue::Top(top) => top.run(client),
            Queue::Sources => super::sources::show(client),
        }
    }
}

impl Which {
    /// `None`: nothing was said.
    fn pick(self) -> Option<Pick> {
        let pick = Pick {
            item: self.item,
            domain: self.domain,
            site: self.site,
            tenant: self.tenant,
            sender: self.sender,
            recipient: self.recipient,
            campaign: self.campaign,
            older_secs: self.older_than,
            reply: self.reply,
        };
        (self.all || pick != Pick::default()).then_some(pick)
    }

    fn named(self) -> anyhow::Result<Pick> {
        let which_ones = "say which ones: an item, --domain, --site, --tenant, --sender, \
                          --recipient, --campaign, --older-than, --reply or --all";
        self.pick().ok_or_else(|| Usage::of(which_ones))
    }
}

impl Whose {
    fn field(self) -> anyhow::Result<QueueField> {
        let domain = self.domain.map(QueueField::Domain);
        let site = self.site.map(QueueField::Site);
        let tenant = self.tenant.map(QueueField::Tenant);
        let sender = self.sender.map(QueueField::Sender);
        let recipient = self.recipient.map(QueueField::Recipient);
        let campaign = self.campaign.map(QueueField::Campaign);
        let field = domain.or(site).or(tenant).or(sender);
        field
            .or(recipient)
            .or(campaign)
            .ok_or_else(|| Usage::of("whose?"))
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
            waiting_at(line, now),
        ]
    };
    let head = ["ITEM", "DOMAIN", "TENANT", "AGE", "TRIES", "WAITING"];
    print!("{}", table(head, lines.iter().map(row)));
    Ok(())
}

fn suspensions(client: &Client) -> anyhow::Result<()> {
    let Reply::Suspensions(lines) = client.order(Request::QueueSuspensions)? else {
        bail!("the server answered something else")
    };
    if client.is_json() {
        println!("{}", serde_json::to_string(&lines)?);
        return Ok(());
    }
    let now = now_secs();
    let row = |line: &SuspensionLine| {
        let (kind, name) = match &line.field {
            QueueField::Domain(name) => ("domain", name),
            QueueField::Site(name) => ("site", name),
            QueueField::Tenant(name) => ("tenant", name),
            QueueField::Sender(name) => ("sender", name),
            QueueField::Recipient(name) => ("recipient", name),
            QueueField::Campaign(name) => ("campaign", name),
        };
        let ends = line.until_secs.map(|until| distance(now, until));
        [
            kind.to_owned(),
            name.clone(),
            ends.unwrap_or_else(|| "when resumed".to_owned()),
        ]
    };
    print!("{}", table(["BY", "NAME", "ENDS"], lines.iter().map(row)));
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
    if !line.campaign.is_empty() {
        println!("campaign   {}", line.campaign);
    }
    println!("size       {} octets", line.octets);
    println!("age        {}", age(now, line.enqueued_secs));
    println!("given up   {}", distance(now, line.expiry_secs));
    println!("waits      {}", waiting(line));
    println!("attempts   {}", line.attempts);
    if let Some(last) = &shown.last {
        let code = match last.code {
            0 => String::new(),
            code => format!("{code} "),
        };
        println!("last       {}: {code}{}", last.host, last.text);
        println!("class      {}", last.class);
    }
    Ok(())
}

fn why(client: &Client, item: String) -> anyhow::Result<()> {
    if let Some(shown) = shown(client, item)? {
        println!("{} waits {}", shown.recipient, waiting(&shown.line));
    }
    Ok(())
}

fn count(client: &Client, pick: Pick, deed: QueueDeed, is_trial: bool) -> anyhow::Result<u64> {
    let request = Request::QueueCarry {
        pick,
        deed,
        is_trial,
    };
    match client.order(request)? {
        Reply::Count(count) => Ok(count),
        _ => bail!("the server answered something else"),
    }
}

fn carry(
    client: &Client,
    which: Which,
    how: &How,
    deed: QueueDeed,
    done: &str,
) -> anyhow::Result<()> {
    let count = count(client, which.named()?, deed, how.dry_run)?;
    if client.is_json() {
        println!("{count}");
    }
    match how.dry_run {
        true => client.say(&format!("{count} recipients are meant; nothing was done")),
        false => client.say(&format!("{count} recipients {done}")),
    }
    Ok(())
}

/// What is dropped is gone, and nobody hears of it: whoever orders that is shown how many.
fn drop_some(client: &Client, which: Which, how: &How, yes: bool) -> anyhow::Result<()> {
    let pick = which.named()?;
    if how.dry_run || yes {
        let dropped = count(client, pick, QueueDeed::Drop, how.dry_run)?;
        if client.is_json() {
            println!("{dropped}");
        }
        match how.dry_run {
            true => client.say(&format!("{dropped} recipients are meant; nothing was done")),
            false => client.say(&format!("{dropped} recipients dropped")),
        }
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(Usage::of(
            "nobody can be asked here: say --yes or --dry-run",
        ));
    }
    let meant = count(client, pick.clone(), QueueDeed::Drop, true)?;
    eprint!("Drop {meant} recipients for good? Nobody is told. [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if !matches!(answer.trim(), "y" | "Y" | "yes") {
        bail!("nothing was dropped");
    }
    let dropped = count(client, pick, QueueDeed::Drop, false)?;
    client.say(&format!("{dropped} recipients dropped"));
    Ok(())
}

/// For what, until when.
pub(crate) fn waiting(line: &QueueLine) -> String {
    waiting_at(line, now_secs())
}

fn waiting_at(line: &QueueLine, now: u32) -> String {
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

/// Seconds as people say them.
pub(crate) fn span(secs: u32) -> String {
    match secs {
        0..120 => format!("{secs} s"),
        120..7_200 => format!("{} min", secs / 60),
        7_200..172_800 => format!("{} h", secs / 3_600),
        _ => format!("{} d", secs / 86_400),
    }
}

/// `90s`, `15m`, `3h`, `2d` as seconds.
fn period(text: &str) -> Result<u32, String> {
    let wrong = || format!("{text}: write 90s, 15m, 3h or 2d");
    let at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (count, unit) = text.split_at_checked(at).ok_or_else(wrong)?;
    let secs: u32 = match unit {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let count: u32 = count.parse().map_err(|_| wrong())?;
    count.checked_mul(secs).ok_or_else(wrong)
}

pub(crate) fn now_secs() -> u32 {
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

    #[test]
    fn periods_are_read_and_others_refused() {
        assert_eq!(period("90s"), Ok(90));
        assert_eq!(period("2d"), Ok(172_800));
        for wrong in ["", "5", "m", "5y", "9999999999d", "99999d"] {
            assert!(period(wrong).is_err(), "{wrong}");
        }
    }
}

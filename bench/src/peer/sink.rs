//! Postfix's `smtp-sink`: takes everything and stores nothing, the stick to measure with.

use super::packages;
use super::target::{Counting, Doors, Target};
use super::yard::Yard;

pub(super) fn raise(yard: &mut Yard, target: Target) -> anyhow::Result<Target> {
    packages::demand(&[("smtp-sink", "postfix")])?;
    let door = yard.door()?;
    let address = door.to_string();
    let mut argv = vec!["smtp-sink"];
    if rustix::process::geteuid().is_root() {
        // It refuses to stay root.
        argv.extend(["-u", "nobody"]);
    }
    argv.extend([address.as_str(), "1024"]);
    yard.start(&argv, "sink.log")?;
    yard.await_doors(&[door], "sink.log")?;
    Ok(Target {
        server: format!(
            "smtp-sink of Postfix {}",
            packages::installed("postfix").version
        ),
        durability: "none: nothing is stored".to_string(),
        doors: Doors {
            smtp: Some(address),
            ..Doors::default()
        },
        counting: Counting::Acknowledged,
        ..target
    })
}

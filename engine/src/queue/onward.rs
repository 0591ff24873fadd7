//! Members at other hosts of an alias whose mail was held: they get it when it is released.

use super::dispatch::Dispatcher;
use super::letter::Parcel;
use super::origin::{OF_LIST, OWN_PATH};
use super::owner;
use crate::config::outbound::Whom;
use crate::route::{self, Away, Forward, home, srs};
use crate::session::smtp::trace;
use store::mail::envelope::Notify;
use store::shard::{Outbound, Source};

impl Dispatcher {
    /// Those that have a way, by the shard that keeps their queue.
    pub(super) fn onward(
        &self,
        parcel: &Parcel,
        source: &Source,
        members: &[Forward],
    ) -> Vec<(usize, Vec<Outbound>)> {
        let (config, directory) = (self.live.config.load(), self.live.directory.load());
        let now_secs = self.now().unix_secs();
        let sender = source.reverse_path.as_ref();
        let whom = Whom {
            sender: "",
            tenant: owner::split(&parcel.item.tenant).0,
        };
        let mut onward: Vec<(usize, Vec<Outbound>)> = Vec::new();
        for member in members {
            let away = route::away(&config.outbound, true, &member.address, whom);
            let Away::Leaves { expire_secs } = away else {
                continue;
            };
            let owner = member.owner.as_deref().filter(|_| sender.is_some());
            let sent_on = |sender| srs::forwarded(&config, &directory, sender, now_secs);
            let path = owner.cloned().or_else(|| sender.and_then(sent_on));
            let mut prefix = Vec::new();
            if let Some(path) = &path {
                trace::return_path(Some(path), &mut prefix);
            }
            trace::delivered_to(&parcel.recipient.address, &mut prefix);
            let marks = path.map_or(0, |_| OWN_PATH) | owner.map_or(0, |_| OF_LIST);
            let outbound = Outbound {
                recipient: member.address.clone(),
                notify: match owner {
                    Some(_) => Notify::UNSET,
                    None => Notify(parcel.recipient.notify.0 & !Notify::SUCCESS.0),
                },
                orcpt: parcel.recipient.orcpt.clone().filter(|_| owner.is_none()),
                tenant: parcel.item.tenant.to_string(),
                expiry_secs: (now_secs as i64).saturating_add(i64::from(expire_secs)),
                not_before_secs: 0,
                priority: parcel.item.priority,
                marks,
                by_secs: 0,
                prefix: prefix.into(),
            };
            let home = usize::from(home(&member.address.domain, directory.shards()).0);
            match onward.iter_mut().find(|(known, _)| *known == home) {
                Some((_, list)) => list.push(outbound),
                None => onward.push((home, vec![outbound])),
            }
        }
        onward
    }
}

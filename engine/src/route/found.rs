//! Where an address leads by all that is configured: back by SRS, through the maps, to accounts,
//! through an alias, or away. The door and whoever explains it ask the same.

use super::srs::{self, NotOurs};
use super::{Directory, Route, resolve};
use crate::config::{Config, Direction, Whose};
use store::mail::address::Address;

/// What became of an address.
#[derive(Debug)]
pub struct Found {
    /// The one that holds now, where it is another than the one that was asked about.
    pub address: Option<Address>,
    /// A bounce comes back: it may go where it wants.
    pub is_return: bool,
    pub route: Route,
}

/// Looks an address up; `now_secs` are those since 1970, asked for when they matter. It is
/// rewritten at most once by each direction.
/// Refused: it claims to be one that we made.
pub fn find(
    config: &Config,
    directory: &Directory,
    address: &Address,
    now_secs: impl FnOnce() -> u64,
) -> Result<Found, NotOurs> {
    let returned = returned(config, address, now_secs)?;
    let is_return = returned.is_some();
    let map = |way, address: &Address| config.rewrites.envelope(Whose::Recipient, way, address);
    let named = returned.or_else(|| map(Direction::Inbound, address));
    let route = resolve(directory, named.as_ref().unwrap_or(address));
    let Route::Foreign = route else {
        return Ok(Found {
            address: named,
            is_return,
            route,
        });
    };
    let outward = map(Direction::Outbound, named.as_ref().unwrap_or(address));
    let route = match &outward {
        Some(outward) => resolve(directory, outward),
        None => route,
    };
    Ok(Found {
        address: outward.or(named),
        is_return,
        route,
    })
}

fn returned(
    config: &Config,
    address: &Address,
    now_secs: impl FnOnce() -> u64,
) -> Result<Option<Address>, NotOurs> {
    let srs = config.forwarding.srs.as_ref();
    let Some(srs) = srs.filter(|srs| srs.domain == address.domain) else {
        return Ok(None);
    };
    match srs::reverse(srs, &address.local, now_secs()) {
        Ok(sender) => Ok(Some(sender)),
        Err(NotOurs::OtherName) => Ok(None),
        Err(refused) => Err(refused),
    }
}

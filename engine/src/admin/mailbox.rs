//! `ringpostctl acl`, `quota` and `metadata`: an IMAP command in the place of an account's owner.
//!
//! What these ask and change is what the owner's client could ask and change, so it is said in the
//! words of RFC 4314, RFC 9208 and RFC 5464, and carried out by the same code.

use super::office::{Office, say_gone};
use super::wire::Reply;
use crate::config;
use crate::post::{AsOwner, Order};

impl Office {
    /// Every line of the answer but the last, which says whether it went well.
    pub(super) async fn as_owner(&self, owner: &str, command: String) -> Result<Reply, String> {
        let address = config::address(owner)?;
        let shard = match self.live().directory.load().account(&address) {
            Some(account) => account.shard.0,
            None => return Err(format!("there is no account {address}")),
        };
        let owner = address.to_string();
        let answer = self.ask(shard, |done| {
            Order::AsOwner(AsOwner {
                owner,
                command,
                done,
            })
        });
        let text = answer.await.map_err(say_gone)??;
        Ok(Reply::Text(text))
    }
}

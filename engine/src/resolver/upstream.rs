//! The way to one name server: what is asked of it besides, and what of its answers is believed.
//!
//! hickory 0.26 neither asks for the AD bit without validating itself (RFC 6840 §5.7), nor goes to
//! the next name server when one refuses or fails: a lame server would hide all others. Both is
//! mended here, on the connection, so that its pool and cache stay as they are.

use futures_util::stream::{Stream, StreamExt};
use hickory_resolver::config::ConnectionConfig;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::xfer::{DnsExchange, DnsHandle};
use hickory_resolver::proto::op::{DnsRequest, DnsResponse, ResponseCode};
use hickory_resolver::{ConnectionProvider, PoolContext};
use std::cell::Cell;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;

/// Makes connections to name servers.
#[derive(Clone)]
pub(super) struct Upstream {
    pub(super) sockets: TokioRuntimeProvider,
    pub(super) trust: Trust,
}

/// Whose AD bit counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Trust {
    Nobody,
    Loopback,
    Everybody,
}

tokio::task_local! {
    /// The last response code by which a server refused the lookup that this task is at.
    static REFUSAL: Cell<Option<ResponseCode>>;
}

/// Awaits a lookup; besides its result the last refusal on the way, which hickory's pool forgets.
pub(super) async fn noting<F: Future>(lookup: F) -> (F::Output, Option<ResponseCode>) {
    let noted = async {
        let result = lookup.await;
        (result, REFUSAL.with(Cell::get))
    };
    REFUSAL.scope(Cell::new(None), noted).await
}

/// A connection whose answers are checked.
#[derive(Clone)]
pub(super) struct Checked {
    exchange: DnsExchange<TokioRuntimeProvider>,
    is_trusted: bool,
}

impl Trust {
    fn holds(self, server: IpAddr) -> bool {
        match self {
            Trust::Nobody => false,
            Trust::Loopback => server.to_canonical().is_loopback(),
            Trust::Everybody => true,
        }
    }
}

impl ConnectionProvider for Upstream {
    type Conn = Checked;
    type FutureConn = Pin<Box<dyn Future<Output = Result<Checked, NetError>> + Send>>;
    type RuntimeProvider = TokioRuntimeProvider;

    fn new_connection(
        &self,
        ip: IpAddr,
        config: &ConnectionConfig,
        context: &PoolContext,
    ) -> Result<Self::FutureConn, NetError> {
        let is_trusted = self.trust.holds(ip);
        let connecting = self.sockets.new_connection(ip, config, context)?;
        Ok(Box::pin(async move {
            let exchange = connecting.await?;
            Ok(Checked {
                exchange,
                is_trusted,
            })
        }))
    }

    fn runtime_provider(&self) -> &TokioRuntimeProvider {
        &self.sockets
    }
}

impl DnsHandle for Checked {
    type Response = Pin<Box<dyn Stream<Item = Result<DnsResponse, NetError>> + Send>>;
    type Runtime = TokioRuntimeProvider;

    fn send(&self, mut request: DnsRequest) -> Self::Response {
        request.metadata.authentic_data = self.is_trusted;
        let is_trusted = self.is_trusted;
        let answers = self.exchange.send(request);
        Box::pin(answers.map(move |answer| check(answer?, is_trusted)))
    }
}

fn check(mut answer: DnsResponse, is_trusted: bool) -> Result<DnsResponse, NetError> {
    answer.metadata.authentic_data &= is_trusted;
    match answer.metadata.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => Ok(answer),
        code => {
            // A lookup that two tasks share is noted by one of them; the other hears of silence.
            let _ = REFUSAL.try_with(|refusal| refusal.set(Some(code)));
            // An I/O error is what makes hickory ask the next server.
            Err(io::Error::other("the name server refused").into())
        }
    }
}

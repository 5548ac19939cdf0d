//! Opens the connections of the gRPC channel, and explains connections that fail.

use super::Endpoint;
use carafe_pipeline::{Refusal, RefusalKind};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::error::Error;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// TCP, or TLS over it.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects to the endpoint's host, with TLS where `tls` is there.
pub(super) async fn open(
    endpoint: Endpoint,
    tls: Option<Arc<ClientConfig>>,
) -> io::Result<TokioIo<Box<dyn Stream>>> {
    let tcp = TcpStream::connect((endpoint.host(), endpoint.port())).await?;
    tcp.set_nodelay(true)?;
    let stream: Box<dyn Stream> = match tls {
        None => Box::new(tcp),
        Some(config) => {
            let name = ServerName::try_from(endpoint.host()).map_err(io::Error::other)?;
            Box::new(TlsConnector::from(config).connect(name, tcp).await?)
        }
    };
    Ok(TokioIo::new(stream))
}

/// What went wrong below the protocol, said so that a person knows what to look at. All of it
/// may be different at the next try.
pub(super) fn failure(endpoint: &Endpoint, error: &(dyn Error + 'static), hint: &str) -> Refusal {
    let chain = || std::iter::successors(Some(error), |&error| cause(error));
    if chain().any(is_timeout) {
        return no_answer(endpoint);
    }
    let tls = chain().find_map(|error| error.downcast_ref::<rustls::Error>());
    let io = chain().find_map(|error| error.downcast_ref::<io::Error>());
    let message = match (tls, io) {
        (Some(rustls::Error::InvalidMessage(_)), _) => {
            format!("{endpoint} does not speak tls; use http:// or set insecure for plain text")
        }
        (Some(error), _) => format!("tls with {endpoint} failed: {error}"),
        (None, Some(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
            format!("connection refused by {endpoint}; is a receiver running there?")
        }
        (None, Some(error)) if error.raw_os_error().is_some() || lookup_failed(error) => {
            format!("cannot reach {endpoint}: {error}")
        }
        _ => match chain().last().unwrap_or(error).to_string() {
            // After a TLS 1.3 handshake h2 reads the alert, and keeps rustls' error to itself.
            alert if alert.contains("fatal alert") => {
                format!("tls with {endpoint} failed: {alert}")
            }
            cause => {
                format!("{endpoint} answers in another protocol or hangs up ({cause}); {hint}")
            }
        },
    };
    Refusal::new(RefusalKind::Unavailable, message)
}

/// Nothing came back within the configured timeout.
pub(super) fn no_answer(endpoint: &Endpoint) -> Refusal {
    let message = format!("no answer from {endpoint} within the export timeout");
    Refusal::new(RefusalKind::Unavailable, message)
}

/// As [`Error::source`], but it also sees the error that an I/O error wraps.
fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    error.is::<tonic::TimeoutExpired>()
        || error
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
}

fn lookup_failed(error: &io::Error) -> bool {
    error.to_string().contains("lookup")
}

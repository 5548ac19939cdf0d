//! A gRPC server for the three OTLP services that takes messages as bytes, remembers them and
//! answers as told.

use bytes::{Buf, BufMut, Bytes};
use std::collections::VecDeque;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::body::Body;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::{Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) metadata: MetadataMap,
    pub(crate) message: Bytes,
}

#[derive(Default)]
struct State {
    received: Mutex<Vec<Received>>,
    answers: Mutex<VecDeque<Result<Bytes, Status>>>,
}

/// Dropped, it closes its port and its connections.
pub(crate) struct GrpcServer {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
    _stop: DropGuard,
}

impl GrpcServer {
    /// Gives these answers in order, then empty ones.
    pub(crate) async fn start(
        answers: impl IntoIterator<Item = Result<Bytes, Status>>,
        tls: Option<ServerTlsConfig>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::serve(listener, answers, tls)
    }

    pub(crate) fn serve(
        listener: TcpListener,
        answers: impl IntoIterator<Item = Result<Bytes, Status>>,
        tls: Option<ServerTlsConfig>,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        state.answers.lock().unwrap().extend(answers);
        let mut server = Server::builder();
        if let Some(tls) = tls {
            server = server.tls_config(tls).unwrap();
        }
        let router = server
            .add_service(Named::<0>(Arc::clone(&state)))
            .add_service(Named::<1>(Arc::clone(&state)))
            .add_service(Named::<2>(Arc::clone(&state)));
        let stop = CancellationToken::new();
        let serving = router.serve_with_incoming_shutdown(
            TcpListenerStream::new(listener),
            stop.clone().cancelled_owned(),
        );
        tokio::spawn(async move { serving.await.unwrap() });
        Self { address, state, _stop: stop.drop_guard() }
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        std::mem::take(&mut *self.state.received.lock().unwrap())
    }
}

#[derive(Clone)]
struct Named<const SERVICE: usize>(Arc<State>);

impl NamedService for Named<0> {
    const NAME: &'static str = "opentelemetry.proto.collector.trace.v1.TraceService";
}

impl NamedService for Named<1> {
    const NAME: &'static str = "opentelemetry.proto.collector.metrics.v1.MetricsService";
}

impl NamedService for Named<2> {
    const NAME: &'static str = "opentelemetry.proto.collector.logs.v1.LogsService";
}

impl<const SERVICE: usize> tower::Service<http::Request<Body>> for Named<SERVICE> {
    type Response = http::Response<Body>;
    type Error = std::convert::Infallible;
    type Future = futures::future::BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = Method { state: Arc::clone(&self.0), path: request.uri().path().to_owned() };
        Box::pin(async move {
            let mut grpc = Grpc::new(Raw)
                .accept_compressed(CompressionEncoding::Gzip)
                .accept_compressed(CompressionEncoding::Zstd)
                .send_compressed(CompressionEncoding::Gzip);
            Ok(grpc.unary(method, request).await)
        })
    }
}

struct Method {
    state: Arc<State>,
    path: String,
}

impl UnaryService<Bytes> for Method {
    type Response = Bytes;
    type Future = Ready<Result<Response<Bytes>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let (metadata, _, message) = request.into_parts();
        let received = Received { path: self.path.clone(), metadata, message };
        self.state.received.lock().unwrap().push(received);
        let answer = self.state.answers.lock().unwrap().pop_front();
        ready(answer.unwrap_or_else(|| Ok(Bytes::new())).map(Response::new))
    }
}

#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buf: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buf.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buf.copy_to_bytes(buf.remaining())))
    }
}

//! Sends a run to an OTLP endpoint, at a rate, until all of it is acknowledged.

mod attempts;
mod report;

pub use report::Report;

use crate::acks::{Acks, AcksError};
use crate::blocks::{Blocks, Request, RequestId, Scratch};
use crate::world::World;
use attempts::Attempts;
use carafe_nodes::exporter::otlp::{OtlpConfig, OtlpConfigError, OtlpExporter};
use carafe_telemetry::Signal;
use parking_lot::Mutex;
use report::Tally;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Requests that wait for a connection, for each connection. Generating waits when there are
/// so many.
const WAITING_PER_CONNECTION: usize = 2;

/// Acknowledgements are written at least so often.
const ACKS_INTERVAL: Duration = Duration::from_millis(20);

/// The most connections.
pub const MAX_CONNECTIONS: usize = 256;

/// Where and how to send.
#[derive(Clone, Debug)]
pub struct SendConfig {
    /// The endpoint.
    pub otlp: OtlpConfig,
    /// How many connections; each has one request under way.
    pub connections: usize,
    /// Spans per second over all connections; none: as fast as they are accepted.
    pub rate: Option<f64>,
    /// For how long a request that is refused retryably is tried again.
    pub retry_for: Duration,
    /// Where to note which requests were acknowledged. What a run of the same recipe has
    /// noted there before is not sent again.
    pub acks: Option<PathBuf>,
}

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The endpoint cannot be used.
    #[error(transparent)]
    Config(#[from] OtlpConfigError),
    /// The file of acknowledgements cannot be used.
    #[error(transparent)]
    Acks(#[from] AcksError),
    /// A task of this program failed.
    #[error("a task failed: {0}")]
    Task(#[from] JoinError),
}

struct Shared {
    world: Arc<World>,
    tally: Mutex<Tally>,
    acks: Option<Acks>,
    done: BTreeSet<RequestId>,
    /// Spans that were given to a connection.
    spans: AtomicU64,
    rate: Option<f64>,
    started: Instant,
    cancel: CancellationToken,
}

/// Sends all requests of a world. When `cancel` is cancelled, what is under way is finished
/// without further retries, and the rest is not sent.
pub async fn send(
    world: Arc<World>,
    config: &SendConfig,
    cancel: CancellationToken,
) -> Result<Report, SendError> {
    let (acks, done) = match &config.acks {
        Some(path) => {
            let (acks, done) = Acks::open(path, world.recipe())?;
            (Some(acks), done)
        }
        None => (None, BTreeSet::new()),
    };
    let shared = Arc::new(Shared {
        world,
        tally: Mutex::default(),
        acks,
        done,
        spans: AtomicU64::new(0),
        rate: config.rate,
        started: Instant::now(),
        cancel: cancel.clone(),
    });
    let connections = config.connections.clamp(1, MAX_CONNECTIONS);
    let (sender, receiver) = mpsc::channel(connections * WAITING_PER_CONNECTION);
    let receiver = Arc::new(tokio::sync::Mutex::new(receiver));
    let generators = std::thread::available_parallelism().map_or(1, usize::from).min(connections);
    let step = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..generators {
        let (shared, sender, step) = (Arc::clone(&shared), sender.clone(), Arc::clone(&step));
        tasks.spawn_blocking(move || generate(&shared, &step, &sender));
    }
    drop(sender);
    for _ in 0..connections {
        let attempts = Attempts::new(OtlpExporter::new(&config.otlp)?, config.retry_for);
        tasks.spawn(deliver(Arc::clone(&shared), attempts, Arc::clone(&receiver)));
    }
    // Once all connections have ended, generators that wait for room see it.
    drop(receiver);
    let mut outcome = Ok(());
    let mut ticks = tokio::time::interval(ACKS_INTERVAL);
    loop {
        tokio::select! {
            ended = tasks.join_next() => match ended {
                Some(Ok(())) => {}
                Some(Err(error)) => outcome = outcome.and(Err(error.into())),
                None => break,
            },
            _ = ticks.tick() => {
                if let Err(error) = write_acks(&shared).await {
                    cancel.cancel();
                    outcome = outcome.and(Err(error));
                }
            }
        }
    }
    let written = write_acks(&shared).await;
    outcome.and(written)?;
    let tally = std::mem::take(&mut *shared.tally.lock());
    Ok(Report::new(tally, shared.started.elapsed(), shared.done.len()))
}

/// Makes the requests of one step after the other, until there are no more or nobody takes
/// them.
fn generate(shared: &Shared, step: &AtomicU64, sender: &mpsc::Sender<Request>) {
    let blocks = Blocks::new(&shared.world);
    let mut scratch = Scratch::default();
    loop {
        let step = step.fetch_add(1, Ordering::Relaxed);
        if step >= blocks.steps() || shared.cancel.is_cancelled() || sender.is_closed() {
            return;
        }
        blocks.step(step, &mut scratch, &mut |request| {
            if !shared.done.contains(&request.id) && !shared.cancel.is_cancelled() {
                // An error says that all connections have ended.
                let _ = sender.blocking_send(request);
            }
        });
    }
}

async fn deliver(
    shared: Arc<Shared>,
    mut attempts: Attempts,
    receiver: Arc<tokio::sync::Mutex<mpsc::Receiver<Request>>>,
) {
    loop {
        let next = async { receiver.lock().await.recv().await };
        let Some(Some(request)) = shared.cancel.run_until_cancelled(next).await else { break };
        if shared.cancel.run_until_cancelled(shared.pace(&request)).await.is_none() {
            break;
        }
        let (id, signal) = (request.id, request.batch.signal);
        let (items, bytes, copy) = (request.items, request.batch.bytes.len(), request.copy);
        let verdict = attempts.deliver(request.batch, &shared.cancel).await;
        if let (true, Some(acks)) = (verdict.is_whole(), &shared.acks) {
            acks.push(id);
        }
        shared.tally.lock().add(signal, items, bytes as u64, copy, verdict);
    }
}

async fn write_acks(shared: &Arc<Shared>) -> Result<(), SendError> {
    if shared.acks.is_none() {
        return Ok(());
    }
    let shared = Arc::clone(shared);
    let write = move || shared.acks.as_ref().map_or(Ok(()), Acks::write);
    Ok(tokio::task::spawn_blocking(write).await??)
}

impl Shared {
    /// Waits until it is the turn of a request. Only spans count.
    async fn pace(&self, request: &Request) {
        let Some(rate) = self.rate.filter(|_| request.batch.signal == Signal::Traces) else {
            return;
        };
        let before = self.spans.fetch_add(request.items, Ordering::Relaxed);
        let due = Duration::try_from_secs_f64(before as f64 / rate).unwrap_or(Duration::MAX);
        if let Some(due) = self.started.checked_add(due) {
            tokio::time::sleep_until(due).await;
        }
    }
}

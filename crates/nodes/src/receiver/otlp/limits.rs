//! How much a receiver takes at once.

use carafe_pipeline::{Refusal, RefusalKind};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The largest request, before and after decompression: what the OTLP specification recommends
/// to servers, so that no batch which another receiver takes is lost here. What many such
/// requests at once may cost is bounded by [`DEFAULT_IN_FLIGHT_BYTES`].
pub const DEFAULT_MAX_REQUEST_BYTES: usize = 64 * 1024 * 1024;

/// Bytes of all requests that are being read, uncompressed or consumed. At the limit further
/// requests are refused, to be sent again after [`RETRY_AFTER`].
pub const DEFAULT_IN_FLIGHT_BYTES: usize = 256 * 1024 * 1024;

/// When a client that met the memory limit may try again.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What one permit of the budget's semaphore stands for.
const UNIT_BYTES: usize = 1024;

/// The limits of a receiver, shared by its transports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest request, before and after decompression, in bytes.
    pub max_request_bytes: usize,
    /// Bytes of all requests at once.
    pub in_flight_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_request_bytes: DEFAULT_MAX_REQUEST_BYTES,
            in_flight_bytes: DEFAULT_IN_FLIGHT_BYTES,
        }
    }
}

/// Memory that the requests under way share.
#[derive(Clone, Debug)]
pub(crate) struct MemoryBudget {
    units: Arc<Semaphore>,
    total_bytes: usize,
}

impl MemoryBudget {
    pub(crate) fn new(total_bytes: usize) -> Self {
        let units = (total_bytes / UNIT_BYTES).min(Semaphore::MAX_PERMITS);
        Self { units: Arc::new(Semaphore::new(units)), total_bytes }
    }

    /// An empty reservation.
    pub(crate) fn reserve(&self) -> Reservation {
        Reservation { budget: self.clone(), permit: None, bytes: 0 }
    }
}

/// The part of the budget that one request holds until it is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: MemoryBudget,
    permit: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

impl Reservation {
    /// Takes `bytes` more, or refuses without waiting: waiting requests would hold what they
    /// have and could block one another.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Refusal> {
        let held = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let needed = (self.bytes + bytes).div_ceil(UNIT_BYTES);
        self.bytes += bytes;
        let Some(more) = needed.checked_sub(held).filter(|more| *more > 0) else { return Ok(()) };
        let more = u32::try_from(more).map_err(|_| self.exhausted())?;
        let units = self.budget.units.clone();
        let permit = units.try_acquire_many_owned(more).map_err(|_| self.exhausted())?;
        match &mut self.permit {
            Some(held) => held.merge(permit),
            none => *none = Some(permit),
        }
        Ok(())
    }

    fn exhausted(&self) -> Refusal {
        let mut refusal = Refusal::new(
            RefusalKind::Exhausted,
            format!("the requests under way hold all of {} bytes", self.budget.total_bytes),
        );
        refusal.retry_after = Some(RETRY_AFTER);
        refusal
    }
}

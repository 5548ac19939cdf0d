//! From records to exchanges: pairs each request with its response, per connection.
//!
//! Requests are answered in the order in which they came (RFC 9112 section 9.3.2), so a
//! connection is a queue of open exchanges and a response belongs to the oldest.

use carafe_wire::record::{Connection, ConnectionId, End, Half, Message, Outcome, Record};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Connections whose open exchanges are kept per process; the agent follows fewer. Records of
/// further ones are counted as orphans.
const CONNECTION_LIMIT: usize = 16_384;

/// Open exchanges kept per connection, above what the agent lets through.
const OPEN_LIMIT: usize = 512;

/// Open exchanges kept per process: each holds the heads of its messages. Further ones are counted
/// as orphans.
const EXCHANGE_LIMIT: usize = 16_384;

/// A message's head with what is known of its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeHalf {
    /// The bytes of the head, perhaps cut.
    pub head: Vec<u8>,
    /// First byte, CLOCK_MONOTONIC.
    pub started_ns: u64,
    /// Bytes of content, once the message has ended.
    pub body_bytes: Option<u64>,
}

/// Why an exchange did not end as HTTP has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The connection was closed before the response was complete.
    ConnectionClosed,
    /// The process ended before the response was complete.
    ProcessEnded,
    /// The agent could not follow the response to its end.
    Lost,
}

/// One request and its response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The connection it went over.
    pub connection: Arc<Connection>,
    /// What was asked.
    pub request: ExchangeHalf,
    /// What was answered, if anything was.
    pub response: Option<ExchangeHalf>,
    /// When it was over, CLOCK_MONOTONIC.
    pub ended_ns: u64,
    /// What went wrong on the way.
    pub failure: Option<Failure>,
}

/// What a record led to.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// A request's head is known.
    Started(&'a Connection, &'a [u8]),
    /// An exchange is over.
    Finished(Exchange),
}

/// The open exchanges of one process.
#[derive(Debug, Default)]
pub struct Assembler {
    connections: HashMap<ConnectionId, Open>,
    /// Over all connections.
    open_exchanges: usize,
    /// Records of connections that are not known, and messages without a partner.
    orphans: u64,
}

#[derive(Debug)]
struct Open {
    connection: Arc<Connection>,
    exchanges: VecDeque<OpenExchange>,
}

#[derive(Debug)]
struct OpenExchange {
    request: ExchangeHalf,
    response: Option<ExchangeHalf>,
}

impl Assembler {
    /// Takes the next record of the process' ring.
    pub fn record(&mut self, record: Record<'_>, progress: &mut dyn FnMut(Progress<'_>)) {
        let (mut started, mut finished) = (0, 0);
        self.take(record, &mut |step| {
            match step {
                Progress::Started(..) => started += 1,
                Progress::Finished(_) => finished += 1,
            }
            progress(step);
        });
        self.open_exchanges = (self.open_exchanges + started).saturating_sub(finished);
    }

    fn take(&mut self, record: Record<'_>, progress: &mut dyn FnMut(Progress<'_>)) {
        match record {
            Record::Hello(_)
            | Record::Resource(_)
            | Record::Scope(_)
            | Record::Span(_)
            | Record::Log(_)
            | Record::Instrument(_)
            | Record::Attributes(_)
            | Record::Measurement(_)
            | Record::Notice(_) => {}
            // Which of the open exchanges have ended meanwhile is not known; to pair what comes
            // with them would give requests the responses of others.
            Record::Gap(gap) => {
                for open in self.connections.values_mut() {
                    open.fail_all(Failure::Lost, gap.time_ns, progress);
                }
            }
            Record::Connection(connection) => self.opened(connection),
            Record::Message(message) => self.message(message, progress),
            Record::End(end) => self.end(end, progress),
            Record::Close(close) => {
                if let Some(open) = self.connections.remove(&close.connection) {
                    open.fail(Failure::ConnectionClosed, close.time_ns, progress);
                }
            }
        }
    }

    /// The process has ended: so have all its exchanges.
    pub fn process_ended(&mut self, time_ns: u64, progress: &mut dyn FnMut(Progress<'_>)) {
        for (_, open) in self.connections.drain() {
            open.fail(Failure::ProcessEnded, time_ns, progress);
        }
        self.open_exchanges = 0;
    }

    /// Records that could not be used so far.
    pub fn orphans(&self) -> u64 {
        self.orphans
    }

    fn opened(&mut self, connection: Connection) {
        // An id is never used twice: whoever writes it again must not end what is open under it.
        let is_known = self.connections.contains_key(&connection.id);
        if is_known || self.connections.len() >= CONNECTION_LIMIT {
            self.orphans += 1;
            return;
        }
        let open = Open { connection: Arc::new(connection), exchanges: VecDeque::new() };
        self.connections.insert(connection.id, open);
    }

    fn message(&mut self, message: Message<'_>, progress: &mut dyn FnMut(Progress<'_>)) {
        let Some(open) = self.connections.get_mut(&message.connection) else {
            self.orphans += 1;
            return;
        };
        let half = ExchangeHalf {
            head: message.head.to_vec(),
            started_ns: message.started_ns,
            body_bytes: message.complete_body_bytes,
        };
        match message.half {
            Half::Request
                if open.exchanges.len() < OPEN_LIMIT && self.open_exchanges < EXCHANGE_LIMIT =>
            {
                progress(Progress::Started(&open.connection, message.head));
                open.exchanges.push_back(OpenExchange { request: half, response: None });
            }
            Half::Response if !open.exchanges.is_empty() => {
                if let Some(exchange) = open.exchanges.front_mut() {
                    exchange.response = Some(half);
                }
                if message.complete_body_bytes.is_some() {
                    open.finish_oldest(None, message.time_ns, progress);
                }
            }
            _ => self.orphans += 1,
        }
    }

    fn end(&mut self, end: End, progress: &mut dyn FnMut(Progress<'_>)) {
        let Some(open) = self.connections.get_mut(&end.connection) else {
            self.orphans += 1;
            return;
        };
        match (end.half, end.outcome) {
            (Half::Request, outcome) => {
                // Answered before it was complete: then its exchange is over and not here.
                if let Some(exchange) = open.exchanges.back_mut()
                    && exchange.request.body_bytes.is_none()
                    && outcome != Outcome::Lost
                {
                    exchange.request.body_bytes = Some(end.body_bytes);
                }
            }
            (Half::Response, Outcome::Complete | Outcome::Upgraded) => {
                if let Some(response) =
                    open.exchanges.front_mut().and_then(|exchange| exchange.response.as_mut())
                {
                    response.body_bytes = Some(end.body_bytes);
                }
                open.finish_oldest(None, end.time_ns, progress);
            }
            (Half::Response, Outcome::Aborted) => {
                open.fail_all(Failure::ConnectionClosed, end.time_ns, progress);
            }
            (Half::Response, Outcome::Lost) => {
                open.fail_all(Failure::Lost, end.time_ns, progress);
            }
        }
    }
}

impl Open {
    fn finish_oldest(
        &mut self,
        failure: Option<Failure>,
        ended_ns: u64,
        progress: &mut dyn FnMut(Progress<'_>),
    ) {
        if let Some(OpenExchange { request, response }) = self.exchanges.pop_front() {
            let connection = Arc::clone(&self.connection);
            progress(Progress::Finished(Exchange {
                connection,
                request,
                response,
                ended_ns,
                failure,
            }));
        }
    }

    fn fail_all(&mut self, failure: Failure, time_ns: u64, progress: &mut dyn FnMut(Progress<'_>)) {
        while !self.exchanges.is_empty() {
            self.finish_oldest(Some(failure), time_ns, progress);
        }
    }

    fn fail(mut self, failure: Failure, time_ns: u64, progress: &mut dyn FnMut(Progress<'_>)) {
        self.fail_all(failure, time_ns, progress);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use carafe_wire::record::Close;

    const CONNECTION: Connection =
        Connection { id: 7, is_server: true, is_tls: false, local: None, peer: None };

    fn message(half: Half, head: &[u8], complete_body_bytes: Option<u64>) -> Record<'_> {
        Record::Message(Message {
            connection: 7,
            half,
            is_truncated: false,
            complete_body_bytes,
            started_ns: 10,
            time_ns: 20,
            head,
        })
    }

    fn end(half: Half, outcome: Outcome) -> Record<'static> {
        Record::End(End { connection: 7, half, outcome, time_ns: 30, body_bytes: 5 })
    }

    fn finished(records: &[Record<'_>]) -> (Vec<Exchange>, Assembler) {
        let mut assembler = Assembler::default();
        let mut finished = Vec::new();
        for record in [Record::Connection(CONNECTION)].iter().chain(records) {
            assembler.record(*record, &mut |progress| {
                if let Progress::Finished(exchange) = progress {
                    finished.push(exchange);
                }
            });
        }
        (finished, assembler)
    }

    #[test]
    fn pipelined_requests_are_answered_in_order() {
        let (exchanges, _) = finished(&[
            message(Half::Request, b"A", Some(0)),
            message(Half::Request, b"B", Some(0)),
            message(Half::Response, b"a", Some(3)),
            message(Half::Response, b"b", None),
            end(Half::Response, Outcome::Complete),
        ]);
        let pairs: Vec<_> = exchanges
            .iter()
            .map(|exchange| {
                (&exchange.request.head[..], &exchange.response.as_ref().unwrap().head[..])
            })
            .collect();
        assert_eq!(pairs, [(&b"A"[..], &b"a"[..]), (b"B", b"b")]);
        assert_eq!((exchanges[0].ended_ns, exchanges[1].ended_ns), (20, 30));
    }

    #[test]
    fn an_early_response_does_not_disturb_the_next_exchange() {
        let (exchanges, _) = finished(&[
            message(Half::Request, b"A", None),
            message(Half::Response, b"a", Some(0)),
            end(Half::Request, Outcome::Complete),
            message(Half::Request, b"B", None),
            end(Half::Request, Outcome::Complete),
            message(Half::Response, b"b", Some(0)),
        ]);
        assert_eq!(exchanges[0].request.body_bytes, None);
        assert_eq!(exchanges[1].request.body_bytes, Some(5));
    }

    #[test]
    fn what_is_open_at_the_close_has_failed() {
        let close = Record::Close(Close { connection: 7, time_ns: 40 });
        let (exchanges, _) = finished(&[
            message(Half::Request, b"A", Some(0)),
            message(Half::Request, b"B", None),
            close,
        ]);
        assert_eq!(exchanges.len(), 2);
        assert!(exchanges.iter().all(|e| e.failure == Some(Failure::ConnectionClosed)));
        assert!(exchanges.iter().all(|e| e.response.is_none() && e.ended_ns == 40));
    }

    #[test]
    fn a_lost_response_fails_every_open_exchange_and_the_process_end_the_rest() {
        let (exchanges, mut assembler) = finished(&[
            message(Half::Request, b"A", Some(0)),
            message(Half::Response, b"a", None),
            end(Half::Response, Outcome::Lost),
            message(Half::Request, b"B", Some(0)),
        ]);
        assert_eq!(exchanges.len(), 1);
        assert_eq!(exchanges[0].failure, Some(Failure::Lost));
        let mut last = None;
        assembler.process_ended(99, &mut |progress| last = Some(format!("{progress:?}")));
        assert!(last.unwrap().contains("ProcessEnded"));
    }

    #[test]
    fn a_connection_announced_twice_keeps_its_open_exchanges() {
        let (exchanges, assembler) = finished(&[
            message(Half::Request, b"A", Some(0)),
            Record::Connection(CONNECTION),
            message(Half::Response, b"a", Some(0)),
        ]);
        assert_eq!(exchanges.len(), 1);
        assert_eq!(assembler.orphans(), 1);
    }

    #[test]
    fn a_process_cannot_keep_more_open_than_the_limit() {
        let mut assembler = Assembler::default();
        let (mut started, mut finished) = (0, 0);
        let mut send = |assembler: &mut Assembler, record: Record<'_>| {
            assembler.record(record, &mut |progress| match progress {
                Progress::Started(..) => started += 1,
                Progress::Finished(_) => finished += 1,
            });
        };
        let connections = EXCHANGE_LIMIT / OPEN_LIMIT + 1;
        let request = |connection| {
            Record::Message(Message {
                connection,
                half: Half::Request,
                is_truncated: false,
                complete_body_bytes: Some(0),
                started_ns: 1,
                time_ns: 2,
                head: b"A",
            })
        };
        for id in 0..connections as u64 {
            send(&mut assembler, Record::Connection(Connection { id, ..CONNECTION }));
            (0..OPEN_LIMIT).for_each(|_| send(&mut assembler, request(id)));
        }
        assert_eq!(assembler.orphans(), OPEN_LIMIT as u64);
        send(&mut assembler, Record::Close(Close { connection: 0, time_ns: 3 }));
        let last = connections as u64 - 1;
        (0..OPEN_LIMIT).for_each(|_| send(&mut assembler, request(last)));
        assert_eq!(assembler.orphans(), OPEN_LIMIT as u64, "what was closed makes room");
        assert_eq!((started, finished), (EXCHANGE_LIMIT + OPEN_LIMIT, OPEN_LIMIT));
    }

    #[test]
    fn after_a_gap_no_request_gets_the_response_of_another() {
        let (exchanges, assembler) = finished(&[
            message(Half::Request, b"A", Some(0)),
            Record::Gap(carafe_wire::record::Gap { time_ns: 25 }),
            message(Half::Response, b"b", Some(0)),
            message(Half::Request, b"C", Some(0)),
            message(Half::Response, b"c", Some(0)),
        ]);
        assert_eq!(exchanges.len(), 2);
        assert_eq!((exchanges[0].failure, &exchanges[0].response), (Some(Failure::Lost), &None));
        assert_eq!(exchanges[1].request.head, b"C");
        assert_eq!(exchanges[1].response.as_ref().unwrap().head, b"c");
        assert_eq!(assembler.orphans(), 1);
    }

    #[test]
    fn records_of_unknown_connections_are_counted() {
        let mut assembler = Assembler::default();
        assembler.record(message(Half::Request, b"A", None), &mut |_| panic!("nothing happens"));
        assembler
            .record(end(Half::Response, Outcome::Complete), &mut |_| panic!("nothing happens"));
        assert_eq!(assembler.orphans(), 2);
        let (exchanges, assembler) = finished(&[message(Half::Response, b"a", Some(0))]);
        assert!(exchanges.is_empty());
        assert_eq!(assembler.orphans(), 1);
    }
}

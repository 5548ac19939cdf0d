import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { api } from '../api/client';
import { useLive } from '../api/live';
import type { LogRecord } from '../api/types';
import { plural } from '../format/number';
import { Empty, Failure, Loading, StaleNotice } from '../parts/states';
import { address, navigate } from '../router';
import { describeRange, LOOKBACKS, nowMicros, widerLookback } from '../state/timeRange';
import { useHold } from '../state/useHold';
import { useResource } from '../state/useResource';
import { LogTable } from './LogTable';
import {
  type LogQuery,
  logApiParameters,
  logPath,
  matchesLog,
  parseLogQuery,
  prependLogs,
} from './logQuery';
import { SEVERITY_FLOORS } from './severity';
import './logs.css';

/** Typing pauses this long before it searches. */
const TYPING_MS = 250;

function LogForm({ query, services }: { query: LogQuery; services: string[] }) {
  const [text, setText] = useState(query.text);
  useEffect(() => setText(query.text), [query.text]);
  const apply = (change: Partial<LogQuery>) =>
    navigate(logPath({ ...query, text, ...change }), { replace: true });
  useEffect(() => {
    if (text === query.text) return;
    const timer = window.setTimeout(() => apply({ text }), TYPING_MS);
    return () => window.clearTimeout(timer);
  }, [text]);
  const names =
    query.service === null || services.includes(query.service)
      ? services
      : [query.service, ...services];
  return (
    <form
      class="search-form form-row"
      aria-label="Filter logs"
      onSubmit={(event) => {
        event.preventDefault();
        apply({ text });
      }}
    >
      <label class="field wide" for="log-text">
        <span>Text</span>
        <input
          id="log-text"
          data-page-search
          class="input"
          type="search"
          placeholder="Part of a message"
          value={text}
          maxLength={500}
          onInput={(event) => setText(event.currentTarget.value)}
        />
      </label>
      <label class="field" for="log-service">
        <span>Service</span>
        <select
          id="log-service"
          class="input"
          value={query.service ?? ''}
          onChange={(event) => apply({ service: event.currentTarget.value || null })}
        >
          <option value="">All services</option>
          {names.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <label class="field" for="log-severity">
        <span>Severity</span>
        <select
          id="log-severity"
          class="input"
          value={String(query.severityMin)}
          onChange={(event) => apply({ severityMin: Number(event.currentTarget.value) })}
        >
          <option value="0">All</option>
          {SEVERITY_FLOORS.map(({ severity, min }) => (
            <option key={severity} value={String(min)}>
              {severity} and worse
            </option>
          ))}
        </select>
      </label>
      <label class="field" for="log-lookback">
        <span>Time</span>
        <select
          id="log-lookback"
          class="input"
          value={query.lookback}
          onChange={(event) => apply({ lookback: event.currentTarget.value })}
        >
          {[...new Set<string>([...LOOKBACKS, query.lookback])].map((value) => (
            <option key={value} value={value}>
              Last {value}
            </option>
          ))}
        </select>
      </label>
    </form>
  );
}

function NoLogs({ query }: { query: LogQuery }) {
  const wider = widerLookback(query.lookback);
  const filtered = query.text !== '' || query.service !== null || query.severityMin > 0;
  return (
    <Empty
      title={`No log records in ${describeRange({ kind: 'relative', lookback: query.lookback })}`}
    >
      <p class="state-text">
        {filtered ? (
          'Nothing matches this filter.'
        ) : (
          <>
            Carafe records what an app prints when it runs with <code>--capture_output</code>, and
            takes log records over OTLP.
          </>
        )}
      </p>
      <div class="state-actions">
        {wider !== null && (
          <a class="button" href={logPath({ ...query, lookback: wider })}>
            Search the last {wider}
          </a>
        )}
        {filtered && (
          <a class="button" href={logPath({ ...query, text: '', service: null, severityMin: 0 })}>
            Drop the filter
          </a>
        )}
      </div>
    </Empty>
  );
}

export function LogsPage() {
  const queryString = address.value.query;
  const query = useMemo(() => parseLogQuery(queryString), [queryString]);
  const services = useResource('services', (signal) => api.services(signal));
  const found = useResource(logPath(query), (signal) =>
    api.logs(logApiParameters(query, nowMicros()), signal),
  );
  const [waiting, setWaiting] = useState(0);
  const buffer = useRef<LogRecord[]>([]);
  const held = useRef(false);
  const { update } = found;

  const release = useCallback(() => {
    const incoming = buffer.current;
    if (incoming.length === 0) return;
    buffer.current = [];
    setWaiting(0);
    update((data) => ({ ...data, logs: prependLogs(data.logs, incoming) }));
  }, [update]);

  const hold = useHold(
    useCallback(
      (hold: boolean) => {
        held.current = hold;
        if (!hold) release();
      },
      [release],
    ),
  );

  useEffect(() => {
    buffer.current = [];
    setWaiting(0);
  }, [queryString]);

  const liveParameters =
    query.service === null ? '' : new URLSearchParams({ service: query.service }).toString();
  useLive(liveParameters, {
    logs: (logs) => {
      const matching = logs.filter((log) => matchesLog(query, log));
      if (matching.length === 0) return;
      buffer.current = prependLogs(buffer.current, matching);
      if (held.current) setWaiting(buffer.current.length);
      else release();
    },
    // Between the first answer and the stream's beginning, records can have come unseen.
    opened: found.reload,
  });

  const logs = found.data?.logs ?? [];
  const names = (services.data?.services ?? []).map((service) => service.name).sort();
  return (
    <>
      <h1 class="visually-hidden">Logs</h1>
      <LogForm query={query} services={names} />
      {found.error !== null && found.data !== null && (
        <StaleNotice error={found.error} retry={found.reload} />
      )}
      {found.data === null && found.error !== null && (
        <Failure error={found.error} retry={found.reload} />
      )}
      {found.data === null && found.error === null && <Loading what="logs" />}
      {found.data !== null && logs.length === 0 && <NoLogs query={query} />}
      {logs.length > 0 && (
        <div class="found" onMouseEnter={hold.onMouseEnter} onMouseLeave={hold.onMouseLeave}>
          <div class="found-head">
            <h2>
              {plural(logs.length, 'record')}
              {found.data?.truncated && <span class="muted"> · the newest of more</span>}
            </h2>
            {waiting > 0 && (
              <button type="button" class="pill" onClick={release}>
                {waiting} new
              </button>
            )}
          </div>
          <LogTable logs={logs} onScrolled={hold.onScrolled} />
        </div>
      )}
    </>
  );
}

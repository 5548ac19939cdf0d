/** The server's event stream: one connection, reopened when it breaks, closed in hidden tabs. */
import { signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { livePreference } from '../state/preferences';
import { API_BASE } from './client';
import type { LiveStats, LogRecord, TraceSummary } from './types';

export interface LiveHandlers {
  traces?: (traces: TraceSummary[]) => void;
  logs?: (logs: LogRecord[]) => void;
  stats?: (stats: LiveStats) => void;
  /** The stream is open (again): what happened before was missed, so read it. */
  opened?: () => void;
}

export type LiveState = 'idle' | 'connecting' | 'open' | 'broken';

export const liveState = signal<LiveState>('idle');

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 10_000;

function parse(data: unknown): Record<string, unknown> | null {
  if (typeof data !== 'string') return null;
  try {
    const value: unknown = JSON.parse(data);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

/** Opens the stream and returns what closes it. */
export function openLive(parameters: string, handlers: () => LiveHandlers): () => void {
  let source: EventSource | null = null;
  let retry: number | null = null;
  let delayMs = FIRST_RETRY_MS;
  let closed = false;

  const disconnect = () => {
    source?.close();
    source = null;
    if (retry !== null) window.clearTimeout(retry);
    retry = null;
  };

  const connect = () => {
    disconnect();
    if (closed || document.hidden) return;
    liveState.value = 'connecting';
    const stream = new EventSource(`${API_BASE}/live${parameters === '' ? '' : `?${parameters}`}`);
    source = stream;
    stream.addEventListener('open', () => {
      delayMs = FIRST_RETRY_MS;
      liveState.value = 'open';
      handlers().opened?.();
    });
    stream.addEventListener('error', () => {
      // The browser retries by itself unless the answer was final; then it is up to us.
      liveState.value = 'broken';
      if (stream.readyState !== EventSource.CLOSED) return;
      disconnect();
      retry = window.setTimeout(connect, delayMs);
      delayMs = Math.min(delayMs * 2, LAST_RETRY_MS);
    });
    stream.addEventListener('traces', (event: MessageEvent) => {
      const traces = parse(event.data)?.traces;
      if (Array.isArray(traces)) handlers().traces?.(traces as TraceSummary[]);
    });
    stream.addEventListener('logs', (event: MessageEvent) => {
      const logs = parse(event.data)?.logs;
      if (Array.isArray(logs)) handlers().logs?.(logs as LogRecord[]);
    });
    stream.addEventListener('stats', (event: MessageEvent) => {
      const stats = parse(event.data);
      if (stats !== null) handlers().stats?.(stats as unknown as LiveStats);
    });
  };

  // Browsers allow about six connections to one host, shared by all tabs: hidden ones let go.
  const onVisibility = () => {
    if (document.hidden) {
      disconnect();
      liveState.value = 'idle';
    } else if (source === null) {
      connect();
    }
  };
  document.addEventListener('visibilitychange', onVisibility);
  connect();

  return () => {
    closed = true;
    document.removeEventListener('visibilitychange', onVisibility);
    disconnect();
    liveState.value = 'idle';
  };
}

/** Follows the stream while the page shows and live is on; null parameters: nothing to follow. */
export function useLive(parameters: string | null, handlers: LiveHandlers): void {
  const latest = useRef(handlers);
  latest.current = handlers;
  const on = livePreference.value === 'on';
  useEffect(() => {
    if (!on || parameters === null) return;
    return openLive(parameters, () => latest.current);
  }, [on, parameters]);
}

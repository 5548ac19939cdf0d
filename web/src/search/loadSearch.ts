import { ApiError, api } from '../api/client';
import type { TraceSummary } from '../api/types';
import { apiParameters, type SearchQuery } from '../state/searchQuery';
import { type Bounds, bounds, nowMicros } from '../state/timeRange';
import { summarise } from './results';

export interface Found extends Bounds {
  traces: TraceSummary[];
  truncated: boolean;
}

/** Links can name traces one by one; more than this are not read. */
const MAX_TRACE_IDS = 50;

async function loadById(ids: string[], signal: AbortSignal): Promise<TraceSummary[]> {
  const answers = await Promise.all(
    ids.slice(0, MAX_TRACE_IDS).map(async (id) => {
      try {
        return summarise(await api.trace(id, signal));
      } catch (cause) {
        if (cause instanceof ApiError && cause.status === 404) return null;
        throw cause;
      }
    }),
  );
  return answers.filter((trace) => trace !== null);
}

export async function loadSearch(query: SearchQuery, signal: AbortSignal): Promise<Found> {
  const now = nowMicros();
  if (query.traceIds.length > 0) {
    const traces = await loadById(query.traceIds, signal);
    const starts = traces.map((trace) => trace.startMicros);
    const ends = traces.map((trace) => trace.startMicros + trace.durationMicros);
    const startMicros = traces.length > 0 ? Math.min(...starts) : now - 1e6;
    const endMicros = traces.length > 0 ? Math.max(...ends) : now;
    return {
      traces,
      truncated: query.traceIds.length > MAX_TRACE_IDS,
      startMicros,
      endMicros,
    };
  }
  const { traces, truncated } = await api.search(apiParameters(query, now), signal);
  return { traces, truncated, ...bounds(query.range, now) };
}

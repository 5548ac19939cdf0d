/** The list of found traces and how live ones join it. */
import type { ColumnarTrace, TraceService, TraceSummary } from '../api/types';
import type { Sort } from '../state/searchQuery';

/** Newest first, each trace once (the later news wins), at most `limit`. */
export function mergeTraces(
  known: readonly TraceSummary[],
  incoming: readonly TraceSummary[],
  limit: number,
): TraceSummary[] {
  const byId = new Map<string, TraceSummary>();
  for (const trace of known) byId.set(trace.traceId, trace);
  for (const trace of incoming) byId.set(trace.traceId, trace);
  return [...byId.values()].sort((a, b) => b.startMicros - a.startMicros).slice(0, limit);
}

export function sortTraces(traces: readonly TraceSummary[], sort: Sort): TraceSummary[] {
  const sorted = [...traces];
  if (sort === 'longest') sorted.sort((a, b) => b.durationMicros - a.durationMicros);
  else sorted.sort((a, b) => b.startMicros - a.startMicros);
  return sorted;
}

/** How many of the incoming traces are not in the list yet. */
export function countNew(
  known: readonly TraceSummary[],
  incoming: readonly TraceSummary[],
): number {
  const ids = new Set(known.map((trace) => trace.traceId));
  return new Set(incoming.map((trace) => trace.traceId).filter((id) => !ids.has(id))).size;
}

/** A whole trace as one line, for links that name traces instead of searching. */
export function summarise(trace: ColumnarTrace): TraceSummary {
  const { spans } = trace;
  const services = new Map<number, TraceService>();
  let errorCount = 0;
  spans.service.forEach((index, row) => {
    const name = trace.services[index] ?? '';
    const entry = services.get(index) ?? { name, spanCount: 0, errorCount: 0 };
    entry.spanCount++;
    if (spans.status[row] === 2) {
      entry.errorCount++;
      errorCount++;
    }
    services.set(index, entry);
  });
  return {
    traceId: trace.traceId,
    rootService: trace.services[spans.service[0] ?? -1] ?? '',
    rootOperation: trace.names[spans.name[0] ?? -1] ?? '',
    startMicros: trace.startMicros,
    durationMicros: trace.durationMicros,
    spanCount: spans.id.length,
    errorCount,
    services: [...services.values()],
    httpStatus: null,
  };
}

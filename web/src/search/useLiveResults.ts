/** The search's answer, kept up to date by the live stream. */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { useLive } from '../api/live';
import type { TraceSummary } from '../api/types';
import { livePreference } from '../state/preferences';
import { filterParameters, formatSearch, type SearchQuery } from '../state/searchQuery';
import { nowMicros } from '../state/timeRange';
import { type Resource, useResource } from '../state/useResource';
import { useThrottled } from '../state/useThrottled';
import { type Found, loadSearch } from './loadSearch';
import { countNew, mergeTraces } from './results';

/** How often the charts follow the stream, and how often they move on when nothing comes. */
const CHART_MS = 1000;
const IDLE_CHART_MS = 10_000;
/** How long a new row stays marked. */
const FRESH_MS = 2500;
const NONE: ReadonlySet<string> = new Set();

export interface LiveResults {
  found: Resource<Found>;
  /** Counts up when the charts should read again. */
  tick: number;
  /** Traces that wait while the list is held still. */
  waiting: number;
  fresh: ReadonlySet<string>;
  hold: (held: boolean) => void;
  /** Lets the waiting traces in. */
  release: () => void;
}

export function useLiveResults(query: SearchQuery): LiveResults {
  const key = formatSearch({ ...query, sort: 'newest' });
  // What the stream tells while an answer is on its way may be missing in that answer.
  const meanwhile = useRef<TraceSummary[]>([]);
  const found = useResource(key, async (signal) => {
    meanwhile.current = [];
    const answer = await loadSearch(query, signal);
    const traces = mergeTraces(answer.traces, meanwhile.current, query.limit);
    return { ...answer, traces };
  });
  const [tick, setTick] = useState(0);
  const [waiting, setWaiting] = useState(0);
  const [fresh, setFresh] = useState<ReadonlySet<string>>(NONE);
  const held = useRef(false);
  const buffer = useRef<TraceSummary[]>([]);
  const freshTimer = useRef<number | undefined>(undefined);
  const nextTick = useThrottled(() => setTick((old) => old + 1), CHART_MS);

  const follows = query.range.kind === 'relative' && query.traceIds.length === 0;
  const { update, reload } = found;
  const shown = found.data?.traces ?? [];

  const release = useCallback(() => {
    const incoming = buffer.current;
    if (incoming.length === 0) return;
    buffer.current = [];
    setWaiting(0);
    update((data) => {
      const known = new Set(data.traces.map((trace) => trace.traceId));
      const added = incoming.map((trace) => trace.traceId).filter((id) => !known.has(id));
      setFresh(new Set(added));
      window.clearTimeout(freshTimer.current);
      freshTimer.current = window.setTimeout(() => setFresh(NONE), FRESH_MS);
      const now = nowMicros();
      return {
        ...data,
        traces: mergeTraces(data.traces, incoming, query.limit),
        startMicros: data.startMicros + (now - data.endMicros),
        endMicros: now,
      };
    });
  }, [update, query.limit]);

  const hold = useCallback(
    (hold: boolean) => {
      held.current = hold;
      if (!hold) release();
    },
    [release],
  );

  useEffect(() => {
    buffer.current = [];
    setWaiting(0);
    return () => window.clearTimeout(freshTimer.current);
  }, [key]);

  useLive(follows ? filterParameters(query).toString() : null, {
    traces: (traces) => {
      // The buffer is as bounded as the list: what would not fit there need not wait here.
      buffer.current = mergeTraces(buffer.current, traces, query.limit);
      if (held.current) setWaiting(countNew(shown, buffer.current));
      else release();
      meanwhile.current = mergeTraces(meanwhile.current, traces, query.limit);
      nextTick();
    },
    // Between the first answer and the stream's beginning, traces can have come unseen.
    opened: reload,
  });

  const moving = follows && livePreference.value === 'on';
  useEffect(() => {
    if (!moving) return;
    const timer = window.setInterval(nextTick, IDLE_CHART_MS);
    return () => window.clearInterval(timer);
  }, [moving, nextTick]);

  return { found, tick, waiting, fresh, hold, release };
}

/** Reads one trace, and reads it again while it still grows. */
import { useEffect } from 'preact/hooks';
import { api } from '../api/client';
import { useLive } from '../api/live';
import { Empty, Failure, Loading, StaleNotice } from '../parts/states';
import { livePreference } from '../state/preferences';
import { nowMicros } from '../state/timeRange';
import { useResource } from '../state/useResource';
import { useThrottled } from '../state/useThrottled';
import { TraceView } from './TraceView';
import './trace.css';

/** A trace that began longer ago is taken as complete. */
const GROWS_FOR_MICROS = 5 * 60e6;
const RELOAD_MS = 500;

export function TracePage({ traceId }: { traceId: string }) {
  const trace = useResource(traceId, (signal) => api.trace(traceId, signal));
  const missing = trace.error?.status === 404;
  const young = trace.data !== null && nowMicros() - trace.data.startMicros < GROWS_FOR_MICROS;
  const reload = useThrottled(trace.reload, RELOAD_MS);
  useLive(missing || young ? '' : null, {
    traces: (traces) => {
      const padded = traceId.padStart(32, '0');
      if (traces.some((entry) => entry.traceId.padStart(32, '0') === padded)) reload();
    },
  });

  const data = trace.data;
  useEffect(() => {
    if (data === null) return;
    const name = data.names[data.spans.name[0] ?? -1] ?? '';
    document.title = `${name} ${traceId.slice(0, 7)} · Carafe`;
  }, [data, traceId]);

  if (data !== null && data.spans.id.length > 0) {
    return (
      <>
        {trace.error !== null && <StaleNotice error={trace.error} retry={trace.reload} />}
        <TraceView trace={data} />
      </>
    );
  }
  if (missing) {
    return (
      <Empty title="This trace is not here">
        <p class="state-text">
          <code>{traceId}</code> is not in the store: it may be too old, or not have arrived yet.
          {livePreference.value === 'on' && ' It opens by itself when its first span arrives.'}
        </p>
        <a class="button" href="/search">
          Search traces
        </a>
      </Empty>
    );
  }
  if (trace.error !== null) return <Failure error={trace.error} retry={trace.reload} />;
  if (data !== null) return <Empty title="This trace has no spans" />;
  return <Loading what="trace" />;
}

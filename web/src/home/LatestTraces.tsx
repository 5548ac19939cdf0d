/** The newest requests, one click from their spans. */
import { useEffect } from 'preact/hooks';
import { api } from '../api/client';
import { formatDuration } from '../format/duration';
import { formatFull, formatInstant } from '../format/time';
import { ErrorIcon } from '../parts/icons';
import { ServiceName } from '../parts/ServiceName';
import { tracePath } from '../routes';
import { apiParameters, type SearchQuery, searchPath } from '../state/searchQuery';
import { describeRange, nowMicros } from '../state/timeRange';
import { useResource } from '../state/useResource';

const SHOWN = 12;

export function LatestTraces({ query, tick }: { query: SearchQuery; tick: number }) {
  const path = searchPath(query);
  const latest = useResource(path, (signal) =>
    api.search(apiParameters({ ...query, limit: SHOWN }, nowMicros()), signal),
  );
  const { reload } = latest;
  useEffect(() => {
    if (tick > 0) reload();
  }, [tick, reload]);
  const traces = latest.data?.traces ?? [];
  return (
    <section class="latest" aria-labelledby="latest-title" aria-busy={latest.loading}>
      <div class="section-head">
        <h2 id="latest-title">Latest traces</h2>
        <span class="spacer" />
        <a href={path}>All</a>
      </div>
      <ul class="latest-list">
        {traces.map((trace) => (
          <li key={trace.traceId}>
            <a href={tracePath(trace.traceId)}>
              <span class="muted" title={formatFull(trace.startMicros)}>
                {formatInstant(trace.startMicros)}
              </span>
              <span class="latest-name">
                <ServiceName name={trace.rootService} />
                <span class="operation" title={trace.rootOperation}>
                  {trace.rootOperation}
                </span>
              </span>
              {trace.errorCount > 0 ? <ErrorIcon /> : <span />}
              <span class="number">{formatDuration(trace.durationMicros)}</span>
            </a>
          </li>
        ))}
        {traces.length === 0 && (
          <li class="latest-none muted">
            {latest.error?.message ??
              (latest.data === null ? 'Loading …' : `None in ${describeRange(query.range)}`)}
          </li>
        )}
      </ul>
    </section>
  );
}

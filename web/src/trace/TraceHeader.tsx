import { jaegerTraceUrl } from '../api/client';
import type { ColumnarTrace } from '../api/types';
import { formatDuration } from '../format/duration';
import { formatCount, plural } from '../format/number';
import { formatFull, formatInstant } from '../format/time';
import { Identifier } from '../parts/Copy';
import { DownloadIcon, ErrorIcon } from '../parts/icons';
import { ServiceName } from '../parts/ServiceName';
import { searchPath } from '../state/searchQuery';

/** More services than this are counted, not listed. */
const MAX_SERVICES = 8;

export interface TraceFacts {
  errors: number;
  depth: number;
  spansByService: number[];
}

export function traceFacts(trace: ColumnarTrace): TraceFacts {
  const { spans } = trace;
  const spansByService = trace.services.map(() => 0);
  let errors = 0;
  let depth = 0;
  for (let span = 0; span < spans.id.length; span++) {
    const service = spans.service[span] ?? 0;
    spansByService[service] = (spansByService[service] ?? 0) + 1;
    if (spans.status[span] === 2) errors++;
    depth = Math.max(depth, (spans.depth[span] ?? 0) + 1);
  }
  return { errors, depth, spansByService };
}

export function TraceHeader({ trace, facts }: { trace: ColumnarTrace; facts: TraceFacts }) {
  const { spans } = trace;
  const service = trace.services[spans.service[0] ?? -1] ?? '';
  const operation = trace.names[spans.name[0] ?? -1] ?? '';
  const services = trace.services
    .map((name, index) => ({ name, count: facts.spansByService[index] ?? 0 }))
    .sort((a, b) => b.count - a.count);
  return (
    <header class="trace-head">
      <div class="trace-title">
        <ServiceName name={service} />
        <h1 title={operation}>{operation}</h1>
        <Identifier text={trace.traceId} label="trace id" />
        <span class="spacer" />
        <a class="button" href={jaegerTraceUrl(trace.traceId)} download={`${trace.traceId}.json`}>
          <DownloadIcon /> JSON
        </a>
      </div>
      <div class="trace-facts">
        <span title={formatFull(trace.startMicros)}>{formatInstant(trace.startMicros)}</span>
        <span>
          <b>{formatDuration(trace.durationMicros)}</b>
        </span>
        <span>{plural(spans.id.length, 'span')}</span>
        <span>depth {facts.depth}</span>
        {facts.errors > 0 && (
          <span class="bad">
            <ErrorIcon /> {plural(facts.errors, 'error')}
          </span>
        )}
        <span class="trace-services">
          {services.slice(0, MAX_SERVICES).map(({ name, count }) => (
            <a key={name} class="service-link" href={searchPath({ service: name })}>
              <ServiceName name={name} />
              <span class="muted">{formatCount(count)}</span>
            </a>
          ))}
          {services.length > MAX_SERVICES && (
            <span class="muted">and {services.length - MAX_SERVICES} more services</span>
          )}
        </span>
      </div>
      {trace.missingParents > 0 && (
        <p class="notice">
          {plural(trace.missingParents, 'span')} here{' '}
          {trace.missingParents === 1 ? 'names' : 'name'} a parent that has not arrived: it may
          still run, or its service is not instrumented.
        </p>
      )}
    </header>
  );
}

/** Everything about one span, beside the waterfall. */
import type { ComponentChildren } from 'preact';
import { api } from '../api/client';
import type { LogRecord, SpanDetail } from '../api/types';
import { formatDuration } from '../format/duration';
import { formatPercent } from '../format/number';
import { formatFull } from '../format/time';
import { LogLine } from '../logs/LogLine';
import { Attributes } from '../parts/Attributes';
import { Identifier } from '../parts/Copy';
import { CloseIcon, ErrorIcon } from '../parts/icons';
import { ServiceName } from '../parts/ServiceName';
import { Failure, Loading } from '../parts/states';
import { tracePath } from '../routes';
import { useResource } from '../state/useResource';

interface Props {
  traceId: string;
  traceStartMicros: number;
  traceDurationMicros: number;
  spanId: string;
  selfMicros: number;
  /** Number of spans in the trace: a span that grew is read again when it changes. */
  revision: number;
  logs: LogRecord[];
  onClose: () => void;
}

function Section({
  title,
  count,
  children,
}: {
  title: string;
  count?: number;
  children: ComponentChildren;
}) {
  return (
    <details class="panel-section" open>
      <summary>
        <h3>{title}</h3>
        {count !== undefined && <span class="muted">{count}</span>}
      </summary>
      {children}
    </details>
  );
}

function Facts({ span, props }: { span: SpanDetail; props: Props }) {
  const share = span.durationMicros / Math.max(props.traceDurationMicros, 1e-3);
  return (
    <dl class="facts">
      <div>
        <dt>Duration</dt>
        <dd>
          {formatDuration(span.durationMicros)}{' '}
          <span class="muted" title="Share of the trace's duration">
            {formatPercent(Math.min(share, 1))}
          </span>
        </dd>
      </div>
      <div>
        <dt>Self time</dt>
        <dd>{formatDuration(props.selfMicros)}</dd>
      </div>
      <div>
        <dt>Start</dt>
        <dd title={formatFull(span.startMicros)}>
          +{formatDuration(Math.max(span.startMicros - props.traceStartMicros, 0))}
        </dd>
      </div>
      <div>
        <dt>Kind</dt>
        <dd>{span.kind.toLowerCase()}</dd>
      </div>
      <div>
        <dt>Status</dt>
        <dd class={span.status.code === 'ERROR' ? 'bad' : undefined}>
          {span.status.code.toLowerCase()}
        </dd>
      </div>
    </dl>
  );
}

function Details({ span, props }: { span: SpanDetail; props: Props }) {
  const { scope } = span;
  return (
    <>
      <Facts span={span} props={props} />
      {span.status.message !== '' && (
        <p class="notice notice-error">
          <ErrorIcon /> <span>{span.status.message}</span>
        </p>
      )}
      <Section title="Attributes" count={span.attributes.length}>
        <Attributes attributes={span.attributes} filter />
      </Section>
      {span.events.length > 0 && (
        <Section title="Events" count={span.events.length}>
          {span.events.map((event, index) => (
            // Events have no identity; their order is fixed.
            <div class="event" key={index}>
              <p>
                <b>{event.name}</b>{' '}
                <span class="muted">
                  +{formatDuration(Math.max(event.timeMicros - span.startMicros, 0))}
                </span>
              </p>
              {event.attributes.length > 0 && <Attributes attributes={event.attributes} />}
            </div>
          ))}
        </Section>
      )}
      {span.links.length > 0 && (
        <Section title="Links" count={span.links.length}>
          {span.links.map((link) => (
            <div class="event" key={link.traceId + link.spanId}>
              <a class="mono" href={tracePath(link.traceId, link.spanId)}>
                {link.traceId}
              </a>
              {link.attributes.length > 0 && <Attributes attributes={link.attributes} />}
            </div>
          ))}
        </Section>
      )}
      {props.logs.length > 0 && (
        <Section title="Logs" count={props.logs.length}>
          <div class="panel-logs">
            {props.logs.map((log, index) => (
              <LogLine key={index} log={log} />
            ))}
          </div>
        </Section>
      )}
      <Section title="Resource" count={span.resource.length}>
        <Attributes attributes={span.resource} filter />
      </Section>
      <Section title="Instrumentation">
        <dl class="attributes">
          <div class="attribute">
            <dt>scope</dt>
            <dd>
              {[scope.name, scope.version].filter((part) => part !== '').join(' ') || 'unnamed'}
            </dd>
          </div>
          <div class="attribute">
            <dt>span id</dt>
            <dd>
              <Identifier text={span.spanId} label="span id" />
            </dd>
          </div>
          {span.parentSpanId !== null && (
            <div class="attribute">
              <dt>parent</dt>
              <dd>
                <a class="mono" href={tracePath(props.traceId, span.parentSpanId)}>
                  {span.parentSpanId}
                </a>
              </dd>
            </div>
          )}
          {span.traceState !== '' && (
            <div class="attribute">
              <dt>tracestate</dt>
              <dd>{span.traceState}</dd>
            </div>
          )}
        </dl>
      </Section>
    </>
  );
}

export function SpanPanel(props: Props) {
  const { traceId, spanId } = props;
  const detail = useResource(`${traceId} ${spanId} ${props.revision}`, (signal) =>
    api.span(traceId, spanId, signal),
  );
  const span = detail.data;
  return (
    <aside class="span-panel" aria-label="Span details">
      <header class="panel-head">
        <div class="panel-title">
          {span !== null && (
            <>
              <ServiceName name={span.service} />
              <h2>{span.name}</h2>
            </>
          )}
        </div>
        <button
          type="button"
          class="icon-button"
          onClick={props.onClose}
          aria-label="Close details"
        >
          <CloseIcon />
        </button>
      </header>
      <div class="panel-body">
        {span === null && detail.error !== null && (
          <Failure error={detail.error} retry={detail.reload} />
        )}
        {span === null && detail.error === null && <Loading what="span" />}
        {span !== null && <Details span={span} props={props} />}
      </div>
    </aside>
  );
}

/** Requests, errors and latency over time, for the filter in force. */
import { useEffect, useMemo, useState } from 'preact/hooks';
import { api } from '../api/client';
import { formatDuration } from '../format/duration';
import { formatCount, formatPercent, formatRate } from '../format/number';
import { formatClock } from '../format/time';
import { StaleNotice } from '../parts/states';
import { formatSearch, rangeParameters, type SearchQuery } from '../state/searchQuery';
import { bounds, describeRange, nowMicros } from '../state/timeRange';
import { useResource } from '../state/useResource';
import { type RedSeries, redSeries } from './redSeries';
import { type Line, TimeChart } from './TimeChart';
import './red.css';

interface Props {
  query: SearchQuery;
  /** Reads again when this changes. */
  tick: number;
  onZoom: (startMicros: number, endMicros: number) => void;
}

async function loadRed(query: SearchQuery, signal: AbortSignal) {
  const now = nowMicros();
  const answer = await api.red(rangeParameters(query, now), signal);
  const { startMicros, endMicros } = bounds(query.range, now);
  return { series: redSeries(answer, endMicros), startMicros, endMicros };
}

const NOTHING: (number | null)[] = [];

function chartLines(series: RedSeries | null) {
  const requests: Line[] = [
    {
      label: 'requests/s',
      colour: '--chart-requests',
      values: series?.requestRate ?? NOTHING,
      style: 'bars',
    },
    {
      label: 'errors/s',
      colour: '--chart-errors',
      values: series?.errorRate ?? NOTHING,
      style: 'bars',
    },
  ];
  const errors: Line[] = [
    {
      label: 'errors %',
      colour: '--chart-errors',
      values: series?.errorPercent ?? NOTHING,
      style: 'bars',
    },
  ];
  const latency: Line[] = [
    { label: 'p50', colour: '--chart-p50', values: series?.p50 ?? NOTHING, style: 'line' },
    { label: 'p95', colour: '--chart-p95', values: series?.p95 ?? NOTHING, style: 'line' },
    { label: 'p99', colour: '--chart-p99', values: series?.p99 ?? NOTHING, style: 'line' },
  ];
  return { requests, errors, latency };
}

function Percentile({ name, micros }: { name: 'p50' | 'p95' | 'p99'; micros: number | null }) {
  return (
    <span class="percentile">
      <span class={`swatch swatch-${name}`} aria-hidden="true" />
      <span class="muted">{name}</span> <b>{formatDuration(micros)}</b>
    </span>
  );
}

export function RedStrip({ query, tick, onZoom }: Props) {
  const key = formatSearch({ ...query, limit: 1, sort: 'newest', traceIds: [] });
  const resource = useResource(key, (signal) => loadRed(query, signal));
  const [hovered, setHovered] = useState<number | null>(null);
  const { reload } = resource;
  useEffect(() => {
    if (tick > 0) reload();
  }, [tick, reload]);

  const series = resource.data?.series ?? null;
  const lines = useMemo(() => chartLines(series), [series]);
  const now = nowMicros();
  const shown = resource.data ?? bounds(query.range, now);
  const times = series?.times ?? [];
  const from = shown.startMicros / 1e6;
  const to = shown.endMicros / 1e6;
  const zoom = (start: number, end: number) => onZoom(start * 1e6, end * 1e6);

  const at = hovered !== null && hovered < times.length ? hovered : null;
  const bucket = at ?? series?.lastBusy ?? null;
  const pick = (values: (number | null)[] | undefined) =>
    bucket === null ? null : (values?.[bucket] ?? null);
  const atClock = at === null ? null : formatClock((times[at] ?? 0) * 1e6);
  const total = series?.totalRequests ?? 0;
  const share = total > 0 ? (series?.totalErrors ?? 0) / total : 0;
  const range = describeRange(query.range);

  return (
    <section class="red" aria-label="Requests, errors and latency" aria-busy={resource.loading}>
      {resource.error !== null && <StaleNotice error={resource.error} retry={reload} />}
      <div class="red-panels">
        <div class="red-panel">
          <header>
            <h2>Requests</h2>
            <b>
              {formatRate(at === null ? (series?.latestRate ?? 0) : (series?.requestRate[at] ?? 0))}
              /s
            </b>
            <span class="muted">{atClock ?? `${formatCount(total)} in ${range}`}</span>
          </header>
          <TimeChart
            description={`Requests per second over ${range}: ${formatCount(total)} in all`}
            times={times}
            lines={lines.requests}
            scale="linear"
            from={from}
            to={to}
            formatValue={formatRate}
            onZoom={zoom}
            onHover={setHovered}
          />
        </div>
        <div class="red-panel">
          <header>
            <h2>Errors</h2>
            <b class={share > 0 ? 'bad' : undefined}>
              {at === null
                ? formatPercent(share)
                : formatPercent((series?.errorPercent[at] ?? 0) / 100)}
            </b>
            <span class="muted">
              {atClock ?? `${formatCount(series?.totalErrors ?? 0)} failed`}
            </span>
          </header>
          <TimeChart
            description={`Share of requests that failed: ${formatPercent(share)}`}
            times={times}
            lines={lines.errors}
            scale="linear"
            from={from}
            to={to}
            formatValue={(value) => `${value.toFixed(value < 10 && value % 1 !== 0 ? 1 : 0)} %`}
            onZoom={zoom}
            onHover={setHovered}
          />
        </div>
        <div class="red-panel red-latency">
          <header>
            <h2>Latency</h2>
            <Percentile name="p50" micros={pick(series?.p50)} />
            <Percentile name="p95" micros={pick(series?.p95)} />
            <Percentile name="p99" micros={pick(series?.p99)} />
            <span class="muted">{atClock ?? 'latest'}</span>
          </header>
          <TimeChart
            description="Latency percentiles 50, 95 and 99 over time"
            times={times}
            lines={lines.latency}
            scale="log"
            from={from}
            to={to}
            formatValue={formatDuration}
            onZoom={zoom}
            onHover={setHovered}
          />
        </div>
      </div>
    </section>
  );
}

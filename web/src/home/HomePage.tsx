import { useEffect, useMemo, useState } from 'preact/hooks';
import { api } from '../api/client';
import { useLive } from '../api/live';
import type { ServiceStats, StatusAnswer } from '../api/types';
import { formatBytes, formatCount, plural } from '../format/number';
import { Failure, Loading, StaleNotice } from '../parts/states';
import { RedStrip } from '../red/RedStrip';
import { address, navigate, setParameters } from '../router';
import { livePreference } from '../state/preferences';
import { emptyQuery, searchPath } from '../state/searchQuery';
import { LOOKBACKS, lookbackMicros } from '../state/timeRange';
import { useResource } from '../state/useResource';
import { useThrottled } from '../state/useThrottled';
import { GettingStarted } from './GettingStarted';
import { LatestTraces } from './LatestTraces';
import { RouteTable } from './RouteTable';
import { ROUTE_SORTS, type RouteSort, routeRows, sortRoutes } from './routeRows';
import { ServiceCard } from './ServiceCard';
import './home.css';

const LIVE_RELOAD_MS = 1000;
/** Without news the page still looks now and then, so that "seen" and the charts move on. */
const IDLE_RELOAD_MS = 10_000;
const HOME_LOOKBACK = '15m';
/** More services than this are behind the table's own filter. */
const MAX_CARDS = 24;

function StoreLine({ status }: { status: StatusAnswer | null }) {
  if (status === null) return null;
  const { store } = status;
  return (
    <p class="store-line muted">
      {plural(store.traces, 'trace')} · {plural(store.spans, 'span')} ·{' '}
      {plural(store.logs, 'log record')} · {formatBytes(store.bytes)} of{' '}
      {formatBytes(store.maxBytes)}
      {store.evictedTraces > 0 && ` · ${formatCount(store.evictedTraces)} old traces dropped`}
    </p>
  );
}

function Overview({
  services,
  status,
  tick,
}: {
  services: ServiceStats[];
  status: StatusAnswer | null;
  tick: number;
}) {
  const parameters = new URLSearchParams(address.value.query);
  const chosen = parameters.get('service');
  const all = parameters.get('kind') === 'all';
  const sort = ROUTE_SORTS.find((value) => value === parameters.get('sort')) ?? 'count';
  const asked = parameters.get('lookback') ?? HOME_LOOKBACK;
  const lookback = lookbackMicros(asked) === null ? HOME_LOOKBACK : asked;
  const query = useMemo(
    () => ({ ...emptyQuery(), service: chosen, range: { kind: 'relative' as const, lookback } }),
    [chosen, lookback],
  );
  const rows = useMemo(
    () => sortRoutes(routeRows(services, chosen, all), sort),
    [services, chosen, all, sort],
  );
  const sorted = [...services].sort((a, b) => b.spanCount - a.spanCount);
  return (
    <>
      <div class="home-head">
        <h1>{chosen ?? 'All services'}</h1>
        <StoreLine status={status} />
        <span class="spacer" />
        <label class="field inline" for="home-lookback">
          <span class="visually-hidden">Time range of the charts</span>
          <select
            id="home-lookback"
            class="input"
            value={lookback}
            onChange={(event) => {
              const value = event.currentTarget.value;
              setParameters({ lookback: value === HOME_LOOKBACK ? null : value });
            }}
          >
            {LOOKBACKS.map((value) => (
              <option key={value} value={value}>
                Last {value}
              </option>
            ))}
          </select>
        </label>
      </div>
      <RedStrip
        query={query}
        tick={tick}
        onZoom={(startMicros, endMicros) =>
          navigate(
            searchPath({ service: chosen, range: { kind: 'fixed', startMicros, endMicros } }),
          )
        }
      />
      <section aria-label="Services" class="cards">
        {sorted.slice(0, MAX_CARDS).map((service) => (
          <ServiceCard
            key={service.name}
            service={service}
            chosen={service.name === chosen}
            onChoose={() =>
              setParameters({ service: service.name === chosen ? null : service.name })
            }
          />
        ))}
        {sorted.length > MAX_CARDS && (
          <a class="card card-more" href="/search">
            {sorted.length - MAX_CARDS} more services
          </a>
        )}
      </section>
      <div class="home-split">
        <section aria-labelledby="routes-title" class="route-section">
          <div class="section-head">
            <h2 id="routes-title">{all ? 'All operations' : 'Routes and entry points'}</h2>
            <span class="muted">{formatCount(rows.length)}</span>
            <span class="spacer" />
            <label class="check">
              <input
                type="checkbox"
                checked={all}
                onChange={(event) =>
                  setParameters({ kind: event.currentTarget.checked ? 'all' : null })
                }
              />
              Calls and inner steps too
            </label>
          </div>
          <RouteTable
            rows={rows}
            sort={sort}
            seconds={status?.uptimeSeconds ?? 1}
            onSort={(value: RouteSort) => setParameters({ sort: value === 'count' ? null : value })}
          />
        </section>
        <LatestTraces query={query} tick={tick} />
      </div>
    </>
  );
}

export function HomePage() {
  const services = useResource('services', (signal) => api.services(signal));
  const status = useResource('status', (signal) => api.status(signal));
  const [tick, setTick] = useState(0);
  const refresh = useThrottled(() => {
    services.reload();
    status.reload();
    setTick((old) => old + 1);
  }, LIVE_RELOAD_MS);
  useLive('', { traces: refresh, stats: refresh, opened: refresh });
  const live = livePreference.value === 'on';
  useEffect(() => {
    if (!live) return;
    const timer = window.setInterval(refresh, IDLE_RELOAD_MS);
    return () => window.clearInterval(timer);
  }, [live, refresh]);

  const known = services.data?.services ?? null;
  return (
    <>
      {services.error !== null && known !== null && (
        <StaleNotice error={services.error} retry={services.reload} />
      )}
      {known === null && services.error !== null && (
        <Failure error={services.error} retry={services.reload} />
      )}
      {known === null && services.error === null && <Loading what="services" />}
      {known !== null && known.length === 0 && <GettingStarted status={status.data} />}
      {known !== null && known.length > 0 && (
        <Overview services={known} status={status.data} tick={tick} />
      )}
    </>
  );
}

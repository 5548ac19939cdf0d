import { useMemo } from 'preact/hooks';
import { api } from '../api/client';
import { plural } from '../format/number';
import { Empty, Failure, Loading, StaleNotice } from '../parts/states';
import { RedStrip } from '../red/RedStrip';
import { address, navigate } from '../router';
import {
  emptyQuery,
  filterCount,
  formatSearch,
  parseSearch,
  type SearchQuery,
  searchPath,
} from '../state/searchQuery';
import { describeRange, widerLookback } from '../state/timeRange';
import { useHold } from '../state/useHold';
import { useResource } from '../state/useResource';
import type { Found } from './loadSearch';
import { ResultList } from './ResultList';
import { sortTraces } from './results';
import { Scatter } from './Scatter';
import { SearchForm } from './SearchForm';
import { useLiveResults } from './useLiveResults';
import './search.css';

function go(query: SearchQuery, replace = false): void {
  const text = formatSearch(query);
  navigate(text === '' ? '/search' : `/search?${text}`, { replace });
}

/** Says what was searched and offers the next thing to try. */
function NothingFound({ query }: { query: SearchQuery }) {
  const wider = query.range.kind === 'relative' ? widerLookback(query.range.lookback) : null;
  const filters = filterCount(query);
  const live = query.range.kind === 'relative';
  return (
    <Empty title={`No traces in ${describeRange(query.range)}`}>
      <p class="state-text">
        {filters > 0 && 'Nothing matches all filters together.'}
        {filters === 0 && live && 'Requests to your app show here within a second.'}
        {filters === 0 && !live && 'Nothing was recorded in it, or it is no longer kept.'}
      </p>
      <div class="state-actions">
        {wider !== null && (
          <a
            class="button"
            href={searchPath({ ...query, range: { kind: 'relative', lookback: wider } })}
          >
            Search the last {wider}
          </a>
        )}
        {filters > 0 && (
          <a class="button" href={searchPath({ ...emptyQuery(), range: query.range })}>
            Drop all filters
          </a>
        )}
        {!live && (
          <a class="button" href={searchPath({ ...query, range: emptyQuery().range })}>
            Search the last hour
          </a>
        )}
        {filters === 0 && live && (
          <a class="button" href="/">
            Getting started
          </a>
        )}
      </div>
    </Empty>
  );
}

/** Where the scatter begins: when the limit cut older traces off, with the oldest that is left. */
function scatterStart(found: Found): number {
  if (!found.truncated) return found.startMicros;
  const oldest = found.traces.reduce(
    (low, trace) => Math.min(low, trace.startMicros),
    found.endMicros,
  );
  return oldest - (found.endMicros - oldest) * 0.02;
}

export function SearchPage() {
  const text = address.value.query;
  const query = useMemo(() => parseSearch(text), [text]);
  const services = useResource('services', (signal) => api.services(signal));
  const live = useLiveResults(query);
  const { found } = live;
  const hold = useHold(live.hold);
  const traces = useMemo(
    () => sortTraces(found.data?.traces ?? [], query.sort),
    [found.data, query.sort],
  );

  return (
    <>
      <h1 class="visually-hidden">Search traces</h1>
      <SearchForm
        query={query}
        services={services.data?.services ?? []}
        onSearch={(next) => {
          if (formatSearch(next) === formatSearch(query)) found.reload();
          else go(next);
        }}
      />
      <RedStrip
        query={query}
        tick={live.tick}
        onZoom={(startMicros, endMicros) =>
          go({ ...query, range: { kind: 'fixed', startMicros, endMicros } })
        }
      />
      {found.error !== null && found.data !== null && (
        <StaleNotice error={found.error} retry={found.reload} />
      )}
      {found.data === null && found.error !== null && (
        <Failure error={found.error} retry={found.reload} />
      )}
      {found.data === null && found.error === null && <Loading what="traces" />}
      {found.data !== null && traces.length === 0 && <NothingFound query={query} />}
      {found.data !== null && traces.length > 0 && (
        <div class="found" onMouseEnter={hold.onMouseEnter} onMouseLeave={hold.onMouseLeave}>
          <div class="found-head">
            <h2>
              {plural(traces.length, 'trace')}
              {found.data.truncated && (
                <span class="muted">
                  {' '}
                  · the newest of more; raise the limit or narrow the search
                </span>
              )}
            </h2>
            {live.waiting > 0 && (
              <button type="button" class="pill" onClick={live.release}>
                {live.waiting} new
              </button>
            )}
          </div>
          <Scatter
            traces={traces}
            startMicros={scatterStart(found.data)}
            endMicros={found.data.endMicros}
          />
          <ResultList
            traces={traces}
            fresh={live.fresh}
            sort={query.sort}
            onSort={(sort) => go({ ...query, sort }, true)}
            onScrolled={hold.onScrolled}
          />
        </div>
      )}
    </>
  );
}

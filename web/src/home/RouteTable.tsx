import { formatDuration } from '../format/duration';
import { formatCount, formatPercent, formatRate } from '../format/number';
import { ErrorIcon } from '../parts/icons';
import { ServiceName } from '../parts/ServiceName';
import { searchPath } from '../state/searchQuery';
import type { RouteRow, RouteSort } from './routeRows';

/** A page holds this many rows; the rest are counted below it. */
const MAX_ROWS = 200;

interface Props {
  rows: RouteRow[];
  sort: RouteSort;
  onSort: (sort: RouteSort) => void;
  /** Seconds that the counts cover. */
  seconds: number;
}

export function RouteTable({ rows, sort, onSort, seconds }: Props) {
  const most = rows.reduce((high, row) => Math.max(high, row.count), 1);
  const head = (label: string, value: RouteSort, className = 'number') => (
    <th scope="col" class={className} aria-sort={sort === value ? 'descending' : 'none'}>
      <button type="button" class="sort" onClick={() => onSort(value)}>
        {label}
        <span aria-hidden="true">{sort === value ? ' ↓' : ''}</span>
      </button>
    </th>
  );
  return (
    <>
      <div class="table-scroll">
        <table class="routes">
          <thead>
            <tr>
              {head('Operation', 'name', '')}
              <th scope="col">Service</th>
              <th scope="col">Kind</th>
              {head('Count', 'count')}
              <th scope="col" class="number" title="Average since this server started">
                Rate
              </th>
              {head('p50', 'p50')}
              {head('p95', 'p95')}
              {head('Errors', 'errors')}
            </tr>
          </thead>
          <tbody>
            {rows.slice(0, MAX_ROWS).map((row) => (
              <tr key={`${row.service}\u0000${row.operation}\u0000${row.kind}`}>
                <td class="route-name">
                  <a
                    href={searchPath({ service: row.service, operation: row.operation })}
                    title={row.operation}
                  >
                    {row.operation}
                  </a>
                </td>
                <td>
                  <ServiceName name={row.service} />
                </td>
                <td class="muted">{row.kind.toLowerCase()}</td>
                <td class="number count-cell">
                  <span
                    class="count-bar"
                    aria-hidden="true"
                    style={{ width: `${(row.count / most) * 100}%` }}
                  />
                  <span>{formatCount(row.count)}</span>
                </td>
                <td class="number">{formatRate(row.count / Math.max(seconds, 1))}/s</td>
                <td class="number">{formatDuration(row.p50Micros)}</td>
                <td class="number">{formatDuration(row.p95Micros)}</td>
                <td class="number">
                  {row.errorCount === 0 ? (
                    <span class="muted">0</span>
                  ) : (
                    <a
                      class="bad"
                      href={searchPath({
                        service: row.service,
                        operation: row.operation,
                        errors: true,
                      })}
                    >
                      <ErrorIcon /> {formatCount(row.errorCount)}{' '}
                      <span class="muted">· {formatPercent(row.errorCount / row.count)}</span>
                    </a>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {rows.length > MAX_ROWS && (
        <p class="muted">
          {formatCount(rows.length - MAX_ROWS)} more: choose a service to see its operations.
        </p>
      )}
    </>
  );
}

/** The operations of all services as one table. */
import type { ServiceStats } from '../api/types';

export interface RouteRow {
  service: string;
  operation: string;
  kind: string;
  count: number;
  errorCount: number;
  p50Micros: number | null;
  p95Micros: number | null;
}

export type RouteSort = 'count' | 'p50' | 'p95' | 'errors' | 'name';

export const ROUTE_SORTS: readonly RouteSort[] = ['count', 'p50', 'p95', 'errors', 'name'];

/** Where work enters a service; the rest are calls it makes and steps inside it. */
function isEntry(kind: string): boolean {
  return /^(server|consumer)$/i.test(kind);
}

/** Rows of one service or all; only entry points unless `all` (or unless there is no entry point). */
export function routeRows(
  services: readonly ServiceStats[],
  service: string | null,
  all: boolean,
): RouteRow[] {
  const rows = services
    .filter((entry) => service === null || entry.name === service)
    .flatMap((entry) =>
      entry.operations.map((operation) => ({
        service: entry.name,
        operation: operation.name,
        kind: operation.spanKind,
        count: operation.count,
        errorCount: operation.errorCount,
        p50Micros: operation.p50Micros,
        p95Micros: operation.p95Micros,
      })),
    );
  const entries = rows.filter((row) => isEntry(row.kind));
  return all || entries.length === 0 ? rows : entries;
}

const COMPARE: Record<RouteSort, (a: RouteRow, b: RouteRow) => number> = {
  count: (a, b) => b.count - a.count,
  p50: (a, b) => (b.p50Micros ?? -1) - (a.p50Micros ?? -1),
  p95: (a, b) => (b.p95Micros ?? -1) - (a.p95Micros ?? -1),
  errors: (a, b) => b.errorCount - a.errorCount || b.count - a.count,
  name: (a, b) => a.operation.localeCompare(b.operation),
};

export function sortRoutes(rows: readonly RouteRow[], sort: RouteSort): RouteRow[] {
  return [...rows].sort(COMPARE[sort]);
}

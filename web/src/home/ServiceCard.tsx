import type { ServiceStats } from '../api/types';
import { formatCount, formatPercent } from '../format/number';
import { formatAgo } from '../format/time';
import { ErrorIcon } from '../parts/icons';
import { ServiceName } from '../parts/ServiceName';

interface Props {
  service: ServiceStats;
  chosen: boolean;
  onChoose: () => void;
}

/** A service at a glance; chosen, it narrows the charts and the table to itself. */
export function ServiceCard({ service, chosen, onChoose }: Props) {
  const share = service.spanCount > 0 ? service.errorCount / service.spanCount : 0;
  return (
    <button type="button" class="card" aria-pressed={chosen} onClick={onChoose}>
      <ServiceName name={service.name} />
      <span class="card-number">
        <b>{formatCount(service.spanCount)}</b> <span class="muted">spans</span>
      </span>
      <span class="card-foot">
        {service.errorCount > 0 ? (
          <span class="bad">
            <ErrorIcon /> {formatPercent(share)} errors
          </span>
        ) : (
          <span class="muted">no errors</span>
        )}
        <span class="muted">{formatAgo(service.lastSeenMicros)}</span>
      </span>
    </button>
  );
}

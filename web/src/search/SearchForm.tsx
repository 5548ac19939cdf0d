/** The search as a form. Choices apply at once, typed text with Enter or the button. */
import { useEffect, useState } from 'preact/hooks';
import type { ServiceStats } from '../api/types';
import { fromLocalInput, toLocalInput } from '../format/time';
import { SearchIcon } from '../parts/icons';
import { focusWanted } from '../shell/shortcuts';
import { DEFAULT_LIMIT, isGoDuration, type SearchQuery } from '../state/searchQuery';
import { formatTags, parseTags } from '../state/tagQuery';
import { bounds, DEFAULT_LOOKBACK, LOOKBACKS, nowMicros } from '../state/timeRange';
import { TagInput } from './TagInput';

interface Props {
  query: SearchQuery;
  services: ServiceStats[];
  onSearch: (query: SearchQuery) => void;
}

/** A list that people can still choose from; the tag field finds the rest. */
const MAX_OPERATIONS = 1000;

const LIMITS = [20, DEFAULT_LIMIT, 200, 500, 1500];

interface Typed {
  tags: string;
  url: string;
  minDuration: string;
  maxDuration: string;
}

function typedOf(query: SearchQuery): Typed {
  return {
    tags: formatTags(query.tags),
    url: query.url,
    minDuration: query.minDuration,
    maxDuration: query.maxDuration,
  };
}

function operationsOf(services: ServiceStats[], service: string | null): string[] {
  const names = new Set<string>();
  for (const entry of services) {
    if (service !== null && entry.name !== service) continue;
    for (const operation of entry.operations) names.add(operation.name);
  }
  return [...names].sort((a, b) => a.localeCompare(b)).slice(0, MAX_OPERATIONS);
}

/** The value in use stays in the list even when the server does not know it (yet). */
function withCurrent(names: string[], current: string | null): string[] {
  return current === null || names.includes(current) ? names : [current, ...names];
}

function DurationInput(props: {
  id: string;
  label: string;
  value: string;
  onText: (text: string) => void;
}) {
  const wrong = props.value !== '' && !isGoDuration(props.value);
  return (
    <label class="field narrow" for={props.id}>
      <span>{props.label}</span>
      <input
        id={props.id}
        class="input mono"
        type="text"
        placeholder="1.2ms"
        value={props.value}
        aria-invalid={wrong}
        title={wrong ? 'A number with its unit: 100us, 1.2ms, 3s' : undefined}
        spellcheck={false}
        autocomplete="off"
        maxLength={40}
        onInput={(event) => props.onText(event.currentTarget.value.trim())}
      />
    </label>
  );
}

function FixedRange({ query, onSearch }: Pick<Props, 'query' | 'onSearch'>) {
  if (query.range.kind !== 'fixed') return null;
  const { startMicros, endMicros } = query.range;
  const change = (start: number | null, end: number | null) => {
    if (start === null || end === null || end <= start) return;
    onSearch({ ...query, range: { kind: 'fixed', startMicros: start, endMicros: end } });
  };
  return (
    <>
      <label class="field date" for="search-start">
        <span>From</span>
        <input
          id="search-start"
          class="input"
          type="datetime-local"
          step={1}
          value={toLocalInput(startMicros)}
          onChange={(event) => change(fromLocalInput(event.currentTarget.value), endMicros)}
        />
      </label>
      <label class="field date" for="search-end">
        <span>To</span>
        <input
          id="search-end"
          class="input"
          type="datetime-local"
          step={1}
          value={toLocalInput(endMicros)}
          onChange={(event) => change(startMicros, fromLocalInput(event.currentTarget.value))}
        />
      </label>
    </>
  );
}

export function SearchForm({ query, services, onSearch }: Props) {
  const [typed, setTyped] = useState(() => typedOf(query));
  const [submitted, setSubmitted] = useState(false);
  const fromUrl = JSON.stringify(typedOf(query));
  useEffect(() => setTyped(typedOf(query)), [fromUrl]);
  useEffect(focusWanted, []);

  const parsed = parseTags(typed.tags);
  const durationsFine = [typed.minDuration, typed.maxDuration].every(
    (text) => text === '' || isGoDuration(text),
  );

  /** The search that the form says; null while something typed is wrong. */
  const current = (): SearchQuery | null => {
    if (!parsed.ok || !durationsFine) return null;
    const { url, minDuration, maxDuration } = typed;
    return { ...query, tags: parsed.tags, url: url.trim(), minDuration, maxDuration, traceIds: [] };
  };
  const apply = (change: Partial<SearchQuery>) => {
    onSearch({ ...(current() ?? query), ...change });
  };
  const submit = (event: Event) => {
    event.preventDefault();
    setSubmitted(true);
    const next = current();
    if (next !== null) onSearch(next);
  };
  const type = (change: Partial<Typed>) => {
    setSubmitted(false);
    setTyped((old) => ({ ...old, ...change }));
  };

  const serviceNames = withCurrent(
    services.map((service) => service.name).sort((a, b) => a.localeCompare(b)),
    query.service,
  );
  const operations = withCurrent(operationsOf(services, query.service), query.operation);
  const lookback = query.range.kind === 'relative' ? query.range.lookback : 'custom';
  const lookbacks: string[] = [...LOOKBACKS];
  if (lookback !== 'custom' && !lookbacks.includes(lookback)) lookbacks.push(lookback);
  const limits = LIMITS.includes(query.limit) ? LIMITS : [...LIMITS, query.limit];

  const chooseRange = (value: string) => {
    if (value !== 'custom') {
      apply({ range: { kind: 'relative', lookback: value } });
      return;
    }
    apply({ range: { kind: 'fixed', ...bounds(query.range, nowMicros()) } });
  };

  return (
    <form class="search-form" aria-label="Search traces" onSubmit={submit}>
      <div class="form-row">
        <label class="field" for="search-service">
          <span>Service</span>
          <select
            id="search-service"
            class="input"
            value={query.service ?? ''}
            onChange={(event) =>
              apply({ service: event.currentTarget.value || null, operation: null })
            }
          >
            <option value="">All services</option>
            {serviceNames.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <label class="field" for="search-operation">
          <span>Operation</span>
          <select
            id="search-operation"
            class="input"
            value={query.operation ?? ''}
            onChange={(event) => apply({ operation: event.currentTarget.value || null })}
          >
            <option value="">All operations</option>
            {operations.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <div class="field wide">
          <label for="search-tags">Tags</label>
          <TagInput
            text={typed.tags}
            service={query.service}
            error={submitted && !parsed.ok ? parsed.error : null}
            onText={(tags) => type({ tags })}
          />
        </div>
        <label class="field wide" for="search-url">
          <span>
            URL <kbd>u</kbd>
          </span>
          <input
            id="search-url"
            class="input mono"
            type="text"
            placeholder="/api/* or https://host/path"
            value={typed.url}
            spellcheck={false}
            autocomplete="off"
            maxLength={2000}
            onInput={(event) => type({ url: event.currentTarget.value })}
          />
        </label>
      </div>
      <div class="form-row">
        <label class="field" for="search-lookback">
          <span>Time</span>
          <select
            id="search-lookback"
            class="input"
            value={lookback}
            onChange={(event) => chooseRange(event.currentTarget.value || DEFAULT_LOOKBACK)}
          >
            {lookbacks.map((value) => (
              <option key={value} value={value}>
                Last {value}
              </option>
            ))}
            <option value="custom">Fixed range</option>
          </select>
        </label>
        <FixedRange query={query} onSearch={onSearch} />
        <DurationInput
          id="search-min"
          label="Min duration"
          value={typed.minDuration}
          onText={(minDuration) => type({ minDuration })}
        />
        <DurationInput
          id="search-max"
          label="Max duration"
          value={typed.maxDuration}
          onText={(maxDuration) => type({ maxDuration })}
        />
        <label class="field narrow" for="search-limit">
          <span>Limit</span>
          <select
            id="search-limit"
            class="input"
            value={String(query.limit)}
            onChange={(event) => apply({ limit: Number(event.currentTarget.value) })}
          >
            {limits.map((limit) => (
              <option key={limit} value={String(limit)}>
                {limit}
              </option>
            ))}
          </select>
        </label>
        <label class="check">
          <input
            type="checkbox"
            checked={query.errors}
            onChange={(event) => apply({ errors: event.currentTarget.checked })}
          />
          Errors only
        </label>
        <span class="spacer" />
        {submitted && !durationsFine && (
          <span class="field-error" role="alert">
            A duration is a number with its unit: 100us, 1.2ms, 3s
          </span>
        )}
        <a class="button quiet" href="/search">
          Clear
        </a>
        <button type="submit" class="button primary">
          <SearchIcon /> Find traces
        </button>
      </div>
    </form>
  );
}

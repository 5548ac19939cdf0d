/** The address bar as a signal: pages read it, and change it only through `navigate`. */
import { signal } from '@preact/signals';

export interface Address {
  path: string;
  /** Query string without its question mark. */
  query: string;
}

function current(): Address {
  return { path: window.location.pathname, query: window.location.search.slice(1) };
}

export const address = signal<Address>(current());

/** Goes to a path of this UI. `replace` keeps the history as long as it was. */
export function navigate(href: string, options: { replace?: boolean } = {}): void {
  const here = window.location.pathname + window.location.search;
  if (href === here) return;
  if (options.replace) window.history.replaceState(null, '', href);
  else window.history.pushState(null, '', href);
  address.value = current();
}

/** Changes the query of the current page; null removes a parameter. */
export function setParameters(
  changes: Record<string, string | null>,
  options: { replace?: boolean } = { replace: true },
): void {
  const parameters = new URLSearchParams(window.location.search);
  for (const [key, value] of Object.entries(changes)) {
    if (value === null) parameters.delete(key);
    else parameters.set(key, value);
  }
  const text = parameters.toString();
  navigate(window.location.pathname + (text === '' ? '' : `?${text}`), options);
}

/** Whether the browser, not the router, should follow this click. */
function isForBrowser(event: MouseEvent, anchor: HTMLAnchorElement): boolean {
  return (
    event.defaultPrevented ||
    event.button !== 0 ||
    event.metaKey ||
    event.ctrlKey ||
    event.shiftKey ||
    event.altKey ||
    anchor.target !== '' ||
    anchor.hasAttribute('download') ||
    anchor.origin !== window.location.origin ||
    anchor.pathname.startsWith('/api/')
  );
}

/** Makes plain links to this UI change the page without loading it again. */
export function startRouter(): void {
  window.addEventListener('popstate', () => {
    address.value = current();
  });
  document.addEventListener('click', (event) => {
    const target = event.target instanceof Element ? event.target.closest('a') : null;
    if (!(target instanceof HTMLAnchorElement) || isForBrowser(event, target)) return;
    event.preventDefault();
    navigate(target.pathname + target.search);
  });
}

/** Keys that work on every page. */
import { signal } from '@preact/signals';
import { navigate } from '../router';
import { livePreference, shortcutPreference, toggle } from '../state/preferences';
import { nextTheme } from '../state/theme';

export const helpOpen = signal(false);

/** How long a `g` waits for its second key. */
const CHORD_MS = 1000;

const GO: Record<string, string> = { h: '/', s: '/search', l: '/logs' };

/** Fields that were asked for before their page was there to be focused. */
let wanted: 'tags' | 'url' | null = null;

export function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || /^(input|textarea|select)$/i.test(target.tagName))
  );
}

/** Whether a page may take this key as a shortcut of its own. */
export function isShortcut(event: KeyboardEvent): boolean {
  return (
    !event.defaultPrevented &&
    !event.ctrlKey &&
    !event.metaKey &&
    !event.altKey &&
    !isTyping(event.target) &&
    // The dialog itself, since its close event comes a moment after it has closed.
    document.querySelector('dialog[open]') === null
  );
}

export function singleKeysOn(): boolean {
  return shortcutPreference.value === 'on';
}

function focusField(field: 'tags' | 'url'): void {
  const element = document.getElementById(`search-${field}`);
  if (element instanceof HTMLInputElement) {
    element.focus();
    element.select();
    return;
  }
  wanted = field;
  navigate('/search');
}

/** Called by the search form once it stands. */
export function focusWanted(): void {
  const field = wanted;
  wanted = null;
  if (field !== null) focusField(field);
}

export function startShortcuts(): void {
  let chordUntil = 0;
  document.addEventListener('keydown', (event) => {
    if (!isShortcut(event) || !singleKeysOn()) return;
    const { key } = event;
    const inChord = Date.now() < chordUntil;
    chordUntil = 0;
    const destination = inChord ? GO[key] : undefined;
    if (destination !== undefined) {
      navigate(destination);
    } else if (key === 'g') {
      chordUntil = Date.now() + CHORD_MS;
      return;
    } else if (key === 'u') {
      focusField('url');
    } else if (key === '/') {
      focusSearch();
    } else if (key === 't') {
      nextTheme();
    } else if (key === '.') {
      toggle(livePreference);
    } else if (key === '?') {
      helpOpen.value = true;
    } else {
      return;
    }
    event.preventDefault();
  });
}

/** `/` goes to the page's own search field, and to the Search page where there is none. */
function focusSearch(): void {
  const own = document.querySelector('[data-page-search]');
  if (own instanceof HTMLInputElement) {
    own.focus();
    own.select();
  } else {
    focusField('tags');
  }
}

/** The reader's choices, kept in this browser only. */
import { effect, type Signal, signal } from '@preact/signals';

/** Storage can be forbidden or full; a preference then lives as long as the page. */
function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function write(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Nothing to do: see `read`.
  }
}

function stored<T extends string>(key: string, fallback: T, allowed: readonly T[]): Signal<T> {
  const found = allowed.find((value) => value === read(key));
  const preference = signal<T>(found ?? fallback);
  effect(() => write(key, preference.value));
  return preference;
}

const SWITCH = ['on', 'off'] as const;

export type ThemeChoice = 'system' | 'light' | 'dark';
export const themeChoice = stored<ThemeChoice>('carafe.theme', 'system', [
  'system',
  'light',
  'dark',
]);

export const livePreference = stored('carafe.live', 'on', SWITCH);

/** Single-letter shortcuts get in the way of speech input, so they can be turned off (WCAG 2.1.4). */
export const shortcutPreference = stored('carafe.shortcuts', 'on', SWITCH);

export function toggle(preference: Signal<'on' | 'off'>): void {
  preference.value = preference.value === 'on' ? 'off' : 'on';
}

/** Width of the waterfall's name column, as a share of the whole. */
export const nameColumnShare = signal(readShare());
effect(() => write('carafe.nameColumn', nameColumnShare.value.toFixed(3)));

function readShare(): number {
  const share = Number(read('carafe.nameColumn') ?? 0.34);
  return share >= 0.15 && share <= 0.7 ? share : 0.34;
}

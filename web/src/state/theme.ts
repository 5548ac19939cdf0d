/** Turns the theme choice into the attribute that the tokens hang on. */
import { computed, effect, signal } from '@preact/signals';
import { type ThemeChoice, themeChoice } from './preferences';

const dark = window.matchMedia('(prefers-color-scheme: dark)');
const systemDark = signal(dark.matches);
dark.addEventListener('change', (event) => {
  systemDark.value = event.matches;
});

/** The theme in force; canvases redraw when it changes. */
export const theme = computed<'light' | 'dark'>(() => {
  const choice = themeChoice.value;
  if (choice !== 'system') return choice;
  return systemDark.value ? 'dark' : 'light';
});

effect(() => {
  document.documentElement.dataset.theme = theme.value;
});

const NEXT: Record<ThemeChoice, ThemeChoice> = { system: 'light', light: 'dark', dark: 'system' };

export function nextTheme(): void {
  themeChoice.value = NEXT[themeChoice.value];
}

/** The value of a design token, for canvases. */
export function token(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

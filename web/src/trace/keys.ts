/** The trace page's own keys. */
import { useEffect, useRef } from 'preact/hooks';
import { isShortcut, singleKeysOn } from '../shell/shortcuts';

/** Keys that are no single characters work always, the letters only when they are switched on. */
export type KeyMap = Record<string, (() => void) | undefined>;

export function useKeys(keys: KeyMap): void {
  const latest = useRef(keys);
  latest.current = keys;
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (!isShortcut(event)) return;
      // Buttons, links and separators keep the keys that work on them.
      const target = event.target;
      const own =
        target instanceof HTMLElement &&
        target.matches('button, a, summary, [role="separator"]') &&
        /^(Enter| |ArrowLeft|ArrowRight)$/.test(event.key);
      if (own || (event.key.length === 1 && !singleKeysOn())) return;
      const action = latest.current[event.key];
      if (action === undefined) return;
      event.preventDefault();
      action();
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, []);
}

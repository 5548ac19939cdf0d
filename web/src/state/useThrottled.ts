import { useEffect, useMemo, useRef } from 'preact/hooks';

/** Runs `action` at most once per `intervalMs`, and once more at the end when it was asked for. */
export function useThrottled(action: () => void, intervalMs: number): () => void {
  const latest = useRef(action);
  latest.current = action;
  const timer = useRef<number | null>(null);
  const lastRun = useRef(0);

  useEffect(
    () => () => {
      if (timer.current !== null) window.clearTimeout(timer.current);
    },
    [],
  );

  return useMemo(
    () => () => {
      if (timer.current !== null) return;
      const wait = Math.max(0, lastRun.current + intervalMs - Date.now());
      timer.current = window.setTimeout(() => {
        timer.current = null;
        lastRun.current = Date.now();
        latest.current();
      }, wait);
    },
    [intervalMs],
  );
}

import { useEffect, useRef, useState } from 'preact/hooks';
import { CheckIcon, CopyIcon } from './icons';

const CONFIRM_MS = 1500;

/** The clipboard is missing on plain HTTP from another machine; then the text is selected instead. */
async function copy(text: string, element: HTMLElement | null): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const selection = window.getSelection();
    if (element !== null && selection !== null) selection.selectAllChildren(element);
    return false;
  }
}

function useCopy(text: string) {
  const ref = useRef<HTMLElement>(null);
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return;
    const timer = window.setTimeout(() => setDone(false), CONFIRM_MS);
    return () => window.clearTimeout(timer);
  }, [done]);
  const onClick = async () => setDone(await copy(text, ref.current));
  return { ref, done, onClick };
}

/** A command to run in a terminal. */
export function Command({ text }: { text: string }) {
  const { ref, done, onClick } = useCopy(text);
  return (
    <div class="command">
      <code ref={ref}>{text}</code>
      <button type="button" class="icon-button" onClick={onClick} aria-label={`Copy: ${text}`}>
        {done ? <CheckIcon /> : <CopyIcon />}
      </button>
    </div>
  );
}

/** An identifier that people paste elsewhere. */
export function Identifier({ text, label }: { text: string; label: string }) {
  const { ref, done, onClick } = useCopy(text);
  return (
    <span class="identifier">
      <code ref={ref}>{text}</code>
      <button
        type="button"
        class="icon-button small"
        onClick={onClick}
        aria-label={`Copy ${label}`}
      >
        {done ? <CheckIcon /> : <CopyIcon />}
      </button>
    </span>
  );
}

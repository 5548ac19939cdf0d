import { useEffect, useRef } from 'preact/hooks';
import { CloseIcon } from '../parts/icons';
import { shortcutPreference, toggle } from '../state/preferences';
import { helpOpen } from './shortcuts';

const KEYS: [string, string][] = [
  ['/', 'search field of the page'],
  ['u', 'filter by URL'],
  ['g h · g s · g l', 'go to Home, Search, Logs'],
  ['j · k', 'next, previous row'],
  ['Enter', 'open the row'],
  ['← · →', 'collapse, expand a span'],
  ['[ · ]', 'collapse all, expand all spans'],
  ['n · N', 'next, previous match in a trace'],
  ['e', 'next error in a trace'],
  ['c', 'critical path on, off'],
  ['w · s · a · d', 'zoom in, out, pan left, right'],
  ['Esc', 'close details, reset zoom'],
  ['.', 'live on, off'],
  ['t', 'theme: system, light, dark'],
  ['?', 'this help'],
];

export function HelpDialog() {
  const ref = useRef<HTMLDialogElement>(null);
  const open = helpOpen.value;
  useEffect(() => {
    if (open) ref.current?.showModal();
    else ref.current?.close();
  }, [open]);
  const close = () => {
    helpOpen.value = false;
  };
  return (
    <dialog ref={ref} class="dialog" onClose={close} aria-labelledby="help-title">
      <header class="dialog-head">
        <h2 id="help-title">Keyboard</h2>
        <button type="button" class="icon-button" onClick={close} aria-label="Close">
          <CloseIcon />
        </button>
      </header>
      <dl class="keys">
        {KEYS.map(([key, what]) => (
          <div key={key}>
            <dt>
              {key.split(' ').map((part) => (part === '·' ? ' · ' : <kbd key={part}>{part}</kbd>))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <label class="check">
        <input
          type="checkbox"
          checked={shortcutPreference.value === 'on'}
          onChange={() => toggle(shortcutPreference)}
        />
        Single-key shortcuts
      </label>
    </dialog>
  );
}

import { useState } from 'preact/hooks';
import { navigate } from '../router';
import { traceIdIn, tracePath } from '../routes';

/** Opens a trace by its id, a `traceparent` header, or a link. */
export function TraceJump() {
  const [text, setText] = useState('');
  const [wrong, setWrong] = useState(false);
  const submit = (event: Event) => {
    event.preventDefault();
    const traceId = traceIdIn(text);
    setWrong(traceId === null && text.trim() !== '');
    if (traceId === null) return;
    setText('');
    navigate(tracePath(traceId));
  };
  return (
    <form class="trace-jump" role="search" aria-label="Trace by id" onSubmit={submit}>
      <input
        class="input mono"
        type="text"
        value={text}
        placeholder="Trace id"
        aria-label="Trace id, traceparent or link"
        aria-invalid={wrong}
        aria-describedby={wrong ? 'trace-jump-error' : undefined}
        maxLength={2000}
        spellcheck={false}
        autocomplete="off"
        onInput={(event) => {
          setText(event.currentTarget.value);
          setWrong(false);
        }}
      />
      {wrong && (
        <span class="field-error floating" id="trace-jump-error" role="alert">
          No trace id in this: it has up to 32 hexadecimal digits
        </span>
      )}
    </form>
  );
}

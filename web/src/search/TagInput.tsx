/** The tag field: logfmt with completion of keys and values. */
import { useRef, useState } from 'preact/hooks';
import { formatTag, tokenAt } from '../state/tagQuery';
import { useCompletions } from './completion';

interface Props {
  text: string;
  service: string | null;
  error: string | null;
  onText: (text: string) => void;
}

export function TagInput({ text, service, error, onText }: Props) {
  const input = useRef<HTMLInputElement>(null);
  const [caret, setCaret] = useState<number | null>(null);
  const [chosen, setChosen] = useState(-1);
  const token = caret === null ? null : tokenAt(text, caret);
  const options = useCompletions(token, service);
  const open = options.length > 0;

  const follow = () => {
    setCaret(input.current?.selectionStart ?? null);
    setChosen(-1);
  };

  const accept = (option: string) => {
    if (token === null) return;
    const isKey = token.part === 'key';
    // A value may need quotes, which only the whole tag's spelling knows.
    const insert = isKey ? option : formatTag({ key: '', value: option }).slice(1);
    const rest = text.slice(token.to);
    const separator = isKey ? (rest.startsWith('=') ? '' : '=') : rest.startsWith(' ') ? '' : ' ';
    const next = text.slice(0, token.from) + insert + separator + rest;
    const position = token.from + insert.length + 1;
    onText(next);
    setChosen(-1);
    setCaret(position);
    requestAnimationFrame(() => {
      input.current?.focus();
      input.current?.setSelectionRange(position, position);
    });
  };

  const onKeyDown = (event: KeyboardEvent) => {
    if (!open) return;
    const option = options[chosen];
    if (event.key === 'ArrowDown') setChosen((chosen + 1) % options.length);
    else if (event.key === 'ArrowUp') setChosen(chosen <= 0 ? options.length - 1 : chosen - 1);
    else if (event.key === 'Escape') setCaret(null);
    else if (event.key === 'Enter' && option !== undefined) accept(option);
    else if (event.key === 'Tab' && !event.shiftKey && chosen >= 0 && option !== undefined)
      accept(option);
    else return;
    event.preventDefault();
  };

  return (
    <div class="combobox">
      <input
        ref={input}
        id="search-tags"
        data-page-search
        class="input mono"
        type="text"
        role="combobox"
        aria-expanded={open}
        aria-controls="tag-options"
        aria-autocomplete="list"
        aria-activedescendant={chosen >= 0 ? `tag-option-${chosen}` : undefined}
        aria-invalid={error !== null}
        aria-describedby={error === null ? undefined : 'tag-error'}
        placeholder="http.host=localhost:5000 error=true"
        spellcheck={false}
        autocomplete="off"
        maxLength={4000}
        value={text}
        onInput={(event) => {
          onText(event.currentTarget.value);
          follow();
        }}
        onClick={follow}
        onFocus={follow}
        onKeyUp={(event) => {
          if (/^(ArrowLeft|ArrowRight|Home|End)$/.test(event.key)) follow();
        }}
        onBlur={() => setCaret(null)}
        onKeyDown={onKeyDown}
      />
      <div id="tag-options" class="options" role="listbox" aria-label="Completions" hidden={!open}>
        {options.map((option, index) => (
          <div
            key={option}
            id={`tag-option-${index}`}
            role="option"
            tabIndex={-1}
            class="option mono"
            aria-selected={index === chosen}
            onMouseDown={(event) => {
              event.preventDefault();
              accept(option);
            }}
          >
            {option}
          </div>
        ))}
      </div>
      {error !== null && (
        <span class="field-error" id="tag-error" role="alert">
          {error}
        </span>
      )}
    </div>
  );
}

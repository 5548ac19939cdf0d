import { type LiveState, liveState } from '../api/live';
import { livePreference, toggle } from '../state/preferences';

const WORDS: Record<LiveState, string> = {
  idle: 'Live',
  connecting: 'Live …',
  open: 'Live',
  broken: 'Reconnecting',
};

export function LiveToggle() {
  const on = livePreference.value === 'on';
  const state = liveState.value;
  return (
    <button
      type="button"
      class={`live-toggle ${on ? `live-${state}` : 'live-off'}`}
      aria-pressed={on}
      title={on ? 'New data shows by itself. Press . to pause' : 'Paused. Press . to go live'}
      onClick={() => toggle(livePreference)}
    >
      <span class="live-dot" aria-hidden="true" />
      {on ? WORDS[state] : 'Paused'}
    </button>
  );
}

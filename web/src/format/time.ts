/** Instants in the reader's own time zone. */

const CLOCK = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
});
const DAY = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric' });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'long' });

const MINUTES = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  hourCycle: 'h23',
});

/** Steps of a time axis in seconds: those that people read on clocks. */
const CLOCK_STEPS = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400,
];

/** At most about `most` round times (local) between two instants, with their labels. */
export function timeTicks(
  startMicros: number,
  endMicros: number,
  most: number,
): { micros: number; label: string }[] {
  const span = (endMicros - startMicros) / 1e6;
  if (!(span > 0) || most < 1) return [];
  const days = Math.ceil(span / 86_400 / most) * 86_400;
  const step = CLOCK_STEPS.find((candidate) => span / candidate <= most) ?? days;
  const offset = new Date(startMicros / 1000).getTimezoneOffset() * 60;
  const first = Math.ceil((startMicros / 1e6 - offset) / step) * step + offset;
  const format = step >= 86_400 ? DAY : step >= 60 ? MINUTES : CLOCK;
  const marks: { micros: number; label: string }[] = [];
  for (let seconds = first; seconds * 1e6 <= endMicros; seconds += step) {
    marks.push({ micros: seconds * 1e6, label: format.format(seconds * 1000) });
  }
  return marks;
}

export function formatClock(micros: number): string {
  return CLOCK.format(micros / 1000);
}

/** `14:03:27.512`, with the day before it when that is not today. */
export function formatInstant(micros: number, now: number = Date.now()): string {
  const millis = Math.floor(micros / 1000);
  const fraction = String(((millis % 1000) + 1000) % 1000).padStart(3, '0');
  const clock = `${CLOCK.format(millis)}.${fraction}`;
  const sameDay = new Date(millis).toDateString() === new Date(now).toDateString();
  return sameDay ? clock : `${DAY.format(millis)}, ${clock}`;
}

export function formatFull(micros: number): string {
  return FULL.format(micros / 1000);
}

/** `4 min ago`; the past only, since clocks that run ahead would read oddly. */
export function formatAgo(micros: number, now: number = Date.now()): string {
  const seconds = Math.max(0, Math.round(now / 1000 - micros / 1e6));
  if (seconds < 2) return 'just now';
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}

/** The value of an `<input type="datetime-local">`, in local time with seconds. */
export function toLocalInput(micros: number): string {
  const date = new Date(micros / 1000);
  const local = new Date(date.getTime() - date.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 19);
}

export function fromLocalInput(text: string): number | null {
  const millis = new Date(text).getTime();
  return Number.isFinite(millis) ? millis * 1000 : null;
}

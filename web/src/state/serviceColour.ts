/** One colour per service: by its name, moved on only when another service has that colour. */

export const PALETTE_SIZE = 12;

/** Beyond this many services, colours repeat anyway and only the hash decides. */
const MAX_REMEMBERED = 256;

const assigned = new Map<string, number>();

function hash(name: string): number {
  let value = 2166136261;
  for (let i = 0; i < name.length; i++) {
    value = Math.imul(value ^ name.charCodeAt(i), 16777619);
  }
  return value >>> 0;
}

export function colourIndex(service: string): number {
  const known = assigned.get(service);
  if (known !== undefined) return known;
  const preferred = hash(service) % PALETTE_SIZE;
  const taken = new Set(assigned.values());
  let index = preferred;
  for (let step = 0; step < PALETTE_SIZE; step++) {
    const candidate = (preferred + step) % PALETTE_SIZE;
    if (!taken.has(candidate)) {
      index = candidate;
      break;
    }
  }
  if (assigned.size < MAX_REMEMBERED) assigned.set(service, index);
  return index;
}

/** As a reference to a design token, for styles. */
export function serviceColour(service: string): string {
  return `var(${serviceToken(service)})`;
}

export function serviceToken(service: string): string {
  return `--service-${colourIndex(service)}`;
}

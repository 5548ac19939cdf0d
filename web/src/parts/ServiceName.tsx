import { serviceColour } from '../state/serviceColour';

/** A service's name with its colour. */
export function ServiceName({ name }: { name: string }) {
  return (
    <span class="service" title={name}>
      <span class="service-dot" style={{ background: serviceColour(name) }} aria-hidden="true" />
      <span class="service-name">{name}</span>
    </span>
  );
}

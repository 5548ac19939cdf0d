import type { Attribute } from '../api/types';
import { searchPath } from '../state/searchQuery';
import { attributeText } from './attributeText';
import { FilterIcon } from './icons';

/** Longer values are cut in the table, and whole in their tooltip and when copied. */
const MAX_SHOWN = 2000;

interface Props {
  attributes: Attribute[];
  /** Gives each value a link that searches for it. */
  filter?: boolean;
}

export function Attributes({ attributes, filter = false }: Props) {
  if (attributes.length === 0) return <p class="muted">none</p>;
  return (
    <dl class="attributes">
      {attributes.map((attribute) => {
        const text = attributeText(attribute);
        const { key } = attribute;
        return (
          <div class="attribute" key={key}>
            <dt title={key}>{key}</dt>
            <dd class={`value-${attribute.type}`}>
              <span class="value">
                {text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)} …` : text}
              </span>
              {filter && text.length <= MAX_SHOWN && (
                <a
                  class="icon-button small"
                  href={searchPath({ tags: [{ key, value: text }] })}
                  aria-label={`Search for ${key}=${text.slice(0, 80)}`}
                  title={`Search traces with this ${key}`}
                >
                  <FilterIcon />
                </a>
              )}
            </dd>
          </div>
        );
      })}
    </dl>
  );
}

import type { Attribute } from '../api/types';

/** An attribute's value as text; never as markup. */
export function attributeText(attribute: Attribute): string {
  const { value } = attribute;
  if (typeof value === 'string') return value;
  if (value === null || value === undefined) return '';
  if (typeof value === 'object') return JSON.stringify(value);
  return String(value);
}

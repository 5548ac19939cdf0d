/** What a browser has to load before it shows anything. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { expect, it } from 'vitest';

const DIST = fileURLToPath(new URL('../../dist', import.meta.url));
const MAX_SCRIPT_BYTES = 80_000;

it('has small scripts, and all of them on this server', () => {
  const page = readFileSync(`${DIST}/index.html`, 'utf8');
  const links = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? '');
  expect(links.length).toBeGreaterThan(2);
  expect(links.filter((link) => !link.startsWith('/') || link.startsWith('//'))).toEqual([]);
  const scripts = readdirSync(`${DIST}/assets`).filter((name) => name.endsWith('.js'));
  const bytes = scripts.map((name) => gzipSync(readFileSync(`${DIST}/assets/${name}`)).length);
  expect(bytes.length).toBeGreaterThan(0);
  expect(bytes.reduce((sum, size) => sum + size, 0)).toBeLessThan(MAX_SCRIPT_BYTES);
});

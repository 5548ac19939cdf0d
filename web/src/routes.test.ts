import { expect, it } from 'vitest';
import { parseRoute, traceIdIn } from './routes';

const ID = '4bf92f3577b34da6a3ce929d0e0e4736';

it.each([
  ['/', { page: 'home' }],
  ['/search', { page: 'search' }],
  ['/search/', { page: 'search' }],
  ['/logs', { page: 'logs' }],
  [`/trace/${ID}`, { page: 'trace', traceId: ID }],
  [`/trace/${ID.toUpperCase()}`, { page: 'trace', traceId: ID }],
  ['/trace/5', { page: 'trace', traceId: '5' }],
  ['/trace/no', { page: 'unknown', path: '/trace/no' }],
  [`/trace/${ID}0`, { page: 'unknown', path: `/trace/${ID}0` }],
  ['/nowhere', { page: 'unknown', path: '/nowhere' }],
])('route of %s', (path, route) => {
  expect(parseRoute(path)).toEqual(route);
});

it.each([
  [ID, ID],
  [`  ${ID.toUpperCase()} `, ID],
  [`00-${ID}-00f067aa0ba902b7-01`, ID],
  [`traceparent: 00-${ID}-00f067aa0ba902b7-01`, ID],
  [`http://localhost:16686/trace/${ID}?uiFind=x`, ID],
  [`http://localhost:9411/zipkin/traces/${ID}`, ID],
  ['hello', null],
  ['', null],
  [`${ID}ff`, null],
])('trace id in %j', (text, id) => {
  expect(traceIdIn(text)).toBe(id);
});

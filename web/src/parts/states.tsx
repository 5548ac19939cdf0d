/** What every view shows when it has nothing to show. */
import type { ComponentChildren } from 'preact';
import type { ApiError } from '../api/client';
import { ErrorIcon } from './icons';

export function Loading({ what }: { what: string }) {
  return (
    <div class="state" role="status">
      <span class="spinner" aria-hidden="true" />
      <p>Loading {what} …</p>
    </div>
  );
}

export function Failure({ error, retry }: { error: ApiError; retry: () => void }) {
  return (
    <div class="state" role="alert">
      <ErrorIcon />
      <p class="state-title">{error.status === 0 ? 'No connection' : `Error ${error.status}`}</p>
      <p class="state-text">{error.message}</p>
      <button type="button" class="button" onClick={retry}>
        Try again
      </button>
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="state">
      <p class="state-title">{title}</p>
      {children}
    </div>
  );
}

/** A line above content that is still there but no longer fresh. */
export function StaleNotice({ error, retry }: { error: ApiError; retry: () => void }) {
  return (
    <div class="notice notice-error" role="alert">
      <ErrorIcon />
      <span>Not up to date: {error.message}</span>
      <button type="button" class="link-button" onClick={retry}>
        Try again
      </button>
    </div>
  );
}

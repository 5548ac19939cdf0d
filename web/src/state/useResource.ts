/** What a page reads from the server: loading, an answer, or an error, never two of them wrongly. */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from '../api/client';

export interface Resource<T> {
  /** The last good answer for this key; stays while it is read again. */
  data: T | null;
  error: ApiError | null;
  loading: boolean;
  reload: () => void;
  /** Changes the answer in place, when the live stream knows better. */
  update: (change: (data: T) => T) => void;
}

interface State<T> {
  key: string | null;
  data: T | null;
  error: ApiError | null;
  loading: boolean;
}

/**
 * Loads when `key` changes (null: nothing to load) and on `reload`. Answers that come after the
 * key has changed are dropped. A reload that comes while one runs is done once, after it.
 */
export function useResource<T>(
  key: string | null,
  load: (signal: AbortSignal) => Promise<T>,
): Resource<T> {
  const [state, setState] = useState<State<T>>({
    key,
    data: null,
    error: null,
    loading: key !== null,
  });
  const loader = useRef(load);
  loader.current = load;
  const run = useRef<(() => void) | null>(null);

  useEffect(() => {
    if (key === null) {
      setState({ key, data: null, error: null, loading: false });
      return;
    }
    const abort = new AbortController();
    let running = false;
    let again = false;
    const start = async () => {
      if (running) {
        again = true;
        return;
      }
      running = true;
      setState((old) => ({
        key,
        data: old.key === key ? old.data : null,
        error: old.key === key ? old.error : null,
        loading: true,
      }));
      try {
        const data = await loader.current(abort.signal);
        if (!abort.signal.aborted) setState({ key, data, error: null, loading: false });
      } catch (cause) {
        if (abort.signal.aborted) return;
        const error = cause instanceof ApiError ? cause : new ApiError(0, String(cause));
        setState((old) => ({ key, data: old.data, error, loading: false }));
      }
      running = false;
      if (again && !abort.signal.aborted) {
        again = false;
        void start();
      }
    };
    run.current = () => void start();
    void start();
    return () => {
      run.current = null;
      abort.abort();
    };
  }, [key]);

  const reload = useCallback(() => run.current?.(), []);
  const update = useCallback((change: (data: T) => T) => {
    setState((old) => (old.data === null ? old : { ...old, data: change(old.data) }));
  }, []);

  const current = state.key === key;
  return {
    data: current ? state.data : null,
    error: current ? state.error : null,
    loading: current ? state.loading : key !== null,
    reload,
    update,
  };
}

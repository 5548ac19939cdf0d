/** What to do before there is any data: three steps, each ticked off by what the server has seen. */
import type { StatusAnswer } from '../api/types';
import { Command } from '../parts/Copy';
import { CheckIcon } from '../parts/icons';

interface Props {
  status: StatusAnswer | null;
}

function Step(props: {
  done: boolean;
  title: string;
  number: number;
  children?: preact.ComponentChildren;
}) {
  return (
    <li class={props.done ? 'is-done' : ''}>
      <span class="step-mark" aria-hidden="true">
        {props.done ? <CheckIcon /> : props.number}
      </span>
      <div>
        <h2>
          {props.title}
          <span class="visually-hidden">{props.done ? ' (done)' : ' (to do)'}</span>
        </h2>
        {props.children}
      </div>
    </li>
  );
}

export function GettingStarted({ status }: Props) {
  return (
    <section class="getting-started">
      <h1>See what your app does</h1>
      <p class="state-text">
        No spans yet. Run your app under Carafe, with no change to its code, and send it a request.
      </p>
      <ol class="steps">
        <Step number={1} done={status !== null} title="Carafe listens">
          <p class="muted">
            {status === null
              ? 'Waiting for the server to answer.'
              : `Version ${status.version}, OTLP on ports 4317 (gRPC) and 4318 (HTTP).`}
          </p>
        </Step>
        <Step number={2} done={false} title="Run your app">
          <Command text="carafe run -- flask run -p 5000" />
          <p class="muted">
            Any command works: <code>carafe run -- node server.js</code>. No app at hand?{' '}
            <code>carafe todo</code> is one.
          </p>
        </Step>
        <Step number={3} done={false} title="Send it a request">
          <Command text="curl http://localhost:5000/" />
          <p class="waiting" role="status">
            <span class="live-dot" aria-hidden="true" /> Waiting for the first span. This page
            changes by itself.
          </p>
        </Step>
      </ol>
      <p class="muted">
        Already instrumented? Send OTLP here:{' '}
        <code>OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318</code>
      </p>
    </section>
  );
}

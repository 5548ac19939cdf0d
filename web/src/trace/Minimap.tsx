/** The whole trace at a glance; a drag zooms into a part of it. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { ColumnarTrace } from '../api/types';
import { formatDuration, ticks } from '../format/duration';
import { serviceToken } from '../state/serviceColour';
import { theme, token } from '../state/theme';
import { type View, WHOLE } from './layout';

interface Props {
  trace: ColumnarTrace;
  view: View;
  onView: (view: View) => void;
}

const HEIGHT = 56;
const RULER = 16;
const MIN_DRAG_PX = 4;

function draw(canvas: HTMLCanvasElement, trace: ColumnarTrace, width: number): void {
  const context = canvas.getContext('2d');
  if (context === null) return;
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(HEIGHT * ratio);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  const total = Math.max(trace.durationMicros, 1e-3);

  context.font = '11px system-ui, sans-serif';
  context.textBaseline = 'middle';
  context.strokeStyle = token('--grid');
  for (const tick of ticks(0, total, Math.max(2, Math.floor(width / 140)))) {
    const x = (tick / total) * width;
    context.beginPath();
    context.moveTo(Math.round(x) + 0.5, 0);
    context.lineTo(Math.round(x) + 0.5, HEIGHT);
    context.stroke();
    const text = formatDuration(tick);
    if (x + context.measureText(text).width + 8 > width) continue;
    context.fillStyle = token('--text-muted');
    context.fillText(text, x + 5, RULER / 2 + 1);
  }

  const { spans } = trace;
  const count = spans.id.length;
  const room = HEIGHT - RULER - 4;
  const lane = Math.min(room / Math.max(count, 1), 6);
  const thickness = Math.max(1, Math.min(lane - 1, 4));
  const colours = trace.services.map((name) => token(serviceToken(name)));
  const error = token('--error-mark');
  for (let span = 0; span < count; span++) {
    const x = ((spans.start[span] ?? 0) / total) * width;
    const length = Math.max(((spans.duration[span] ?? 0) / total) * width, 1);
    context.fillStyle =
      spans.status[span] === 2 ? error : (colours[spans.service[span] ?? 0] ?? error);
    context.fillRect(x, RULER + span * lane, length, thickness);
  }
}

export function Minimap({ trace, view, onView }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const [drag, setDrag] = useState<{ from: number; to: number } | null>(null);
  const currentTheme = theme.value;

  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  useEffect(() => {
    if (canvas.current !== null && width > 0) draw(canvas.current, trace, width);
  }, [trace, width, currentTheme]);

  const shareAt = (event: PointerEvent) => {
    const rectangle = box.current?.getBoundingClientRect();
    if (rectangle === undefined || rectangle.width === 0) return 0;
    return Math.min(1, Math.max(0, (event.clientX - rectangle.left) / rectangle.width));
  };

  const shown =
    drag === null ? view : { from: Math.min(drag.from, drag.to), to: Math.max(drag.from, drag.to) };
  const zoomed = shown.from > 0 || shown.to < 1;

  return (
    <div
      ref={box}
      class="minimap"
      title="Drag to zoom, double-click to see all"
      onPointerDown={(event) => {
        if (event.button !== 0) return;
        event.currentTarget.setPointerCapture(event.pointerId);
        const share = shareAt(event);
        setDrag({ from: share, to: share });
      }}
      onPointerMove={(event) => {
        if (drag !== null) setDrag({ ...drag, to: shareAt(event) });
      }}
      onPointerUp={() => {
        if (drag !== null && Math.abs(drag.to - drag.from) * width >= MIN_DRAG_PX) onView(shown);
        setDrag(null);
      }}
      onPointerCancel={() => setDrag(null)}
      onDblClick={() => onView(WHOLE)}
    >
      <canvas ref={canvas} role="img" aria-label="Overview of the trace" />
      {zoomed && (
        <>
          <span class="minimap-shade" style={{ left: 0, width: `${shown.from * 100}%` }} />
          <span class="minimap-shade" style={{ right: 0, width: `${(1 - shown.to) * 100}%` }} />
          <button
            type="button"
            class="button minimap-reset"
            onPointerDown={(event) => event.stopPropagation()}
            onClick={() => onView(WHOLE)}
          >
            Reset zoom
          </button>
        </>
      )}
    </div>
  );
}

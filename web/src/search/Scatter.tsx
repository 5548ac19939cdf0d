/** Duration of every found trace over time. The result list below holds the same for screen readers. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { TraceSummary } from '../api/types';
import { formatDuration } from '../format/duration';
import { plural } from '../format/number';
import { formatInstant, timeTicks } from '../format/time';
import { navigate } from '../router';
import { tracePath } from '../routes';
import { serviceToken } from '../state/serviceColour';
import { theme, token } from '../state/theme';
import {
  type Area,
  type Dot,
  nearestDot,
  type ScatterLayout,
  scatterLayout,
} from './scatterLayout';

interface Props {
  traces: TraceSummary[];
  startMicros: number;
  endMicros: number;
}

const HEIGHT = 136;
const REACH_PX = 8;

function areaOf(width: number): Area {
  return { left: 60, top: 8, width: Math.max(width - 76, 1), height: HEIGHT - 32 };
}

function drawDot(context: CanvasRenderingContext2D, dot: Dot, emphasis: boolean): void {
  const { x, y } = dot;
  const radius = dot.radius + (emphasis ? 2 : 0);
  const failed = dot.trace.errorCount > 0;
  context.beginPath();
  if (failed) {
    const side = radius + 1.5;
    context.moveTo(x, y - side);
    context.lineTo(x + side, y);
    context.lineTo(x, y + side);
    context.lineTo(x - side, y);
    context.closePath();
  } else {
    context.arc(x, y, radius, 0, Math.PI * 2);
  }
  const colour = token(failed ? '--error-mark' : serviceToken(dot.trace.rootService));
  context.globalAlpha = emphasis ? 1 : 0.6;
  context.fillStyle = colour;
  context.fill();
  context.globalAlpha = 1;
  context.lineWidth = emphasis ? 2 : 1;
  context.strokeStyle = emphasis ? token('--text') : colour;
  context.stroke();
}

function draw(
  canvas: HTMLCanvasElement,
  layout: ScatterLayout,
  area: Area,
  props: Props,
  hovered: Dot | null,
): void {
  const context = canvas.getContext('2d');
  if (context === null) return;
  const ratio = window.devicePixelRatio || 1;
  const width = area.left + area.width + 16;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(HEIGHT * ratio);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.font = '11px system-ui, sans-serif';
  context.fillStyle = token('--text-muted');
  context.strokeStyle = token('--grid');
  context.textAlign = 'right';
  context.textBaseline = 'middle';
  for (const tick of layout.yTicks) {
    if (tick.y < area.top - 1) continue;
    context.beginPath();
    context.moveTo(area.left, Math.round(tick.y) + 0.5);
    context.lineTo(area.left + area.width, Math.round(tick.y) + 0.5);
    context.stroke();
    context.fillText(formatDuration(tick.micros), area.left - 8, tick.y);
  }
  context.textAlign = 'center';
  context.textBaseline = 'bottom';
  const span = props.endMicros - props.startMicros;
  const most = Math.max(2, Math.floor(area.width / 110));
  for (const mark of timeTicks(props.startMicros, props.endMicros, most)) {
    const x = area.left + ((mark.micros - props.startMicros) / span) * area.width;
    context.beginPath();
    context.moveTo(Math.round(x) + 0.5, area.top);
    context.lineTo(Math.round(x) + 0.5, area.top + area.height);
    context.stroke();
    const half = context.measureText(mark.label).width / 2;
    context.fillText(mark.label, Math.min(x, width - half - 2), HEIGHT - 4);
  }
  for (const dot of layout.dots) if (dot !== hovered) drawDot(context, dot, false);
  if (hovered !== null) drawDot(context, hovered, true);
}

function Tooltip({ dot, width }: { dot: Dot; width: number }) {
  const { trace } = dot;
  const onLeft = dot.x > width / 2;
  return (
    <div
      class="tooltip"
      style={{
        top: `${Math.min(dot.y, HEIGHT - 70)}px`,
        ...(onLeft ? { right: `${width - dot.x + 14}px` } : { left: `${dot.x + 14}px` }),
      }}
    >
      <b class="clip">
        {trace.rootService}: {trace.rootOperation}
      </b>
      <span>
        {formatDuration(trace.durationMicros)} · {plural(trace.spanCount, 'span')}
        {trace.errorCount > 0 && ` · ${plural(trace.errorCount, 'error')}`}
      </span>
      <span class="muted">{formatInstant(trace.startMicros)}</span>
    </div>
  );
}

export function Scatter(props: Props) {
  const { traces, startMicros, endMicros } = props;
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const [hoveredId, setHoveredId] = useState<string | null>(null);
  const currentTheme = theme.value;

  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const area = areaOf(width);
  const layout = scatterLayout(traces, startMicros, endMicros, area);
  const hovered = layout.dots.find((dot) => dot.trace.traceId === hoveredId) ?? null;
  useEffect(() => {
    if (canvas.current !== null && width > 0) draw(canvas.current, layout, area, props, hovered);
  }, [traces, startMicros, endMicros, width, hoveredId, currentTheme]);

  const dotAt = (event: MouseEvent): Dot | null => {
    const rectangle = canvas.current?.getBoundingClientRect();
    if (rectangle === undefined) return null;
    const x = event.clientX - rectangle.left;
    const y = event.clientY - rectangle.top;
    return nearestDot(layout.dots, x, y, REACH_PX);
  };

  return (
    <div class="scatter" ref={box}>
      <canvas
        ref={canvas}
        class={hovered === null ? '' : 'on-dot'}
        role="img"
        aria-label={`Duration of ${traces.length} traces over time; the list below has the same traces`}
        onMouseMove={(event) => setHoveredId(dotAt(event)?.trace.traceId ?? null)}
        onMouseLeave={() => setHoveredId(null)}
        onClick={(event) => {
          const dot = dotAt(event);
          if (dot !== null) navigate(tracePath(dot.trace.traceId));
        }}
      />
      {hovered !== null && <Tooltip dot={hovered} width={width} />}
    </div>
  );
}

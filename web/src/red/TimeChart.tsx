/** The one wrapper around uPlot: a small chart over time with a shared cursor. */
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { theme, token } from '../state/theme';
import { lonePoints } from './redSeries';

export interface Line {
  label: string;
  colour: string;
  values: (number | null)[];
  style: 'bars' | 'line';
}

/** Logarithmic for latency, so that one slow request does not flatten all others. */
export type Scale = 'linear' | 'log';

interface Props {
  /** Says in words what the chart shows, for those who cannot see it. */
  description: string;
  /** Seconds since the epoch. */
  times: number[];
  lines: Line[];
  scale: Scale;
  from: number;
  to: number;
  formatValue: (value: number) => string;
  onZoom: (fromSeconds: number, toSeconds: number) => void;
  onHover: (index: number | null) => void;
}

const HEIGHT = 92;
const SYNC_KEY = 'red';
/** Narrower drags are clicks that slipped. */
const MIN_DRAG_PX = 6;
/** Room for a label like "12.5 ms". */
const AXIS_WIDTH = 52;

const clock = (seconds: number) =>
  new Date(seconds * 1000).toLocaleTimeString(undefined, {
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });

const clockWithSeconds = (seconds: number) =>
  new Date(seconds * 1000).toLocaleTimeString(undefined, {
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
  });

function series(line: Line): uPlot.Series {
  const colour = () => token(line.colour);
  if (line.style === 'bars') {
    const bars = uPlot.paths.bars?.({ size: [0.75, 24], align: 1 });
    return {
      label: line.label,
      stroke: colour,
      fill: colour,
      width: 0,
      points: { show: false },
      ...(bars ? { paths: bars } : {}),
    };
  }
  return {
    label: line.label,
    stroke: colour,
    width: 1.5,
    points: {
      show: true,
      size: 5,
      fill: colour,
      stroke: colour,
      filter: (chart, index) => lonePoints(chart.data[index] ?? []),
    },
  };
}

/** What a logarithmic axis shows while there is nothing on it: 1 ms to 1 s. */
const EMPTY_LOG: [number, number] = [1e3, 1e6];

function yScale(scale: Scale): uPlot.Scale {
  if (scale === 'linear') {
    return { range: (_chart, _min, max) => [0, max > 0 ? max * 1.1 : 1] };
  }
  return {
    distr: 3,
    range: (_chart, min, max) => {
      if (!(min > 0) || !(max > 0)) return EMPTY_LOG;
      const low = Math.floor(Math.log10(min));
      return [10 ** low, 10 ** Math.max(Math.ceil(Math.log10(max)), low + 1)];
    },
  };
}

function isPowerOfTen(value: number): boolean {
  const power = Math.log10(value);
  return Math.abs(power - Math.round(power)) < 1e-6;
}

function options(props: { current: Props }, width: number): uPlot.Options {
  // A logarithmic axis is divided into nine per decade; only the decades are worth a line.
  const labelled = (_chart: uPlot, splits: number[]) =>
    splits.map((split) => (props.current.scale === 'linear' || isPowerOfTen(split) ? split : null));
  const font = '11px system-ui, sans-serif';
  return {
    width,
    height: HEIGHT,
    padding: [6, 8, 0, 0],
    legend: { show: false },
    cursor: {
      sync: { key: SYNC_KEY },
      y: false,
      points: { size: 5 },
      drag: { x: true, y: false, setScale: false },
    },
    scales: {
      x: { time: true, range: () => [props.current.from, props.current.to] },
      y: yScale(props.current.scale),
    },
    axes: [
      {
        stroke: () => token('--text-muted'),
        font,
        size: 22,
        gap: 4,
        space: 64,
        ticks: { show: false },
        grid: { show: false },
        values: (_chart, splits) => {
          const dense = (splits[1] ?? 60) - (splits[0] ?? 0) < 60;
          return splits.map(dense ? clockWithSeconds : clock);
        },
      },
      {
        stroke: () => token('--text-muted'),
        font,
        size: AXIS_WIDTH,
        gap: 6,
        space: props.current.scale === 'log' ? 1 : 22,
        ticks: { show: false },
        grid: { stroke: () => token('--grid'), width: 1, filter: labelled },
        filter: labelled,
        values: (_chart, splits) =>
          splits.map((split) => (split === null ? '' : props.current.formatValue(split))),
      },
    ],
    series: [{}, ...props.current.lines.map(series)],
    hooks: {
      setSelect: [
        (chart) => {
          const { left, width: dragged } = chart.select;
          if (dragged < MIN_DRAG_PX) return;
          const from = chart.posToVal(left, 'x');
          const to = chart.posToVal(left + dragged, 'x');
          chart.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
          props.current.onZoom(from, to);
        },
      ],
      setCursor: [
        (chart) => {
          const index = chart.cursor.idx;
          const outside = (chart.cursor.left ?? -1) < 0;
          props.current.onHover(outside || index === null || index === undefined ? null : index);
        },
      ],
    },
  };
}

export function TimeChart(props: Props) {
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const { times, lines, from, to } = props;

  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const plot = new uPlot(options(latest, element.clientWidth || 300), [[]], element);
    chart.current = plot;
    const observer = new ResizeObserver(() => {
      if (element.clientWidth > 0) plot.setSize({ width: element.clientWidth, height: HEIGHT });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      plot.destroy();
      chart.current = null;
    };
  }, []);

  useEffect(() => {
    chart.current?.setData([times, ...lines.map((line) => line.values)]);
  }, [times, lines, from, to]);

  const currentTheme = theme.value;
  useEffect(() => {
    if (currentTheme) chart.current?.redraw();
  }, [currentTheme]);

  return <div ref={box} class="time-chart" role="img" aria-label={props.description} />;
}

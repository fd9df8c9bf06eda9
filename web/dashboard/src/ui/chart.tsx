import { useId } from "react";
import { area, dots, line, niceMax } from "../lib/chart";
import { clock } from "../lib/format";

const box = { width: 300, height: 96 };

export interface Series {
  name: string;
  values: readonly number[];
  className?: string;
}
interface Props {
  title: string;
  series: readonly Series[];
  at: readonly string[];
  show: (value: number) => string;
  max?: number;
}

/** One small chart: its last value in words, the course as a line, the range at its edges. */
export function Chart({ title, series, at, show, max }: Props) {
  const id = useId();
  const top = max ?? niceMax(Math.max(0, ...series.flatMap((one) => one.values)));
  const some = series.some((one) => one.values.length > 0);
  const said = series
    .map((one) => `${one.name} ${one.values.length ? show(one.values[one.values.length - 1] ?? 0) : "unknown"}`)
    .join(", ");
  return (
    <figure className="chart" aria-labelledby={id}>
      <figcaption id={id}>
        <span className="name">{title}</span>
        <span className="last">
          {series.map((one) => (
            <span key={one.name} className={one.className ?? "one"}>
              {series.length > 1 && <span className="key">{one.name} </span>}
              {one.values.length ? show(one.values[one.values.length - 1] ?? 0) : "unknown"}
            </span>
          ))}
        </span>
      </figcaption>
      <svg viewBox={`0 -4 ${box.width} ${box.height + 8}`} preserveAspectRatio="none" role="img" aria-label={`${title}: ${said}`}>
        {[0, 0.5, 1].map((part) => (
          <line key={part} className="grid" x1="0" x2={box.width} y1={box.height * part} y2={box.height * part} />
        ))}
        {series.map((one) => {
          const points = dots(one.values, top, box);
          const shown = points.length === 1 ? [{ x: 0, y: points[0]?.y ?? 0 }, ...points] : points;
          return (
            <g key={one.name} className={one.className ?? "one"}>
              {series.length === 1 && <path className="area" d={area(shown, box)} />}
              <path className="line" d={line(shown)} vectorEffect="non-scaling-stroke" />
            </g>
          );
        })}
      </svg>
      <div className="edges" aria-hidden="true">
        <span>{some ? clock(at[0]).slice(11, 16) : "no data yet"}</span>
        <span>up to {show(top)}</span>
        <span>{some ? clock(at[at.length - 1]).slice(11, 16) : ""}</span>
      </div>
    </figure>
  );
}

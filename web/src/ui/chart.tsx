// Small pictures of numbers: the flag, an interval, the differential against reference ranges.

import type { SlideReport } from "../statistics/report";
import type { Interval } from "../statistics/intervals";
import { className, useNumbers, usePage } from "./context";

const SIGNS: Record<string, string> = { flagged: "▲", insufficient: "?", "not flagged": "○" };

export function FlagPill({ state, tier }: { state: string; tier: string }) {
  const { say } = usePage();
  return (
    <span class={`pill ${state.replace(" ", "-")}`}>
      <span aria-hidden="true">{SIGNS[state] ?? ""} </span>{say(`state.${state}`)}{tier && <span class="tier"> · {say(`tier.${tier}`).replace(/^tier\./, "")}</span>}
    </span>
  );
}

export function IntervalBar({ percent, interval, most }: { percent: number; interval: Interval; most: number }) {
  const { say } = usePage();
  const number = useNumbers();
  if (!Number.isFinite(interval[0])) return <span class="quiet">–</span>;
  const x = (value: number): number => (100 * Math.min(value, most)) / most;
  const told = say("chart.interval", { low: number(interval[0]), high: number(interval[1]) });
  return (
    <span class="interval">
      <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
        <rect class="track" x="0" y="4" width="100" height="2" />
        <rect class="whisker" x={x(interval[0])} y="3" width={Math.max(x(interval[1]) - x(interval[0]), 0.8)} height="4" />
        {Number.isFinite(percent) && <rect class="point" x={Math.max(x(percent) - 0.8, 0)} y="0" width="1.6" height="10" />}
      </svg>
      <span>{told}</span>
    </span>
  );
}

/** The differential as bars with intervals, over the range of healthy adults. */
export function DifferentialChart({ report }: { report: SlideReport }) {
  const { desk, say } = usePage();
  const number = useNumbers();
  const { counted } = desk.run.by;
  const row = 26;
  const left = 150;
  const width = 430;
  const x = (percent: number): number => left + (percent / 100) * width;
  const height = counted.length * row + 26;
  return (
    <figure class="chart">
      <svg viewBox={`0 0 ${left + width + 20} ${height}`} role="img" aria-label={say("chart.title")}>
        {[0, 20, 40, 60, 80, 100].map((tick) => (
          <g key={tick}><line class="grid" x1={x(tick)} x2={x(tick)} y1="0" y2={height - 20} /><text class="tick" x={x(tick)} y={height - 6}>{tick} %</text></g>
        ))}
        {counted.map((name, k) => {
          const y = k * row + 4;
          const range = desk.run.ranges[name];
          const [low, high] = report.intervals[k]!;
          const color = desk.run.classes.find((c) => c.name === name)?.color ?? "gray";
          return (
            <g key={name}>
              {range && <rect class="range" x={x(range[0])} y={y} width={Math.max(x(range[1]) - x(range[0]), 2)} height={row - 8} />}
              <text class="name" x={left - 8} y={y + 13}>{className(say, name)}</text>
              {report.total > 0 && <>
                <rect x={x(0)} y={y + 4} width={Math.max(x(report.percent[k]!) - x(0), 0)} height={row - 16} fill={color} class="value" />
                <line class="whisker" x1={x(low)} x2={x(high)} y1={y + 9} y2={y + 9} />
                <line class="whisker" x1={x(low)} x2={x(low)} y1={y + 5} y2={y + 13} /><line class="whisker" x1={x(high)} x2={x(high)} y1={y + 5} y2={y + 13} />
                <text class="figure" x={Math.min(x(high) + 6, left + width - 18)} y={y + 13}>{number(report.percent[k]!)}</text>
              </>}
            </g>
          );
        })}
      </svg>
      <figcaption class="quiet">{say("chart.legend", { level: number(100 * report.level, report.level === 0.95 ? 0 : 2), source: desk.run.ranges_source })}</figcaption>
    </figure>
  );
}

// Fine types beside the types that they are within: on a cell, and counted on the slide.

import { countFine, fineOf, hasLostFine } from "../model/fine";
import type { Reading } from "../model/reading";
import { exactInterval } from "../statistics/intervals";
import type { SlideReport } from "../statistics/report";
import { className, useNumbers, usePage } from "./context";

/** The finer guess of one cell, or that a person's word took it away. */
export function FineLine({ reading, cell }: { reading: Reading; cell: number }) {
  const { say } = usePage();
  const guess = fineOf(reading, cell);
  if (guess) {
    const name = className(say, guess.name, "fine_type");
    const p = guess.probability === null ? "" : Math.round(100 * guess.probability);
    const told = say("fine.cell", { name, p });
    return <span class="finer" title={told}><span class="unseen">, {told}</span><bdi aria-hidden="true">{name}</bdi>{" "}<span class="p" aria-hidden="true">{p}<span class="unit"> %</span></span></span>;
  }
  return hasLostFine(reading, cell) ? <span class="finer" title={say("fine.lost")}><span><span class="unseen">, </span>{say("fine.lost")}</span></span> : null;
}

/** Fine types that were counted, closed until asked for: the differential comes first. */
export function FineTypes({ reading, report }: { reading: Reading; report: SlideReport }) {
  const { desk, say } = usePage();
  const number = useNumbers();
  const { of, without } = countFine(reading, desk.run.by.counted);
  const rows = (reading.slide.fine?.names ?? []).filter((name) => of.has(name));
  if (!reading.slide.fine || rows.length + without === 0) return null;
  return (
    <details class="card fine" id="fine">
      <summary>{say("fine.title")}</summary>
      {!report.is_like_labeled ? <p>{say("fine.withheld", { percent: number(report.unnamed_percent, 0) })}</p> : (
        <table class="counts">
          <thead><tr><th scope="col">{say("fine.type")}</th><th scope="col" class="number">n</th><th scope="col" class="number">%</th>
            <th scope="col" class="number">{number(100 * report.level, report.level === 0.95 ? 0 : 2)} %</th></tr></thead>
          <tbody>
            {rows.map((name) => {
              const n = of.get(name)!;
              const [low, high] = exactInterval(n, report.total, report.level);
              return (
                <tr key={name} data-fine={name}>
                  <th scope="row"><bdi>{className(say, name, "fine_type")}</bdi></th>
                  <td class="number">{n}</td><td class="number">{number((100 * n) / report.total)}</td><td class="number quiet">{number(low)}–{number(high)}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      )}
      <p class="quiet">{say("fine.note")}</p>
      {without > 0 && <p class="quiet" id="without-fine">{say("fine.without", { n: without })}</p>}
    </details>
  );
}

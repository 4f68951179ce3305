import { useState } from "preact/hooks";
import type { Reading } from "../model/reading";
import type { SlideReport } from "../statistics/report";
import { FlagPill } from "./chart";
import { className, useNumbers, usePage } from "./context";
import { FineTypes } from "./fine";

interface Props {
  index: number;
  reading: Reading;
  report: SlideReport;
}

export function Sidebar({ index, reading, report }: Props) {
  const { desk, say } = usePage();
  const entry = desk.run.slides[index]!;
  return (
    <aside class="side" aria-label={say("side.title")}>
      <h1><bdi>{entry.name}</bdi></h1>
      <div class="card" id="flag" data-state={report.flag.state}>
        <FlagPill state={report.flag.state} tier={report.flag.tier} />
        <BlastLine report={report} />
        <details><summary>{say("side.why")}</summary><p id="reason">{report.flag.reason}</p></details>
      </div>
      <Counts report={report} reading={reading} />
      <FineTypes reading={reading} report={report} />
      <Sign index={index} reading={reading} report={report} />
    </aside>
  );
}

/** The blast percentage with its interval, or why there is none. */
export function BlastLine({ report }: { report: SlideReport }) {
  const { say } = usePage();
  const number = useNumbers();
  if (!report.is_like_labeled) return <p class="quiet">{say("side.withheld", { percent: number(report.unnamed_percent, 0) })}</p>;
  if (!Number.isFinite(report.blast_percent)) return <p class="quiet">{say("side.no_blasts")}</p>;
  const [low, high] = report.blast_interval;
  return (
    <p class="blasts">
      <strong>{number(report.blast_percent)} %</strong> {say("side.blasts")}
      <span class="quiet"> {say("side.interval", { low: number(low), high: number(high) })}</span>
    </p>
  );
}

function Counts({ report, reading }: { report: SlideReport; reading: Reading }) {
  const { desk, say } = usePage();
  const number = useNumbers();
  const { run } = desk;
  const outside = run.classes.filter((c) => !run.by.counted.includes(c.name) && c.name !== "unclassified");
  const tally = new Map<string, number>();
  for (const name of reading.names) tally.set(name, (tally.get(name) ?? 0) + 1);
  const color = (name: string): string => run.classes.find((c) => c.name === name)?.color ?? "transparent";
  const row = (name: string, n: number, percent: string, interval: string) => (
    <tr key={name} data-row={name}>
      <th scope="row"><span class="dot" aria-hidden="true" style={{ backgroundColor: color(name) }} /><bdi>{className(say, name)}</bdi></th>
      <td class="number">{n}</td><td class="number strong">{percent}</td><td class="number quiet">{interval}</td>
    </tr>
  );
  return (
    <table class="counts" id="counts">
      <caption>{say("side.differential", { total: report.total })}</caption>
      <thead><tr><th scope="col">{say("side.class")}</th><th scope="col" class="number">n</th><th scope="col" class="number">%</th>
        <th scope="col" class="number">{number(100 * report.level, report.level === 0.95 ? 0 : 2)} %</th></tr></thead>
      <tbody>
        {run.by.counted.map((name, k) => row(name, report.counts[k]!, number(report.percent[k]!), `${number(report.intervals[k]![0])}–${number(report.intervals[k]![1])}`))}
      </tbody>
      <tbody class="outside">
        {outside.filter((c) => tally.get(c.name)).map((c) => row(c.name, tally.get(c.name)!, "", report.total ? say("side.per_100", { n: number((100 * tally.get(c.name)!) / report.total) }) : ""))}
        {row("unclassified", report.unclassified, "", "")}
      </tbody>
    </table>
  );
}

function Sign({ index, reading, report }: Props) {
  const { desk, say } = usePage();
  const [second, setSecond] = useState("");
  const readings = desk.readings(index);
  const compared = desk.compared(index);
  const number = useNumbers();
  const taken = readings.some((r) => r !== reading && r.reader.trim() !== "" && r.reader.trim() === reading.reader.trim());
  const blocked = report.unclassified > 0 ? say("sign.blocked", { n: report.unclassified }) : !reading.reader.trim() ? say("sign.who") : taken ? say("sign.same") : "";
  return (
    <section class="card sign" aria-label={say("sign.title")}>
      <h2>{say("sign.title")}</h2>
      {readings.length > 1 && (
        <div class="readers" role="group" aria-label={say("sign.readers")}>
          {readings.map((r, k) => (
            <button key={k} type="button" aria-pressed={k === desk.current(index)} onClick={() => desk.show(index, k)}>
              {r.signed && <span aria-hidden="true">✓ </span>}<bdi>{r.reader || say("sign.reader_n", { n: k + 1 })}</bdi>
            </button>
          ))}
        </div>
      )}
      {reading.signed ? (
        <>
          <p class="signed" id="signed"><span aria-hidden="true">✓ </span>{say("sign.by")} <bdi>{reading.reader}</bdi>, <time dateTime={reading.signed}>{reading.signed.slice(0, 16).replace("T", " ")} UTC</time></p>
          <button type="button" onClick={() => desk.take(index, { do: "reopen" })}>{say("sign.reopen")}</button>
          {readings.length < 2 && (
            <form class="second" onSubmit={(e) => { e.preventDefault(); if (second.trim()) desk.begin(index, second.trim()); }}>
              <label>{say("sign.second")} <input name="second" value={second} maxLength={40} onInput={(e) => setSecond(e.currentTarget.value)} /></label>
              <button type="submit" disabled={!second.trim() || second.trim() === reading.reader.trim()}>{say("sign.begin")}</button>
            </form>
          )}
        </>
      ) : (
        <>
          <label>{say("sign.reader")} <input id="reader" value={reading.reader} maxLength={40} onChange={(e) => desk.rename(index, e.currentTarget.value)} onInput={(e) => desk.rename(index, e.currentTarget.value)} /></label>
          <button type="button" id="sign" class="primary" disabled={blocked !== ""} aria-describedby="sign-why" onClick={() => desk.take(index, { do: "sign" })}>{say("sign.sign")}</button>
          <p id="sign-why" class="quiet">{blocked || say("sign.ready")}</p>
        </>
      )}
      {compared && (
        <p id="kappa" class={compared.differing.length ? "differ" : "signed"}>
          {compared.differing.length
            ? say("sign.differ", { n: compared.differing.length, all: compared.cells, kappa: number(compared.kappa, 2) })
            : say("sign.agree", { all: compared.cells, kappa: number(compared.kappa, 2) })}
        </p>
      )}
    </section>
  );
}

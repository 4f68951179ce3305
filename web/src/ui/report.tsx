import { mapId, pictureUrl, readSlide } from "../model/data";
import type { Reading } from "../model/reading";
import type { SlideReport } from "../statistics/report";
import { DifferentialChart } from "./chart";
import { className, href, useNumbers, usePage } from "./context";

interface Props {
  index: number;
  reading: Reading;
  report: SlideReport;
}

export function Report({ index, reading, report }: Props) {
  const { say } = usePage();
  return (
    <section class="report" aria-label={say("tab.report")}>
      <article class="card whole">
        <h2>{say("report.differential")}</h2>
        <DifferentialTable report={report} />
        <DifferentialChart report={report} />
      </article>
      <article class="card">
        <h2>{say("report.flag")}</h2>
        <p>{report.flag.reason}</p>
        {reading.nDecided > 0 && <p class="quiet">{say("report.person", { n: reading.nDecided })}</p>}
        <Suspects index={index} />
      </article>
      <Compared index={index} />
      <MapOfFilm index={index} />
      <article class="card"><h2>{say("report.quality")}</h2><Quality index={index} report={report} /></article>
      <article class="card"><h2>{say("report.provenance")}</h2><Provenance /></article>
    </section>
  );
}

export function DifferentialTable({ report }: { report: SlideReport }) {
  const { desk, say } = usePage();
  const number = useNumbers();
  const { counted } = desk.run.by;
  const own = report.corrected;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={say("report.differential")}>
      <table class="differential">
        <caption class="unseen">{say("report.differential")}</caption>
        <thead><tr>
          <th scope="col">{say("side.class")}</th><th scope="col" class="number">n</th><th scope="col" class="number">%</th>
          <th scope="col" class="number">{say("report.interval", { level: number(100 * report.level, report.level === 0.95 ? 0 : 2) })}</th>
          <th scope="col" class="number">{say("report.range")}</th>
          {own && <th scope="col" class="number">{say("report.corrected")}</th>}
        </tr></thead>
        <tbody>
          {counted.map((name, k) => {
            const range = desk.run.ranges[name];
            const percent = report.percent[k]!;
            const out = range && report.total > 0 && (percent < range[0] || percent > range[1]);
            const c = own ? own.classes.indexOf(name) : -1;
            return (
              <tr key={name}>
                <th scope="row"><bdi>{className(say, name)}</bdi></th>
                <td class="number">{report.counts[k]}</td>
                <td class="number strong">{number(percent)}{out && <span class="out" title={say("report.out")}><span aria-hidden="true"> {percent > range[1] ? "↑" : "↓"}</span><span class="unseen">{say("report.out")}</span></span>}</td>
                <td class="number">{number(report.intervals[k]![0])}–{number(report.intervals[k]![1])}</td>
                <td class="number quiet">{range ? `${range[0]}–${range[1]}` : "–"}</td>
                {own && <td class="number">{c >= 0 && Number.isFinite(own.percent[c]!) ? `${number(own.percent[c]!)} (${number(own.low[c]!)}–${number(own.high[c]!)})` : "–"}</td>}
              </tr>
            );
          })}
        </tbody>
      </table>
      {own && <p class="quiet">{say("report.corrected_note")} {own.reason}</p>}
    </div>
  );
}

function Compared({ index }: { index: number }) {
  const { desk, say } = usePage();
  const number = useNumbers();
  const compared = desk.compared(index);
  if (!compared) return null;
  const named = (name: string): string => (name === "" ? say("section.removed") : className(say, name));
  return (
    <article class="card" id="compared">
      <h2>{say("report.readers")}</h2>
      <p>{say("report.readers_told", { a: compared.readers[0], b: compared.readers[1], agreed: compared.agreed, all: compared.cells, kappa: number(compared.kappa, 2) })}</p>
      {compared.differing.length > 0 && (
        <div class="scroll" tabIndex={0} role="region" aria-label={say("report.readers")}>
          <table>
            <thead><tr><th scope="col">{say("report.cell")}</th><th scope="col"><bdi>{compared.readers[0]}</bdi></th><th scope="col"><bdi>{compared.readers[1]}</bdi></th></tr></thead>
            <tbody>
              {compared.differing.map((d, k) => (
                <tr key={k}>
                  <th scope="row"><a href={d.cell >= 0 ? href(index, "fields", d.field, d.cell) : href(index, "fields", d.field)}>{say("report.cell_at", { cell: d.cell >= 0 ? d.cell + 1 : "+", field: d.field + 1 })}</a></th>
                  <td><bdi>{named(d.names[0])}</bdi></td><td><bdi>{named(d.names[1])}</bdi></td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </article>
  );
}

function MapOfFilm({ index }: { index: number }) {
  const { say } = usePage();
  const number = useNumbers();
  const { film } = readSlide(index);
  if (!film) return null;
  const told = say("report.map_told", { percent: number(film.read_percent ?? NaN, 1), left: film.left_out });
  return (
    <article class="card wide" id="map">
      <h2>{say("report.map")}</h2>
      <p>{told}</p>
      <img class="map" src={pictureUrl(mapId(index))} alt={told} />
    </article>
  );
}

export function Suspects({ index }: { index: number }) {
  const { desk, say } = usePage();
  const { suspects } = desk.run.slides[index]!;
  if (!suspects.length) return null;
  return (
    <>
      <h3>{say("report.suspects")}</h3>
      <ul class="suspects">{suspects.map((reason, k) => <li key={k}>{reason}</li>)}</ul>
      <p class="quiet">{say("report.suspects_note")}</p>
    </>
  );
}

export function Quality({ index, report }: { index: number; report: SlideReport }) {
  const { desk, say } = usePage();
  const number = useNumbers();
  const entry = desk.run.slides[index]!;
  const share = report.cells ? (100 * report.unclassified) / report.cells : NaN;
  return (
    <>
      <dl class="facts">
        <div><dt>{say("quality.fields")}</dt><dd>{entry.n_fields}{entry.n_available > entry.n_fields + entry.n_failed ? ` / ${entry.n_available}` : ""}</dd></div>
        <div><dt>{say("quality.failed")}</dt><dd class={entry.n_failed ? "bad" : ""}>{entry.n_failed}</dd></div>
        <div><dt>{say("quality.cells")}</dt><dd>{report.cells}</dd></div>
        <div><dt>{say("quality.unclassified")}</dt><dd>{report.unclassified} ({number(share, 0)} %)</dd></div>
        <div><dt>{say("quality.red_cells")}</dt><dd>{entry.n_red_cells}</dd></div>
        <div><dt>{say("quality.scale")}</dt><dd>{number(entry.um_per_px, 4)} µm/px ({say(`ruler.${entry.ruler}`)})</dd></div>
        <div><dt>{say("quality.stopped")}</dt><dd>{entry.stopped}</dd></div>
      </dl>
      {entry.doubts.length > 0 && (
        <>
          <h3>{say("quality.doubts")}</h3>
          <ul class="doubts">{entry.doubts.map((reason, k) => <li key={k}><bdi>{reason}</bdi></li>)}</ul>
        </>
      )}
      {entry.failures.length > 0 && <ul class="failures">{entry.failures.map((f, k) => <li key={k}><bdi>{f.field}</bdi>: {f.reason}</li>)}</ul>}
    </>
  );
}

export function Provenance() {
  const { desk, say } = usePage();
  const { provenance, notice } = desk.run;
  return (
    <>
      <dl class="facts">
        <div><dt>smearscan</dt><dd>{provenance.version}</dd></div>
        <div><dt>{say("provenance.made")}</dt><dd>{provenance.made}</dd></div>
        {provenance.weights.map((w) => <div key={w.name}><dt><bdi>{w.name}</bdi></dt><dd><code>{w.sha256.slice(0, 16)}</code></dd></div>)}
        {provenance.calibration && <div><dt>{say("provenance.calibration")}</dt><dd><bdi>{provenance.calibration}</bdi></dd></div>}
        <div><dt>{say("provenance.run")}</dt><dd><code>{desk.run.id}</code></dd></div>
      </dl>
      <details class="screen"><summary>{say("provenance.settings")}</summary><pre tabIndex={0}>{JSON.stringify({ settings: provenance.settings, packages: provenance.packages }, null, 1)}</pre></details>
      <p class="quiet">{notice}</p>
    </>
  );
}

import { useMemo, useState } from "preact/hooks";
import type { SlideEntry } from "../model/data";
import { reportSlide, summarize, type Summary } from "../statistics/report";
import { FlagPill, IntervalBar } from "./chart";
import { href, useNumbers, usePage, useVersion } from "./context";

interface Row {
  index: number;
  entry: SlideEntry;
  report: Summary;
  signers: string[];
  started: boolean;
}

const FLAG_ORDER = ["flagged", "insufficient", "not flagged"];
type Order = "name" | "flag" | "blasts" | "cells" | "unclassified" | "signed";

export function SlideList() {
  const { desk, say } = usePage();
  const number = useNumbers();
  const version = useVersion(desk);
  const [filter, setFilter] = useState("");
  const [flag, setFlag] = useState("");
  const [order, setOrder] = useState<Order>("flag");
  const rows = useMemo(() => desk.run.slides.map((entry, index): Row => {
    const work = desk.run.here.includes(index) && desk.isStarted(index);
    const report = work ? reportSlide(desk.reading(index).tally(entry), desk.run.by, say) : summarize(entry, desk.run.by, entry.flag);
    return { index, entry, report, signers: desk.signers(index), started: desk.isStarted(index) };
  }), [version, say]);
  const shown = rows
    .filter((r) => r.entry.name.toLowerCase().includes(filter.toLowerCase()) && (!flag || r.report.flag.state === flag))
    .sort((a, b) => compare(a, b, order) || a.index - b.index);
  const most = Math.max(20, ...rows.map((r) => (r.report.is_like_labeled && r.report.blast_interval[1]) || 0));
  const heading = (name: Order, label: string, numeric = false) => (
    <th scope="col" aria-sort={order === name ? (name === "name" ? "ascending" : "descending") : "none"} class={numeric ? "number" : ""}>
      <button type="button" class="plain" onClick={() => setOrder(name)}>{label}{order === name ? <span aria-hidden="true"> ▾</span> : ""}</button>
    </th>
  );
  return (
    <section class="slides">
      <div class="heading">
        <h1><bdi>{desk.run.title}</bdi></h1>
        <p class="quiet">{say("slides.summary", {
          slides: rows.length, cells: rows.reduce((s, r) => s + r.report.cells, 0), signed: rows.filter((r) => r.signers.length).length,
        })}</p>
      </div>
      <div class="filters" role="search">
        <label>{say("slides.filter")} <input id="filter" type="search" value={filter} onInput={(e) => setFilter(e.currentTarget.value)} /></label>
        <label>{say("slides.flag")}{" "}
          <select value={flag} onChange={(e) => setFlag(e.currentTarget.value)}>
            <option value="">{say("slides.any")}</option>
            {FLAG_ORDER.map((state) => <option key={state} value={state}>{say(`state.${state}`)}</option>)}
          </select>
        </label>
        <span class="quiet" role="status">{say("slides.shown", { shown: shown.length, all: rows.length })}</span>
      </div>
      <div class="scroll" tabIndex={0} role="region" aria-label={say("slides.table")}>
        <table class="list">
          <caption class="unseen">{say("slides.table")}</caption>
          <thead><tr>
            {heading("name", say("slides.slide"))}
            {heading("flag", say("slides.flag"))}
            {heading("blasts", say("slides.blasts"), true)}
            <th scope="col">{say("slides.interval")}</th>
            {heading("cells", say("slides.cells"), true)}
            {heading("unclassified", say("slides.unclassified"), true)}
            <th scope="col" class="number">{say("slides.fields")}</th>
            <th scope="col">{say("slides.scale")}</th>
            {heading("signed", say("slides.review"))}
          </tr></thead>
          <tbody>
            {shown.map(({ index, entry, report, signers, started }) => (
              <tr key={index}>
                <th scope="row"><a href={entry.page || href(index)}><bdi>{entry.name}</bdi></a></th>
                <td><FlagPill state={report.flag.state} tier={report.flag.tier} />{entry.suspects.length > 0 && <span class="quiet"> {say("slides.suspects", { n: entry.suspects.length })}</span>}</td>
                <td class="number strong">{report.is_like_labeled ? number(report.blast_percent) : "–"}</td>
                <td>{report.is_like_labeled ? <IntervalBar percent={report.blast_percent} interval={report.blast_interval} most={most} /> : <span class="quiet">{say("slides.withheld")}</span>}</td>
                <td class="number">{report.cells}</td>
                <td class="number">{report.unclassified}{report.cells > 0 && <span class="quiet"> ({number((100 * report.unclassified) / report.cells, 0)} %)</span>}</td>
                <td class="number">{entry.n_fields}{entry.n_failed > 0 && <strong class="bad"> {say("slides.failed", { n: entry.n_failed })}</strong>}</td>
                <td class="quiet">{number(entry.um_per_px, 3)} µm/px · {say(`ruler.${entry.ruler}`)}{entry.doubts.length > 0 && <strong class="bad"> {say("slides.doubts", { n: entry.doubts.length })}</strong>}</td>
                <td>{signers.length ? <span class="signed"><span aria-hidden="true">✓ </span>{say("slides.signed")} <bdi>{signers.join(", ")}</bdi></span> : started ? say("slides.started") : <span class="quiet">{say("slides.new")}</span>}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function compare(a: Row, b: Row, order: Order): number {
  switch (order) {
    case "name": return a.entry.name.localeCompare(b.entry.name, undefined, { numeric: true });
    case "flag": return FLAG_ORDER.indexOf(a.report.flag.state) - FLAG_ORDER.indexOf(b.report.flag.state) || blasts(b) - blasts(a);
    case "blasts": return blasts(b) - blasts(a);
    case "cells": return b.report.cells - a.report.cells;
    case "unclassified": return b.report.unclassified - a.report.unclassified;
    case "signed": return b.signers.length - a.signers.length;
  }
}

const blasts = ({ report }: Row): number => (report.is_like_labeled && Number.isFinite(report.blast_percent) ? report.blast_percent : -1);

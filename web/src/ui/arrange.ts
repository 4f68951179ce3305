// How the gallery is arranged: which cells stand in which section, in which order, in which row.

import type { Run, Slide } from "../model/data";
import { fineOf } from "../model/fine";
import { REMOVED, UNCLASSIFIED, type Reading } from "../model/reading";
import { probabilityOf } from "./crop";

export type Filter = "all" | "unclassified" | "possible" | "unsure" | "person" | "teach" | `fine ${string}`;
export type Order = "sure" | "unsure" | "fine";

export interface Section {
  id: string;
  /** Class that a cell dropped here gets; null where nothing can be dropped. */
  to: string | null;
  cells: number[];
}

export interface Row {
  y: number;
  height: number;
  section: Section;
  /** Empty for a head line. */
  cells: number[];
}

const UNSURE = 0.8;

function wanted(reading: Reading, slide: Slide, i: number, filter: Filter): boolean {
  switch (filter) {
    case "all": return true;
    case "unclassified": return reading.names[i] === UNCLASSIFIED;
    case "possible": return reading.mayBeBlast(i);
    case "unsure": return !reading.decided[i] && !(probabilityOf(reading, i) >= UNSURE);
    case "person": return reading.decided[i] !== "";
    case "teach": return (slide.cells.teach[i] ?? 0) > 0;
    default: return fineOf(reading, i)?.name === filter.slice("fine ".length);
  }
}

/** Unclassified cells first, then blasts, what may be blasts, the other classes, and what was removed. */
export function sections(run: Run, slide: Slide, reading: Reading, filter: Filter, order: Order): Section[] {
  const found = new Map<string, Section>();
  const section = (id: string, to: string | null): Section => {
    let own = found.get(id);
    if (!own) found.set(id, (own = { id, to, cells: [] }));
    return own;
  };
  section(UNCLASSIFIED, UNCLASSIFIED);
  for (const name of ["blast", "possible"]) section(name, name === "possible" ? null : name);
  for (const { name } of run.classes) if (name !== UNCLASSIFIED) section(name, name);
  section("removed", REMOVED);
  for (let i = 0; i < reading.count; i++) {
    if (!wanted(reading, slide, i, filter)) continue;
    const name = reading.names[i]!;
    if (name === REMOVED) section("removed", REMOVED).cells.push(i);
    else if (name !== UNCLASSIFIED && name !== "blast" && reading.mayBeBlast(i)) section("possible", null).cells.push(i);
    else section(name, name).cells.push(i);
  }
  const sign = order === "unsure" ? 1 : -1;
  const key = (i: number): number => probabilityOf(reading, i) || 0;
  /** By fine type, the surest of each first; cells without one last. */
  const byFine = (i: number): number => {
    const guess = fineOf(reading, i);
    return guess ? 2 * slide.fine!.names.indexOf(guess.name) - (guess.probability ?? 0) : Infinity;
  };
  for (const { id, cells } of found.values()) {
    if (id === UNCLASSIFIED) {
      const rank = (i: number): number => slide.cells.teach[i] || 1e9;
      cells.sort((a, b) => rank(a) - rank(b) || key(a) - key(b));
    } else if (id === "possible") cells.sort((a, b) => (slide.cells.blast[b] ?? 0) - (slide.cells.blast[a] ?? 0));
    else cells.sort((a, b) => (order === "fine" && byFine(a) - byFine(b)) || sign * (key(a) - key(b)) || a - b);
  }
  return [...found.values()].filter((s) => s.cells.length > 0);
}

const HEAD = 38;

export function rows(list: Section[], columns: number, rowHeight: number): { rows: Row[]; height: number } {
  const out: Row[] = [];
  let y = 0;
  for (const section of list) {
    out.push({ y, height: HEAD, section, cells: [] });
    y += HEAD;
    for (let i = 0; i < section.cells.length; i += columns) {
      out.push({ y, height: rowHeight, section, cells: section.cells.slice(i, i + columns) });
      y += rowHeight;
    }
  }
  return { rows: out, height: y };
}

/** The cell an arrow key leads to from `from`. */
export function neighbor(list: Row[], from: number, key: string): number {
  const lines = list.filter((r) => r.cells.length > 0);
  const flat = lines.flatMap((r) => r.cells);
  const at = flat.indexOf(from);
  if (at < 0) return flat[0] ?? -1;
  if (key === "ArrowRight") return flat[Math.min(at + 1, flat.length - 1)]!;
  if (key === "ArrowLeft") return flat[Math.max(at - 1, 0)]!;
  if (key === "Home") return flat[0]!;
  if (key === "End") return flat[flat.length - 1]!;
  const line = lines.findIndex((r) => r.cells.includes(from));
  const column = lines[line]!.cells.indexOf(from);
  const step = { ArrowUp: -1, ArrowDown: 1, PageUp: -5, PageDown: 5 }[key] ?? 0;
  const next = lines[Math.min(Math.max(line + step, 0), lines.length - 1)]!;
  return next.cells[Math.min(column, next.cells.length - 1)]!;
}

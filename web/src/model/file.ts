// The corrections file: everything that people decided, with what the nets had said, in one JSON file that
// `smearscan corrections apply` reads and this page takes in again.

import { readSlide, type Run } from "./data";
import type { Desk } from "./desk";
import { Reading, REMOVED, type Box, type Step } from "./reading";

export const SCHEMA = "smearscan.corrections/1";

interface Decision {
  cell: number;
  /** null: no leukocyte. */
  name: string | null;
  at: string;
}

interface FileReading {
  reader: string;
  signed: string | null;
  checked: number[];
  decisions: Decision[];
  added: { field: number; xyxy: Box; name: string | null; at: string }[];
}

interface FileSlide {
  slide: string;
  um_per_px: number;
  fields: { field: string; height: number; width: number }[];
  cells: Record<string, unknown>;
  readings: FileReading[];
}

export interface CorrectionsFile {
  schema: string;
  notice: string;
  run: Record<string, unknown>;
  saved: string;
  classes: string[];
  slides: FileSlide[];
}

export function corrections(desk: Desk): CorrectionsFile {
  const { run } = desk;
  const started = run.here.filter((s) => desk.isStarted(s));
  return {
    schema: SCHEMA,
    notice: run.notice,
    run: { id: run.id, title: run.title, ...run.provenance },
    saved: new Date().toISOString(),
    classes: run.named,
    slides: started.map((s) => {
      const slide = readSlide(s);
      const { teach: _, ...cells } = slide.cells;
      return {
        slide: run.slides[s]!.name,
        um_per_px: run.slides[s]!.um_per_px,
        fields: slide.fields.map((f) => ({ field: f.name, height: f.height, width: f.width })),
        cells,
        readings: desk.readings(s).filter((r) => r.steps.length > 0).map(written),
      };
    }),
  };
}

function written(reading: Reading): FileReading {
  const n = reading.slide.cells.field.length;
  const name = (i: number): string | null => (reading.names[i] === REMOVED ? null : reading.names[i]!);
  const decisions: Decision[] = [];
  for (let i = 0; i < n; i++) if (reading.decided[i]) decisions.push({ cell: i, name: name(i), at: reading.decided[i]! });
  return {
    reader: reading.reader,
    signed: reading.signed || null,
    checked: [...reading.checked].sort((a, b) => a - b),
    decisions,
    added: reading.added.map((a, k) => ({ field: a.field, xyxy: a.box, name: name(n + k), at: reading.decided[n + k]! })),
  };
}

/** Take a corrections file in; says how many slides it had for this page. */
export function takeIn(desk: Desk, text: string): number {
  const file = JSON.parse(text) as CorrectionsFile;
  if (file.schema !== SCHEMA || !Array.isArray(file.slides)) throw new Error("schema");
  if (file.run["id"] !== desk.run.id) throw new Error("run");
  let taken = 0;
  for (const part of file.slides) {
    const s = desk.run.here.find((i) => desk.run.slides[i]!.name === part.slide);
    if (s === undefined) continue;
    const slide = readSlide(s);
    desk.take_in(s, part.readings.map((r) => new Reading(r.reader, slide, stepsOf(r))));
    taken++;
  }
  return taken;
}

function stepsOf(reading: FileReading): Step[] {
  const steps: Step[] = [];
  for (const { cell, name, at } of reading.decisions)
    steps.push(name === null ? { do: "remove", cells: [cell], at } : { do: "name", cells: [cell], to: name, at });
  steps.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  // added cells count on from the detected ones, in the order of the file
  for (const { field, xyxy, name, at } of reading.added) steps.push({ do: "add", field, box: xyxy, to: name ?? REMOVED, at });
  const at = reading.signed ?? steps.at(-1)?.at ?? "";
  for (const field of reading.checked) steps.push({ do: "check", field, on: true, at });
  if (reading.signed) steps.push({ do: "sign", at: reading.signed });
  return steps;
}

/** Offer a text as a file to keep. */
export function download(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

export function fileName(run: Run): string {
  const safe = run.title.normalize("NFKD").replace(/[^A-Za-z0-9_-]+/g, "_").replace(/^_+|_+$/g, "").slice(0, 60);
  const part = run.here.length === 1 && run.slides.length > 1 ? `_${run.here[0]! + 1}` : "";
  return `corrections_${safe || "run"}${part}.json`;
}

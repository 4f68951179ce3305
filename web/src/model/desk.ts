// The desk: all readings of this page, kept in the browser's own storage, with whoever wants to hear of changes.

import { agreement, type Agreement } from "../statistics/kappa";
import { readSlide, type Run } from "./data";
import { Reading, REMOVED, type Box, type Step, type StepBody } from "./reading";

interface Kept {
  readings: { reader: string; steps: Step[] }[];
  current: number;
}

export class Desk {
  private slides = new Map<number, { readings: Reading[]; current: number }>();
  private listeners = new Set<() => void>();
  version = 0;
  /** Why the work could not be kept in the browser; empty where it could. */
  trouble = "";
  /** Whether there is work that no corrections file holds yet. */
  unsaved = false;

  constructor(readonly run: Run) {}

  listen(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private changed(): void {
    this.version++;
    for (const listener of this.listeners) listener();
  }

  private key(slide: number): string {
    return `smearscan:${this.run.id}:${slide}`;
  }

  private of(slide: number): { readings: Reading[]; current: number } {
    let own = this.slides.get(slide);
    if (!own) {
      const kept = this.kept(slide);
      const data = readSlide(slide);
      own = {
        readings: kept ? kept.readings.map((r) => new Reading(r.reader, data, r.steps)) : [new Reading(this.lastReader, data)],
        current: kept?.current ?? 0,
      };
      this.slides.set(slide, own);
    }
    return own;
  }

  private kept(slide: number): Kept | null {
    try {
      const text = localStorage.getItem(this.key(slide));
      const kept = text ? (JSON.parse(text) as Kept) : null;
      return kept && Array.isArray(kept.readings) && kept.readings.length ? kept : null;
    } catch {
      return null;
    }
  }

  private keep(slide: number): void {
    const { readings, current } = this.of(slide);
    const kept: Kept = { readings: readings.map(({ reader, steps }) => ({ reader, steps })), current };
    try {
      localStorage.setItem(this.key(slide), JSON.stringify(kept));
      this.trouble = "";
    } catch (error) {
      this.trouble = String(error);
    }
    this.unsaved = true;
    this.changed();
  }

  private get lastReader(): string {
    try {
      return localStorage.getItem("smearscan:reader") ?? "";
    } catch {
      return "";
    }
  }

  reading(slide: number): Reading {
    const own = this.of(slide);
    return own.readings[own.current]!;
  }

  readings(slide: number): Reading[] {
    return this.of(slide).readings;
  }

  current(slide: number): number {
    return this.of(slide).current;
  }

  /** Whether anything is kept of a slide; looks into the storage only, for slides that lie in other files. */
  isStarted(slide: number): boolean {
    const readings = this.slides.get(slide)?.readings ?? this.kept(slide)?.readings ?? [];
    return readings.some((r) => r.steps.length > 0);
  }

  /** Readers who signed a slide, as far as this browser knows. */
  signers(slide: number): string[] {
    if (this.run.here.includes(slide)) return this.readings(slide).filter((r) => r.signed).map((r) => r.reader);
    const readings = this.kept(slide)?.readings ?? [];
    const last = (steps: Step[]): string => steps.filter((s) => s.do === "sign" || s.do === "reopen").at(-1)?.do ?? "";
    return readings.filter((r) => last(r.steps) === "sign").map((r) => r.reader);
  }

  take(slide: number, body: StepBody): boolean {
    const done = this.reading(slide).take(body);
    if (done) this.keep(slide);
    return done;
  }

  undo(slide: number): Step | undefined {
    const step = this.reading(slide).undo();
    if (step) this.keep(slide);
    return step;
  }

  redo(slide: number): Step | undefined {
    const step = this.reading(slide).redo();
    if (step) this.keep(slide);
    return step;
  }

  rename(slide: number, reader: string): void {
    this.reading(slide).reader = reader;
    try {
      localStorage.setItem("smearscan:reader", reader);
    } catch {
      // the name is kept with the slide's work, or told as trouble there
    }
    this.keep(slide);
  }

  /** Begin a reading of one's own, from the nets' names: a second reader does not see the first one's. */
  begin(slide: number, reader: string): void {
    const own = this.of(slide);
    own.readings.push(new Reading(reader, readSlide(slide)));
    own.current = own.readings.length - 1;
    this.keep(slide);
  }

  show(slide: number, current: number): void {
    this.of(slide).current = current;
    this.keep(slide);
  }

  /** Take in another's readings of a slide; one of the same reader is replaced. */
  take_in(slide: number, readings: Reading[]): void {
    const own = this.of(slide);
    for (const reading of readings) {
      const at = own.readings.findIndex((r) => r.reader === reading.reader || r.steps.length === 0);
      if (at >= 0) own.readings[at] = reading;
      else own.readings.push(reading);
    }
    own.current = Math.min(own.current, own.readings.length - 1);
    this.keep(slide);
  }

  saved(): void {
    this.unsaved = false;
    this.changed();
  }

  /** Where the first two readers who signed agree; null before two have. */
  compared(slide: number): Comparison | null {
    const signed = this.readings(slide).filter((r) => r.signed);
    return signed.length >= 2 ? compare(signed[0]!, signed[1]!) : null;
  }
}

export interface Comparison extends Agreement {
  readers: [string, string];
  /** Names by the two readers of each cell in which they differ; the index is -1 for a cell that one added. */
  differing: { cell: number; field: number; box: Box; names: [string, string] }[];
}

/** Compare two readings, cell by cell: what only one of them added is no leukocyte to the other. */
export function compare(a: Reading, b: Reading): Comparison {
  const n = a.slide.cells.field.length;
  const pairs: [string, string][] = [];
  const differing: Comparison["differing"] = [];
  const note = (cell: number, reading: Reading, i: number, names: [string, string]): void => {
    if (names[0] === REMOVED && names[1] === REMOVED) return;
    pairs.push(names);
    if (names[0] !== names[1]) differing.push({ cell, field: reading.fieldOf(i), box: reading.boxOf(i), names });
  };
  for (let i = 0; i < n; i++) note(i, a, i, [a.names[i]!, b.names[i]!]);
  const free = new Set(b.added.map((_, k) => n + k));
  for (let i = n; i < a.count; i++) {
    const match = [...free].find((j) => b.fieldOf(j) === a.fieldOf(i) && overlap(a.boxOf(i), b.boxOf(j)) >= 0.3);
    if (match !== undefined) free.delete(match);
    note(-1, a, i, [a.names[i]!, match === undefined ? REMOVED : b.names[match]!]);
  }
  for (const j of free) note(-1, b, j, [REMOVED, b.names[j]!]);
  return { ...agreement(pairs), readers: [a.reader, b.reader], differing };
}

/** Intersection over union of two boxes. */
export function overlap(a: Box, b: Box): number {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  if (width <= 0 || height <= 0) return 0;
  const area = (box: Box): number => (box[2] - box[0]) * (box[3] - box[1]);
  return (width * height) / (area(a) + area(b) - width * height);
}

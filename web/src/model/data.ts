// What Python wrote into the page, and how it is read: small parts at once, pictures when they are looked at.

import type { NamingErrors } from "../statistics/errors";
import type { Judgement } from "../statistics/report";
import type { Dictionary } from "../words";

export interface ClassInfo {
  name: string;
  short: string;
  color: string;
  /** Letter that re-classes. */
  key: string;
}

export interface FieldFailure {
  field: string;
  reason: string;
}

export interface SlideEntry {
  name: string;
  n_fields: number;
  n_failed: number;
  failures: FieldFailure[];
  n_available: number;
  n_red_cells: number;
  um_per_px: number;
  ruler: string;
  share: number;
  flag_share: number;
  stopped: string;
  types: Record<string, number>;
  possible: number;
  restained: boolean;
  flag: { state: string; tier: string; reason: string };
  /** What of the counts lay outside the reference ranges when the slide was scanned, in sentences. */
  suspects: string[];
  /** What was read and should not be believed unlooked, in sentences. */
  doubts: string[];
  /** Kinds of those doubts in which what cells are called is not to be believed. */
  names_in_doubt: string[];
  /** File that holds this slide, where it is not this one. */
  page: string;
  /** Cells of this slide among those that teach most. */
  teach: number;
}

export interface Provenance {
  version: string;
  made: string;
  weights: { name: string; sha256: string }[];
  calibration: string;
  settings: Record<string, unknown>;
  packages: Record<string, string>;
}

export interface Run {
  schema: string;
  id: string;
  title: string;
  notice: string;
  /** Slides in this file; another file's are only named. */
  here: number[];
  index: string;
  by: Judgement;
  classes: ClassInfo[];
  named: string[];
  ranges: Record<string, [number, number]>;
  ranges_source: string;
  slides: SlideEntry[];
  provenance: Provenance;
  words: Record<string, Dictionary>;
}

export interface FieldInfo {
  name: string;
  height: number;
  width: number;
  /** Photograph pixels to one pixel of the picture in the page. */
  reduction: number;
  picture: boolean;
}

export interface Cells {
  field: number[];
  /** Four numbers a cell, pixels of the photograph. */
  xyxy: number[];
  score: number[];
  type: string[];
  probability: (number | null)[];
  blast: (number | null)[];
  /** Probabilities of `named`, row after row. */
  probs: number[];
  possible: number[];
  /** 1 teaches most; 0 is not ranked. */
  teach: number[];
}

/** Finer guesses of the nets within what they called each cell; apart from the cells, for no correction is about them. */
export interface FineTypes {
  /** Those that say more than the type does. */
  names: string[];
  /** Of each cell, a place in `names`; -1 where it has none. */
  which: number[];
  /** Of the fine type, given the type. */
  probability: (number | null)[];
}

export interface Sprite {
  px: number;
  columns: number;
  per_sheet: number;
  /** Side of a crop in micrometers. */
  um: number;
  /** Of each cell, on the sheets: as the gallery shows them, so that a screen needs few sheets. */
  places: number[];
}

/** What of a whole slide was read; its map is the picture `mapId`. */
export interface Film {
  /** Of the squares in one layer; null where there is none. */
  read_percent: number | null;
  /** What was left out, in words. */
  left_out: string;
}

export interface Slide {
  fields: FieldInfo[];
  cells: Cells;
  /** null where no net names them. */
  fine: FineTypes | null;
  sprite: Sprite;
  film: Film | null;
}

function block(id: string): string {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page lacks its part ${id}`);
  return element.textContent ?? "";
}

export function readRun(): Run {
  const run = JSON.parse(block("run")) as Run;
  for (const errors of [run.by.errors, run.by.unlike] as ((NamingErrors & { ways: unknown }) | null)[]) {
    if (errors) errors.ways = new Float32Array(bytes(errors.ways as unknown as string).buffer as ArrayBuffer);
  }
  return run;
}

const slides = new Map<number, Slide>();

export function readSlide(index: number): Slide {
  let slide = slides.get(index);
  if (!slide) slides.set(index, (slide = JSON.parse(block(`slide-${index}`)) as Slide));
  return slide;
}

function bytes(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
}

const MOST_PICTURES = 60;
const urls = new Map<string, string>();

/** Address of an embedded picture, made when first asked for; the longest unused ones are given up. */
export function pictureUrl(id: string): string {
  let url = urls.get(id);
  if (url) urls.delete(id);
  else {
    const element = document.getElementById(id);
    if (!element) return "";
    url = URL.createObjectURL(new Blob([bytes(element.textContent ?? "") as BlobPart], { type: element.dataset["type"] ?? "image/webp" }));
  }
  urls.set(id, url);
  if (urls.size > MOST_PICTURES) {
    const [oldest, unused] = urls.entries().next().value as [string, string];
    urls.delete(oldest);
    URL.revokeObjectURL(unused);
  }
  return url;
}

export const spriteId = (slide: number, sheet: number): string => `sprite-${slide}-${sheet}`;
export const fieldId = (slide: number, field: number): string => `field-${slide}-${field}`;
export const mapId = (slide: number): string => `map-${slide}`;
